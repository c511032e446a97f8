r"""Each user's own \Seen: one row per user and mailbox, and what becomes of them when a mailbox changes its mode."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import BigInteger, Connection, Text, bindparam, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from acl_imapd.access.rights import SEEN, IdentifierKind
from acl_imapd.ranges import EMPTY, RangeSet
from acl_imapd.storage.counters import count, for_sets, in_set, lock
from acl_imapd.storage.mailboxes import Mailbox
from acl_imapd.storage.prepared import Prepared
from acl_imapd.storage.schema import message, seen
from acl_imapd.storage.turns import Turns, with_turn
from acl_imapd.types import MailboxId, UserId


def own_seen(box: Mailbox, user_id: UserId) -> bool:
    r"""True where \Seen of the user is a row of its own; else it is bit 0 of the messages."""
    return not box.seen_shared and box.home_id != user_id


_ONE = Prepared(
    select(seen.c.uids, seen.c.turns).where(seen.c.mailbox_id == bindparam("id"), seen.c.user_id == bindparam("user"))
)
_ALL = Prepared(select(seen.c.user_id, seen.c.uids, seen.c.turns).where(seen.c.mailbox_id == bindparam("id")))
_UIDS = Prepared(select(message.c.uid).where(message.c.mailbox_id == bindparam("id")))


def read_seen(conn: Connection, mailbox_id: MailboxId, user_id: UserId) -> RangeSet:
    """The UIDs this user has seen."""
    return _read_one(conn, mailbox_id, user_id)[0]


def read_turns(conn: Connection, mailbox_id: MailboxId, user_id: UserId) -> Turns:
    r"""When this user's \Seen of which messages turned."""
    return Turns.parse(_read_one(conn, mailbox_id, user_id)[1])


def _read_one(conn: Connection, mailbox_id: MailboxId, user_id: UserId) -> tuple[RangeSet, str]:
    row = _ONE.first(conn, {"id": mailbox_id, "user": user_id})
    return (EMPTY, "") if row is None else (RangeSet.parse(row[0]), str(row[1]))


def _read_all(conn: Connection, mailbox_id: MailboxId) -> dict[UserId, tuple[RangeSet, str]]:
    rows = _ALL.all(conn, {"id": mailbox_id})
    return {UserId(row[0]): (RangeSet.parse(row[1]), str(row[2])) for row in rows}


def _upsert(make: Any) -> Any:
    statement = make(seen)
    given = {name: getattr(statement.excluded, name) for name in ("modseq", "uids", "turns")}
    return statement.on_conflict_do_update(
        index_elements=["mailbox_id", "user_id"], set_={**given, "count": statement.excluded["count"]}
    )


_UPSERT = {"sqlite": Prepared(_upsert(sqlite_insert)), "postgresql": Prepared(_upsert(postgresql_insert))}


def _write(conn: Connection, mailbox_id: MailboxId, modseq: int, rows: Iterable[tuple[UserId, RangeSet, str]]) -> None:
    given = {"mailbox_id": mailbox_id, "modseq": modseq}
    values = [
        {**given, "user_id": user_id, "uids": uids.encode(), "count": len(uids), "turns": turns}
        for user_id, uids, turns in rows
    ]
    if values:
        _UPSERT[conn.dialect.name].many(conn, values)


def mark_seen(
    conn: Connection,
    mailbox_id: MailboxId,
    user_id: UserId,
    uids: RangeSet,
    modseq: int,
    *,
    value: bool,
    new_messages: bool = False,
) -> bool:
    """Add or remove *uids*, all of them there; False where that changes nothing.

    *new_messages*: they came with *modseq* themselves, so that it need not be kept when they turned.
    """
    old, turns = _read_one(conn, mailbox_id, user_id)
    new = old | uids if value else old - uids
    if new == old:
        return False
    if not new_messages:

        def there() -> RangeSet:
            return RangeSet.from_numbers(_UIDS.scalars(conn, {"id": mailbox_id}))

        turns = with_turn(turns, modseq, uids - old if value else uids & old, there)
    _write(conn, mailbox_id, modseq, [(user_id, new, turns)])
    return True


def forget_seen(conn: Connection, mailbox_id: MailboxId, gone: RangeSet, modseq: int) -> None:
    """Nobody has seen what is not there."""
    left = ((user_id, old, old - gone, turns) for user_id, (old, turns) in _read_all(conn, mailbox_id).items())
    _write(conn, mailbox_id, modseq, [(user_id, new, turns) for user_id, old, new, turns in left if new != old])


def hand_seen(conn: Connection, mailbox_id: MailboxId, user_id: UserId) -> None:
    r"""Of a mailbox that has come into the tree of *user_id*: what its user had seen until now is seen by this one.

    What looks different to it has changed, so that its sessions are told.
    """
    box = lock(conn, mailbox_id)
    if box.seen_shared:
        return
    modseq = box.highest_modseq + 1
    bits = RangeSet.from_numbers(conn.execute(_WITH_SEEN, {"id": box.id}).scalars())
    own = read_seen(conn, box.id, user_id)
    changed = (bits - own) | (own - bits)
    if changed:
        way, values = in_set(conn, box.id, changed)
        conn.execute(_SET_BIT[way], {**values, "bit": 0, "kept": ~0, "new_modseq": modseq})
    conn.execute(delete(seen).where(seen.c.mailbox_id == box.id, seen.c.user_id == user_id))
    count(conn, box, modseq)


# -- from one mode to the other -----------------------------------------------------------------------------------

_WITH_SEEN = select(message.c.uid).where(message.c.mailbox_id == bindparam("id"), message.c.flags.op("&")(SEEN) != 0)
_COUNT_UNSEEN = select(func.count()).where(message.c.mailbox_id == bindparam("id"), message.c.flags.op("&")(SEEN) == 0)
_SET_BIT = for_sets(
    lambda these: (
        update(message)
        .where(these)
        .values(
            flags=message.c.flags.op("&")(bindparam("kept")).op("|")(bindparam("bit")),
            modseq=bindparam("new_modseq"),
            common_modseq=bindparam("new_modseq"),
        )
    )
)
# A row for everybody who has one or may have read the mailbox: whom an entry names, the members of teams it names,
# nested ones too, and of the team that owns it, the users of domains; everybody where whoever can log in is named.
_MAKE_PRIVATE = text(
    "WITH RECURSIVE named(id) AS ("
    " SELECT team_id FROM acl_entry WHERE acl_id = :acl_id AND team_id IS NOT NULL AND NOT negative"
    " UNION SELECT owner_team_id FROM mailbox WHERE id = :mailbox_id AND owner_team_id IS NOT NULL"
    " UNION SELECT team_member.member_team_id FROM team_member JOIN named ON team_member.team_id = named.id"
    " WHERE team_member.member_team_id IS NOT NULL)"
    " INSERT INTO seen (mailbox_id, user_id, modseq, uids, count, turns)"
    " SELECT :mailbox_id, id, :modseq, :uids, :count, '' FROM user_account WHERE id <> :home AND ("
    " id IN (SELECT user_id FROM seen WHERE mailbox_id = :mailbox_id) OR (:count > 0 AND (id IN ("
    " SELECT user_id FROM acl_entry WHERE acl_id = :acl_id AND user_id IS NOT NULL AND NOT negative"
    " UNION SELECT owner_user_id FROM mailbox WHERE id = :mailbox_id AND owner_user_id IS NOT NULL"
    " UNION SELECT team_member.user_id FROM team_member JOIN named ON team_member.team_id = named.id"
    " WHERE team_member.user_id IS NOT NULL)"
    " OR domain IN (SELECT domain FROM acl_entry WHERE acl_id = :acl_id AND domain IS NOT NULL AND NOT negative)"
    " OR EXISTS (SELECT 1 FROM acl_entry WHERE acl_id = :acl_id AND kind IN (:authenticated, :anyone)"
    " AND NOT negative))))"
    " ON CONFLICT (mailbox_id, user_id)"
    " DO UPDATE SET modseq = excluded.modseq, uids = excluded.uids, count = excluded.count, turns = ''"
).bindparams(
    *(bindparam(name, type_=BigInteger) for name in ("mailbox_id", "modseq", "count", "home")),
    bindparam("uids", type_=Text),
)


def convert_seen(conn: Connection, mailbox_id: MailboxId, *, shared: bool) -> None:
    r"""The messages' part of :func:`mailboxes.set_seen_mode`, for one mailbox that is in the other mode."""
    box = lock(conn, mailbox_id)
    modseq = box.highest_modseq + 1
    if shared:
        unseen = _to_shared(conn, box, modseq)
    else:
        unseen = 0
        _to_private(conn, box, modseq)
    count(conn, box, modseq, unseen=unseen)


def _to_shared(conn: Connection, box: Mailbox, modseq: int) -> int:
    """By how much there are more unseen messages.  The users' rows stay, without a meaning until they are
    written again: sessions that have the mailbox open go on with what they know."""
    anybody = RangeSet.of(pair for uids, _ in _read_all(conn, box.id).values() for pair in uids.ranges)
    bits = RangeSet.from_numbers(conn.execute(_WITH_SEEN, {"id": box.id}).scalars())
    # Without a home's user bit 0 is left over from an earlier time of common \Seen.
    clear_now = bits - anybody if box.home_id is None else EMPTY
    # Those with the bit already get a new modseq too: there may be somebody for whom they were unseen.
    for uids, bit in ((anybody | (bits - clear_now), SEEN), (clear_now, 0)):
        if uids:
            way, values = in_set(conn, box.id, uids)
            conn.execute(_SET_BIT[way], {**values, "bit": bit, "kept": ~SEEN, "new_modseq": modseq})
    return int(conn.execute(_COUNT_UNSEEN, {"id": box.id}).scalar_one()) - box.unseen


def _to_private(conn: Connection, box: Mailbox, modseq: int) -> None:
    """The readers' rows in one statement, however many there are."""
    common = RangeSet.from_numbers(conn.execute(_WITH_SEEN, {"id": box.id}).scalars())
    values = {
        "acl_id": box.acl_id,
        "mailbox_id": box.id,
        "home": box.home_id or 0,
        "authenticated": int(IdentifierKind.AUTHENTICATED),
        "anyone": int(IdentifierKind.ANYONE),
        "modseq": modseq,
        "uids": common.encode(),
        "count": len(common),
    }
    conn.execute(_MAKE_PRIVATE, values)
    if common:
        # Whoever is not among those sees them unseen now.
        way, values = in_set(conn, box.id, common)
        conn.execute(_SET_BIT[way], {**values, "bit": SEEN, "kept": ~SEEN, "new_modseq": modseq})
