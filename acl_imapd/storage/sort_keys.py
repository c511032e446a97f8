"""What SORT and THREAD look at, worked out of each body once, when somebody first asks, and kept."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, bindparam, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from acl_imapd.mail.sortkeys import sort_keys
from acl_imapd.ranges import RangeSet
from acl_imapd.storage.counters import for_sets, in_set
from acl_imapd.storage.prepared import Prepared
from acl_imapd.storage.schema import body, message, sort_key
from acl_imapd.types import BodyId, MailboxId

AT_ONCE = 500  # bodies in one unit of work
SEPARATOR = " "  # of the message ids in refs


@lru_cache(64)
def _read(names: tuple[str, ...]) -> dict[str, Prepared]:
    """The statements that read those columns; built once for each set of columns."""
    columns = (message.c.uid, message.c.body_id, sort_key.c.body_id.label("known"), *(sort_key.c[one] for one in names))
    joined = message.outerjoin(sort_key, sort_key.c.body_id == message.c.body_id)
    statements = for_sets(
        lambda these: select(*columns).select_from(joined).where(these).order_by(message.c.uid)
    )  # fmt: skip
    return {way: Prepared(statement) for way, statement in statements.items()}


def read_sort_keys(
    conn: Connection, mailbox_id: MailboxId, uids: RangeSet, names: tuple[str, ...]
) -> tuple[list[Any], list[BodyId]]:
    """Rows of ``uid``, ``body_id`` and the columns *names* of those messages, by UID, in one statement.

    With them the bodies that have not been looked at yet; the columns of those are None.
    """
    way, values = in_set(conn, mailbox_id, uids)
    rows = _read(names)[way].all(conn, values)
    return rows, list(dict.fromkeys(BodyId(row.body_id) for row in rows if row.known is None))


_HEADERS = select(body.c.id, body.c.header).where(body.c.id.in_(bindparam("ids", expanding=True)))


def work_out(conn: Connection, ids: Sequence[BodyId]) -> list[dict[str, Any]]:
    """The rows to be kept for those bodies."""
    made = []
    for row in conn.execute(_HEADERS, {"ids": ids}):
        keys = sort_keys(bytes(row.header))
        made.append({"body_id": row.id, **keys._asdict(), "refs": SEPARATOR.join(keys.refs)})
    return made


_KEEP = {
    "sqlite": Prepared(sqlite_insert(sort_key).on_conflict_do_nothing()),
    "postgresql": Prepared(postgresql_insert(sort_key).on_conflict_do_nothing()),
}
# FOR KEY SHARE: a sweep that is about to remove one of the bodies is waited for.
_THERE = (
    select(body.c.id)
    .where(body.c.id.in_(bindparam("ids", expanding=True)))
    .with_for_update(read=True, key_share=True)
)  # fmt: skip


def keep(conn: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Keep what :func:`work_out` gave, of the bodies that are still there.  Clients see nothing of it."""
    there = set(conn.execute(_THERE, {"ids": [row["body_id"] for row in rows]}).scalars())
    _KEEP[conn.dialect.name].many(conn, [row for row in rows if row["body_id"] in there])
