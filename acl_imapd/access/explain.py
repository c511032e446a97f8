"""Why somebody has a right, who has one, and what somebody has.  The evaluator is the server's own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from acl_imapd.access.listing import is_owner, rights_on
from acl_imapd.access.namespaces import Namespaces
from acl_imapd.access.rights import (
    NONE,
    IdentifierKind,
    Limited,
    Rights,
    effective_rights,
    format_rights,
    in_force,
    matches,
)
from acl_imapd.storage import accounts, roster
from acl_imapd.storage.database import Connection, time_of
from acl_imapd.storage.mailboxes import Mailbox, read_acl_source
from acl_imapd.storage.rights import AclEntry, read_acl
from acl_imapd.storage.roster import Edge, Memberships, Person, Way
from acl_imapd.storage.visible import read_user_names, read_visible
from acl_imapd.types import TeamId, UserId

ANYONE_IS_OFF = "acl.allow_anyone is off"


@dataclass(frozen=True, slots=True)
class Matched:
    """An entry that names the user, and by which way: ``bob → sub → project-x``."""

    entry: AclEntry
    via: tuple[str, ...]
    counts: bool
    because: str | None = None  # why it does not count: "it has ended", "the membership of bob in sub has ended"


@dataclass(frozen=True, slots=True)
class Led:
    """A team the user is in, or was or will be, and the memberships that lead there."""

    team: str
    via: tuple[str, ...]
    counts: bool
    because: str | None
    memberships: tuple[Edge, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """*teams*: by which team the user is in which now, ``("sub", "project-x")``; *led*: with the memberships."""

    user: str
    folder: str
    disabled: bool
    teams: tuple[tuple[str, ...], ...]
    led: tuple[Led, ...]
    inherited_from: str | None
    is_owner: bool
    owner: str | None
    owner_via: tuple[str, ...]  # by which teams, where the owner is a team that the user manages
    owner_because: str | None  # why a membership as manager does not make the user owner
    matched: tuple[Matched, ...]
    rights: str


def folder_name(conn: Connection, namespaces: Namespaces, mailbox: Mailbox) -> str:
    """The name as an administrator writes it."""
    home = read_user_names(conn, [mailbox.home_id])[mailbox.home_id] if mailbox.home_id is not None else None
    return namespaces.name(home, mailbox.path, None)


def owner_name(conn: Connection, mailbox: Mailbox) -> str | None:
    """``alice``, ``group:project-x``, or None for a folder that belongs to nobody."""
    user_id = mailbox.home_id if mailbox.home_id is not None else mailbox.owner_user_id
    if user_id is not None:
        return read_user_names(conn, [user_id]).get(user_id)
    if mailbox.owner_team_id is not None:
        name = roster.read_team_names(conn, [mailbox.owner_team_id]).get(mailbox.owner_team_id)
        return f"group:{name}" if name is not None else None
    return None


# -- why ------------------------------------------------------------------------------------------------------


def explain(
    conn: Connection,
    namespaces: Namespaces,
    user: accounts.User,
    mailbox: Mailbox,
    *,
    allow_anyone: bool,
    now: float | None = None,
) -> Explanation:
    """The chain from the user to its rights on the mailbox, and what of it does not count."""
    now = time_of(conn) if now is None else now
    ways = roster.read_memberships_above(conn, user.id).ways(user.id)
    identity = roster.identity_by(Person(user.id, user.name, user.disabled), ways, now)
    source = read_acl_source(conn, mailbox)
    acl = read_acl(conn, mailbox.acl_id)
    entries = acl.entries if acl is not None else ()
    owns = is_owner(mailbox, identity)
    managing = best_way([way for way in ways if way.manager and way.team_id == mailbox.owner_team_id], now)
    rights = effective_rights(entries, identity, is_owner=owns, allow_anyone=allow_anyone, now=now)
    # Whoever would be in every team and the owner: to find what names the user but does not count.
    teams = frozenset(way.team_id for way in ways)
    at_most = accounts.Identity(user.id, user.name, teams, teams, identity.domain)
    matched = tuple(
        _matched(entry, user.name, ways, owns=owns, managing=managing, allow_anyone=allow_anyone, now=now)
        for entry in entries
        if matches(entry.identifier, at_most, is_owner=owns or managing is not None)
    )
    led = tuple(_led(best_way(some, now), now) for some in _by_team(ways).values())
    return Explanation(
        user=user.name,
        folder=folder_name(conn, namespaces, mailbox),
        disabled=user.disabled,
        teams=tuple(sorted((one.via for one in led if one.counts), key=lambda via: (len(via), via))),
        led=tuple(sorted(led, key=lambda one: (len(one.via), one.via))),
        inherited_from=folder_name(conn, namespaces, source) if source.id != mailbox.id else None,
        is_owner=owns,
        owner=owner_name(conn, mailbox),
        owner_via=via_teams(managing) if managing is not None else (),
        owner_because=why_not(managing.edges, now) if managing is not None and not owns else None,
        matched=matched,
        rights="" if user.disabled else format_rights(rights),
    )


def _by_team(ways: Iterable[Way]) -> dict[TeamId, list[Way]]:
    found: dict[TeamId, list[Way]] = {}
    for way in ways:
        found.setdefault(way.team_id, []).append(way)
    return found


def best_way(ways: Sequence[Way], now: float) -> Way | None:
    """The shortest that is open now, else the shortest."""
    return next((way for way in ways if in_force(way, now)), ways[0] if ways else None)


def via_teams(way: Way) -> tuple[str, ...]:
    """The teams on the way: ``("berlin", "project-x")``."""
    return tuple(edge.team for edge in way.edges)


def _led(way: Way | None, now: float) -> Led:
    assert way is not None
    because = why_not(way.edges, now)
    return Led(way.edges[-1].team, via_teams(way), because is None, because, way.edges)


def _matched(
    entry: AclEntry,
    user: str,
    ways: Sequence[Way],
    *,
    owns: bool,
    managing: Way | None,
    allow_anyone: bool,
    now: float,
) -> Matched:
    via: tuple[str, ...] = (user,)
    because = _switched_off(entry, allow_anyone=allow_anyone) or _limit(entry, now, "it")
    if entry.identifier.kind == IdentifierKind.TEAM:
        way = best_way([way for way in ways if way.team_id == entry.identifier.id], now)
        assert way is not None
        via = (user, *via_teams(way))
        because = because or why_not(way.edges, now)
    elif entry.identifier.kind == IdentifierKind.OWNER and managing is not None and not owns:
        because = because or why_not(managing.edges, now)
    return Matched(entry, via, because is None, because)


def why_not(edges: Iterable[Edge], now: float) -> str | None:
    """Which membership on a way is not open now; None where all are."""
    for edge in edges:
        because = _limit(edge, now, f"the membership of {edge.member} in {edge.team}")
        if because is not None:
            return because
    return None


def _limit(one: Limited, now: float, what: str) -> str | None:
    if one.since is not None and now < one.since:
        return f"{what} has not begun"
    if one.until is not None and one.until <= now:
        return f"{what} has ended"
    return None


def _switched_off(entry: AclEntry, *, allow_anyone: bool) -> str | None:
    is_off = entry.identifier.kind == IdentifierKind.ANYONE and not allow_anyone and not entry.negative
    return ANYONE_IS_OFF if is_off else None


# -- who, and what --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Holder:
    user: str
    rights: str


_BROAD = (IdentifierKind.DOMAIN, IdentifierKind.AUTHENTICATED, IdentifierKind.ANYONE)


def who_can(
    conn: Connection, mailbox: Mailbox, wanted: Rights, *, allow_anyone: bool, now: float | None = None
) -> list[Holder]:
    """Every user who has all of *wanted* on the mailbox, with all its rights; a constant number of statements.

    It starts from whom the ACL names.  A domain, or everybody, is looked through only where what it is given
    suffices by itself; whoever has the rest by name or by a team is among those already.
    """
    now = time_of(conn) if now is None else now
    acl = read_acl(conn, mailbox.acl_id)
    entries = Entries(acl.entries if acl is not None else ())
    owner_teams = [mailbox.owner_team_id] if mailbox.owner_team_id is not None else []
    owners = [one for one in (mailbox.home_id, mailbox.owner_user_id) if one is not None]
    memberships = roster.read_memberships_below(conn, [mailbox.acl_id], owner_teams)
    people = roster.read_people_of(conn, [mailbox.acl_id], owner_teams, owners)
    domains = []
    for domain in (None, *entries.domains()):
        anybody = accounts.Identity(UserId(0), "", frozenset(), frozenset(), domain)
        given = effective_rights(entries.granting(), anybody, is_owner=False, allow_anyone=allow_anyone, now=now)
        if given and given & wanted == wanted:
            if domain is None:
                people.update(roster.read_everybody(conn))
                break
            domains.append(domain)
    people.update(roster.read_people_in(conn, domains))
    found = []
    for person in people.values():
        if not person.disabled:
            rights = rights_of(person, mailbox, entries, memberships, allow_anyone=allow_anyone, now=now)
            if rights and rights & wanted == wanted:
                found.append(Holder(person.name, format_rights(rights)))
    return sorted(found, key=lambda holder: holder.user)


class Entries:
    """The entries of an ACL, so kept that those which can concern somebody are found without a look at all."""

    def __init__(self, entries: Sequence[AclEntry]) -> None:
        self.all = tuple(entries)
        self.common = [one for one in entries if one.identifier.kind != IdentifierKind.USER]
        self._own: dict[int, list[AclEntry]] = {}
        for one in entries:
            if one.identifier.kind == IdentifierKind.USER:
                self._own.setdefault(one.identifier.id, []).append(one)

    def of(self, user_id: UserId) -> Sequence[AclEntry]:
        """Those that can concern the user."""
        own = self._own.get(user_id)
        return self.common if own is None else [*self.common, *own]

    def own(self, user_id: UserId) -> Sequence[AclEntry]:
        """Those that name the user itself."""
        return self._own.get(user_id, ())

    def granting(self) -> list[AclEntry]:
        """Those that give something to a domain or to everybody."""
        return [one for one in self.common if not one.negative and one.identifier.kind in _BROAD]

    def domains(self) -> list[str]:
        """The domains that are given something."""
        kind = IdentifierKind.DOMAIN
        return sorted({one.identifier.name.partition(":")[2] for one in self.granting() if one.identifier.kind == kind})


def rights_of(
    person: Person, mailbox: Mailbox, entries: Entries, memberships: Memberships, *, allow_anyone: bool, now: float
) -> Rights:
    """What the person may do with the mailbox, whose ACL and owner's teams *memberships* are of."""
    identity = roster.identity_by(person, memberships.ways(person.id), now)
    return rights_on(mailbox, entries.of(person.id), identity, allow_anyone=allow_anyone, now=now)


@dataclass(frozen=True, slots=True)
class Held:
    folder: str
    rights: str


def what_can(
    conn: Connection,
    namespaces: Namespaces,
    user_id: UserId,
    *,
    allow_anyone: bool,
    wanted: Rights = NONE,
    now: float | None = None,
) -> list[Held]:
    """Every folder on which the user has all of *wanted*, or any right, in a constant number of statements."""
    now = time_of(conn) if now is None else now
    identity = accounts.read_identity(conn, user_id)
    if identity is None:
        return []
    identity = identity.at(now)
    visible = read_visible(conn, identity, include_anyone=allow_anyone)
    found = []
    for mailbox in visible.mailboxes:
        acl = visible.acls[mailbox.acl_id]
        rights = rights_on(mailbox, acl.entries, identity, allow_anyone=allow_anyone, now=now)
        if rights and rights & wanted == wanted:
            home = visible.homes[mailbox.home_id] if mailbox.home_id is not None else None
            found.append(Held(namespaces.name(home, mailbox.path, None), format_rights(rights)))
    return sorted(found, key=lambda held: held.folder)
