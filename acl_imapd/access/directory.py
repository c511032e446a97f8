"""What a process remembers of names, ACLs, identities and rights, and how it never remembers too long.

Three epochs in the database tell what to forget.  :meth:`Directory.refresh` compares them; every command
begins with it, so that nothing that begins after a revocation has committed still sees the right.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from math import inf
from typing import Generic, Protocol, TypeVar

from acl_imapd.access.listing import Listing, is_owner, make_listing
from acl_imapd.access.namespaces import Namespaces
from acl_imapd.access.rights import EntryLike, Rights, effective_rights, matches, next_change
from acl_imapd.notify.coalesce import Coalesced
from acl_imapd.storage.accounts import Identity, read_identity, read_user
from acl_imapd.storage.database import Connection
from acl_imapd.storage.epochs import Epochs
from acl_imapd.storage.mailboxes import Mailbox, read_mailbox
from acl_imapd.storage.reactor import AsyncDatabase
from acl_imapd.storage.rights import Acl, Term, read_acl, read_terms
from acl_imapd.storage.visible import read_news, read_visible
from acl_imapd.types import AclId, MailboxId, UserId

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")


class Bounded(OrderedDict[K, V], Generic[K, V]):
    """A dict that forgets its oldest item when it is full."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size

    def __setitem__(self, key: K, value: V) -> None:
        super().__setitem__(key, value)
        if len(self) > self._size:
            self.popitem(last=False)


class EpochSource(Protocol):
    """Tells cheaply whether anything was committed."""

    def peek(self) -> Epochs | None:
        """The epochs now, without leaving the thread; None where that needs a query."""

    def changed_acls(self, since_epoch: int) -> list[int] | None:
        """The ACLs changed after that epoch, likewise; None also where they are too many."""

    def terms(self, acl_id: AclId, user_id: UserId) -> list[Term] | None:
        """The entries of an ACL that can concern a user, likewise."""


class Watcher(Protocol):
    """Somebody who has a mailbox open and must hear at once when the rights change."""

    mailbox_id: MailboxId
    user_id: UserId

    def rights_changed(self) -> None: ...


class Resident(Protocol):
    """Somebody who has logged in, and must hear at once when the account is not what it was."""

    user_id: UserId

    def account_changed(self, name: str | None) -> None:
        """The user is called *name* now; None: it is disabled or gone."""


class Clock(Protocol):
    """The time of day, and something to be woken by."""

    def now(self) -> float:
        """Seconds since 1970."""

    def call_later(self, seconds: float, call: Callable[[], None]) -> Callable[[], None]:
        """Have *call* called; what comes back calls it off."""


# No timer is longer, so that a clock set right meanwhile does no lasting harm.
LONGEST_WAIT_S = 3600.0
# What is remembered of changed ACLs, to tell whose listings they concern; beyond it everybody's is made anew.
MAX_CHANGED_ACLS = 100
MAX_ACL_CHANGES = 200


class Directory:
    """Caches of one process over storage."""

    def __init__(
        self, database: AsyncDatabase, source: EpochSource, clock: Clock, *, namespaces: Namespaces, allow_anyone: bool
    ) -> None:
        self._database = database
        self._source = source
        self._clock = clock
        self._call_off: Callable[[], None] | None = None
        self._wakes_at = inf
        self.namespaces = namespaces
        self.allow_anyone = allow_anyone
        self._epochs = Epochs(-1, -1, -1)
        self._generation = 0
        self._catch_up = Coalesced(self._read_news)
        self._read_anyway = False
        self._homes: Bounded[str, UserId | None] = Bounded(20_000)
        self._places: Bounded[tuple[UserId | None, str], Mailbox | None] = Bounded(20_000)
        self._acls: Bounded[AclId, Acl] = Bounded(20_000)
        self._rights: Bounded[AclId, dict[tuple[UserId, bool], tuple[Rights, float]]] = Bounded(20_000)
        self._identities: Bounded[UserId, Identity] = Bounded(20_000)
        self._listings: Bounded[tuple[UserId, str | None], Listing] = Bounded(2_000)
        # Which ACLs have changed at which generation; what is older than the first says nothing of a listing.
        self._acl_changes: list[tuple[int, tuple[AclId, ...]]] = []
        self._watchers: dict[MailboxId, set[Watcher]] = {}
        self._watched: dict[MailboxId, Mailbox] = {}
        self._residents: dict[UserId, set[Resident]] = {}
        self.moved: Callable[[], None] = lambda: None  # called when what somebody sees may be different

    def now(self) -> float:
        """Seconds since 1970."""
        return self._clock.now()

    # -- freshness --------------------------------------------------------------------------------------

    @property
    def epochs(self) -> Epochs:
        """Those of which nothing remembered is older."""
        return self._epochs

    async def steady(self, look: Callable[[], Awaitable[T]]) -> T:
        """What *look* finds, when nothing was forgotten while it waited for something: it is as of one moment, and not
        older than what watchers have been told."""
        while True:
            generation = self._generation
            found = await look()
            if generation == self._generation:
                return found

    async def refresh(self) -> None:
        """After this nothing remembered is older than the call, and every watcher has been told."""
        epochs = self._source.peek()
        if epochs is not None and epochs == self._epochs:
            return
        identities = epochs is None or epochs.identity != self._epochs.identity
        to_tell = self._watchers or (self._residents and identities)
        if epochs is None or to_tell or not self._forget_quickly(epochs):
            await self._catch_up.request()

    def _forget_quickly(self, epochs: Epochs) -> bool:
        """Without anybody to tell there is nothing to read but which ACLs changed.  False where it takes a query."""
        since = self._epochs
        changed = self._source.changed_acls(since.acl) if epochs.acl != since.acl else []
        if changed is None or since.acl < 0:
            return False
        self._forget(since, epochs, [AclId(one) for one in changed])
        return True

    def _forget(self, since: Epochs, epochs: Epochs, changed: Sequence[AclId]) -> None:
        self._epochs = epochs
        self._generation += 1
        acls_alone = (epochs.tree, epochs.identity) == (since.tree, since.identity) and since.acl >= 0
        if acls_alone and len(changed) <= MAX_CHANGED_ACLS and len(self._acl_changes) < MAX_ACL_CHANGES:
            self._acl_changes.append((self._generation, tuple(changed)))
        else:
            self._listings.clear()
            self._acl_changes.clear()
        if epochs.tree != since.tree:
            self._places.clear()
        if epochs.identity != since.identity:
            self._homes.clear()
            self._identities.clear()
            self._rights.clear()
        for acl_id in changed:
            self._acls.pop(acl_id, None)
            self._rights.pop(acl_id, None)
        self.moved()

    async def _read_news(self) -> None:
        anyway, self._read_anyway = self._read_anyway, False
        while True:
            since = self._epochs
            watched, users = self._whats_watched()
            logged_in = sorted(self._residents)
            news = await self._database.read(read_news, since, watched, users, logged_in, anyway=anyway)
            # Not if somebody came meanwhile, of whom nothing was read, or somebody else looked and saw more.
            if self._whats_watched() == (watched, users) and self._epochs == since:
                break
        if news.epochs == since and not anyway:
            return
        self._forget(since, news.epochs, news.changed_acls)
        self._identities.update(news.identities)
        for acl_id, acl in news.acls.items():
            self._acls[acl_id] = acl
        for mailbox_id in watched:
            mailbox = news.mailboxes.get(mailbox_id)
            if mailbox is None:
                self._watched.pop(mailbox_id, None)
            else:
                self._watched[mailbox_id] = mailbox
        if anyway or news.epochs.identity != since.identity:
            for user_id in logged_in:
                for resident in list(self._residents.get(user_id, ())):
                    resident.account_changed(news.names.get(user_id))
        self._tell_watchers()

    def _whats_watched(self) -> tuple[list[MailboxId], list[UserId]]:
        users = {watcher.user_id for watchers in self._watchers.values() for watcher in watchers}
        return sorted(self._watchers), sorted(users)

    def _tell_watchers(self) -> None:
        for watchers in list(self._watchers.values()):
            for watcher in list(watchers):
                watcher.rights_changed()

    # -- what ends by itself ------------------------------------------------------------------------------

    def wake_by(self, moment: float) -> None:
        """Tell the watchers at *moment* (seconds since 1970), when somebody's right begins or ends."""
        if moment >= self._wakes_at:
            return
        if self._call_off is not None:
            self._call_off()
        self._wakes_at = moment
        wait = min(max(moment - self._clock.now(), 0.0), LONGEST_WAIT_S)
        self._call_off = self._clock.call_later(wait, self._time_has_come)

    def _time_has_come(self) -> None:
        self._call_off = None
        self._wakes_at = inf
        at_hand = True
        for mailbox_id, watchers in self._watchers.items():
            mailbox = self._watched.get(mailbox_id)
            if mailbox is not None:
                for watcher in watchers:  # sets the next alarm
                    at_hand &= self.rights_now(mailbox, watcher.user_id) is not None
        if at_hand:
            self._tell_watchers()
        else:
            self._read_anyway = True
            self._catch_up.request()
        self.moved()

    def close(self) -> None:
        """Call the alarm off."""
        if self._call_off is not None:
            self._call_off()
            self._call_off = None

    # -- who has logged in ----------------------------------------------------------------------------------

    def enter(self, resident: Resident) -> None:
        """Tell *resident* from now on when its account changes."""
        self._residents.setdefault(resident.user_id, set()).add(resident)

    def leave(self, resident: Resident) -> None:
        """Undo :meth:`enter`."""
        residents = self._residents.get(resident.user_id, set())
        residents.discard(resident)
        if not residents:
            self._residents.pop(resident.user_id, None)

    # -- who has something open ---------------------------------------------------------------------------

    def watch(self, watcher: Watcher, mailbox: Mailbox) -> None:
        """Tell *watcher* of every change of rights from now on."""
        self._watchers.setdefault(watcher.mailbox_id, set()).add(watcher)
        self._watched.setdefault(mailbox.id, mailbox)
        self.rights_now(mailbox, watcher.user_id)  # sets the alarm for when they end

    def unwatch(self, watcher: Watcher) -> None:
        """Undo :meth:`watch`."""
        watchers = self._watchers.get(watcher.mailbox_id)
        if watchers is not None:
            watchers.discard(watcher)
            if not watchers:
                del self._watchers[watcher.mailbox_id]
                self._watched.pop(watcher.mailbox_id, None)

    def watched(self, mailbox_id: MailboxId) -> Mailbox | None:
        """A mailbox somebody watches, as of the last refresh; None when it has been removed."""
        return self._watched.get(mailbox_id)

    def rights_now(self, mailbox: Mailbox, user_id: UserId) -> Rights | None:
        """The rights as of the last refresh, without a query; None when something is not at hand.

        For a watcher everything is at hand; a user who is no more, or disabled, has no rights.
        """
        identity = self._identities.get(user_id)
        if identity is None:
            return None
        now = self._clock.now()
        found = self._evaluate(mailbox, identity.at(now), now)
        if found is None:
            return None
        self.wake_by(found[1])
        return found[0]

    # -- lookups --------------------------------------------------------------------------------------------

    async def identity(self, user_id: UserId) -> Identity | None:
        """The user and its teams; None for one that is gone or disabled."""
        known = self._identities.get(user_id)
        if known is not None:
            return known.at(self._clock.now()) if known.limited else known
        generation = self._generation
        identity = await self._database.read(read_identity, user_id)
        if identity is not None and generation == self._generation:
            self._identities[user_id] = identity
        return identity.at(self._clock.now()) if identity is not None else None

    async def mailbox(self, home: str | None, path: str) -> Mailbox | None:
        """The mailbox at a place; its counters are not to be relied on."""
        if home is not None and home not in self._homes:
            generation = self._generation
            user = await self._database.read(read_user, home)
            if generation == self._generation:
                self._homes[home] = user.id if user is not None else None
            home_id = user.id if user is not None else None
        else:
            home_id = self._homes[home] if home is not None else None
        if home is not None and home_id is None:
            return None
        key = (home_id, path)
        if key in self._places:
            return self._places[key]
        generation = self._generation
        mailbox, acl = await self._database.read(_read_place, home_id, path)
        if generation == self._generation:
            self._places[key] = mailbox
            if acl is not None:
                self._acls[acl.id] = acl
        return mailbox

    async def rights(self, mailbox: Mailbox, identity: Identity) -> Rights:
        """What *identity* may do with *mailbox*."""
        now = self._clock.now()
        known = self._evaluate(mailbox, identity, now)
        if known is not None:
            return known[0]
        generation = self._generation
        terms = self._source.terms(mailbox.acl_id, identity.user_id)
        if terms is None:
            terms = await self._database.read(read_terms, mailbox.acl_id, identity.user_id)
        owner = is_owner(mailbox, identity)
        rights = effective_rights(terms, identity, is_owner=owner, allow_anyone=self.allow_anyone, now=now)
        if generation == self._generation:
            until = min(next_change(terms, now), next_change(identity.limited, now))
            self._rights.setdefault(mailbox.acl_id, {})[identity.user_id, owner] = rights, until
        return rights

    async def listing(self, identity: Identity, namespaces: Namespaces) -> Listing:
        """All *identity* can see, by the names that it has in *namespaces*."""
        key = (identity.user_id, namespaces.root)
        known = self._listings.get(key)
        if known is not None and (self.is_current(known) or await self._concerns_nothing_of(known, identity)):
            return known
        generation, began = self._generation, self._clock.now()
        visible = await self._database.read(read_visible, identity, include_anyone=self.allow_anyone)
        now = self._clock.now()
        listing = make_listing(visible, identity, namespaces, allow_anyone=self.allow_anyone, now=now)
        listing.generation, listing.made_at, listing.cost_s = generation, now, now - began
        if generation == self._generation:
            self._listings[key] = listing
        return listing

    async def _concerns_nothing_of(self, listing: Listing, identity: Identity) -> bool:
        """True where the ACLs that have changed since the remembered *listing* was made are none of its, and name
        *identity* no more than before; it is current then.  So a change costs others a look, not a listing."""
        generation = self._generation
        if self._clock.now() >= listing.until:
            return False
        changed = {acl_id for at, ids in self._acl_changes if at > listing.generation for acl_id in ids}
        if changed & listing.acls:
            return False
        for acl_id in sorted(changed):
            if await self._gives_something_to(acl_id, identity):
                return False
        if generation != self._generation:
            return False
        listing.generation = generation
        return True

    async def _gives_something_to(self, acl_id: AclId, identity: Identity) -> bool:
        acl = self._acls.get(acl_id)
        entries: Sequence[EntryLike] | None
        entries = acl.entries if acl is not None else self._source.terms(acl_id, identity.user_id)
        if entries is None:
            generation = self._generation
            acl = await self._database.read(read_acl, acl_id)
            if acl is not None and generation == self._generation:
                self._acls[acl_id] = acl  # for the others who ask
            entries = acl.entries if acl is not None else ()
        return any(not one.negative and matches(one.identifier, identity, is_owner=False) for one in entries)

    def is_current(self, listing: Listing) -> bool:
        """True while nothing has changed and no right has begun or ended since the listing was made."""
        return listing.generation == self._generation and self._clock.now() < listing.until

    # -- pure parts -----------------------------------------------------------------------------------------

    def _evaluate(self, mailbox: Mailbox, identity: Identity, now: float) -> tuple[Rights, float] | None:
        """The rights, and until when they are these at least; None where they are not at hand."""
        owner = is_owner(mailbox, identity)
        rights = self._rights.get(mailbox.acl_id)
        if rights is None:
            rights = self._rights[mailbox.acl_id] = {}
        key = (identity.user_id, owner)
        known = rights.get(key)
        if known is not None and now < known[1]:
            return known
        acl = self._acls.get(mailbox.acl_id)
        if acl is None:
            return None
        known = rights[key] = (
            effective_rights(acl.entries, identity, is_owner=owner, allow_anyone=self.allow_anyone, now=now),
            min(next_change(acl.entries, now), next_change(identity.limited, now)),
        )
        return known


def _read_place(conn: Connection, home_id: UserId | None, path: str) -> tuple[Mailbox | None, Acl | None]:
    mailbox = read_mailbox(conn, home_id, path)
    return mailbox, read_acl(conn, mailbox.acl_id) if mailbox is not None else None
