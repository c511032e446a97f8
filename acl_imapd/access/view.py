"""A mailbox in the hands of one user.  Every method says which right it needs, and looks again when it is called."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from acl_imapd.access.confirm import Found, confirm, first_confirmed
from acl_imapd.access.listing import is_owner
from acl_imapd.access.rights import (
    ANSWERED,
    CHANGES_MAILBOX,
    DELETED,
    DRAFT,
    FLAGGED,
    NONE,
    SEEN,
    IdentifierKind,
    Rights,
    allowed_flags,
    flag_rights,
    format_rights,
    format_with_obsolete,
    in_force,
    listrights,
    parse_rights,
)
from acl_imapd.errors import Cannot, NonExistent, NoPerm, Refused, TooBig
from acl_imapd.mail.mime import Parsed, parsed
from acl_imapd.mailbox.index import MailboxIndex
from acl_imapd.ranges import EMPTY, RangeSet
from acl_imapd.storage import bodies, mailboxes, messages, modseqs, sort_keys, subscriptions
from acl_imapd.storage import rights as stored
from acl_imapd.storage.bodies import BodyData
from acl_imapd.storage.database import Connection
from acl_imapd.storage.epochs import Epochs
from acl_imapd.storage.mailboxes import Mailbox, Status
from acl_imapd.storage.messages import Appended, Changes, Copied, NewMessage
from acl_imapd.types import BodyId, MailboxId, UserId

if TYPE_CHECKING:
    from acl_imapd.access.gate import Access

__all__ = ["Appended", "BodyData", "Copied", "MailboxView", "NewMessage", "Stored"]

P = ParamSpec("P")
T = TypeVar("T")

# Some tenth of a millisecond; the way to a thread and back takes as long.
PARSED_AT_ONCE_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Stored:
    """What STORE did: the flag bits it might add and remove, and the messages it left since they had changed."""

    add: int
    remove: int
    modified: RangeSet


def requires(
    needed: Rights,
) -> Callable[
    [Callable[Concatenate[MailboxView, P], Awaitable[T]]], Callable[Concatenate[MailboxView, P], Awaitable[T]]
]:
    """The decorated method needs all of *needed* at the moment of the call.  NoPerm or NonExistent else."""

    def decorate(
        method: Callable[Concatenate[MailboxView, P], Awaitable[T]],
    ) -> Callable[Concatenate[MailboxView, P], Awaitable[T]]:
        @wraps(method)
        async def checked(self: MailboxView, /, *args: P.args, **kwargs: P.kwargs) -> T:
            async def look_and_do() -> T:
                await self.check(needed)
                return await method(self, *args, **kwargs)

            return await self.access.settle(look_and_do)

        checked.needed_rights = needed  # type: ignore[attr-defined]  # what the tests of this module walk
        return checked

    return decorate


class MailboxView:
    """Made by :class:`Access` alone."""

    def __init__(self, access: Access, mailbox: Mailbox, name: str) -> None:
        self.access = access
        self.mailbox = mailbox
        self.name = name
        self._held: Found | None = None

    # -- rights ---------------------------------------------------------------------------------------------

    async def rights(self) -> Rights:
        """What the user may do now."""
        directory = self.access.gate.directory

        async def look() -> Rights:
            current = directory.watched(self.mailbox.id)
            if current is not None:
                self.mailbox = current
            identity = await self.access.identity()
            return await directory.rights(self.mailbox, identity)

        epochs = directory.epochs
        rights = await directory.steady(look)
        self._held = Found(self.mailbox, rights, epochs)
        return rights

    def found(self) -> Found:
        """What :meth:`rights` found last, to be confirmed in a transaction."""
        assert self._held is not None
        return self._held

    async def check(self, needed: Rights) -> Rights:
        """The rights, if all of *needed* are among them."""
        rights = await self.rights()
        if rights & needed != needed:
            if rights & (Rights.l | Rights.r):  # whoever may read has it open, and knows that it is there
                raise NoPerm(f"You need the right {format_rights(needed & ~rights)} on this folder")
            raise NonExistent()
        return rights

    @property
    def own_seen(self) -> bool:
        r"""True where this user's \Seen is kept apart from everybody else's."""
        return not self.mailbox.seen_shared and self.mailbox.home_id != self.access.user_id

    def flag_mask(self, rights: Rights) -> int:
        r"""The flag bits these *rights* may change, \Seen and keywords among them."""
        return allowed_flags(rights, ~0)

    def permanent_flags(self, rights: Rights) -> list[bytes]:
        r"""PERMANENTFLAGS of the system flags, and whether keywords may be made (RFC 3501 §7.1)."""
        flags = []
        if rights & Rights.w:
            flags += [b"\\Answered", b"\\Flagged"]
        if rights & Rights.t:
            flags.append(b"\\Deleted")
        if rights & Rights.s:
            flags.append(b"\\Seen")
        if rights & Rights.w:
            flags.append(b"\\Draft")
        return flags

    def changes_mailbox(self, rights: Rights) -> bool:
        r"""True for READ-WRITE: with ``i``, ``e`` or a shared flag right.  RFC 4314 §5.2."""
        seen_is_shared = not self.own_seen
        return bool(rights & (CHANGES_MAILBOX | flag_rights(seen_shared=seen_is_shared)))

    # -- the ACL --------------------------------------------------------------------------------------------

    @requires(Rights.a)
    async def acl(self) -> list[tuple[str, str]]:
        """Identifiers and their letters, obsolete ones included.  RFC 4314 §3.3, §2.1.1."""
        found = await self.access.gate.database.read(stored.read_acl, self.mailbox.acl_id)
        if found is None:
            raise NonExistent()
        now = self.access.gate.directory.now()
        return [
            (entry.text, format_with_obsolete(parse_rights(entry.rights)))
            for entry in found.entries
            if in_force(entry, now)
        ]

    @requires(Rights.a)
    async def change_acl(self, identifier: str, op: stored.Operation, rights: Rights) -> None:
        """Set, add or remove the rights of *identifier*; with a leading ``-`` those taken away.  RFC 4314 §3.1."""
        negative = identifier.startswith("-")
        name = identifier[1:] if negative else identifier
        if not name:
            raise Cannot("Say whose rights to change: a user, group:TEAM, owner or authenticated")
        access = self.access
        try:
            await self._change(
                _change_acl, access.actor, self.mailbox.id, name, negative, op, rights,
                access.gate.directory.allow_anyone, access.gate.auto_subscribe,
            )  # fmt: skip
        except Refused as error:
            raise NonExistent() from error

    @requires(Rights.a)
    async def listrights(self, identifier: str) -> tuple[Rights, tuple[str, ...]]:
        """What *identifier* always has, and what else it can be given.  RFC 4314 §3.4."""
        negative = identifier.startswith("-")
        found = await self.access.resolve(identifier[1:] if negative else identifier)
        owner = found.kind == IdentifierKind.OWNER
        if found.kind == IdentifierKind.USER:
            identity = await self.access.gate.directory.identity(UserId(found.id))
            owner = is_owner(self.mailbox, identity) if identity is not None else found.id == self.mailbox.home_id
        return listrights(is_owner=owner, negative=negative)

    # -- the mailbox ------------------------------------------------------------------------------------------

    @requires(Rights.r)
    async def status(self, *, recent: bool = False) -> Status:
        """The counters."""
        found = await self.access.gate.database.read(
            mailboxes.read_status, self.access.user_id, [self.mailbox.id], recent=recent
        )
        if self.mailbox.id not in found:
            raise NonExistent()
        return found[self.mailbox.id]

    @requires(Rights.x)
    async def delete(self) -> None:
        """Remove it.  HasChildren while there are folders below; Cannot for the top of a tree presented alone."""
        if self.mailbox.home_id is None and self.mailbox.path == self.access.namespaces.root:
            raise Cannot("INBOX cannot be deleted")
        await self._change(mailboxes.delete_mailbox, self.access.actor, self.mailbox.id)

    @requires(Rights.l)
    async def subscribe(self) -> None:
        """Subscribe this user to it."""
        name = self.access.lasting_name(self.name)
        await self.access.gate.database.write(subscriptions.subscribe, self.access.user_id, self.mailbox.id, name)

    @requires(Rights.l)
    async def unsubscribe(self) -> None:
        """End the subscription, and have no grant begin it again."""
        await self.access.gate.database.write(subscriptions.unsubscribe, self.access.user_id, self.mailbox.id)

    @requires(Rights.r)
    async def index(self) -> MailboxIndex:
        """Its index, held until ``indexes.close``."""
        index = await self.access.gate.indexes.open(self.mailbox.id)
        if index is None:
            raise NonExistent()
        self._note_use()
        return index

    def _note_use(self) -> None:
        self.access.gate.last_used.note(self.mailbox, self.access.user_id)

    async def claim_recent(self, upto_uid: int) -> None:
        r"""Keep in the database which messages have been \Recent to somebody."""
        await self.access.gate.database.write(messages.claim_recent, self.mailbox.id, upto_uid)

    # -- messages ---------------------------------------------------------------------------------------------

    async def parse(self, messages: Sequence[bytes]) -> list[Parsed]:
        """What is kept of each message beside its bytes; of long ones found outside the reactor's thread."""
        if sum(map(len, messages)) <= PARSED_AT_ONCE_BYTES:
            return _parse(messages)
        return await self.access.gate.database.work(_parse, messages)

    async def work(self, fn: Callable[[bytes], T], data: bytes) -> T:
        """What *fn* makes of *data*; of much of it outside the reactor's thread."""
        if len(data) <= PARSED_AT_ONCE_BYTES:
            return fn(data)
        return await self.access.gate.database.work(fn, data)

    @requires(Rights.i)
    async def append(self, new: Sequence[NewMessage]) -> Appended:
        """Add messages, all or none, with those of their flags that the rights allow.  RFC 4314 §4."""
        appended = await self._write(
            [self], messages.insert_messages, self.mailbox.id, self.access.user_id, await self._kept(new),
            blobs=self.access.gate.database.database.blobs,
        )  # fmt: skip
        self._note_use()
        return appended

    @requires(Rights.r | Rights.t | Rights.e)
    async def replace(self, uid: int, target: MailboxView, new: NewMessage) -> Appended:
        """Add *new* to *target* and remove the message *uid* here, both or neither.  RFC 8508 §3.4, §4.1."""
        await target.check(Rights.i)
        appended = await self._write(
            [self, target], messages.replace_message, self.mailbox.id, uid, target.mailbox.id, self.access.user_id,
            await target._kept([new]),
            blobs=self.access.gate.database.database.blobs,
        )  # fmt: skip
        target._note_use()
        return appended

    async def _kept(self, new: Sequence[NewMessage]) -> list[NewMessage]:
        rights = await self.rights()
        return [
            NewMessage(
                body=one.body,
                parsed=one.parsed,
                flags=allowed_flags(rights, one.flags),
                keywords=one.keywords if rights & Rights.w else (),
                internal_date=one.internal_date,
                internal_zone=one.internal_zone,
                seen=one.seen and bool(rights & Rights.s),
            )
            for one in new
        ]

    @requires(Rights.r)
    async def with_message(self, uid: int, most_bytes: int, use: Callable[[bytes], T]) -> T | None:
        """What *use* makes, outside the reactor's thread, of the message; None where it is not there.  TooBig where
        it has more than *most_bytes*."""
        database = self.access.gate.database
        return await database.read(_with_message, self.mailbox.id, uid, most_bytes, use, database.database.blobs)

    @requires(Rights.r)
    async def read_bodies(self, ids: Sequence[BodyId], columns: frozenset[str]) -> dict[BodyId, BodyData]:
        """*columns* of those bodies, in one reading."""
        database = self.access.gate.database
        return await database.read(bodies.read_bodies, ids, columns, blobs=database.database.blobs)

    @requires(Rights.r)
    async def match_bodies(
        self, ids: Sequence[BodyId], columns: frozenset[str], matches: Callable[[BodyData], int]
    ) -> dict[BodyId, int]:
        """Those of the bodies for which *matches*, called outside the reactor's thread, gives more than 0, and that."""
        database = self.access.gate.database
        return await database.read(_match_bodies, ids, columns, matches, database.database.blobs)

    @requires(Rights.r)
    async def sort_keys(self, uids: RangeSet, names: tuple[str, ...], use: Callable[[list[Any]], T]) -> T:
        """What *use* makes, outside the reactor's thread, of the rows of ``uid`` and *names* of those messages.

        *names* are fields of :class:`mail.sortkeys.SortKeys`; ``refs`` is one text with spaces between.
        """
        database = self.access.gate.database
        while True:
            missing, result = await database.read(_use_sort_keys, self.mailbox.id, uids, names, use)
            if not missing:
                return result  # type: ignore[return-value]  # there is one where nothing is missing
            for start in range(0, len(missing), sort_keys.AT_ONCE):
                made = await database.read(sort_keys.work_out, missing[start : start + sort_keys.AT_ONCE])
                await database.write(sort_keys.keep, made)

    @requires(Rights.r)
    async def store_flags(
        self, uids: RangeSet, how: str, flags: int, keywords: Sequence[str], *, unchanged_since: int | None = None
    ) -> Stored:
        r"""Add (``+``), remove (``-``) or replace (``""``) flags; what was allowed.  Bit 0 is this user's \Seen.

        Messages that changed after the modseq *unchanged_since* are left alone (RFC 7162 §3.1.3).
        RFC 4314 §4: flags the rights do not allow are left as they are; NO when there was none they allow.
        Replacing, NO when a named flag is not allowed; others the user may not touch stay.
        """
        rights = await self.check(Rights.r)
        allowed = allowed_flags(rights, flags)
        may_keywords = bool(rights & Rights.w)
        refused = allowed != flags or (bool(keywords) and not may_keywords)
        anything = bool(allowed) or (bool(keywords) and may_keywords)
        if refused and (how == "" or not anything):
            raise NoPerm(f"You need the right {self._lacking(rights, flags, keywords)} to change these flags")
        if how == "" and not self.flag_mask(rights):
            raise NoPerm("You need one of the rights s, w, t to change flags")
        kept = tuple(keywords) if may_keywords else ()
        system = SEEN | ANSWERED | FLAGGED | DELETED | DRAFT
        add = allowed if how != "-" else 0
        remove = allowed if how == "-" else 0
        if how == "":
            remove = self.flag_mask(rights) & system & ~allowed
        masks: dict[str, Any] = {
            "add": add & ~SEEN,
            "remove": remove & ~SEEN,
            "seen": True if add & SEEN else False if remove & SEEN else None,
            "add_keywords": kept if how != "-" else (),
            "remove_keywords": kept if how == "-" else (),
            "only_keywords": how == "" and may_keywords,
        }
        modified = await self._write([self], _store, self.mailbox.id, self.access.user_id, uids, masks, unchanged_since)
        return Stored(add, remove, modified)

    def _lacking(self, rights: Rights, flags: int, keywords: Sequence[str]) -> str:
        lacking = NONE
        if flags & SEEN and not rights & Rights.s:
            lacking |= Rights.s
        if flags & DELETED and not rights & Rights.t:
            lacking |= Rights.t
        if (flags & ~(SEEN | DELETED) or keywords) and not rights & Rights.w:
            lacking |= Rights.w
        return format_rights(lacking)

    @requires(Rights.r)
    async def mark_seen(self, uids: RangeSet) -> bool:
        r"""Set \Seen as reading does, where the right ``s`` allows; False where it does not.  RFC 4314 §4."""
        rights = await self.check(Rights.r)
        if not rights & Rights.s:
            return False
        await self._write([self], messages.store_flags, self.mailbox.id, self.access.user_id, uids, seen=True)
        return True

    @requires(Rights.e)
    async def expunge(self, uids: RangeSet | None) -> RangeSet:
        r"""Remove the messages marked \Deleted, all or of *uids*."""
        return await self._write([self], messages.expunge, self.mailbox.id, uids)

    async def may_expunge(self) -> bool:
        """True with ``e``: what CLOSE asks, which is OK without.  RFC 4314 §4."""
        return bool(await self.rights() & Rights.e)

    @requires(Rights.r)
    async def save_dates(self, uids: RangeSet) -> dict[int, int]:
        """When each message came into this mailbox, in seconds since 1970."""
        return await self.access.gate.database.read(messages.read_save_dates, self.mailbox.id, uids)

    @requires(Rights.r)
    async def bodies_digested(self, start: bytes) -> set[BodyId]:
        """The bodies whose SHA-256 begins so: whoever asks must look whether they are of this mailbox."""
        return await self.access.gate.database.read(bodies.read_digested, start)

    @requires(Rights.r)
    async def previews(self, ids: Sequence[BodyId], *, lazy: bool) -> dict[BodyId, str | None]:
        """The preview of each of those bodies; *lazy*: None where it would have to be made.  RFC 8970."""
        database = self.access.gate.database
        found = await database.read(bodies.read_previews, ids)
        missing = [ident for ident, text in found.items() if text is None]
        if missing and not lazy:
            made = await database.read(bodies.make_previews, missing, blobs=database.database.blobs)
            await database.write(bodies.store_previews, made)
            found.update(made)
        return found

    @requires(Rights.r)
    async def vanished(self, since: int) -> RangeSet:
        """The UIDs that were expunged after that modseq.  RFC 7162 §3.2.6."""
        return await self.access.gate.database.read(modseqs.read_vanished, self.mailbox.id, since)

    @requires(Rights.r)
    async def copy(self, uids: Sequence[int], target: MailboxView) -> Copied:
        """Copy to *target*, with the flags that the rights there allow.  RFC 4314 §4."""
        return await self._transfer(messages.copy_messages, uids, target)

    @requires(Rights.r | Rights.t | Rights.e)
    async def move(self, uids: Sequence[int], target: MailboxView) -> Copied:
        """Move to *target*: needs what STORE \\Deleted and EXPUNGE need besides.  RFC 6851 §4.2."""
        return await self._transfer(messages.move_messages, uids, target)

    async def _transfer(self, fn: Callable[..., Copied], uids: Sequence[int], target: MailboxView) -> Copied:
        rights = await target.check(Rights.i)
        copied = await self._write(
            [self, target], fn, self.mailbox.id, target.mailbox.id, self.access.user_id, uids,
            flag_mask=target.flag_mask(rights),
            keep_seen=bool(rights & Rights.s),
            allow_keywords=bool(rights & Rights.w),
        )  # fmt: skip
        target._note_use()
        return copied

    async def _change(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run *fn*, which changes rights or the tree, in a transaction that begins with a look at the rights."""
        access = self.access
        found = [self.found()]
        return await access.gate.database.write(
            first_confirmed, access.asker(), found, lambda conn: fn(conn, *args, **kwargs), at_their_places=False
        )

    async def _write(self, views: Sequence[MailboxView], fn: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Run *fn* in a transaction which then reads what it changed in the open indexes of *views*, and ends with a
        look at the rights there; commit; publish."""
        gate = self.access.gate
        since = []
        for mailbox_id in dict.fromkeys(view.mailbox.id for view in views):
            index = gate.indexes.loaded(mailbox_id)
            if index is not None:
                since.append((mailbox_id, index.highest_modseq))
        found = [view.found() for view in views]

        def work(conn: Connection) -> tuple[T, list[Changes | None], Epochs]:
            result = fn(conn, *args, **kwargs)
            changes = [messages.read_changes(conn, mailbox_id, modseq) for mailbox_id, modseq in since]
            return result, changes, confirm(conn, self.access.asker(), found)

        result, changes, epochs = await gate.database.write(work)
        if epochs != gate.directory.epochs:
            await gate.directory.refresh()  # or somebody who has lost the folder would hear of this
        for change in changes:
            gate.indexes.apply(change)
        return result


def _parse(messages: Sequence[bytes]) -> list[Parsed]:
    return [parsed(message) for message in messages]


def _store(
    conn: Connection, mailbox_id: MailboxId, user_id: Any, uids: RangeSet, masks: dict[str, Any], since: int | None
) -> RangeSet:
    masks = dict(masks)
    modified = EMPTY
    if since is not None:
        asked = masks["add"] or masks["remove"] or masks["add_keywords"] or masks["remove_keywords"]
        modified = modseqs.lock_and_read_changed(
            conn, mailbox_id, user_id, uids, since,
            seen=masks["seen"] is not None, common=bool(asked) or masks["only_keywords"],
        )  # fmt: skip
        uids -= modified
        if not uids:
            return modified
    if masks.pop("only_keywords"):
        # Replacing: the keywords not named go.
        keep = {name.casefold() for name in masks["add_keywords"]}
        others = messages.read_keywords(conn, mailbox_id)
        masks["remove_keywords"] = [name for name in others if name.casefold() not in keep]
    messages.store_flags(conn, mailbox_id, user_id, uids, **masks)
    return modified


def _change_acl(
    conn: Connection,
    actor: Any,
    mailbox_id: MailboxId,
    name: str,
    negative: bool,
    op: stored.Operation,
    rights: Rights,
    allow_anyone: bool,
    subscribe: bool,
) -> None:
    identifier = stored.resolve_identifier(conn, name, allow_anyone=allow_anyone)
    stored.change_entry(
        conn, actor, mailbox_id, identifier, negative=negative, op=op, rights=rights, subscribe=subscribe
    )


def _with_message(
    conn: Connection, mailbox_id: MailboxId, uid: int, most_bytes: int, use: Callable[[bytes], T], blobs: bodies.Blobs
) -> T | None:
    found = messages.read_rows(conn, mailbox_id, RangeSet(((uid, uid),)))
    if not found:
        return None
    if found[0].size > most_bytes:
        raise TooBig("The message is too large")
    ident = BodyId(found[0].body_id)
    return use(bodies.read_bodies(conn, [ident], frozenset({"message"}), blobs=blobs)[ident].message)


def _match_bodies(
    conn: Connection,
    ids: Sequence[BodyId],
    columns: frozenset[str],
    matches: Callable[[BodyData], int],
    blobs: bodies.Blobs,
) -> dict[BodyId, int]:
    found: dict[BodyId, int] = {}
    for start in range(0, len(ids), 100):  # bounds what is in memory at once
        some = bodies.read_bodies(conn, ids[start : start + 100], columns, blobs=blobs)
        found.update((ident, score) for ident, data in some.items() if (score := matches(data)))
    return found


def _use_sort_keys(
    conn: Connection, mailbox_id: MailboxId, uids: RangeSet, names: tuple[str, ...], use: Callable[[list[Any]], T]
) -> tuple[list[BodyId], T | None]:
    """The bodies still to be looked at; where there is none, what *use* makes of the rows."""
    rows, missing = sort_keys.read_sort_keys(conn, mailbox_id, uids, names)
    return missing, None if missing else use(rows)
