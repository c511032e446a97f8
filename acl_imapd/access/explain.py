"""Why somebody has a right, who has one, and what somebody has.  The evaluator is the server's own."""

from __future__ import annotations

import time
from dataclasses import dataclass

from acl_imapd.access.namespaces import Namespaces
from acl_imapd.access.rights import (
    OWNER_KEEPS,
    IdentifierKind,
    Ownership,
    Rights,
    effective_rights,
    format_rights,
    matches,
)
from acl_imapd.storage import accounts, mailboxes
from acl_imapd.storage.accounts import Identity
from acl_imapd.storage.database import Connection
from acl_imapd.storage.mailboxes import Mailbox
from acl_imapd.storage.rights import AclEntry, read_acl
from acl_imapd.storage.visible import read_team_paths, read_user_names, read_visible
from acl_imapd.types import TeamId, UserId


@dataclass(frozen=True, slots=True)
class Matched:
    """An entry that counts for the user, and by which way: ``bob → sub → project-x``."""

    entry: AclEntry
    via: tuple[str, ...]
    counts: bool
    because: str | None = None  # why it does not count: "anyone is switched off", "has ended", "has not begun"


@dataclass(frozen=True, slots=True)
class Explanation:
    user: str
    folder: str
    disabled: bool
    teams: tuple[tuple[str, ...], ...]  # by which team the user is in which: ("sub", "project-x")
    inherited_from: str | None
    is_owner: bool
    owner: str | None
    matched: tuple[Matched, ...]
    rights: str


def is_owner(mailbox: Mailbox, identity: Identity) -> bool:
    """True when the mailbox is the user's, or its team's and the user manages it."""
    if mailbox.home_id is not None:
        return mailbox.home_id == identity.user_id
    return Ownership(mailbox.owner_user_id, mailbox.owner_team_id).includes(identity)


def folder_name(conn: Connection, namespaces: Namespaces, mailbox: Mailbox) -> str:
    """The name as an administrator writes it."""
    home = read_user_names(conn, [mailbox.home_id])[mailbox.home_id] if mailbox.home_id is not None else None
    return namespaces.name(home, mailbox.path, None)


def explain(
    conn: Connection, namespaces: Namespaces, user: accounts.User, mailbox: Mailbox, *, allow_anyone: bool
) -> Explanation:
    """The chain from the user to its rights on the mailbox."""
    identity = accounts.read_identity(conn, user.id)
    now = time.time()
    name = folder_name(conn, namespaces, mailbox)
    source = mailbox
    while not source.acl_own and source.parent_id is not None:
        parent = mailboxes.read_mailbox_by_id(conn, source.parent_id)
        assert parent is not None
        source = parent
    inherited = folder_name(conn, namespaces, source) if source.id != mailbox.id else None
    owner = owner_name(conn, mailbox)
    if identity is None:
        return Explanation(user.name, name, True, (), inherited, False, owner, (), "")
    acl = read_acl(conn, mailbox.acl_id)
    entries = acl.entries if acl is not None else ()
    owns = is_owner(mailbox, identity)
    paths = read_team_paths(conn, user.id)
    teams = tuple(sorted(paths.values(), key=lambda path: (len(path), path)))
    matched = tuple(
        Matched(
            entry,
            _via(user.name, entry, paths),
            not (why := _why_not(entry, now, allow_anyone=allow_anyone)),
            why or None,
        )
        for entry in entries
        if matches(entry.identifier, identity, is_owner=owns)
    )
    rights = effective_rights(entries, identity, is_owner=owns, allow_anyone=allow_anyone, now=now)
    return Explanation(user.name, name, False, teams, inherited, owns, owner, matched, format_rights(rights))


def _why_not(entry: AclEntry, now: float, *, allow_anyone: bool) -> str:
    if entry.identifier.kind == IdentifierKind.ANYONE and not allow_anyone and not entry.negative:
        return "acl.allow_anyone is off"
    if entry.since is not None and now < entry.since:
        return "it has not begun"
    if entry.until is not None and entry.until <= now:
        return "it has ended"
    return ""


def _via(user: str, entry: AclEntry, paths: dict[TeamId, tuple[str, ...]]) -> tuple[str, ...]:
    if entry.identifier.kind == IdentifierKind.TEAM:
        return (user, *paths.get(TeamId(entry.identifier.id), ()))
    return (user,)


def owner_name(conn: Connection, mailbox: Mailbox) -> str | None:
    """``alice``, ``group:project-x``, or None for a folder that belongs to nobody."""
    user_id = mailbox.home_id if mailbox.home_id is not None else mailbox.owner_user_id
    if user_id is not None:
        return read_user_names(conn, [user_id]).get(user_id)
    if mailbox.owner_team_id is not None:
        found = [team for team in accounts.list_teams(conn) if team.id == mailbox.owner_team_id]
        return f"group:{found[0].name}" if found else None
    return None


@dataclass(frozen=True, slots=True)
class Holder:
    user: str
    rights: str


def who_can(conn: Connection, mailbox: Mailbox, wanted: Rights, *, allow_anyone: bool) -> list[Holder]:
    """Every user who has all of *wanted* on the mailbox, with all its rights; a constant number of queries."""
    acl = read_acl(conn, mailbox.acl_id)
    entries = acl.entries if acl is not None else ()
    found = []
    now = time.time()
    for identity in accounts.read_identities(conn):
        rights = effective_rights(
            entries, identity, is_owner=is_owner(mailbox, identity), allow_anyone=allow_anyone, now=now
        )
        if rights and rights & wanted == wanted:
            found.append(Holder(identity.name, format_rights(rights)))
    return sorted(found, key=lambda holder: holder.user)


@dataclass(frozen=True, slots=True)
class Held:
    folder: str
    rights: str


def what_can(conn: Connection, namespaces: Namespaces, user_id: UserId, *, allow_anyone: bool) -> list[Held]:
    """Every folder on which the user has a right, in a constant number of queries."""
    identity = accounts.read_identity(conn, user_id)
    if identity is None:
        return []
    visible = read_visible(conn, identity, include_anyone=allow_anyone)
    found = []
    for mailbox in visible.mailboxes:
        acl = visible.acls[mailbox.acl_id]
        rights = effective_rights(
            acl.entries, identity, is_owner=is_owner(mailbox, identity), allow_anyone=allow_anyone, now=time.time()
        )
        if rights:
            home = visible.homes[mailbox.home_id] if mailbox.home_id is not None else None
            found.append(Held(namespaces.name(home, mailbox.path, None), format_rights(rights)))
    return sorted(found, key=lambda held: held.folder)


__all__ = ["OWNER_KEEPS", "Explanation", "Held", "Holder", "Matched", "explain", "what_can", "who_can"]
