"""Who is whom: the memberships above a user, those below the teams that ACLs name, and the people they lead to.

What reports start from.  Each reading is one indexed statement, and costs what is found, not what exists.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, select, text

from acl_imapd.storage.accounts import Identity, Membership, domain_of, make_identity
from acl_imapd.storage.schema import acl_entry, team, user
from acl_imapd.types import AclId, TeamId, UserId


@dataclass(frozen=True, slots=True)
class Edge:
    """A membership: *member* is ``bob`` or ``group:berlin``."""

    team_id: TeamId
    team: str
    user_id: UserId | None
    member_team_id: TeamId | None
    member: str
    manager: bool
    since: float | None
    until: float | None
    added_by: str | None
    added_at: float | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Person:
    """A user, as far as reports speak of it."""

    id: UserId
    name: str
    disabled: bool

    @property
    def domain(self) -> str | None:
        """What follows the ``@`` of the name."""
        return domain_of(self.name)


@dataclass(frozen=True, slots=True)
class Way:
    """A way from a user up to a team: open from the latest *since* to the earliest *until* of its memberships."""

    edges: tuple[Edge, ...]
    since: float | None
    until: float | None

    @property
    def team_id(self) -> TeamId:
        return self.edges[-1].team_id

    @property
    def manager(self) -> bool:
        """True where it makes the user a manager of the team: by its last membership."""
        return self.edges[-1].manager


class Memberships:
    """Some edges, and the ways they make."""

    def __init__(self, edges: Sequence[Edge]) -> None:
        self.edges = edges
        self._above: dict[tuple[bool, int], list[Edge]] = {}
        for edge in edges:
            key = (True, edge.user_id) if edge.user_id is not None else (False, edge.member_team_id or 0)
            self._above.setdefault(key, []).append(edge)

    def users(self) -> set[UserId]:
        """Whoever is a member of something directly."""
        return {edge.user_id for edge in self.edges if edge.user_id is not None}

    def lasting_above(self, team_id: int) -> frozenset[int]:
        """The teams that the team is in without a limit, at any depth."""
        found: set[int] = set()
        pending = [team_id]
        while pending:
            for edge in self._above.get((False, pending.pop()), ()):
                if edge.since is None and edge.until is None and edge.team_id not in found:
                    found.add(edge.team_id)
                    pending.append(edge.team_id)
        return frozenset(found)

    def ways(self, user_id: UserId) -> list[Way]:
        """The shortest way from the user to each team for each pair of limits, the short ones first."""
        found: dict[tuple[TeamId, bool, float | None, float | None], Way] = {}
        pending = [Way((edge,), edge.since, edge.until) for edge in self._above.get((True, user_id), ())]
        for way in pending:  # grows meanwhile
            key = (way.team_id, way.manager, way.since, way.until)
            if key in found:
                continue
            found[key] = way
            pending += [
                Way((*way.edges, edge), latest(way.since, edge.since), earliest(way.until, edge.until))
                for edge in self._above.get((False, way.team_id), ())
            ]
        return list(found.values())


def latest(one: float | None, other: float | None) -> float | None:
    """The later of two beginnings; None: it always held."""
    return other if one is None else one if other is None else max(one, other)


def earliest(one: float | None, other: float | None) -> float | None:
    """The earlier of two ends; None: there is none."""
    return other if one is None else one if other is None else min(one, other)


def identity_by(person: Person, ways: Sequence[Way], now: float) -> Identity:
    """The person for the evaluator at *now*, in the teams that *ways* lead to."""
    memberships = [Membership(way.team_id, way.manager, way.since, way.until) for way in ways]
    return make_identity(person.id, person.name, person.domain, memberships, now)


_EDGES = (
    " SELECT m.team_id, t.name AS team, m.user_id, m.member_team_id, u.name AS user_name, mt.name AS member_team,"
    " m.manager, m.since, m.until, m.added_by, m.added_at, m.reason"
    " FROM team_member m JOIN team t ON t.id = m.team_id LEFT JOIN user_account u ON u.id = m.user_id"
    " LEFT JOIN team mt ON mt.id = m.member_team_id"
)
_ABOVE = text(
    "WITH RECURSIVE above(id) AS (SELECT team_id FROM team_member WHERE user_id = :user_id"
    " UNION SELECT up.team_id FROM team_member up JOIN above ON up.member_team_id = above.id)"
    + _EDGES + " WHERE m.user_id = :user_id UNION ALL"
    + _EDGES + " WHERE m.member_team_id IN (SELECT id FROM above)"
)  # fmt: skip
_TEAMS_BELOW = (
    "WITH RECURSIVE below(id) AS ("
    "SELECT team_id FROM acl_entry WHERE acl_id IN :acl_ids AND team_id IS NOT NULL"
    " UNION SELECT id FROM team WHERE id IN :team_ids"
    " UNION SELECT down.member_team_id FROM team_member down JOIN below ON down.team_id = below.id"
    " WHERE down.member_team_id IS NOT NULL)"
)
_SETS: tuple[Any, ...] = (bindparam("acl_ids", expanding=True), bindparam("team_ids", expanding=True))
_BELOW = text(_TEAMS_BELOW + _EDGES + " WHERE m.team_id IN (SELECT id FROM below)").bindparams(*_SETS)


def _edges(rows: Any) -> Memberships:
    found = [
        Edge(
            row.team_id, row.team, row.user_id, row.member_team_id,
            row.user_name if row.user_id is not None else f"group:{row.member_team}", bool(row.manager),
            row.since, row.until, row.added_by, row.added_at, row.reason,
        )
        for row in rows
    ]  # fmt: skip
    return Memberships(sorted(found, key=lambda edge: (edge.team, edge.member)))


def read_memberships_above(conn: Connection, user_id: UserId) -> Memberships:
    """The memberships by which the user is in teams, those begun, ended and to come alike."""
    return _edges(conn.execute(_ABOVE, {"user_id": user_id}))


def read_memberships_below(conn: Connection, acl_ids: Sequence[AclId], team_ids: Sequence[TeamId]) -> Memberships:
    """The memberships by which somebody is in *team_ids* or in a team that one of the ACLs names."""
    return _edges(conn.execute(_BELOW, {"acl_ids": list(acl_ids), "team_ids": list(team_ids)}))


_PEOPLE = select(user.c.id, user.c.name, user.c.disabled)
_NAMED = _PEOPLE.where(
    user.c.id.in_(
        select(acl_entry.c.user_id).where(
            acl_entry.c.acl_id.in_(bindparam("acl_ids", expanding=True)), acl_entry.c.user_id.isnot(None)
        )
    )
)
_MEMBERS = text(
    _TEAMS_BELOW + " SELECT DISTINCT u.id, u.name, u.disabled FROM user_account u"
    " JOIN team_member m ON m.user_id = u.id WHERE m.team_id IN (SELECT id FROM below)"
).bindparams(*_SETS)


def _people(rows: Any) -> dict[UserId, Person]:
    return {UserId(row.id): Person(UserId(row.id), row.name, bool(row.disabled)) for row in rows}


def read_people_of(
    conn: Connection, acl_ids: Sequence[AclId], team_ids: Sequence[TeamId], user_ids: Sequence[UserId]
) -> dict[UserId, Person]:
    """Whom the ACLs name, by themselves and by teams, the members of *team_ids*, and *user_ids*; three statements."""
    found = _people(conn.execute(_NAMED, {"acl_ids": list(acl_ids)}))
    found.update(_people(conn.execute(_MEMBERS, {"acl_ids": list(acl_ids), "team_ids": list(team_ids)})))
    if user_ids:
        found.update(_people(conn.execute(_PEOPLE.where(user.c.id.in_(user_ids)))))
    return found


def read_people_in(conn: Connection, domains: Sequence[str]) -> dict[UserId, Person]:
    """Whoever's name ends in one of the domains."""
    return _people(conn.execute(_PEOPLE.where(user.c.domain.in_(domains)))) if domains else {}


def read_everybody(conn: Connection) -> dict[UserId, Person]:
    """All users."""
    return _people(conn.execute(_PEOPLE))


def read_team_names(conn: Connection, ids: Sequence[TeamId]) -> dict[TeamId, str]:
    """The names of those teams."""
    if not ids:
        return {}
    return {TeamId(row.id): row.name for row in conn.execute(select(team.c.id, team.c.name).where(team.c.id.in_(ids)))}
