r"""Messages: appended, flagged, copied, moved, expunged; each change in a constant number of statements.

Every change that a client can see raises ``highest_modseq`` of its mailbox and gives that number to what it
touched, in the same transaction.  The mailbox row is locked first, so changes of one mailbox come one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, case, delete, func, insert, or_, select, update

from acl_imapd.access.rights import DELETED, FIRST_KEYWORD_BIT, SEEN
from acl_imapd.errors import ExpungeIssued, Limit
from acl_imapd.mail.mime import Parsed
from acl_imapd.ranges import EMPTY, RangeSet
from acl_imapd.storage.bodies import Blobs, store_bodies
from acl_imapd.storage.counters import count, for_sets, in_set, lock
from acl_imapd.storage.database import time_of
from acl_imapd.storage.mailboxes import Mailbox
from acl_imapd.storage.modseqs import insert_expunged, read_vanished
from acl_imapd.storage.prepared import Prepared
from acl_imapd.storage.schema import keyword, mailbox, message, seen
from acl_imapd.storage.seen import forget_seen, mark_seen, own_seen, read_seen
from acl_imapd.types import BodyId, MailboxId, Uid, UserId

LAST_KEYWORD_BIT = 62
MAX_UID = 2**32 - 1
SYSTEM_BITS = (1 << FIRST_KEYWORD_BIT) - 1


class MessageRow(NamedTuple):
    uid: int
    modseq: int
    flags: int
    internal_date: int
    internal_zone: int
    size: int
    body_id: int
    common_modseq: int


@dataclass(frozen=True, slots=True)
class NewMessage:
    r"""What APPEND or a delivery brings.  *flags* without \Seen, which is *seen*; dates in s since 1970, minutes."""

    body: bytes
    parsed: Parsed
    flags: int
    keywords: tuple[str, ...]
    internal_date: int
    internal_zone: int
    seen: bool


@dataclass(frozen=True, slots=True)
class Changes:
    """What happened in a mailbox after modseq *since* up to *upto*: the state then, not the steps."""

    mailbox_id: MailboxId
    since: int
    upto: int
    uidvalidity: int
    uidnext: int
    recent_uid: int
    rows: list[MessageRow]
    vanished: RangeSet
    seen: dict[UserId, RangeSet]
    keywords: dict[int, str]
    # Of each user whose row changed: the modseq of that, and when which messages turned (turns.Turns.encode).
    turns: dict[UserId, tuple[int, str]]
    common_modseq: int
    home_modseq: int


@dataclass(frozen=True, slots=True)
class Appended:
    uidvalidity: int
    uids: list[Uid]
    modseq: int


@dataclass(frozen=True, slots=True)
class Copied:
    uidvalidity: int
    source_uids: list[int]
    target_uids: list[int]
    modseq: int


# -- reading --------------------------------------------------------------------------------------------------

_BOX = Prepared(select(
    mailbox.c.uidvalidity, mailbox.c.uidnext, mailbox.c.highest_modseq, mailbox.c.recent_uid,
    mailbox.c.common_modseq, mailbox.c.home_modseq,
).where(mailbox.c.id == bindparam("id")))  # fmt: skip
_ROW = (
    message.c.uid, message.c.modseq, message.c.flags, message.c.internal_date, message.c.internal_zone,
    message.c.size, message.c.body_id, message.c.common_modseq,
)  # fmt: skip
_ALL_ROWS = select(*_ROW).where(message.c.mailbox_id == bindparam("id")).order_by(message.c.uid)
_ROWS = Prepared(_ALL_ROWS)
_ROWS_SINCE = Prepared(_ALL_ROWS.where(message.c.modseq > bindparam("since")))
_SEEN = Prepared(
    select(seen.c.user_id, seen.c.uids, seen.c.modseq, seen.c.turns).where(
        seen.c.mailbox_id == bindparam("id"), seen.c.modseq > bindparam("since")
    )
)
_NEW_KEYWORD = Prepared(insert(keyword))
_KEYWORDS = Prepared(select(keyword.c.bit, keyword.c.name).where(keyword.c.mailbox_id == bindparam("id")))


def read_changes(conn: Connection, mailbox_id: MailboxId, since: int) -> Changes | None:
    """All that changed after modseq *since*; with 0 all there is.  None where the mailbox is gone."""
    box = _BOX.first(conn, {"id": mailbox_id})
    if box is None:
        return None
    rows: list[MessageRow] = []
    vanished, seen_by, keywords, turns = EMPTY, {}, {}, {}
    if box.highest_modseq > since or since == 0:
        at = {"id": mailbox_id, "since": since}
        found = _ROWS_SINCE.all(conn, at) if since else _ROWS.all(conn, {"id": mailbox_id})
        rows = [MessageRow._make(row) for row in found]
        if since:
            vanished = read_vanished(conn, mailbox_id, since)
        for row in _SEEN.all(conn, at):
            seen_by[UserId(row[0])] = RangeSet.parse(row[1])
            turns[UserId(row[0])] = (int(row[2]), str(row[3]))
        keywords = {int(row[0]): str(row[1]) for row in _KEYWORDS.all(conn, {"id": mailbox_id})}
    return Changes(
        mailbox_id, since, box.highest_modseq, box.uidvalidity, box.uidnext, box.recent_uid,
        rows, vanished, seen_by, keywords, turns, box.common_modseq, box.home_modseq,
    )  # fmt: skip


def read_uids(conn: Connection, mailbox_id: MailboxId) -> list[int]:
    """All UIDs of the mailbox, rising."""
    query = select(message.c.uid).where(message.c.mailbox_id == mailbox_id).order_by(message.c.uid)
    return list(conn.execute(query).scalars())


_SAVE_DATES = for_sets(lambda these: Prepared(select(message.c.uid, message.c.save_date).where(these)))


def read_save_dates(conn: Connection, mailbox_id: MailboxId, uids: RangeSet) -> dict[int, int]:
    """When each of those that are there came into this mailbox, in seconds since 1970.  RFC 8514."""
    way, values = in_set(conn, mailbox_id, uids)
    return {int(row[0]): int(row[1]) for row in _SAVE_DATES[way].all(conn, values)}


# -- keywords ---------------------------------------------------------------------------------------------------


def _keyword_bits(
    conn: Connection, mailbox_id: MailboxId, names: Iterable[str], *, make: bool = True
) -> dict[str, int]:
    """The bit mask of each of *names*, which are the same whatever their case; new ones get the next bit if *make*.

    Limit where all bits are taken.
    """
    wanted = dict.fromkeys(names)
    if not wanted:
        return {}
    known = {str(row[1]).casefold(): int(row[0]) for row in _KEYWORDS.all(conn, {"id": mailbox_id})}
    taken = set(known.values())
    free = (bit for bit in range(FIRST_KEYWORD_BIT, LAST_KEYWORD_BIT + 1) if bit not in taken)
    made = []
    for name in wanted:
        if make and name.casefold() not in known:
            bit = next(free, None)
            if bit is None:
                raise Limit(f"A mailbox has at most {LAST_KEYWORD_BIT + 1 - FIRST_KEYWORD_BIT} keywords")
            known[name.casefold()] = bit
            made.append({"mailbox_id": mailbox_id, "bit": bit, "name": name})
    if made:
        _NEW_KEYWORD.many(conn, made)
    return {name: 1 << known[name.casefold()] for name in wanted if name.casefold() in known}


def _mask(bits: Iterable[int]) -> int:
    mask = 0
    for bit in bits:
        mask |= bit
    return mask


# -- changing -----------------------------------------------------------------------------------------------------

_INSERT = Prepared(insert(message))


def insert_messages(
    conn: Connection, mailbox_id: MailboxId, user_id: UserId, messages: Sequence[NewMessage], *, blobs: Blobs
) -> Appended:
    r"""Append *messages*, all or none; \Seen as *user_id* sees it.  NonExistent where the mailbox is gone."""
    bodies = store_bodies(conn, blobs, [(one.body, one.parsed) for one in messages])
    box = lock(conn, mailbox_id)
    return _insert(conn, box, user_id, messages, bodies)


def _insert(
    conn: Connection, box: Mailbox, user_id: UserId, messages: Sequence[NewMessage], bodies: Sequence[BodyId]
) -> Appended:
    if box.uidnext + len(messages) > MAX_UID:
        raise Limit("The mailbox has used up its UIDs")
    if not messages:
        return Appended(box.uidvalidity, [], box.highest_modseq)
    own = own_seen(box, user_id)
    modseq = box.highest_modseq + 1
    bits = _keyword_bits(conn, box.id, [name for one in messages for name in one.keywords])
    now = int(time_of(conn))
    rows: list[dict[str, Any]] = []
    for uid, one, body_id in zip(range(box.uidnext, MAX_UID), messages, bodies, strict=False):
        flags = (one.flags & ~SEEN) | _mask(bits[name] for name in one.keywords)
        flags |= SEEN if one.seen and not own else 0
        rows.append(
            {
                "mailbox_id": box.id,
                "uid": uid,
                "modseq": modseq,
                "flags": flags,
                "internal_date": one.internal_date,
                "internal_zone": one.internal_zone,
                "save_date": now,
                "size": len(one.body),
                "body_id": body_id,
                "common_modseq": modseq,
            }
        )
    _INSERT.many(conn, rows)
    uids = [Uid(row["uid"]) for row in rows]
    if own:
        mine = RangeSet.from_numbers(uid for uid, one in zip(uids, messages, strict=True) if one.seen)
        if mine:
            mark_seen(conn, box.id, user_id, mine, modseq, value=True, new_messages=True)
    _count_in(conn, box, modseq, rows)
    return Appended(box.uidvalidity, uids, modseq)


def _count_in(conn: Connection, box: Mailbox, modseq: int, rows: list[dict[str, Any]]) -> None:
    gone = [row["size"] for row in rows if row["flags"] & DELETED]
    count(
        conn,
        box,
        modseq,
        uidnext=box.uidnext + len(rows),
        messages=len(rows),
        unseen=sum(1 for row in rows if not row["flags"] & SEEN),
        deleted=len(gone),
        deleted_bytes=sum(gone),
        size_bytes=sum(row["size"] for row in rows),
    )


_SELECT = for_sets(lambda these: Prepared(select(*_ROW).where(these).order_by(message.c.uid)))
_MARKED = message.c.flags.op("&")(DELETED) != 0
_SELECT_DELETED = for_sets(lambda these: Prepared(select(*_ROW).where(these, _MARKED).order_by(message.c.uid)))
_SELECT_UIDS = for_sets(lambda these: Prepared(select(message.c.uid).where(these)))
_DELETE = for_sets(lambda these: Prepared(delete(message).where(these)))


def read_rows(
    conn: Connection, mailbox_id: MailboxId, uids: RangeSet, *, only_deleted: bool = False
) -> list[MessageRow]:
    r"""Those of the messages that are there, or that are marked \Deleted, rising."""
    way, values = in_set(conn, mailbox_id, uids)
    rows = (_SELECT_DELETED if only_deleted else _SELECT)[way].all(conn, values)
    return [MessageRow._make(row) for row in rows]


def store_flags(
    conn: Connection,
    mailbox_id: MailboxId,
    user_id: UserId,
    uids: RangeSet,
    *,
    add: int = 0,
    remove: int = 0,
    add_keywords: Sequence[str] = (),
    remove_keywords: Sequence[str] = (),
    seen: bool | None = None,
) -> int:
    r"""Set the bits *add* and clear *remove*; the modseq of the change, 0 where nothing changed.

    Bit 0 in the masks is not looked at: *seen* says what becomes of this user's \Seen.
    """
    box = lock(conn, mailbox_id)
    modseq = box.highest_modseq + 1
    add |= _mask(_keyword_bits(conn, mailbox_id, add_keywords).values())
    remove |= _mask(_keyword_bits(conn, mailbox_id, remove_keywords, make=False).values())
    add, remove = add & ~SEEN, remove & ~SEEN & ~add
    own = own_seen(box, user_id)
    if seen is not None and not own:
        add, remove = (add | SEEN, remove) if seen else (add, remove | SEEN)
    changed = False
    if add or remove:
        home_user = user_id if box.home_id == user_id and not box.seen_shared else None
        changed = _store_bits(conn, box, uids, modseq, add=add, remove=remove, home_user=home_user)
    if seen is not None and own:
        way, values = in_set(conn, mailbox_id, uids)
        there = RangeSet.from_numbers(_SELECT_UIDS[way].scalars(conn, values))
        if mark_seen(conn, mailbox_id, user_id, there, modseq, value=seen):
            if not changed:
                count(conn, box, modseq, seen_by=user_id)
            changed = True
    return modseq if changed else 0


_FLAGS = message.c.flags
_DIFFERS = or_(_FLAGS.op("&")(bindparam("to_add")) != bindparam("to_add"), _FLAGS.op("&")(bindparam("to_remove")) != 0)
# How many of those that differ will have \Seen, \Deleted the other way round.
_NEW_FLAGS = _FLAGS.op("|")(bindparam("to_add")).op("&")(bindparam("to_keep"))
_SEEN_TURNS = _NEW_FLAGS.op("&")(SEEN) != _FLAGS.op("&")(SEEN)
_DELETED_TURNS = _NEW_FLAGS.op("&")(DELETED) != _FLAGS.op("&")(DELETED)
_TURNING = for_sets(
    lambda these: Prepared(
        select(
            func.coalesce(func.sum(case((_SEEN_TURNS, 1), else_=0)), 0),
            func.coalesce(func.sum(case((_DELETED_TURNS, 1), else_=0)), 0),
            func.coalesce(func.sum(case((_DELETED_TURNS, message.c.size), else_=0)), 0),
        ).where(these, _DIFFERS)
    )
)
_TURN = for_sets(
    lambda these: Prepared(
        update(message)
        .where(these, _DIFFERS)
        .values(flags=_NEW_FLAGS, modseq=bindparam("new_modseq"), common_modseq=bindparam("new_modseq"))
    )
)
# Where \Seen is the home's user's own: what changes besides it is what others see.
_COMMON_TURNS = _NEW_FLAGS.op("&")(~SEEN) != _FLAGS.op("&")(~SEEN)
_HOME_TURN = for_sets(
    lambda these: Prepared(
        update(message)
        .where(these, _DIFFERS)
        .values(
            flags=_NEW_FLAGS,
            modseq=bindparam("new_modseq"),
            common_modseq=case((_COMMON_TURNS, bindparam("new_modseq")), else_=message.c.common_modseq),
        )
    )
)


def _store_bits(
    conn: Connection, box: Mailbox, uids: RangeSet, modseq: int, *, add: int, remove: int, home_user: UserId | None
) -> bool:
    r"""*add* and *remove* have no bit in common; bit 0 is *home_user*'s own \Seen, or everybody's."""
    way, which = in_set(conn, box.id, uids)
    values = {**which, "to_add": add, "to_remove": remove, "to_keep": ~remove, "new_modseq": modseq}
    turn = _TURN if home_user is None else _HOME_TURN
    seen_turns = deleted_turns = deleted_bytes = 0
    if (add | remove) & (SEEN | DELETED):
        seen_turns, deleted_turns, deleted_bytes = map(int, _TURNING[way].first(conn, values))
    if not turn[way].run(conn, values):
        return False
    more_deleted = 1 if add & DELETED else -1
    count(
        conn,
        box,
        modseq,
        seen_by=home_user if not (add | remove) & ~SEEN else None,
        unseen=-seen_turns if add & SEEN else seen_turns,
        deleted=more_deleted * deleted_turns,
        deleted_bytes=more_deleted * deleted_bytes,
    )
    return True


def expunge(conn: Connection, mailbox_id: MailboxId, uids: RangeSet | None, *, only_deleted: bool = True) -> RangeSet:
    r"""Remove messages for good, of *uids* (None: all) those with \Deleted; which ones."""
    box = lock(conn, mailbox_id)
    if only_deleted and not box.deleted:
        return EMPTY
    every = RangeSet(((1, MAX_UID),))
    rows = read_rows(conn, mailbox_id, every if uids is None else uids, only_deleted=only_deleted)
    if not rows:
        return EMPTY
    _remove_rows(conn, box, rows)
    return RangeSet.from_numbers(row.uid for row in rows)


def _remove_rows(conn: Connection, box: Mailbox, rows: list[MessageRow]) -> int:
    modseq = box.highest_modseq + 1
    gone = RangeSet.from_numbers(row.uid for row in rows)
    way, values = in_set(conn, box.id, gone)
    _DELETE[way].run(conn, values)
    insert_expunged(conn, box.id, modseq, gone)
    forget_seen(conn, box.id, gone, modseq)
    marked = [row.size for row in rows if row.flags & DELETED]
    count(
        conn,
        box,
        modseq,
        messages=-len(rows),
        unseen=-sum(1 for row in rows if not row.flags & SEEN),
        deleted=-len(marked),
        deleted_bytes=-sum(marked),
        size_bytes=-sum(row.size for row in rows),
    )
    return modseq


def replace_message(
    conn: Connection, source_id: MailboxId, uid: int, target_id: MailboxId, user_id: UserId,
    new: Sequence[NewMessage], *, blobs: Blobs,
) -> Appended:  # fmt: skip
    """Append *new* to the target and remove *uid* from the source, both or neither.  RFC 8508 §3.4."""
    bodies = store_bodies(conn, blobs, [(one.body, one.parsed) for one in new])
    locked = {ident: lock(conn, ident) for ident in sorted({source_id, target_id})}
    rows = read_rows(conn, source_id, RangeSet(((uid, uid),)))
    if not rows:
        raise ExpungeIssued("The message to be replaced is gone; nothing was done")
    appended = _insert(conn, locked[target_id], user_id, new, bodies)
    _remove_rows(conn, lock(conn, source_id), rows)
    return appended


def copy_messages(
    conn: Connection,
    source_id: MailboxId,
    target_id: MailboxId,
    user_id: UserId,
    uids: Sequence[int],
    *,
    flag_mask: int,
    keep_seen: bool,
    allow_keywords: bool,
) -> Copied:
    r"""Put copies of *uids*, those still there, at the end of the target: rows alone, bodies are shared.

    Of the system flags *flag_mask* go along; \Seen as the user sees it if *keep_seen*; keywords by name.
    """
    return _copy(conn, source_id, target_id, user_id, uids, flag_mask, keep_seen, allow_keywords, remove=False)


def move_messages(
    conn: Connection,
    source_id: MailboxId,
    target_id: MailboxId,
    user_id: UserId,
    uids: Sequence[int],
    *,
    flag_mask: int,
    keep_seen: bool,
    allow_keywords: bool,
) -> Copied:
    """:func:`copy_messages`, and the originals are gone with it, in one transaction.  RFC 6851 §3."""
    return _copy(conn, source_id, target_id, user_id, uids, flag_mask, keep_seen, allow_keywords, remove=True)


def _copy(
    conn: Connection,
    source_id: MailboxId,
    target_id: MailboxId,
    user_id: UserId,
    uids: Sequence[int],
    flag_mask: int,
    keep_seen: bool,
    allow_keywords: bool,
    *,
    remove: bool,
) -> Copied:
    locked = {ident: lock(conn, ident) for ident in sorted({source_id, target_id})}
    source, target = locked[source_id], locked[target_id]
    rows = read_rows(conn, source_id, RangeSet.from_numbers(uids))
    if not rows:
        return Copied(target.uidvalidity, [], [], target.highest_modseq)
    if target.uidnext + len(rows) > MAX_UID:
        raise Limit("The mailbox has used up its UIDs")
    modseq = target.highest_modseq + 1
    bits = _translate_keywords(conn, source_id, target_id, rows) if allow_keywords else {}
    own_source, own_target = own_seen(source, user_id), own_seen(target, user_id)
    was_seen = read_seen(conn, source_id, user_id) if own_source and keep_seen else EMPTY
    made: list[dict[str, Any]] = []
    mine: list[int] = []
    now = int(time_of(conn))
    for uid, row in enumerate(rows, target.uidnext):
        flags = row.flags & SYSTEM_BITS & flag_mask & ~SEEN
        for bit, other in bits.items():
            if row.flags & bit:
                flags |= other
        if keep_seen and (row.uid in was_seen if own_source else row.flags & SEEN):
            if own_target:
                mine.append(uid)
            else:
                flags |= SEEN
        made.append(
            {
                "mailbox_id": target_id,
                "uid": uid,
                "modseq": modseq,
                "flags": flags,
                "internal_date": row.internal_date,
                "internal_zone": row.internal_zone,
                "save_date": now,
                "size": row.size,
                "body_id": row.body_id,
                "common_modseq": modseq,
            }
        )
    _INSERT.many(conn, made)
    if mine:
        mark_seen(conn, target_id, user_id, RangeSet.from_numbers(mine), modseq, value=True, new_messages=True)
    _count_in(conn, target, modseq, made)
    if remove:
        _remove_rows(conn, lock(conn, source_id), rows)
    return Copied(target.uidvalidity, [row.uid for row in rows], [row["uid"] for row in made], modseq)


def _translate_keywords(
    conn: Connection, source_id: MailboxId, target_id: MailboxId, rows: list[MessageRow]
) -> dict[int, int]:
    """Bit at the source → bit at the target, of the keywords these messages have."""
    used = 0
    for row in rows:
        used |= row.flags
    if not used & ~SYSTEM_BITS:
        return {}
    rows_of = _KEYWORDS.all(conn, {"id": source_id})
    names = {1 << int(row[0]): str(row[1]) for row in rows_of if used >> int(row[0]) & 1}
    bits = _keyword_bits(conn, target_id, names.values())
    return {bit: bits[name] for bit, name in names.items()}


def claim_recent(conn: Connection, mailbox_id: MailboxId, upto_uid: int) -> None:
    r"""Remember that some session was given \Recent up to *upto_uid*.  RFC 3501 §2.3.2."""
    conn.execute(
        update(mailbox).where(mailbox.c.id == mailbox_id, mailbox.c.recent_uid < upto_uid).values(recent_uid=upto_uid)
    )


def read_keywords(conn: Connection, mailbox_id: MailboxId) -> list[str]:
    """The keywords of the mailbox."""
    return [str(row[1]) for row in _KEYWORDS.all(conn, {"id": mailbox_id})]
