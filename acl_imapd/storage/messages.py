r"""Messages: appended, flagged, copied, moved, expunged; each change in a constant number of statements.

Every change that a client can see raises ``highest_modseq`` of its mailbox and gives that number to what it
touched, in the same transaction.  The mailbox row is locked first, so changes of one mailbox come one by one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, and_, bindparam, delete, func, insert, or_, select, text, update

from acl_imapd.access.rights import DELETED, FIRST_KEYWORD_BIT, SEEN
from acl_imapd.errors import Limit, NonExistent
from acl_imapd.mail.mime import Parsed
from acl_imapd.ranges import EMPTY, RangeSet
from acl_imapd.storage.bodies import Blobs, store_body
from acl_imapd.storage.database import notify
from acl_imapd.storage.mailboxes import Mailbox
from acl_imapd.storage.schema import expunged, keyword, mailbox, message, seen, user
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

_BOX = select(
    mailbox.c.uidvalidity, mailbox.c.uidnext, mailbox.c.highest_modseq, mailbox.c.recent_uid
).where(mailbox.c.id == bindparam("id"))  # fmt: skip
_ROW = (
    message.c.uid, message.c.modseq, message.c.flags, message.c.internal_date, message.c.internal_zone,
    message.c.size, message.c.body_id,
)  # fmt: skip
_ROWS = select(*_ROW).where(message.c.mailbox_id == bindparam("id")).order_by(message.c.uid)
_ROWS_SINCE = _ROWS.where(message.c.modseq > bindparam("since"))
_EXPUNGED = select(expunged.c.uids).where(
    expunged.c.mailbox_id == bindparam("id"), expunged.c.modseq > bindparam("since")
)
_SEEN = select(seen.c.user_id, seen.c.uids).where(
    seen.c.mailbox_id == bindparam("id"), seen.c.modseq > bindparam("since")
)
_KEYWORDS = select(keyword.c.bit, keyword.c.name).where(keyword.c.mailbox_id == bindparam("id"))


def read_changes(conn: Connection, mailbox_id: MailboxId, since: int) -> Changes | None:
    """All that changed after modseq *since*; with 0 all there is.  None where the mailbox is gone."""
    box = conn.execute(_BOX, {"id": mailbox_id}).first()
    if box is None:
        return None
    rows: list[MessageRow] = []
    vanished, seen_by, keywords = EMPTY, {}, {}
    if box.highest_modseq > since or since == 0:
        at = {"id": mailbox_id, "since": since}
        found = conn.execute(_ROWS_SINCE, at) if since else conn.execute(_ROWS, {"id": mailbox_id})
        rows = [MessageRow._make(row) for row in found]
        if since:
            texts = conn.execute(_EXPUNGED, at).scalars()
            vanished = RangeSet.of(pair for one in texts for pair in RangeSet.parse(one).ranges)
        seen_by = {UserId(row[0]): RangeSet.parse(row[1]) for row in conn.execute(_SEEN, at)}
        keywords = {int(row[0]): str(row[1]) for row in conn.execute(_KEYWORDS, {"id": mailbox_id})}
    return Changes(
        mailbox_id, since, box.highest_modseq, box.uidvalidity, box.uidnext, box.recent_uid,
        rows, vanished, seen_by, keywords,
    )  # fmt: skip


def read_uids(conn: Connection, mailbox_id: MailboxId) -> list[int]:
    """All UIDs of the mailbox, rising."""
    query = select(message.c.uid).where(message.c.mailbox_id == mailbox_id).order_by(message.c.uid)
    return list(conn.execute(query).scalars())


# -- the mailbox row --------------------------------------------------------------------------------------------

_LOCKED = select(mailbox).where(mailbox.c.id == bindparam("id")).with_for_update()


def _lock(conn: Connection, mailbox_id: MailboxId) -> Mailbox:
    row = conn.execute(_LOCKED, {"id": mailbox_id}).first()
    if row is None:
        raise NonExistent()
    return Mailbox(*row)


_COUNT = (
    update(mailbox)
    .where(mailbox.c.id == bindparam("box"))
    .values(
        highest_modseq=bindparam("new_modseq"),
        uidnext=bindparam("new_uidnext"),
        messages=mailbox.c.messages + bindparam("d_messages"),
        unseen=mailbox.c.unseen + bindparam("d_unseen"),
        deleted=mailbox.c.deleted + bindparam("d_deleted"),
        deleted_bytes=mailbox.c.deleted_bytes + bindparam("d_deleted_bytes"),
        size_bytes=mailbox.c.size_bytes + bindparam("d_size_bytes"),
    )
)


def _count(
    conn: Connection,
    box: Mailbox,
    modseq: int,
    *,
    uidnext: int | None = None,
    messages: int = 0,
    unseen: int = 0,
    deleted: int = 0,
    deleted_bytes: int = 0,
    size_bytes: int = 0,
) -> None:
    conn.execute(
        _COUNT,
        {
            "box": box.id,
            "new_modseq": modseq,
            "new_uidnext": box.uidnext if uidnext is None else uidnext,
            "d_messages": messages,
            "d_unseen": unseen,
            "d_deleted": deleted,
            "d_deleted_bytes": deleted_bytes,
            "d_size_bytes": size_bytes,
        },
    )
    notify(conn, "m", box.id)


# -- keywords ---------------------------------------------------------------------------------------------------


def _keyword_bits(conn: Connection, mailbox_id: MailboxId, names: Sequence[str], *, make: bool) -> int:
    """The bits of *names*, which are the same whatever their case; new ones get the next bit if *make*.

    Limit where all bits are taken.
    """
    if not names:
        return 0
    known = {str(row[1]).casefold(): int(row[0]) for row in conn.execute(_KEYWORDS, {"id": mailbox_id})}
    bits = 0
    for name in names:
        bit = known.get(name.casefold())
        if bit is None:
            if not make:
                continue
            bit = next((b for b in range(FIRST_KEYWORD_BIT, LAST_KEYWORD_BIT + 1) if b not in known.values()), None)
            if bit is None:
                raise Limit(f"A mailbox has at most {LAST_KEYWORD_BIT + 1 - FIRST_KEYWORD_BIT} keywords")
            conn.execute(insert(keyword).values(mailbox_id=mailbox_id, bit=bit, name=name))
            known[name.casefold()] = bit
        bits |= 1 << bit
    return bits


# -- per-user \Seen -----------------------------------------------------------------------------------------------

_SEEN_OF = select(seen.c.uids).where(seen.c.mailbox_id == bindparam("id"), seen.c.user_id == bindparam("user"))


def _own_seen(box: Mailbox, user_id: UserId) -> bool:
    return not box.seen_shared and box.home_id != user_id


def _read_seen(conn: Connection, mailbox_id: MailboxId, user_id: UserId) -> RangeSet | None:
    found = conn.execute(_SEEN_OF, {"id": mailbox_id, "user": user_id}).scalar()
    return None if found is None else RangeSet.parse(found)


def _write_seen(
    conn: Connection, mailbox_id: MailboxId, user_id: UserId, uids: RangeSet, modseq: int, *, known: bool
) -> None:
    values = {"modseq": modseq, "uids": uids.encode(), "count": len(uids)}
    if known:
        same = and_(seen.c.mailbox_id == mailbox_id, seen.c.user_id == user_id)
        conn.execute(update(seen).where(same).values(values))
    else:
        conn.execute(insert(seen).values(mailbox_id=mailbox_id, user_id=user_id, **values))


def _mark_seen(
    conn: Connection, mailbox_id: MailboxId, user_id: UserId, uids: RangeSet, modseq: int, *, value: bool
) -> bool:
    """Add or remove *uids*, all of them there; False where that changes nothing."""
    old = _read_seen(conn, mailbox_id, user_id)
    new = (old or EMPTY) | uids if value else (old or EMPTY) - uids
    if new == (old or EMPTY):
        return False
    _write_seen(conn, mailbox_id, user_id, new, modseq, known=old is not None)
    return True


def convert_seen(conn: Connection, box: Mailbox, *, shared: bool) -> None:
    r"""The messages' part of :func:`mailboxes.set_seen_mode`, for one mailbox."""
    box = _lock(conn, box.id)
    modseq = box.highest_modseq + 1
    rows = conn.execute(select(seen.c.user_id, seen.c.uids).where(seen.c.mailbox_id == box.id)).all()
    if shared:
        anybody = RangeSet.of(pair for row in rows for pair in RangeSet.parse(row.uids).ranges)
        where = _uids(anybody)
        if anybody:
            conn.execute(
                update(message)
                .where(message.c.mailbox_id == box.id, where, message.c.flags.op("&")(SEEN) == 0)
                .values(flags=message.c.flags.op("|")(SEEN), modseq=modseq)
            )
        unseen = conn.execute(
            select(func.count()).where(message.c.mailbox_id == box.id, message.c.flags.op("&")(SEEN) == 0)
        ).scalar_one()
        _count(conn, box, modseq, unseen=unseen - box.unseen)
        conn.execute(delete(seen).where(seen.c.mailbox_id == box.id))
        return
    query = select(message.c.uid).where(message.c.mailbox_id == box.id, message.c.flags.op("&")(SEEN) != 0)
    common = RangeSet.from_numbers(conn.execute(query).scalars())
    for user_id in _possible_readers(conn, box):
        _write_seen(conn, box.id, user_id, common, modseq, known=any(row.user_id == user_id for row in rows))
    _count(conn, box, modseq)


def _possible_readers(conn: Connection, box: Mailbox) -> list[UserId]:
    """Everybody but the home's user: whose \\Seen becomes an own one, now or when given the right."""
    query = select(user.c.id)
    if box.home_id is not None:
        query = query.where(user.c.id != box.home_id)
    return [UserId(one) for one in conn.execute(query).scalars()]


# -- changing -----------------------------------------------------------------------------------------------------

_INSERT = insert(message)


def insert_messages(
    conn: Connection, mailbox_id: MailboxId, user_id: UserId, messages: Sequence[NewMessage], *, blobs: Blobs
) -> Appended:
    r"""Append *messages*, all or none; \Seen as *user_id* sees it.  NonExistent where the mailbox is gone."""
    bodies = [store_body(conn, blobs, one.body, one.parsed) for one in messages]
    box = _lock(conn, mailbox_id)
    return _insert(conn, box, user_id, messages, bodies)


def _insert(
    conn: Connection, box: Mailbox, user_id: UserId, messages: Sequence[NewMessage], bodies: Sequence[BodyId]
) -> Appended:
    if box.uidnext + len(messages) > MAX_UID:
        raise Limit("The mailbox has used up its UIDs")
    own = _own_seen(box, user_id)
    modseq = box.highest_modseq + 1
    bits = {names: _keyword_bits(conn, box.id, names, make=True) for names in {one.keywords for one in messages}}
    now = int(time.time())
    rows: list[dict[str, Any]] = []
    for uid, one, body_id in zip(range(box.uidnext, MAX_UID), messages, bodies, strict=False):
        flags = (one.flags & ~SEEN) | bits[one.keywords] | (SEEN if one.seen and not own else 0)
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
            }
        )
    conn.execute(_INSERT, rows)
    uids = [Uid(row["uid"]) for row in rows]
    if own:
        mine = RangeSet.from_numbers(uid for uid, one in zip(uids, messages, strict=True) if one.seen)
        if mine:
            _mark_seen(conn, box.id, user_id, mine, modseq, value=True)
    _count_in(conn, box, modseq, rows)
    return Appended(box.uidvalidity, uids, modseq)


def _count_in(conn: Connection, box: Mailbox, modseq: int, rows: list[dict[str, Any]]) -> None:
    gone = [row["size"] for row in rows if row["flags"] & DELETED]
    _count(
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


def _uids(uids: RangeSet) -> Any:
    """The condition that a message's UID is one of these; a set of many ranges is wider than asked: see _chunks."""
    if not uids.ranges:
        return text("1 = 0")
    return or_(
        *(message.c.uid == low if low == high else message.c.uid.between(low, high) for low, high in uids.ranges)
    )


def _chunks(uids: RangeSet, size: int = 200) -> Iterator[RangeSet]:
    """*uids* in sets of at most *size* ranges, so that a statement stays small."""
    for start in range(0, len(uids.ranges), size):
        yield RangeSet(uids.ranges[start : start + size])


def _select_rows(conn: Connection, mailbox_id: MailboxId, uids: RangeSet, *conditions: Any) -> list[MessageRow]:
    rows: list[MessageRow] = []
    for some in _chunks(uids):
        query = select(*_ROW).where(message.c.mailbox_id == mailbox_id, _uids(some), *conditions)
        rows += [MessageRow._make(row) for row in conn.execute(query.order_by(message.c.uid))]
    return rows


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
    box = _lock(conn, mailbox_id)
    modseq = box.highest_modseq + 1
    add |= _keyword_bits(conn, mailbox_id, add_keywords, make=True)
    remove |= _keyword_bits(conn, mailbox_id, remove_keywords, make=False)
    add, remove = add & ~SEEN, remove & ~SEEN & ~add
    own = _own_seen(box, user_id)
    if seen is not None and not own:
        add, remove = (add | SEEN, remove) if seen else (add, remove | SEEN)
    changed = False
    if add or remove:
        changed = _store_bits(conn, box, uids, modseq, add=add, remove=remove)
    if seen is not None and own:
        there = RangeSet.from_numbers(row.uid for row in _select_rows(conn, mailbox_id, uids))
        if _mark_seen(conn, mailbox_id, user_id, there, modseq, value=seen):
            if not changed:
                _count(conn, box, modseq)
            changed = True
    return modseq if changed else 0


_FLAGS = message.c.flags
_IN_BOX = message.c.mailbox_id == bindparam("box")
_ONE_RANGE = message.c.uid.between(bindparam("low"), bindparam("high"))
_DIFFERS = or_(_FLAGS.op("&")(bindparam("to_add")) != bindparam("to_add"), _FLAGS.op("&")(bindparam("to_remove")) != 0)
_TURNING = select(func.count(), func.coalesce(func.sum(message.c.size), 0)).where(
    _IN_BOX, _DIFFERS, _FLAGS.op("&")(bindparam("bit")) == bindparam("before")
)
_TURN = (
    update(message)
    .where(_IN_BOX, _DIFFERS)
    .values(flags=_FLAGS.op("&")(bindparam("to_keep")).op("|")(bindparam("to_add")), modseq=bindparam("new_modseq"))
)
_TURNING_RANGE, _TURN_RANGE = _TURNING.where(_ONE_RANGE), _TURN.where(_ONE_RANGE)


def _store_bits(conn: Connection, box: Mailbox, uids: RangeSet, modseq: int, *, add: int, remove: int) -> bool:
    values = {"box": box.id, "to_add": add, "to_remove": remove, "to_keep": ~remove, "new_modseq": modseq}
    unseen = deleted = deleted_bytes = 0
    changed = False
    for some in _chunks(uids):
        turning, turn = _TURNING_RANGE, _TURN_RANGE
        if len(some.ranges) == 1:
            values["low"], values["high"] = some.ranges[0]
        else:
            turning, turn = _TURNING.where(_uids(some)), _TURN.where(_uids(some))
        if (add | remove) & SEEN:
            bits = {"bit": SEEN, "before": 0 if add & SEEN else SEEN}
            turns = conn.execute(turning, {**values, **bits}).one()[0]
            unseen += -turns if add & SEEN else turns
        if (add | remove) & DELETED:
            bits = {"bit": DELETED, "before": 0 if add & DELETED else DELETED}
            row = conn.execute(turning, {**values, **bits}).one()
            sign = 1 if add & DELETED else -1
            deleted += sign * int(row[0])
            deleted_bytes += sign * int(row[1])
        changed = bool(conn.execute(turn, values).rowcount) or changed
    if changed:
        _count(conn, box, modseq, unseen=unseen, deleted=deleted, deleted_bytes=deleted_bytes)
    return changed


def expunge(conn: Connection, mailbox_id: MailboxId, uids: RangeSet | None, *, only_deleted: bool = True) -> RangeSet:
    r"""Remove messages for good, of *uids* (None: all) those with \Deleted; which ones."""
    box = _lock(conn, mailbox_id)
    if only_deleted and not box.deleted:
        return EMPTY
    every = RangeSet(((1, MAX_UID),))
    conditions = [message.c.flags.op("&")(DELETED) != 0] if only_deleted else []
    rows = _select_rows(conn, mailbox_id, every if uids is None else uids, *conditions)
    if not rows:
        return EMPTY
    _remove_rows(conn, box, rows)
    return RangeSet.from_numbers(row.uid for row in rows)


def _remove_rows(conn: Connection, box: Mailbox, rows: list[MessageRow]) -> int:
    modseq = box.highest_modseq + 1
    gone = RangeSet.from_numbers(row.uid for row in rows)
    for some in _chunks(gone):
        conn.execute(delete(message).where(message.c.mailbox_id == box.id, _uids(some)))
    conn.execute(insert(expunged).values(mailbox_id=box.id, modseq=modseq, uids=gone.encode()))
    for row in conn.execute(select(seen.c.user_id, seen.c.uids).where(seen.c.mailbox_id == box.id)).all():
        old = RangeSet.parse(row.uids)
        left = old - gone
        if left != old:
            _write_seen(conn, box.id, row.user_id, left, modseq, known=True)
    marked = [row.size for row in rows if row.flags & DELETED]
    _count(
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
    locked = {ident: _lock(conn, ident) for ident in sorted({source_id, target_id})}
    source, target = locked[source_id], locked[target_id]
    rows = _select_rows(conn, source_id, RangeSet.from_numbers(uids))
    if not rows:
        return Copied(target.uidvalidity, [], [], target.highest_modseq)
    if target.uidnext + len(rows) > MAX_UID:
        raise Limit("The mailbox has used up its UIDs")
    modseq = target.highest_modseq + 1
    bits = _translate_keywords(conn, source_id, target_id, rows) if allow_keywords else {}
    own_source, own_target = _own_seen(source, user_id), _own_seen(target, user_id)
    was_seen = (_read_seen(conn, source_id, user_id) or EMPTY) if own_source else EMPTY
    made: list[dict[str, Any]] = []
    mine: list[int] = []
    now = int(time.time())
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
            }
        )
    conn.execute(_INSERT, made)
    if mine:
        _mark_seen(conn, target_id, user_id, RangeSet.from_numbers(mine), modseq, value=True)
    _count_in(conn, target, modseq, made)
    if remove:
        _remove_rows(conn, _lock(conn, source_id), rows)
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
    names = {int(row[0]): str(row[1]) for row in conn.execute(_KEYWORDS, {"id": source_id})}
    return {
        1 << bit: _keyword_bits(conn, target_id, (name,), make=True) for bit, name in names.items() if used >> bit & 1
    }


def claim_recent(conn: Connection, mailbox_id: MailboxId, upto_uid: int) -> None:
    r"""Remember that some session was given \Recent up to *upto_uid*.  RFC 3501 §2.3.2."""
    conn.execute(
        update(mailbox).where(mailbox.c.id == mailbox_id, mailbox.c.recent_uid < upto_uid).values(recent_uid=upto_uid)
    )


def read_keywords(conn: Connection, mailbox_id: MailboxId) -> list[str]:
    """The keywords of the mailbox."""
    return [str(row[1]) for row in conn.execute(_KEYWORDS, {"id": mailbox_id})]
