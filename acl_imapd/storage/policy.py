"""What a policy file is compared with, and what the applying of one has touched: sets, by index."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, or_, select

from acl_imapd.storage import schema
from acl_imapd.storage.accounts import Actor
from acl_imapd.storage.audit import AuditRow, audit_row
from acl_imapd.storage.epochs import bump, lock_site
from acl_imapd.storage.mailboxes import Mailbox
from acl_imapd.storage.rights import own_acl, read_acl
from acl_imapd.storage.schema import acl_entry, audit, mailbox, team_member, user
from acl_imapd.types import AclId, MailboxId, TeamId, UserId

_AT_ONCE = 500


def _chunks(values: Iterable[Any]) -> Iterable[list[Any]]:
    known = sorted(set(values))
    return (known[start : start + _AT_ONCE] for start in range(0, len(known), _AT_ONCE))


def _scalars(conn: Connection, query: Any, column: Any, values: Iterable[Any]) -> Iterable[Any]:
    return (one for some in _chunks(values) for one in conn.execute(query.where(column.in_(some))).scalars())


def read_user_ids(conn: Connection, names: Iterable[str]) -> dict[str, UserId]:
    """The ids of those users that exist."""
    query = select(user.c.name, user.c.id)
    return {row.name: row.id for some in _chunks(names) for row in conn.execute(query.where(user.c.name.in_(some)))}


def read_mailboxes_at(conn: Connection, home_id: UserId | None, paths: Iterable[str]) -> dict[str, Mailbox]:
    """The mailboxes at those places of one tree."""
    tree: Any = mailbox.c.home_id.is_(None) if home_id is None else mailbox.c.home_id == home_id
    query = select(mailbox).where(tree)
    rows = (row for some in _chunks(paths) for row in conn.execute(query.where(mailbox.c.path.in_(some))))
    return {row.path: Mailbox(*row) for row in rows}


def list_personal_exceptions(conn: Connection) -> list[Mailbox]:
    r"""The personal mailboxes that have an ACL or a way of keeping \Seen of their own."""
    own = or_(mailbox.c.acl_own, mailbox.c.seen_own)
    query = select(mailbox).where(mailbox.c.home_id.isnot(None), own).order_by(mailbox.c.home_id, mailbox.c.path)
    return [Mailbox(*row) for row in conn.execute(query)]


@dataclass(frozen=True, slots=True)
class Touched:
    """A row of the audit log with the ids of whom it concerns."""

    row: AuditRow
    user_id: UserId | None
    team_ids: tuple[TeamId, ...]


def read_group(conn: Connection, group: str) -> list[Touched]:
    """The changes that were made as one, in their order."""
    found = []
    for row in conn.execute(select(audit).where(audit.c.group_id == group).order_by(audit.c.id)):
        teams = tuple(TeamId(one) for one in (row.team_id, row.other_team_id) if one is not None)
        found.append(Touched(audit_row(row), row.user_id, teams))
    return found


def read_teams_above(conn: Connection, ids: Iterable[TeamId]) -> set[TeamId]:
    """Those teams and, at any depth, those they are members of."""
    return _closure(conn, ids, team_member.c.team_id, team_member.c.member_team_id)


def _closure(conn: Connection, ids: Iterable[TeamId], wanted: Any, known: Any) -> set[TeamId]:
    found: set[TeamId] = set()
    pending = set(ids)
    while pending:
        found |= pending
        reached = {
            TeamId(one)
            for some in _chunks(pending)
            for one in conn.execute(select(wanted).where(known.in_(some), wanted.isnot(None))).scalars()
        }
        pending = reached - found
    return found


def read_users_below(conn: Connection, ids: Iterable[TeamId]) -> set[UserId]:
    """Whoever is in one of those teams, at any depth, now or then."""
    below = _closure(conn, ids, team_member.c.member_team_id, team_member.c.team_id)
    query = select(team_member.c.user_id).where(team_member.c.user_id.isnot(None))
    return {UserId(one) for one in _scalars(conn, query, team_member.c.team_id, below)}


def read_mailbox_ids_of_teams(conn: Connection, ids: Iterable[TeamId]) -> set[MailboxId]:
    """The mailboxes that those teams own, or are named for."""
    found: set[MailboxId] = set()
    for some in _chunks(ids):
        named = select(acl_entry.c.acl_id).where(acl_entry.c.team_id.in_(some))
        found.update(conn.execute(select(mailbox.c.id).where(mailbox.c.acl_id.in_(named))).scalars())
        found.update(conn.execute(select(mailbox.c.id).where(mailbox.c.owner_team_id.in_(some))).scalars())
    return found


def read_mailbox_ids_by_acl(conn: Connection, ids: Iterable[AclId]) -> set[MailboxId]:
    """The mailboxes those ACLs hold for."""
    query = select(mailbox.c.id)
    return {MailboxId(one) for one in _scalars(conn, query, mailbox.c.acl_id, ids)}


def read_names(conn: Connection, mailboxes: Sequence[Mailbox]) -> dict[MailboxId, tuple[str | None, str]]:
    """Whose tree (None: the shared one) and path of each."""
    homes: dict[int, str] = {}
    for some in _chunks(one.home_id for one in mailboxes if one.home_id is not None):
        rows = conn.execute(select(schema.user.c.id, schema.user.c.name).where(schema.user.c.id.in_(some)))
        homes.update((row.id, row.name) for row in rows)
    return {one.id: (homes[one.home_id] if one.home_id is not None else None, one.path) for one in mailboxes}


def begin_acl(conn: Connection, actor: Actor, of: Mailbox) -> None:
    """Give a mailbox that follows its parent an ACL of its own, with what it inherits."""
    lock_site(conn)
    inherited = read_acl(conn, of.acl_id)
    assert inherited is not None
    own_acl(conn, actor, of, inherited)
    bump(conn, acl=True, tree=True)
