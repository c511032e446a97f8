"""The policy a site has, as a document."""

from __future__ import annotations

from collections.abc import Sequence

from acl_imapd.access.namespaces import Namespaces
from acl_imapd.access.rights import ALL, IdentifierKind, format_rights
from acl_imapd.storage import accounts, mailboxes, policy, rights
from acl_imapd.storage.database import Connection, time_of
from acl_imapd.storage.mailboxes import Mailbox
from acl_imapd.storage.rights import AclEntry
from acl_imapd.types import UserId

from .policy_file import Entry, Folder, Member, Policy, Role, Team, Terms


def read_policy(conn: Connection, namespaces: Namespaces) -> Policy:
    """Roles, teams, and folders: all shared ones, and personal ones that differ from what a user begins with."""
    now = time_of(conn)
    teams = accounts.list_teams(conn)
    members = accounts.list_all_members(conn)
    return Policy(
        tuple(Role(one.name, one.rights) for one in rights.list_roles(conn)),
        tuple(
            Team(one.name, tuple(member_of(m) for m in members.get(one.id, ()) if m.until is None or m.until > now))
            for one in teams
        ),
        _folders(conn, namespaces, {one.id: f"group:{one.name}" for one in teams}, now),
    )


def member_of(one: accounts.Member) -> Member:
    """A membership as the file has it."""
    return Member(one.name, bool(one.manager), Terms(one.since, one.until, one.reason))


def entry_of(one: AclEntry) -> Entry:
    """An entry as the file has it."""
    terms = Terms(one.since, one.until, one.reason)
    return Entry(one.identifier.name, one.negative, one.role or one.rights, terms, one.subscribe or one.negative)


def _folders(conn: Connection, namespaces: Namespaces, teams: dict[int, str], now: float) -> tuple[Folder, ...]:
    found = [*mailboxes.list_shared(conn), *policy.list_personal_exceptions(conn)]
    acls = rights.read_acls(conn, sorted({one.acl_id for one in found if one.acl_own}))
    names = policy.read_names(conn, found)
    users = {one.id: one.name for one in accounts.list_users(conn)}
    folders = []
    for one in found:
        entries = acls[one.acl_id].entries if one.acl_own else ()
        entries = tuple(entry for entry in entries if entry.until is None or entry.until > now)
        own_seen = one.seen_shared if one.parent_id is None else one.seen_own
        if one.home_id is not None and not own_seen and _is_default(one, entries):
            continue
        folders.append(
            Folder(
                str(namespaces.name(*names[one.id], None)),
                _owner(one, users, teams) if one.home_id is None else None,
                ("shared" if one.seen_shared else "private") if one.seen_own else None,
                inherit=not one.acl_own,
                entries=tuple(map(entry_of, entries)) if one.acl_own else None,
            )
        )
    return tuple(folders)


def _owner(one: Mailbox, users: dict[UserId, str], teams: dict[int, str]) -> str:
    if one.owner_user_id is not None:
        return users[one.owner_user_id]
    return teams[one.owner_team_id] if one.owner_team_id is not None else "none"


def _is_default(one: Mailbox, entries: Sequence[AclEntry]) -> bool:
    """True of the ACL that a personal mailbox at the top begins with."""
    if one.parent_id is not None or len(entries) != 1:
        return one.parent_id is not None and not one.acl_own
    (entry,) = entries
    of_user = entry.identifier.kind == IdentifierKind.USER and entry.identifier.id == one.home_id
    plain = not entry.negative and entry.role is None and entry.since is None and entry.until is None
    return of_user and plain and entry.reason is None and entry.rights == format_rights(ALL)
