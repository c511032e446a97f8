"""Who has access to what, why, since and until when, when it was last used, and what of it needs a look.

Folder by folder, so that a site of any size is reviewed in little memory.  The evaluator is the server's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from acl_imapd.access.explain import ANYONE_IS_OFF, Entries, best_way, rights_of, via_teams
from acl_imapd.access.lints import covers, letter_lints, may_take_from_many, names_all_of
from acl_imapd.access.listing import is_owner, rights_on
from acl_imapd.access.namespaces import Namespaces
from acl_imapd.access.rights import (
    NONE,
    OWNER_KEEPS,
    IdentifierKind,
    Rights,
    format_rights,
    in_force,
    matches,
    parse_rights,
)
from acl_imapd.storage import reviewed
from acl_imapd.storage.accounts import Identity, domain_of
from acl_imapd.storage.database import Connection
from acl_imapd.storage.mailboxes import Mailbox
from acl_imapd.storage.reviewed import Background
from acl_imapd.storage.rights import AclEntry
from acl_imapd.storage.roster import Person, Way, earliest, identity_by, latest, read_memberships_above
from acl_imapd.storage.visible import read_user_names, read_visible
from acl_imapd.types import AclId, UserId

DAY_S = 86_400
MANY_ADMINS = 5


@dataclass(frozen=True, slots=True)
class Source:
    """Why somebody has rights: an entry, and the teams by which it names him, or that he is the owner."""

    what: str  # "bob", "group:project-x", "owner"
    via: tuple[str, ...]  # the teams: ("berlin", "project-x")
    role: str | None = None
    granted_by: str | None = None
    granted_at: float | None = None
    since: float | None = None
    until: float | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A user on a folder; or a domain, authenticated or anyone, whose users are not told one by one."""

    who: str
    rights: str
    sources: tuple[Source, ...]
    less: tuple[str, ...]  # the negative entries that count: "-bob te"
    last_used: int | None  # the day since 1970
    kinds: tuple[str, ...]  # the findings that are about this row


@dataclass(frozen=True, slots=True)
class Finding:
    """What needs a look: of which kind (lints.KINDS), whom it is about, what just here."""

    where: str
    kind: str
    who: tuple[str, ...]
    detail: str


@dataclass(frozen=True, slots=True)
class ReviewedFolder:
    """A folder with rights of its own; *folders*: how many these rights hold for, itself among them."""

    name: str
    owner: str | None
    folders: int
    rows: tuple[Row, ...]
    findings: tuple[Finding, ...]
    teams: frozenset[str]  # those its ACL and its owner name


@dataclass(frozen=True, slots=True)
class Terms:
    """What a review goes by."""

    namespaces: Namespaces
    allow_anyone: bool
    now: float
    unused_since: float | None = None  # whoever last used a folder before is told as not using it


def review_folders(
    conn: Connection, terms: Terms, *, below: Mailbox | None = None, acl_ids: Sequence[AclId] | None = None
) -> Iterator[ReviewedFolder]:
    """All folders that have rights of their own, or those that are at or below a folder, or of some ACLs."""
    usual = reviewed.read_usual_domain(conn)
    for batch in reviewed.read_reviewed(conn, below=below, acl_ids=acl_ids):
        background = reviewed.read_background(conn, batch)
        people = _People(background, terms)
        for folder in batch:
            yield _Folder(folder, background, people, terms, usual).reviewed()


class _People:
    """The people of a batch, who they are for the evaluator, and in which team they are."""

    def __init__(self, background: Background, terms: Terms) -> None:
        self.by_id = background.people
        self._background = background
        self._now = terms.now
        self._ways: dict[UserId, list[Way]] = {}
        self._identities: dict[UserId, Identity] = {}
        self.in_team: dict[int, set[UserId]] = {}
        for user_id in background.memberships.users():
            for way in self.ways(user_id):
                self.in_team.setdefault(way.team_id, set()).add(user_id)

    def ways(self, user_id: UserId) -> list[Way]:
        """The ways to the teams that the batch names."""
        if user_id not in self._ways:
            self._ways[user_id] = self._background.memberships.ways(user_id)
        return self._ways[user_id]

    def identity(self, person: Person) -> Identity:
        """The person now."""
        if person.id not in self._identities:
            self._identities[person.id] = identity_by(person, self.ways(person.id), self._now)
        return self._identities[person.id]


class _Folder:
    """One folder at work."""

    def __init__(
        self, folder: Mailbox, background: Background, people: _People, terms: Terms, usual: str | None
    ) -> None:
        self.folder = folder
        self.background = background
        self.people = people
        self.terms = terms
        acl = background.acls.get(folder.acl_id)
        self.entries = Entries(acl.entries if acl is not None else ())
        home = background.homes.get(folder.home_id) if folder.home_id is not None else None
        self.name = terms.namespaces.name(home, folder.path, None)
        owner = folder.home_id if folder.home_id is not None else folder.owner_user_id
        self.owner = background.homes.get(owner) if owner is not None else None
        self.domain = domain_of(self.owner) if self.owner is not None else usual
        if folder.owner_team_id is not None and folder.owner_team_id in background.teams:
            self.owner = f"group:{background.teams[folder.owner_team_id]}"
        self.findings: dict[tuple[str, str], list[str]] = {}

    def reviewed(self) -> ReviewedFolder:
        """What is to be told of it."""
        persons = sorted(self._persons(), key=lambda one: one.name)
        rights = {person.id: self._rights(person) for person in persons}
        rows = [row for person in persons if (row := self._row(person, rights[person.id])) is not None]
        rows += [self._broad_row(entry) for entry in self.entries.granting()]
        self._lint_entries(persons)
        self._lint_holders(persons, rights)
        findings = (
            Finding(self.name, kind, tuple(dict.fromkeys(who)), detail) for (kind, detail), who in self.findings.items()
        )
        teams = {one.identifier.name for one in self.entries.all if one.identifier.kind == IdentifierKind.TEAM}
        if self.owner is not None and self.folder.owner_team_id is not None:
            teams.add(self.owner)
        return ReviewedFolder(
            self.name, self.owner, self.background.folders.get(self.folder.acl_id, 1), tuple(rows), tuple(findings),
            frozenset(name.partition(":")[2] for name in teams),
        )  # fmt: skip

    def _find(self, kind: str, who: str, detail: str = "") -> str:
        self.findings.setdefault((kind, detail), []).append(who)
        return kind

    # -- who ------------------------------------------------------------------------------------------------------

    def _persons(self) -> list[Person]:
        """Whom the ACL or the ownership names, by themselves or by teams."""
        ids: set[int] = {owner for owner in (self.folder.home_id, self.folder.owner_user_id) if owner is not None}
        for one in self.entries.all:
            if one.identifier.kind == IdentifierKind.USER:
                ids.add(one.identifier.id)
            elif one.identifier.kind == IdentifierKind.TEAM:
                ids |= self.people.in_team.get(one.identifier.id, set())
        if self.folder.owner_team_id is not None:
            ids |= self.people.in_team.get(self.folder.owner_team_id, set())
        return [self.people.by_id[UserId(one)] for one in ids if one in self.people.by_id]

    def _rights(self, person: Person, *, without: AclEntry | None = None) -> Rights:
        if person.disabled:
            return NONE
        identity = self.people.identity(person)
        entries = [one for one in self.entries.of(person.id) if one is not without]
        return rights_on(self.folder, entries, identity, allow_anyone=self.terms.allow_anyone, now=self.terms.now)

    def _row(self, person: Person, rights: Rights) -> Row | None:
        identity = self.people.identity(person)
        owns = is_owner(self.folder, identity)
        own = self.entries.own(person.id)
        if not rights and not own:
            return None
        sources = [source for one in self.entries.of(person.id) if (source := self._source(one, person, owns))]
        if owns:
            way = self._best([way for way in self.people.ways(person.id) if way.manager], self.folder.owner_team_id)
            limits = (way.since, way.until) if way is not None else (None, None)
            via = via_teams(way) if way is not None else ()
            sources.append(Source("owner", via, since=limits[0], until=limits[1]))
        less = [
            f"{one.text} {one.rights}"
            for one in self.entries.of(person.id)
            if one.negative and in_force(one, self.terms.now) and matches(one.identifier, identity, is_owner=owns)
        ]
        used = self.background.last_used.get((self.folder.acl_id, person.id))
        kinds = self._lint_person(person, rights, sources, own, used, owns=owns)
        return Row(person.name, format_rights(rights), tuple(sources), tuple(less), used, tuple(kinds))

    def _best(self, ways: Sequence[Way], team_id: int | None) -> Way | None:
        return best_way([way for way in ways if way.team_id == team_id], self.terms.now)

    def _source(self, entry: AclEntry, person: Person, owns: bool) -> Source | None:
        """How the entry gives the person something, now or when it begins."""
        if entry.negative or (entry.until is not None and entry.until <= self.terms.now) or self._is_off(entry):
            return None
        since, until = entry.since, entry.until
        via: tuple[str, ...] = ()
        if entry.identifier.kind == IdentifierKind.TEAM:
            way = self._best(self.people.ways(person.id), entry.identifier.id)
            if way is None or (way.until is not None and way.until <= self.terms.now):
                return None
            via, since, until = via_teams(way), latest(since, way.since), earliest(until, way.until)
        elif not matches(entry.identifier, self.people.identity(person), is_owner=owns):
            return None
        return Source(
            entry.identifier.name, via, entry.role, entry.granted_by, entry.granted_at, since, until, entry.reason
        )

    def _is_off(self, entry: AclEntry) -> bool:
        return entry.identifier.kind == IdentifierKind.ANYONE and not self.terms.allow_anyone

    def _broad_row(self, entry: AclEntry) -> Row:
        kind = entry.identifier.kind
        name = entry.identifier.name
        kinds = []
        if kind == IdentifierKind.DOMAIN:
            if name != f"domain:{self.domain}":
                kinds.append(self._find("outsider", name))
        else:
            detail = entry.rights + (f"; {ANYONE_IS_OFF}" if self._is_off(entry) else "")
            kinds.append(self._find(name, name, detail))
        source = Source(
            name, (), entry.role, entry.granted_by, entry.granted_at, entry.since, entry.until, entry.reason
        )
        holds = in_force(entry, self.terms.now) and not self._is_off(entry)
        return Row(name, entry.rights if holds else "", (source,), (), None, tuple(kinds))

    # -- what needs a look ------------------------------------------------------------------------------------------

    def _lint_person(
        self, person: Person, rights: Rights, sources: Sequence[Source], own: Sequence[AclEntry], used: int | None,
        *, owns: bool,
    ) -> list[str]:  # fmt: skip
        found = []
        if person.disabled and own:
            found.append(self._find("disabled", person.name))
        if rights and person.domain != self.domain and person.id != self.folder.home_id:
            found.append(self._find("outsider", person.name))
        before = self.terms.unused_since
        if before is not None and rights & Rights.r and self.folder.home_id != person.id:
            given = [one.granted_at for one in sources if one.granted_at is not None]
            long_had = bool(given) and min(given) < before
            if long_had and (used is None or (used + 1) * DAY_S <= before):
                found.append(self._find("unused", person.name))
        parent = self.background.parents.get(self.folder.parent_id) if self.folder.parent_id is not None else None
        if parent is not None and rights & Rights.k and not owns and not self._rights_on(parent, person) & Rights.l:
            found.append(self._find("k-below-hidden", person.name))
        return found

    def _rights_on(self, parent: Mailbox, person: Person) -> Rights:
        if parent.acl_id == self.folder.acl_id:
            return Rights.l
        acl = self.background.acls.get(parent.acl_id)
        return rights_of(
            person, parent, Entries(acl.entries if acl is not None else ()), self.background.memberships,
            allow_anyone=self.terms.allow_anyone, now=self.terms.now,
        )  # fmt: skip

    def _lint_entries(self, persons: Sequence[Person]) -> None:
        for entry in self.entries.all:
            if entry.negative:
                if self._takes_nothing(entry, persons):
                    self._find("takes-nothing", entry.text, entry.rights)
                continue
            for kind in letter_lints(entry.rights):
                self._find(kind, entry.text, entry.rights)
            if entry.identifier.kind == IdentifierKind.TEAM and not self.people.in_team.get(entry.identifier.id):
                self._find("empty-team", entry.text)
            by = self._covered_by(entry)
            if by is not None:
                self._find("covered", entry.text, f"{entry.rights} by {by.text}")

    def _takes_nothing(self, entry: AclEntry, persons: Sequence[Person]) -> bool:
        if not in_force(entry, self.terms.now) or may_take_from_many(entry, self.entries.all):
            return False
        return all(self._rights(one) == self._rights(one, without=entry) for one in persons)

    def _covered_by(self, entry: AclEntry) -> AclEntry | None:
        domain = None
        teams: frozenset[int] = frozenset()
        if entry.identifier.kind == IdentifierKind.USER:
            person = self.people.by_id.get(UserId(entry.identifier.id))
            if person is not None:
                domain = person.domain
                teams = self.people.identity(person).always[0]
        elif entry.identifier.kind == IdentifierKind.TEAM:
            teams = self.background.memberships.lasting_above(entry.identifier.id)
        for wide in self.entries.common:
            if self._is_off(wide):
                continue
            wider = wide is not entry and names_all_of(wide, entry, domain=domain, teams=teams)
            if covers(wide, entry, wider=wider):
                return wide
        return None

    def _lint_holders(self, persons: Sequence[Person], rights: dict[UserId, Rights]) -> None:
        admins = [one.name for one in persons if rights[one.id] & Rights.a]
        broad = [one for one in self.entries.granting() if parse_rights(one.rights) & Rights.a]
        owned = any(
            rights[one.id] & OWNER_KEEPS == OWNER_KEEPS and is_owner(self.folder, self.people.identity(one))
            for one in persons
        )
        if not admins and not broad and not owned:
            detail = f"{self.owner} has no manager" if self.folder.owner_team_id is not None else ""
            self._find("no-owner", self.owner or "-", detail)
        if len(admins) > MANY_ADMINS:
            for name in admins:
                self._find("many-admins", name, f"{len(admins)} users")


# -- a part of it ---------------------------------------------------------------------------------------------


def acls_of_user(conn: Connection, person: Person, terms: Terms) -> tuple[list[AclId], frozenset[str]]:
    """The ACLs that can give the user something, disabled or not; and the names of its teams."""
    ways = read_memberships_above(conn, person.id).ways(person.id)
    visible = read_visible(conn, identity_by(person, ways, terms.now), include_anyone=terms.allow_anyone)
    return sorted(visible.acls), frozenset(edge.team for way in ways for edge in way.edges)


def part_of_user(folder: ReviewedFolder, user: str) -> ReviewedFolder | None:
    """What of it is about the user; None where nothing is."""
    rows = tuple(row for row in folder.rows if row.who == user)
    findings = tuple(
        replace(one, who=(user,)) for one in folder.findings if user in one.who or f"-{user}" in one.who
    )  # fmt: skip
    return replace(folder, rows=rows, findings=findings) if rows or findings else None


def part_of_team(folder: ReviewedFolder, team: str) -> ReviewedFolder | None:
    """What of it is about the team: whoever has something by it, and its entries; None where nothing is."""
    names = {f"group:{team}", f"-group:{team}"}
    rows = tuple(row for row in folder.rows if any(team in source.via for source in row.sources))
    names |= {row.who for row in rows}
    findings = tuple(
        replace(one, who=who) for one in folder.findings if (who := tuple(name for name in one.who if name in names))
    )
    return replace(folder, rows=rows, findings=findings) if rows or findings else None


@dataclass(frozen=True, slots=True)
class Ending:
    """An entry or a membership that ends: *rights* are letters, ``member`` or ``manager``."""

    where: str  # a folder, or "group:project-x"
    who: str
    rights: str
    until: float
    granted_by: str | None
    granted_at: float | None
    reason: str | None


def endings(conn: Connection, terms: Terms, upto: float) -> list[Ending]:
    """What ends by *upto*, the next first."""
    entries = reviewed.read_ending_entries(conn, terms.now, upto)
    homes = read_user_names(conn, sorted({one.home_id for one, _ in entries if one.home_id is not None}))
    found = [
        Ending(
            terms.namespaces.name(homes[folder.home_id] if folder.home_id is not None else None, folder.path, None),
            entry.text, entry.rights, entry.until or upto, entry.granted_by, entry.granted_at, entry.reason,
        )
        for folder, entry in entries
    ]  # fmt: skip
    found += [
        Ending(
            f"group:{one.team}", one.member, "manager" if one.manager else "member", one.until, one.added_by,
            one.added_at, one.reason,
        )
        for one in reviewed.read_ending_memberships(conn, terms.now, upto)
    ]  # fmt: skip
    return sorted(found, key=lambda one: (one.until, one.where, one.who))
