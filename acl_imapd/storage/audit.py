"""The audit log: who changed access to what, by what way, before and after.  Each row's hash covers the one before;
the last one's stands in ``site`` too, so that rows taken off the end are missed."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypedDict

from sqlalchemy import Connection, Row, bindparam, func, insert, or_, select, update

from acl_imapd.errors import Refused
from acl_imapd.storage import schema
from acl_imapd.storage.database import time_of
from acl_imapd.storage.epochs import lock_site
from acl_imapd.storage.prepared import Prepared
from acl_imapd.storage.schema import audit, site

if TYPE_CHECKING:
    from acl_imapd.storage.accounts import Actor

_NO_HASH = bytes(32)
_HEAD = Prepared(select(site.c.audit_id, site.c.audit_hash, site.c.audit_at))
_SET_HEAD = Prepared(
    update(site).values(audit_id=bindparam("last_id"), audit_hash=bindparam("last_hash"), audit_at=bindparam("last_at"))
)
_INSERT = Prepared(insert(audit))
_SUBJECTS = ("user_id", "other_user_id", "team_id", "other_team_id")
_FIELDS = ("at", "actor", "channel", "peer", "action", "object", "before", "after")
_LATER = ("reason", "group_id", "mailbox_id", *_SUBJECTS)  # rows of earlier releases have none, and hashes to match


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be written down.

    *mailbox_id*: of a folder's rights, owner or settings.  *users*, *teams*: the one it concerns, or the two.
    """

    action: str
    object: str
    before: Any
    after: Any
    reason: str | None = None
    mailbox_id: int | None = None
    users: Sequence[int] = ()
    teams: Sequence[int] = ()


class Subjects(TypedDict):
    """Whom a change concerns."""

    users: list[int]
    teams: list[int]


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
    users: Sequence[int] = (),
    teams: Sequence[int] = (),
) -> None:
    """Write down a change, in the transaction that makes it; see :class:`Change`."""
    append_changes(conn, actor, [Change(action, object_, before, after, reason, mailbox_id, users, teams)])


def append_changes(conn: Connection, actor: Actor, changes: Iterable[Change]) -> None:
    """Write down changes, in the transaction that makes them, in two statements however many there are."""
    lock_site(conn)  # or two writers would chain to the same row
    last = _HEAD.first(conn)
    previous, ident = last.audit_hash or _NO_HASH, last.audit_id
    at = max(time_of(conn), last.audit_at)  # whatever the clock does: the log is in the order of its times
    rows = []
    for change in changes:
        values: dict[str, Any] = {
            "at": at,
            "actor": actor.name,
            "channel": actor.channel,
            "peer": actor.peer,
            "action": change.action,
            "object": change.object,
            "before": json.dumps(change.before, sort_keys=True, ensure_ascii=False),
            "after": json.dumps(change.after, sort_keys=True, ensure_ascii=False),
        }
        subjects = dict.fromkeys(_SUBJECTS) | _pair("user", change.users) | _pair("team", change.teams)
        later = {"reason": change.reason, "group_id": actor.group, "mailbox_id": change.mailbox_id, **subjects}
        values.update((key, value) for key, value in later.items() if value is not None)
        sealed = _hash(previous, values)
        ident += 1
        rows.append({**later, **values, "id": ident, "prev_hash": previous, "hash": sealed})
        previous = sealed
    if rows:
        _INSERT.many(conn, rows)
        _SET_HEAD.run(conn, {"last_id": ident, "last_hash": previous, "last_at": at})


def _pair(noun: str, ids: Sequence[int]) -> dict[str, int | None]:
    assert len(ids) <= 2, "a change concerns two at most"
    return dict(zip((f"{noun}_id", f"other_{noun}_id"), ids, strict=False))


def _hash(previous: bytes, values: dict[str, Any]) -> bytes:
    return hashlib.sha256(previous + json.dumps(values, sort_keys=True).encode()).digest()


# -- verifying --------------------------------------------------------------------------------------------------

_AT_ONCE = 1000
_CHUNK = select(audit).where(audit.c.id > bindparam("after")).order_by(audit.c.id).limit(_AT_ONCE)


@dataclass(frozen=True, slots=True)
class Head:
    """The last row of a log: whoever has noted it can prove that nothing before it was changed."""

    id: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Verified:
    """A log without a fault.  *expected*: the row whose hash was asked for."""

    rows: int
    head: Head | None
    expected: int | None = None


def read_head(conn: Connection) -> Head | None:
    """The last row as ``site`` keeps it; None of a log without rows."""
    row = _HEAD.first(conn)
    return Head(row.audit_id, bytes(row.audit_hash)) if row.audit_hash is not None else None


def verify_chain(conn: Connection) -> int:
    """How many rows there are, all unchanged since they were written; see :func:`verify`."""
    return verify(conn).rows


def verify(conn: Connection, *, expect: bytes | None = None, progress: Callable[[int], None] | None = None) -> Verified:
    """Look at every row.  Refused names the first that was altered, removed, put in or moved.

    *expect*: a head that somebody noted; Refused where no row has it.  *progress* is called with the id of the row
    that was reached, now and then.  Holds a thousand rows at most.
    """
    count = 0
    before: Head | None = None
    previous: Head | None = None
    expected = None
    for row in _all_rows(conn, progress):
        values = {key: getattr(row, key) for key in _FIELDS}
        values.update((key, value) for key in _LATER if (value := getattr(row, key)) is not None)
        if row.hash != _hash(row.prev_hash, values):
            raise Refused(f"Row {row.id} of the audit log is not what was written.")
        if row.prev_hash != (previous.hash if previous is not None else _NO_HASH):
            raise Refused(_why_broken(conn, before, previous, row))
        before, previous = previous, Head(row.id, bytes(row.hash))
        if row.hash == expect:
            expected = row.id
        count += 1
    _compare_head(read_head(conn), previous, conn)
    if expect is not None and expected is None:
        raise Refused(f"No row of the audit log has the hash {expect.hex()}: it is not the log whose head was noted.")
    return Verified(count, previous, expected)


def _all_rows(conn: Connection, progress: Callable[[int], None] | None) -> Iterator[Row[Any]]:
    after = -1
    while rows := conn.execute(_CHUNK, {"after": after}).all():
        yield from rows
        after = rows[-1].id
        if progress is not None:
            progress(after)


def _why_broken(conn: Connection, before: Head | None, previous: Head | None, row: Row[Any]) -> str:
    """The row is whole, but does not follow the one before it."""
    of_log = "of the audit log"
    if previous is not None and row.prev_hash == (before.hash if before is not None else _NO_HASH):
        return f"Row {previous.id} {of_log} was put in: row {row.id} does not follow it."
    elsewhere = conn.execute(select(audit.c.id).where(audit.c.hash == row.prev_hash)).scalar()
    if elsewhere is not None:
        return f"Row {row.id} {of_log} is not where it was written: it belongs after row {elsewhere}."
    after = conn.execute(_CHUNK, {"after": row.id}).first()
    if after is not None and previous is not None and after.prev_hash == previous.hash:
        return f"Row {row.id} {of_log} was put in: row {after.id} follows row {previous.id}."
    if previous is None:
        return f"Row {row.id} {of_log} was not the first: what was before it is missing."
    return (
        f"Row {row.id} {of_log} does not follow row {previous.id}: rows between them are missing, "
        f"or row {previous.id} was written anew."
    )


def _compare_head(head: Head | None, last: Head | None, conn: Connection) -> None:
    if head == last:
        return
    if head is None or (last is not None and last.id > head.id):
        first = conn.execute(_CHUNK, {"after": head.id if head is not None else -1}).first()
        assert first is not None
        raise Refused(f"Row {first.id} of the audit log was put in, after what was the last.")
    if last is None or last.id < head.id:
        upto = last.id if last is not None else 0
        raise Refused(f"Row {upto + 1} of the audit log is missing: it went on to row {head.id} and ends at {upto}.")
    raise Refused(f"Row {last.id} of the audit log was written anew: the last one had the hash {head.hash.hex()}.")


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
    hash: bytes


@dataclass(frozen=True, slots=True)
class OfFolder:
    """Changes of a folder: of *home*'s tree (None: the shared one); *below*: and of those below it."""

    home: str | None
    path: str
    below: bool = False


def list_audit(
    conn: Connection,
    *,
    limit: int = 100,
    object_prefix: str | None = None,
    actor: str | None = None,
    since: float | None = None,
    until: float | None = None,
    folder: OfFolder | None = None,
    user: str | None = None,
    team: str | None = None,
    action: str | None = None,
    channel: str | None = None,
    group: str | None = None,
) -> list[AuditRow]:
    """The newest rows that fit all that is given, newest first.

    *folder*, *user*, *team*: whatever has or had that name, under its other names too, and after its end.
    """
    query = select(audit).order_by(audit.c.id.desc()).limit(limit)
    if object_prefix is not None:
        # Not LIKE, which on SQLite takes Team for team: names differ by case.
        query = query.where(func.substr(audit.c.object, 1, len(object_prefix)) == object_prefix)
    if since is not None:
        query = query.where(audit.c.at >= since)
    if until is not None:
        query = query.where(audit.c.at < until)
    if folder is not None:
        query = query.where(_of_folder(conn, folder))
    if user is not None:
        query = query.where(_of_subject(user, "user", schema.user))
    if team is not None:
        query = query.where(_of_subject(team, "team", schema.team))
    for key, value in (("actor", actor), ("action", action), ("channel", channel), ("group_id", group)):
        if value is not None:
            query = query.where(audit.c[key] == value)
    return [audit_row(row) for row in conn.execute(query)]


def _of_folder(conn: Connection, folder: OfFolder) -> Any:
    other, mailbox = audit.alias("other"), schema.mailbox
    tree: Any
    if folder.home is None:
        name, tree = f"shared:{folder.path}", mailbox.c.home_id.is_(None)
    else:
        home = select(schema.user.c.id).where(schema.user.c.name == folder.home).scalar_subquery()
        name, tree = f"user:{folder.home}:{folder.path}", mailbox.c.home_id == home

    def named(column: Any, text: str) -> Any:
        return or_(column == text, begins(conn, column, f"{text}/")) if folder.below else column == text

    now = select(mailbox.c.id).where(tree, named(mailbox.c.path, folder.path))
    # A team may be called shared:x.
    noun = or_(*(other.c.action.startswith(word) for word in ("folder-", "acl-")))
    logged = select(other.c.mailbox_id).where(named(other.c.object, name), noun, other.c.mailbox_id.isnot(None))
    return audit.c.mailbox_id.in_(now.union(logged))


def begins(conn: Connection, column: Any, prefix: str) -> Any:
    """The names that begin with *prefix*, which ends in ``/``; on SQLite a range of the index."""
    if conn.dialect.name == "sqlite":
        return column.between(prefix, prefix[:-1] + "0")  # '0' follows '/'
    return column.startswith(prefix, autoescape=True)


def _of_subject(name: str, noun: str, table: Any) -> Any:
    other = audit.alias("other")
    logged = select(other.c[f"{noun}_id"]).where(
        other.c.object == name, other.c.action.startswith(f"{noun}-"), other.c[f"{noun}_id"].isnot(None)
    )
    ids = select(table.c.id).where(table.c.name == name).union(logged)
    return or_(audit.c[f"{noun}_id"].in_(ids), audit.c[f"other_{noun}_id"].in_(ids))


def audit_row(row: Any) -> AuditRow:
    """A row of the table as a value."""
    values = {key: getattr(row, key) for key in ("id", *_FIELDS, "reason", "group_id", "mailbox_id")}
    values["before"], values["after"] = json.loads(row.before), json.loads(row.after)
    return AuditRow(**values, hash=bytes(row.hash))


def as_json(row: AuditRow) -> dict[str, Any]:
    """The row for ``--json``."""
    values = asdict(row)
    values["group"] = values.pop("group_id")
    values["hash"] = row.hash.hex()
    return values
