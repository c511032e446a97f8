"""All the folders one user can see, as LIST tells them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import inf

from acl_imapd.access.namespaces import Namespaces
from acl_imapd.access.rights import EntryLike, Ownership, Rights, effective_rights, next_change, subscribed_by
from acl_imapd.storage.accounts import Identity
from acl_imapd.storage.mailboxes import Mailbox
from acl_imapd.storage.visible import Visible
from acl_imapd.types import AclId, MailboxId, MailboxName


@dataclass(frozen=True, slots=True)
class Listed:
    """A mailbox in the listing of one user."""

    name: MailboxName
    mailbox: Mailbox
    rights: Rights
    use: str | None = None  # its special use (RFC 6154): of one's own folders only, another's Trash is nobody else's

    @property
    def selectable(self) -> bool:
        r"""False for what LIST calls \Noselect."""
        return bool(self.rights & (Rights.r | Rights.i))


@dataclass(slots=True)
class Listing:
    """All one user can see, in the order LIST tells it: own, other users', shared; INBOX first."""

    entries: list[Listed]
    by_name: dict[str, Listed] = field(default_factory=dict)
    by_id: dict[MailboxId, Listed] = field(default_factory=dict)
    parents: set[str] = field(default_factory=set)  # every name above a visible one
    hidden_parents: list[str] = field(default_factory=list)  # those of them the user cannot see, namespace roots too
    offered: list[Listed] = field(default_factory=list)  # those that a grant subscribes
    rendered: dict[object, list[bytes]] = field(default_factory=dict)  # whatever LIST keeps of its answers
    acls: frozenset[AclId] = frozenset()  # of all that the user owns or is named for
    until: float = inf  # when some right begins or ends
    generation: int = -1  # of the directory that made it, or has found since that nothing concerns it
    made_at: float = 0.0  # seconds since 1970
    cost_s: float = 0.0  # how long it took


def is_owner(mailbox: Mailbox, identity: Identity) -> bool:
    """True when *identity* owns the mailbox: its home is there, or it was given to it or to a team it manages."""
    if mailbox.home_id is not None:
        return mailbox.home_id == identity.user_id
    return Ownership(mailbox.owner_user_id, mailbox.owner_team_id).includes(identity)


def rights_on(
    mailbox: Mailbox, entries: Iterable[EntryLike], identity: Identity, *, allow_anyone: bool, now: float
) -> Rights:
    """What *identity* may do at *now* with the mailbox, whose ACL has these entries."""
    owner = is_owner(mailbox, identity)
    return effective_rights(entries, identity, is_owner=owner, allow_anyone=allow_anyone, now=now)


def make_listing(
    visible: Visible, identity: Identity, namespaces: Namespaces, *, allow_anyone: bool, now: float
) -> Listing:
    """What *identity* sees of *visible* at *now*.  Rights are worked out once per ACL, not per mailbox."""
    evaluated: dict[tuple[AclId, bool], tuple[Rights, bool]] = {}
    entries: list[tuple[tuple[int, bool, list[str]], Listed, bool]] = []
    for mailbox in visible.mailboxes:
        owner = is_owner(mailbox, identity)
        found = evaluated.get((mailbox.acl_id, owner))
        if found is None:
            acl = visible.acls.get(mailbox.acl_id)
            terms = acl.entries if acl is not None else ()
            found = evaluated[mailbox.acl_id, owner] = (
                effective_rights(terms, identity, is_owner=owner, allow_anyone=allow_anyone, now=now),
                subscribed_by(terms, identity, is_owner=owner, allow_anyone=allow_anyone, now=now),
            )
        rights, offered = found
        home = None if mailbox.home_id is None else visible.homes.get(mailbox.home_id)
        if not rights & Rights.l or (mailbox.home_id is not None and home is None):
            continue
        if not namespaces.shows(home, mailbox.path):
            continue
        name = namespaces.name(home, mailbox.path, identity.name)
        # Own folders, then other users', then shared ones; INBOX and what is below it before the rest.
        own = mailbox.home_id == identity.user_id
        personal = own or namespaces.root is not None
        place = 0 if personal else 2 if home is None else 1
        levels = name.split("/")
        key = (place, not (place == 0 and levels[0] == "INBOX"), levels)
        entries.append((key, Listed(name, mailbox, rights, _use(mailbox, name, own, namespaces)), offered and not own))
    entries.sort(key=lambda one: one[0])
    listing = Listing(
        [listed for _, listed, _ in entries],
        offered=[listed for _, listed, offered in entries if offered],
        acls=frozenset(visible.acls),
    )
    limits = [next_change(acl.entries, now) for acl in visible.acls.values()]
    listing.until = min([next_change(identity.limited, now), *limits])
    _add_names(listing)
    return listing


def _use(mailbox: Mailbox, name: str, own: bool, namespaces: Namespaces) -> str | None:
    """Its special use where that is this user's: in its home, and beside INBOX where one tree is all there is."""
    return mailbox.special_use if own or (namespaces.root is not None and "/" not in name) else None


def _add_names(listing: Listing) -> None:
    for listed in listing.entries:
        listing.by_name[listed.name] = listed
        listing.by_id[listed.mailbox.id] = listed
    hidden: dict[str, None] = {}
    for listed in listing.entries:
        above = listed.name.rpartition("/")[0]
        while above and above not in listing.parents:
            listing.parents.add(above)
            if above not in listing.by_name:
                hidden[above] = None
            above = above.rpartition("/")[0]
    listing.hidden_parents = list(hidden)


@dataclass(frozen=True, slots=True)
class Changes:
    """What is different for the client that was told of one listing and shall know another."""

    gone: tuple[str, ...]
    come: tuple[Listed, ...]  # new, or LIST tells it with other attributes

    def __bool__(self) -> bool:
        return bool(self.gone or self.come)


def changes(old: Listing, new: Listing) -> Changes:
    r"""The names that are no more, in the order they were told in, and those that are new or (not) \Noselect now."""
    gone = tuple(one.name for one in old.entries if one.name not in new.by_name)
    come = []
    for one in new.entries:
        known = old.by_name.get(one.name)
        if known is None or (known.selectable, known.use) != (one.selectable, one.use):
            come.append(one)
    return Changes(gone, tuple(come))
