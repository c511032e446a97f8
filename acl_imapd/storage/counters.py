"""The row of a mailbox that changes: locked first, counted on last; and which of its messages a change is for."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, and_, bindparam, select, text, update

from acl_imapd.errors import NonExistent
from acl_imapd.ranges import RangeSet
from acl_imapd.storage.database import notify
from acl_imapd.storage.mailboxes import Mailbox
from acl_imapd.storage.prepared import Prepared
from acl_imapd.storage.schema import mailbox, message
from acl_imapd.types import MailboxId, UserId

T = TypeVar("T")

_LOCKED = Prepared(select(mailbox).where(mailbox.c.id == bindparam("id")).with_for_update())


def lock(conn: Connection, mailbox_id: MailboxId) -> Mailbox:
    """The mailbox, which nobody else changes until this transaction ends.  NonExistent where it is gone.

    Of several the smallest id first, or two transactions wait for each other.
    """
    row = _LOCKED.first(conn, {"id": mailbox_id})
    if row is None:
        raise NonExistent()
    return Mailbox(*row)


_COUNT = Prepared(
    update(mailbox)
    .where(mailbox.c.id == bindparam("box"))
    .values(
        highest_modseq=bindparam("new_modseq"),
        common_modseq=bindparam("new_common"),
        home_modseq=bindparam("new_home"),
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
    seen_by: UserId | None = None,
    uidnext: int | None = None,
    messages: int = 0,
    unseen: int = 0,
    deleted: int = 0,
    deleted_bytes: int = 0,
    size_bytes: int = 0,
) -> None:
    r"""Add to the counters of a locked mailbox, and tell the other processes that it changed.

    *seen_by*: only that user's own \Seen changed, which nobody else sees.
    """
    _COUNT.run(
        conn,
        {
            "box": box.id,
            "new_modseq": modseq,
            "new_common": modseq if seen_by is None else box.common_modseq,
            "new_home": modseq if seen_by is not None and seen_by == box.home_id else box.home_modseq,
            "new_uidnext": box.uidnext if uidnext is None else uidnext,
            "d_messages": messages,
            "d_unseen": unseen,
            "d_deleted": deleted,
            "d_deleted_bytes": deleted_bytes,
            "d_size_bytes": size_bytes,
        },
    )
    notify(conn, "m", box.id)


_IN_BOX = message.c.mailbox_id == bindparam("box")
# Which messages, by how their set is given: one range, or many as one value, so that a statement is the same
# however many there are.  A term for each would pass the depth SQLite allows an expression, which is 1000.
_WITHIN: dict[str, ColumnElement[bool]] = {
    "range": and_(_IN_BOX, message.c.uid.between(bindparam("low"), bindparam("high"))),
    # The set is the outer loop: CROSS JOIN is SQLite's way to say so, or it tries every message with every range.
    "sqlite": and_(
        _IN_BOX,
        message.c.uid.in_(
            text(
                "SELECT there.uid FROM json_each(:ranges) pair CROSS JOIN message there ON there.mailbox_id = :box"
                " AND there.uid BETWEEN json_extract(pair.value, '$[0]') AND json_extract(pair.value, '$[1]')"
            )
        ),
    ),
    "postgresql": and_(
        _IN_BOX,
        message.c.uid.in_(
            text(
                "SELECT there.uid FROM unnest(CAST(:lows AS BIGINT[]), CAST(:highs AS BIGINT[])) pair(low, high)"
                " JOIN message there ON there.mailbox_id = :box AND there.uid BETWEEN pair.low AND pair.high"
            )
        ),
    ),
}


def for_sets(build: Callable[[ColumnElement[bool]], T]) -> dict[str, T]:
    """The statement *build* makes of the condition that a message is one of a set, for each way to give a set.

    Built once; :func:`in_set` tells which to take.
    """
    return {way: build(condition) for way, condition in _WITHIN.items()}


def in_set(conn: Connection, mailbox_id: MailboxId, uids: RangeSet) -> tuple[str, dict[str, Any]]:
    """The way *uids* of that mailbox are given, and the values for it."""
    if len(uids.ranges) == 1:
        low, high = uids.ranges[0]
        return "range", {"box": mailbox_id, "low": low, "high": high}
    if conn.dialect.name == "sqlite":
        return "sqlite", {"box": mailbox_id, "ranges": json.dumps(uids.ranges)}
    lows, highs = [low for low, _ in uids.ranges], [high for _, high in uids.ranges]
    return "postgresql", {"box": mailbox_id, "lows": lows, "highs": highs}
