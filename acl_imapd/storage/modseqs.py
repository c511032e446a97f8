r"""What changed since when: messages that were expunged, messages a conditional STORE may not touch.  RFC 7162."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Connection, Select, bindparam, delete, insert, select

from acl_imapd.ranges import EMPTY, RangeSet
from acl_imapd.storage.counters import for_sets, in_set, lock
from acl_imapd.storage.prepared import Prepared
from acl_imapd.storage.schema import expunged, message
from acl_imapd.storage.seen import own_seen, read_turns
from acl_imapd.types import MailboxId, UserId

# So many expunges are remembered one by one; what is older is one row, as if it had all gone with the last of it.
MAX_EXPUNGES = 2000

_SINCE = Prepared(
    select(expunged.c.uids).where(expunged.c.mailbox_id == bindparam("id"), expunged.c.modseq > bindparam("since"))
)
_INSERT = Prepared(insert(expunged))
_OVERFULL = Prepared(
    select(expunged.c.modseq)
    .where(expunged.c.mailbox_id == bindparam("id"))
    .order_by(expunged.c.modseq.desc())
    .offset(MAX_EXPUNGES)
    .limit(1)
)
_MIDDLE = (
    select(expunged.c.modseq)
    .where(expunged.c.mailbox_id == bindparam("id"))
    .order_by(expunged.c.modseq.desc())
    .offset(MAX_EXPUNGES // 2)
    .limit(1)
)
_OLD = select(expunged.c.uids).where(expunged.c.mailbox_id == bindparam("id"), expunged.c.modseq <= bindparam("upto"))
_DELETE_OLD = delete(expunged).where(expunged.c.mailbox_id == bindparam("id"), expunged.c.modseq <= bindparam("upto"))


def read_vanished(conn: Connection, mailbox_id: MailboxId, since: int) -> RangeSet:
    """The UIDs expunged after modseq *since*; of long ago perhaps some that were expunged before it (§3.2.6)."""
    texts = _SINCE.scalars(conn, {"id": mailbox_id, "since": since})
    return RangeSet.of(pair for one in texts for pair in RangeSet.parse(one).ranges)


def insert_expunged(conn: Connection, mailbox_id: MailboxId, modseq: int, gone: RangeSet) -> None:
    """Remember that *gone* went at *modseq*.  §5.3."""
    _INSERT.run(conn, {"mailbox_id": mailbox_id, "modseq": modseq, "uids": gone.encode()})
    if _OVERFULL.first(conn, {"id": mailbox_id}) is None:
        return
    upto = conn.execute(_MIDDLE, {"id": mailbox_id}).scalar_one()
    texts = conn.execute(_OLD, {"id": mailbox_id, "upto": upto}).scalars().all()
    old = RangeSet.of(pair for one in texts for pair in RangeSet.parse(one).ranges)
    conn.execute(_DELETE_OLD, {"id": mailbox_id, "upto": upto})
    _INSERT.run(conn, {"mailbox_id": mailbox_id, "modseq": upto, "uids": old.encode()})


def _changed(column: Column[int]) -> dict[str, Select[Any]]:
    return for_sets(lambda these: select(message.c.uid).where(these, column > bindparam("since")))


_CHANGED = {True: _changed(message.c.common_modseq), False: _changed(message.c.modseq)}


def lock_and_read_changed(
    conn: Connection, mailbox_id: MailboxId, user_id: UserId, uids: RangeSet, since: int, *, seen: bool, common: bool
) -> RangeSet:
    r"""Those of *uids* whose flags changed after *since* as this user sees them; the mailbox is locked.

    *seen*: \Seen is asked about; *common*: any other flag.  Where \Seen is this user's own the two have modseqs of
    their own (RFC 7162 §3.1: the server may keep them apart); else a message has one.
    """
    box = lock(conn, mailbox_id)
    own = own_seen(box, user_id)
    changed = EMPTY
    if common or not own or not since:
        way, values = in_set(conn, mailbox_id, uids)
        found = conn.execute(_CHANGED[own][way], {**values, "since": since}).scalars()
        changed = RangeSet.from_numbers(found)
    if seen and own:
        changed |= read_turns(conn, mailbox_id, user_id).since(since) & uids
    return changed
