"""When somebody last had a folder in use: a day each, and nothing a client sees, so no epoch moves."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, text

from acl_imapd.types import AclId, MailboxId, UserId

# Only where both are still there: what is written is some seconds old.
_UPSERT = text(
    "INSERT INTO last_access (mailbox_id, user_id, day)"
    " SELECT mailbox.id, user_account.id, CAST(:day AS INTEGER) FROM mailbox, user_account"
    " WHERE mailbox.id = :mailbox_id AND user_account.id = :user_id"
    " ON CONFLICT (mailbox_id, user_id) DO UPDATE SET day = excluded.day WHERE last_access.day < excluded.day"
)


def write_last_access(conn: Connection, used: Sequence[tuple[MailboxId, UserId]], day: int) -> None:
    """Note that these users had these mailboxes in use on *day* (since 1970, UTC)."""
    rows = [{"mailbox_id": mailbox_id, "user_id": user_id, "day": day} for mailbox_id, user_id in sorted(used)]
    conn.execute(_UPSERT, rows)


_LAST = text(
    "SELECT mailbox.acl_id, last_access.user_id, MAX(last_access.day) FROM last_access"
    " JOIN mailbox ON mailbox.id = last_access.mailbox_id WHERE mailbox.acl_id IN :acl_ids"
    " GROUP BY mailbox.acl_id, last_access.user_id"
).bindparams(bindparam("acl_ids", expanding=True))


def read_last_access(conn: Connection, acl_ids: Sequence[AclId]) -> dict[tuple[AclId, UserId], int]:
    """The last day on which somebody used one of the folders that an ACL holds for."""
    rows = conn.execute(_LAST, {"acl_ids": list(acl_ids)})
    return {(AclId(row[0]), UserId(row[1])): row[2] for row in rows}
