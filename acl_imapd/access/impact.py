"""Whose rights on what some changes alter.  The evaluator is the server's own.

The state is captured twice, with the changes and without: the mailboxes concerned, their ACLs, the memberships below
the teams these name.  Whom a difference can concern is found from the differences, so the cost follows the changes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from acl_imapd.access.explain import Entries
from acl_imapd.access.listing import rights_on
from acl_imapd.access.namespaces import Namespaces
from acl_imapd.access.rights import NONE, IdentifierKind, Rights, format_rights
from acl_imapd.storage import policy, roster
from acl_imapd.storage.accounts import Identity
from acl_imapd.storage.database import Connection
from acl_imapd.storage.mailboxes import Mailbox, read_descendants, read_mailboxes
from acl_imapd.storage.rights import Acl, AclEntry, read_acls, read_changed_acls
from acl_imapd.storage.roster import Memberships, Person
from acl_imapd.types import AclId, MailboxId, TeamId, UserId

_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Scope:
    """What changes can concern: the mailboxes, and the people whose memberships they touch."""

    mailbox_ids: frozenset[MailboxId]
    user_ids: frozenset[UserId]


def find_scope(conn: Connection, changes: Iterable[policy.Touched], acl_epoch: int) -> Scope:
    """What the changes of a group can concern; to be asked after them, with the epoch of before."""
    touched = list(changes)
    ids = {MailboxId(one.row.mailbox_id) for one in touched if one.row.mailbox_id is not None}
    own = {
        MailboxId(one.row.mailbox_id)
        for one in touched
        if one.row.mailbox_id is not None and one.row.action in ("acl-own", "acl-set", "acl-remove")
    }
    acl_ids = set(read_changed_acls(conn, acl_epoch))
    acl_ids |= {one.acl_id for one in read_mailboxes(conn, sorted(own)) if one.acl_own}
    inherited = {MailboxId(one.row.mailbox_id or 0) for one in touched if one.row.action == "acl-inherit"}
    for mailbox in read_mailboxes(conn, sorted(inherited)):
        ids |= {one.id for one in read_descendants(conn, mailbox) if one.acl_id == mailbox.acl_id}
    ids |= policy.read_mailbox_ids_by_acl(conn, acl_ids)
    joined = [one for one in touched if one.row.action in ("team-join", "team-leave")]
    users = {one.user_id for one in joined if one.user_id is not None}
    users |= policy.read_users_below(conn, {team for one in joined for team in one.team_ids[1:]})
    teams: set[TeamId] = policy.read_teams_above(conn, {one.team_ids[0] for one in joined})
    if users:
        ids |= policy.read_mailbox_ids_of_teams(conn, teams)
    return Scope(frozenset(ids), frozenset(users))


@dataclass(frozen=True, slots=True)
class Captured:
    """What the rights on some mailboxes follow from, at one state."""

    mailboxes: dict[MailboxId, Mailbox]
    acls: dict[AclId, Acl]
    memberships: Memberships


def capture(conn: Connection, scope: Scope) -> Captured:
    """The state now of what *scope* names."""
    mailboxes = {one.id: one for one in read_mailboxes(conn, sorted(scope.mailbox_ids))}
    acl_ids = sorted({one.acl_id for one in mailboxes.values()})
    owners = sorted({one.owner_team_id for one in mailboxes.values() if one.owner_team_id is not None})
    edges: dict[roster.Edge, None] = {}
    for start in range(0, max(len(acl_ids), len(owners)), _AT_ONCE):
        end = start + _AT_ONCE
        found = roster.read_memberships_below(conn, acl_ids[start:end], owners[start:end])
        edges.update(dict.fromkeys(found.edges))
    return Captured(mailboxes, read_acls(conn, acl_ids), Memberships(list(edges)))


@dataclass(frozen=True, slots=True)
class Shift:
    """What a user may do before and after; empty: nothing, and the folder does not exist for it."""

    user: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Impact:
    """Folders with the same rights before and after, by name, and whose rights on each of them change."""

    folders: tuple[str, ...]
    shifts: tuple[Shift, ...]


def find_impacts(
    conn: Connection,
    namespaces: Namespaces,
    scope: Scope,
    before: Captured,
    after: Captured,
    *,
    allow_anyone: bool,
    now: float,
) -> list[Impact]:
    """Every user and folder whose effective rights differ between the two states."""
    grouped: dict[object, list[MailboxId]] = {}
    for ident, mailbox in after.mailboxes.items():
        grouped.setdefault((_key(before.mailboxes.get(ident)), _key(mailbox)), []).append(ident)
    sides = [_Side(before, allow_anyone, now), _Side(after, allow_anyone, now)]
    names = policy.read_names(conn, list(after.mailboxes.values()))
    people = _People(conn)
    found = []
    for ids in grouped.values():
        shifts = []
        for user_id in sorted(_concerned(people, sides, ids[0]) | scope.user_ids):
            person = people.of(user_id)
            was, becomes = (side.rights(person, ids[0]) for side in sides)
            if was != becomes:
                shifts.append(Shift(person.name, format_rights(was), format_rights(becomes)))
        if shifts:
            folders = sorted(str(namespaces.name(*names[ident], None)) for ident in ids)
            found.append(Impact(tuple(folders), tuple(sorted(shifts, key=lambda one: one.user))))
    return sorted(found, key=lambda one: one.folders)


def _key(mailbox: Mailbox | None) -> object:
    if mailbox is None:
        return None
    return (mailbox.acl_id, mailbox.home_id, mailbox.owner_user_id, mailbox.owner_team_id)


class _Side:
    """One of the two states, to ask."""

    def __init__(self, captured: Captured, allow_anyone: bool, now: float) -> None:
        self._captured = captured
        self._allow_anyone = allow_anyone
        self._now = now
        self._identities: dict[UserId, Identity] = {}
        self._entries: dict[AclId, Entries] = {}
        self._below: dict[int, set[UserId]] = {}
        for user_id in captured.memberships.users():
            for way in captured.memberships.ways(user_id):
                self._below.setdefault(way.team_id, set()).add(user_id)

    def mailbox(self, ident: MailboxId) -> Mailbox | None:
        return self._captured.mailboxes.get(ident)

    def entries(self, ident: MailboxId) -> tuple[AclEntry, ...]:
        mailbox = self.mailbox(ident)
        return self._captured.acls[mailbox.acl_id].entries if mailbox is not None else ()

    def below(self, team_id: int) -> set[UserId]:
        return self._below.get(team_id, set())

    def owners(self, ident: MailboxId) -> set[UserId]:
        mailbox = self.mailbox(ident)
        if mailbox is None:
            return set()
        owners = {one for one in (mailbox.home_id, mailbox.owner_user_id) if one is not None}
        return owners | (self.below(mailbox.owner_team_id) if mailbox.owner_team_id is not None else set())

    def rights(self, person: Person, ident: MailboxId) -> Rights:
        mailbox = self.mailbox(ident)
        if mailbox is None or person.disabled:
            return NONE
        identity = self._identities.get(person.id)
        if identity is None:
            identity = roster.identity_by(person, self._captured.memberships.ways(person.id), self._now)
            self._identities[person.id] = identity
        entries = self._entries.get(mailbox.acl_id)
        if entries is None:
            entries = self._entries[mailbox.acl_id] = Entries(self._captured.acls[mailbox.acl_id].entries)
        return rights_on(mailbox, entries.of(person.id), identity, allow_anyone=self._allow_anyone, now=self._now)


class _People:
    """Users, read when they are asked for."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self._known: dict[UserId, Person] = {}
        self._all = False

    def of(self, user_id: UserId) -> Person:
        if user_id not in self._known:
            self._known.update(roster.read_people_of(self._conn, [], [], [user_id]))
        return self._known[user_id]

    def everybody(self, domain: str | None) -> set[UserId]:
        if not self._all:
            self._known, self._all = roster.read_everybody(self._conn), True
        return {one.id for one in self._known.values() if domain is None or one.domain == domain}


def _concerned(people: _People, sides: list[_Side], ident: MailboxId) -> set[UserId]:
    """Whom the entries name that are not the same on both sides, and the owners where these are not."""
    states = [{_state(entry) for entry in side.entries(ident)} for side in sides]
    found: set[UserId] = set()
    owners = [side.owners(ident) for side in sides]
    if owners[0] != owners[1] or _key(sides[0].mailbox(ident)) is None:
        found |= owners[0] | owners[1]
    for kind, number, name, *_ in states[0] ^ states[1]:
        if kind == IdentifierKind.USER:
            found.add(UserId(number))
        elif kind == IdentifierKind.TEAM:
            found |= sides[0].below(number) | sides[1].below(number)
        elif kind == IdentifierKind.OWNER:
            found |= owners[0] | owners[1]
        else:
            found |= people.everybody(name.partition(":")[2] if kind == IdentifierKind.DOMAIN else None)
    return found


def _state(entry: AclEntry) -> tuple[IdentifierKind, int, str, bool, str, float | None, float | None]:
    one = entry.identifier
    return one.kind, one.id, one.name, entry.negative, entry.rights, entry.since, entry.until
