"""The row of a mailbox that changes: locked first, counted on last; and which of its messages a change is for."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Connection, and_, bindparam, func, select, true, update
from sqlalchemy.dialects.postgresql import ARRAY

from acl_imapd.errors import NonExistent
from acl_imapd.ranges import RangeSet
from acl_imapd.storage.database import notify
from acl_imapd.storage.mailboxes import Mailbox
from acl_imapd.storage.schema import mailbox, message
from acl_imapd.types import MailboxId

_LOCKED = select(mailbox).where(mailbox.c.id == bindparam("id")).with_for_update()


def lock(conn: Connection, mailbox_id: MailboxId) -> Mailbox:
    """The mailbox, which nobody else changes until this transaction ends.  NonExistent where it is gone.

    Of several the smallest id first, or two transactions wait for each other.
    """
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


def count(
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
    """Add to the counters of a locked mailbox, and tell the other processes that it changed."""
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


def within(conn: Connection, mailbox_id: MailboxId, uids: RangeSet) -> ColumnElement[bool]:
    """The condition that a message is of that mailbox and its UID one of *uids*.

    The statement is the same however many ranges there are: they go as one value, a JSON text or two arrays,
    and each is looked up in the primary key.  A term for each would pass SQLite's limit of 1000 levels.
    """
    mine = message.c.mailbox_id == mailbox_id
    if len(uids.ranges) == 1:
        return and_(mine, message.c.uid.between(*uids.ranges[0]))
    there = message.alias("there")
    low: ColumnElement[Any]
    high: ColumnElement[Any]
    if conn.dialect.name == "postgresql":
        lows = bindparam(None, [one for one, _ in uids.ranges], ARRAY(BigInteger))
        highs = bindparam(None, [one for _, one in uids.ranges], ARRAY(BigInteger))
        pair: Any = func.unnest(lows, highs).table_valued("low", "high", name="pair").render_derived()
        low, high = pair.c.low, pair.c.high
    else:
        pair = func.json_each(json.dumps(uids.ranges)).table_valued("value", name="pair")
        low, high = func.json_extract(pair.c.value, "$[0]"), func.json_extract(pair.c.value, "$[1]")
    found = select(there.c.uid).select_from(
        pair.join(there, and_(there.c.mailbox_id == mailbox_id, there.c.uid >= low, there.c.uid <= high), isouter=False)
    )
    return and_(mine, message.c.uid.in_(found)) if uids.ranges else ~true()
