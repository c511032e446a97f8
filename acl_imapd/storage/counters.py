"""The row of a mailbox that changes: locked first, counted on last; and which of its messages a change is for."""

from __future__ import annotations

import json

from sqlalchemy import ColumnElement, Connection, and_, bindparam, select, text, update

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


# The set is the outer loop: CROSS JOIN is SQLite's way to say so, or it tries every message with every range.
_SQLITE_WITHIN = text(
    "SELECT there.uid FROM json_each(:ranges) pair CROSS JOIN message there ON there.mailbox_id = :mailbox_id"
    " AND there.uid BETWEEN json_extract(pair.value, '$[0]') AND json_extract(pair.value, '$[1]')"
)
_POSTGRESQL_WITHIN = text(
    "SELECT there.uid FROM unnest(CAST(:lows AS BIGINT[]), CAST(:highs AS BIGINT[])) pair(low, high)"
    " JOIN message there ON there.mailbox_id = :mailbox_id AND there.uid BETWEEN pair.low AND pair.high"
)


def within(conn: Connection, mailbox_id: MailboxId, uids: RangeSet) -> ColumnElement[bool]:
    """The condition that a message is of that mailbox and its UID one of *uids*.

    The statement is the same however many ranges there are: they go as one value, and each is looked up in the
    primary key.  A term for each would pass the depth SQLite allows an expression, which is 1000.
    """
    mine = message.c.mailbox_id == mailbox_id
    if len(uids.ranges) == 1:
        return and_(mine, message.c.uid.between(*uids.ranges[0]))
    if conn.dialect.name == "postgresql":
        lows, highs = [low for low, _ in uids.ranges], [high for _, high in uids.ranges]
        found = _POSTGRESQL_WITHIN.bindparams(lows=lows, highs=highs, mailbox_id=mailbox_id)
    else:
        found = _SQLITE_WITHIN.bindparams(ranges=json.dumps(uids.ranges), mailbox_id=mailbox_id)
    return and_(mine, message.c.uid.in_(found))
