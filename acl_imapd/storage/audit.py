"""The audit log: who changed access to what, by what way, before and after.  Each row's hash covers the one before."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, func, insert, select

from acl_imapd.errors import Refused
from acl_imapd.storage.epochs import lock_site
from acl_imapd.storage.schema import audit

if TYPE_CHECKING:
    from acl_imapd.storage.accounts import Actor

_NO_HASH = bytes(32)
_LAST = select(audit.c.hash).order_by(audit.c.id.desc()).limit(1)
_INSERT = insert(audit)


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One change.  *before* and *after* are what JSON gave back."""

    id: int
    at: float
    actor: str
    channel: str
    peer: str
    action: str
    object: str
    before: Any
    after: Any
    reason: str | None
    group_id: str | None
    mailbox_id: int | None


def new_group() -> str:
    """A name for changes that are made as one."""
    return secrets.token_hex(8)


def append_audit(
    conn: Connection,
    actor: Actor,
    action: str,
    object_: str,
    before: Any,
    after: Any,
    *,
    reason: str | None = None,
    mailbox_id: int | None = None,
) -> None:
    """Write down a change, in the transaction that makes it.  *mailbox_id*: of a folder's rights, owner or settings."""
    lock_site(conn)  # or two writers would chain to the same row
    previous = conn.execute(_LAST).scalar() or _NO_HASH
    values: dict[str, Any] = {
        "at": time.time(),
        "actor": actor.name,
        "channel": actor.channel,
        "peer": actor.peer,
        "action": action,
        "object": object_,
        "before": json.dumps(before, sort_keys=True, ensure_ascii=False),
        "after": json.dumps(after, sort_keys=True, ensure_ascii=False),
    }
    later = {"reason": reason, "group_id": actor.group, "mailbox_id": mailbox_id}
    values.update((key, value) for key, value in later.items() if value is not None)
    conn.execute(_INSERT, {**later, **values, "prev_hash": previous, "hash": _hash(previous, values)})


def _hash(previous: bytes, values: dict[str, Any]) -> bytes:
    return hashlib.sha256(previous + json.dumps(values, sort_keys=True).encode()).digest()


def verify_chain(conn: Connection) -> int:
    """How many rows there are, all unchanged since they were written; Refused names the first that is not."""
    previous = _NO_HASH
    count = 0
    for row in conn.execute(select(audit).order_by(audit.c.id)):
        values = {key: getattr(row, key) for key in _FIELDS}
        values.update((key, value) for key in _LATER if (value := getattr(row, key)) is not None)
        if row.prev_hash != previous or row.hash != _hash(previous, values):
            raise Refused(f"Row {row.id} of the audit log is not what was written, or a row before it is missing.")
        previous = row.hash
        count += 1
    return count


_FIELDS = ("at", "actor", "channel", "peer", "action", "object", "before", "after")
_LATER = ("reason", "group_id", "mailbox_id")  # rows of the first release have none, and hashes to match


def list_audit(
    conn: Connection,
    *,
    limit: int = 100,
    object_prefix: str | None = None,
    actor: str | None = None,
    since: float | None = None,
) -> list[AuditRow]:
    """The newest rows that fit, newest first."""
    query = select(audit).order_by(audit.c.id.desc()).limit(limit)
    if object_prefix is not None:
        # Not LIKE, which on SQLite takes Team for team: names differ by case.
        query = query.where(func.substr(audit.c.object, 1, len(object_prefix)) == object_prefix)
    if actor is not None:
        query = query.where(audit.c.actor == actor)
    if since is not None:
        query = query.where(audit.c.at >= since)
    rows = []
    for row in conn.execute(query):
        values = {key: getattr(row, key) for key in _FIELDS}
        values["before"], values["after"] = json.loads(row.before), json.loads(row.after)
        rows.append(AuditRow(id=row.id, **values, **{key: getattr(row, key) for key in _LATER}))
    return rows


def as_json(row: AuditRow) -> dict[str, Any]:
    """The row for ``--json``."""
    return asdict(row)
