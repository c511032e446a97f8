"""The gate: nobody gets hold of a mailbox without having named the rights he wants.

Order (PRODUCT: no existence leak): the rights suffice → a view; else the user holds ``l`` → NO [NOPERM]; else
exactly the answer for a mailbox that does not exist.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Concatenate, ParamSpec, TypeVar

from acl_imapd.access.audience import Audience, Viewpoint
from acl_imapd.access.confirm import Asker, Found, Stale, first_confirmed, rename
from acl_imapd.access.directory import Directory
from acl_imapd.access.last_used import LastUsed
from acl_imapd.access.listing import Listed, Listing
from acl_imapd.access.namespaces import DELIMITER, INBOX, Namespaces, Place, parent_path, valid_new_path
from acl_imapd.access.rights import NONE, Rights, format_rights
from acl_imapd.access.view import MailboxView
from acl_imapd.errors import (
    AlreadyExists,
    AuthorizationFailed,
    Cannot,
    InUse,
    NonExistent,
    NoPerm,
    TryCreate,
    UseAttr,
)
from acl_imapd.mailbox.cache import Indexes
from acl_imapd.storage import mailboxes, subscriptions
from acl_imapd.storage import rights as stored
from acl_imapd.storage.accounts import Actor, Identity
from acl_imapd.storage.database import Connection
from acl_imapd.storage.mailboxes import Mailbox, Status
from acl_imapd.storage.reactor import AsyncDatabase
from acl_imapd.types import MailboxId, UserId

P = ParamSpec("P")
T = TypeVar("T")
MAX_LOOKS = 20  # so often, while each time somebody takes away what was found

__all__ = ["Access", "Gate", "Needs", "any_of", "to_write_into"]


@dataclass(frozen=True, slots=True)
class Needs:
    """What a command needs on a mailbox it names; *missing*: what it answers where there is none."""

    rights: Rights
    any_of: bool = False
    missing: type[NonExistent] = NonExistent

    def met(self, rights: Rights) -> bool:
        """True when *rights* suffice."""
        return bool(rights & self.rights) if self.any_of else rights & self.rights == self.rights


def any_of(rights: Rights) -> Needs:
    """One of them is enough."""
    return Needs(rights, any_of=True)


def to_write_into(rights: Rights) -> Needs:
    """For APPEND, COPY and MOVE: NO [TRYCREATE] where there is no such mailbox.  RFC 3501 §6.3.11."""
    return Needs(rights, missing=TryCreate)


@dataclass(slots=True)
class Gate:
    """What all sessions of a process share."""

    database: AsyncDatabase
    directory: Directory
    indexes: Indexes
    last_used: LastUsed
    audience: Audience
    auto_subscribe: bool = True  # SETACL subscribes whom it makes see a folder

    @property
    def namespaces(self) -> Namespaces:
        return self.directory.namespaces

    def access(self, user_id: UserId, user_name: str, peer: str, *, tree: str | None = None) -> Access:
        """The access of somebody who has logged in; to one shared *tree* alone if he said so (``bob%Support``)."""
        return Access(self, user_id, user_name, peer, tree)


class Access:
    """One user's way to mailboxes; the only maker of views."""

    def __init__(self, gate: Gate, user_id: UserId, user_name: str, peer: str, tree: str | None = None) -> None:
        self.gate = gate
        self.namespaces = gate.namespaces if tree is None else gate.namespaces.within(tree)
        self.user_id = user_id
        self.user_name = user_name
        self.actor = Actor(user_name, "imap", peer)

    async def identity(self) -> Identity:
        """Who this is now.  AuthorizationFailed once the user is disabled or gone."""
        identity = await self.gate.directory.identity(self.user_id)
        if identity is None:
            raise AuthorizationFailed("This account is disabled")
        return identity

    async def check(self) -> None:
        """AuthorizationFailed once there is nothing more to have access to."""
        await self.identity()
        root = self.namespaces.root
        if root is not None and not (await self._find(Place(None, root)))[1] & Rights.l:
            raise _tree_lost()

    @property
    def viewpoint(self) -> Viewpoint:
        """Equal for all who see the same folders by the same names."""
        return self.user_id, self.namespaces.root

    async def open(self, name: str, needs: Needs) -> MailboxView:
        """A view of the mailbox called *name*, if its rights meet *needs*.  NoPerm or *needs.missing* else."""
        mailbox, rights = await self._find(self.namespaces.place(name, self.user_name))
        if mailbox is not None and needs.met(rights):
            return MailboxView(self, mailbox, name)
        if mailbox is not None and rights & Rights.l:
            lacking = format_rights(needs.rights if needs.any_of else needs.rights & ~rights)
            word = "one of the rights" if needs.any_of else "the right"
            raise NoPerm(f"You need {word} {lacking} on this folder")
        raise needs.missing()

    def view_listed(self, listed: Listed) -> MailboxView | None:
        """A view of a mailbox of the listing, if it may be read; no query for it."""
        return MailboxView(self, listed.mailbox, listed.name) if listed.rights & Rights.r else None

    def is_personal(self, name: str) -> bool:
        """True for a name in the personal namespace: that of an account of its own has no other."""
        shared = (self.namespaces.other_users, self.namespaces.shared)
        return self.namespaces.root is not None or not f"{name}{DELIMITER}".startswith(shared)

    async def _find(self, place: Place | None) -> tuple[Mailbox | None, Rights]:
        """The mailbox there and this user's rights on it; (None, no rights) where there is none."""
        directory = self.gate.directory

        async def look() -> tuple[Mailbox | None, Rights]:
            identity = await self.identity()
            mailbox = await directory.mailbox(place.home, place.path) if place is not None else None
            return (mailbox, await directory.rights(mailbox, identity)) if mailbox is not None else (None, NONE)

        return await directory.steady(look)

    def asker(self) -> Asker:
        """Who this is, for a transaction that looks at the rights once more."""
        return Asker(self.user_id, self.gate.directory.allow_anyone)

    async def settle(self, change: Callable[[], Awaitable[T]]) -> T:
        """What *change* returns, which looks at the rights, and writes only while they are as it found them."""
        for _ in range(MAX_LOOKS):
            try:
                return await change()
            except Stale:
                await self.gate.directory.refresh()
        raise InUse("The rights here are being changed again and again; try once more")

    async def listing(self) -> Listing:
        """All this user can see."""
        listing = await self.gate.directory.listing(await self.identity(), self.namespaces)
        if self.namespaces.root is not None and INBOX not in listing.by_name:
            raise _tree_lost()
        return listing

    async def statuses(self, listed: Sequence[Listed], *, recent: bool) -> dict[MailboxId, Status]:
        """The counters of those the user may read, in a constant number of queries."""
        ids = [one.mailbox.id for one in listed if one.rights & Rights.r]
        return await self.gate.database.read(mailboxes.read_status, self.user_id, ids, recent=recent)

    # -- making and renaming --------------------------------------------------------------------------------

    async def create(self, name: str, *, special_use: str | None = None) -> Mailbox:
        """Make a mailbox, and the missing levels above it.  RFC 3501 §6.3.3, RFC 4314 §4 (``k``)."""

        async def change() -> Mailbox:
            place, found = await self.place_for_new(name)
            if special_use is not None and place.home != self.user_name and self.namespaces.root is None:
                raise UseAttr("A special use is for your own folders")
            home_id = await self._home_id(place)
            return await self._change_tree(
                found, mailboxes.create_mailbox, self.actor, home_id, place.path, special_use=special_use
            )

        return await self.settle(change)

    async def _change_tree(
        self,
        found: Sequence[Found],
        fn: Callable[Concatenate[Connection, P], Mailbox],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Mailbox:
        return await self.gate.database.write(
            first_confirmed, self.asker(), found, lambda conn: fn(conn, *args, **kwargs), at_their_places=True
        )

    async def _home_id(self, place: Place) -> UserId | None:
        if place.home is None:
            return None
        inbox = await self.gate.directory.mailbox(place.home, INBOX)
        if inbox is None:
            raise NonExistent()
        return inbox.home_id

    async def place_for_new(self, name: str) -> tuple[Place, list[Found]]:
        """The place of *name*, if this user may make a mailbox there; and what that hangs on.

        The nearest level above that the user may know of decides: its ``k``, or nothing.  Levels the user may
        not know of are passed over as if they were missing, so that nothing can be learnt from the refusal.
        """
        name = name.removesuffix(DELIMITER)
        if name.upper() == INBOX:
            raise AlreadyExists("There is always an INBOX")
        place = self.namespaces.place(name, self.user_name)
        if place is None:
            raise self._no_place()
        valid_new_path(place.path)
        mailbox, rights = await self._find(place)
        if mailbox is not None and rights & Rights.l:
            raise AlreadyExists("There is a folder of that name already")
        above = parent_path(place.path)
        while above:
            epochs = self.gate.directory.epochs
            parent, parent_rights = await self._find(Place(place.home, above))
            if parent is not None and parent_rights & Rights.k:
                if mailbox is not None:
                    raise AlreadyExists("There is a folder of that name already")
                return place, [Found(parent, Rights.k, epochs)]
            if parent is not None and parent_rights & Rights.l:
                raise NoPerm("You need the right k on the folder above")
            above = parent_path(above) if above != self.namespaces.root else ""
        if place.home == self.user_name:
            return place, []
        if place.home is not None and place.path != INBOX:  # Other Users/alice/x is below her INBOX's name
            inbox, inbox_rights = await self._find(Place(place.home, INBOX))
            if inbox is not None and inbox_rights & Rights.l:
                raise NoPerm("Only its user makes folders at the top of a personal tree")
        raise self._no_place()

    def _no_place(self) -> Cannot:
        shared = self.namespaces.shared
        if self.namespaces.root is not None:
            return Cannot("You cannot make a folder there; make it beside INBOX, or below a folder there")
        return Cannot(
            f"You cannot make a folder there; make it at the top of your own folders, "
            f'or below a folder under "{shared}" on which you have the right k'
        )

    async def rename(self, old: str, new: str) -> MailboxId:
        """Give a mailbox another name: ``x`` on it and all below it, ``k`` above the new name.  RFC 4314 §4."""
        return await self.settle(lambda: self._rename(old, new))

    async def _rename(self, old: str, new: str) -> MailboxId:
        place = self.namespaces.place(old, self.user_name)
        if place is not None and self.namespaces.is_inbox(place, self.user_name):
            if self.namespaces.root is not None:
                raise Cannot("INBOX is the top of the shared folders, which keeps its name here")
            target, found = await self.place_for_new(new)
            if target.home != self.user_name:
                raise Cannot("The messages of INBOX can be moved to your own folders only")
            made = await self._change_tree(found, mailboxes.move_inbox, self.actor, self.user_id, target.path)
            return made.id
        view = await self.open(old, Needs(Rights.x))
        await view.check(Rights.x)
        target, found = await self.place_for_new(new)
        assert place is not None
        if target.home != place.home or place.path == INBOX:
            raise Cannot("A folder stays in the tree it is in; copy the messages instead")
        renamed = await self._change_tree(
            [*found, view.found()], rename, self.asker(), self.actor, view.mailbox, target.path
        )
        return renamed.id

    # -- subscriptions --------------------------------------------------------------------------------------

    async def subscribed(self, listing: Listing) -> dict[str, Listed | None]:
        """The names this user is subscribed to: by itself or by a grant that it has not declined.

        A mailbox is told by the name it has now; one that is gone, by the name it had where it was the user's own
        (None then); one that is hidden, not at all.
        """
        stored_ = await self.gate.database.read(subscriptions.read_subscriptions, self.user_id)
        found: dict[str, Listed | None] = {
            one.name: one for one in listing.offered if one.mailbox.id not in stored_.declined
        }
        namespaces = self.namespaces
        for one in stored_.own:
            listed = listing.by_id.get(one.mailbox_id) if one.mailbox_id is not None else None
            if listed is not None:
                found[listed.name] = listed
            elif (
                one.mailbox_id is None
                and namespaces.root is None
                and not one.name.startswith((namespaces.other_users, namespaces.shared))
            ):
                found.setdefault(one.name, None)
        return found

    async def unsubscribe(self, name: str) -> None:
        """End a subscription; NonExistent where there is neither one nor a folder.

        No rights are needed to forget something: a subscription to what is gone or hidden goes by its name.
        """
        mailbox, rights = await self._find(self.namespaces.place(name, self.user_name))
        listing = await self.listing()
        stored_ = await self.gate.database.read(subscriptions.read_subscriptions, self.user_id)
        unseen = [
            one for one in stored_.own if one.name == self.lasting_name(name) and one.mailbox_id not in listing.by_id
        ]
        await self.gate.database.write(subscriptions.forget_subscriptions, self.user_id, unseen)
        if mailbox is not None and rights & Rights.l:
            await MailboxView(self, mailbox, name).unsubscribe()
        elif not unseen:
            raise NonExistent("You are not subscribed to a folder of that name")

    def lasting_name(self, name: str) -> str:
        """What this user calls the place of *name* in an ordinary session."""
        place = self.namespaces.place(name, self.user_name)
        return name if place is None else self.gate.namespaces.name(place.home, place.path, self.user_name)

    async def resolve(self, identifier: str) -> stored.Identifier:
        """Whom an identifier names.  Cannot where there is nobody of that name."""
        return await self.gate.database.read(
            stored.resolve_identifier, identifier, allow_anyone=self.gate.directory.allow_anyone
        )


def _tree_lost() -> AuthorizationFailed:
    return AuthorizationFailed("You may no longer see these shared folders")
