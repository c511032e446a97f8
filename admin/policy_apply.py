"""A policy brought to a site: every difference through the writer that every other road takes, all or nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from acl_imapd.access.namespaces import Namespaces, Place, valid_new_path
from acl_imapd.access.rights import NONE, Rights, parse_rights
from acl_imapd.errors import Cannot, ImapError, Refused
from acl_imapd.storage import accounts, mailboxes, policy, rights
from acl_imapd.storage.accounts import Actor
from acl_imapd.storage.database import Connection, time_of
from acl_imapd.storage.mailboxes import Mailbox
from acl_imapd.storage.rights import AclEntry, Identifier
from acl_imapd.types import UserId

from .acl import is_letters, resolve_role
from .output import spelling, team_part
from .policy_file import Entry, Folder, Member, Policy, PolicyError, Problem, Team, Terms, near, same_moment


@dataclass
class Applying:
    """One run, in the caller's transaction.  :meth:`run` raises PolicyError with all that could not be done; the
    caller then takes the transaction back."""

    conn: Connection
    actor: Actor
    namespaces: Namespaces
    allow_anyone: bool
    prune: bool
    problems: list[Problem] = field(default_factory=list)
    _users: dict[str, UserId] = field(default_factory=dict)
    _dirty: set[tuple[str | None, str]] = field(default_factory=set)  # places whose followers may have changed

    def run(self, wanted: Policy) -> None:
        """Make the site as *wanted* says."""
        self._now = time_of(self.conn)
        self._users = policy.read_user_ids(self.conn, _user_names(wanted))
        for role in wanted.roles or ():
            if is_letters(role.name):
                self.wrong(role.line, f"{role.name!r} is letters of rights; give the role another name.")
            else:
                self.attempt(role.line, partial(self._set_role, role.name, role.rights))
        self._roles = rights.list_roles(self.conn)
        if self.prune and wanted.roles is not None:
            named = {one.name for one in wanted.roles}
            self._roles = [one for one in self._roles if one.name in named]
        if wanted.teams is not None:
            self._apply_teams(wanted.teams)
        self._teams = {one.name: one for one in accounts.list_teams(self.conn)}
        if wanted.folders is not None:
            self._apply_folders(wanted.folders)
        if self.prune and wanted.roles is not None:
            for found in rights.list_roles(self.conn):
                if found not in self._roles:
                    rights.remove_role(self.conn, self.actor, found.name)
        if self.problems:
            raise PolicyError(self.problems)

    def wrong(self, line: int, text: str) -> None:
        self.problems.append(Problem(line, text))

    def attempt(self, line: int, do: Callable[[], Any]) -> Any:
        """What *do* returns; a refusal becomes a problem of that line."""
        try:
            return do()
        except Refused as error:
            self.wrong(line, str(error))
        except ImapError as error:
            self.wrong(line, f"{error.text}.")
        return None

    def _set_role(self, name: str, text: str) -> None:
        rights.set_role(self.conn, self.actor, name, parse_rights(text))

    # -- teams ----------------------------------------------------------------------------------------------------

    def _apply_teams(self, wanted: tuple[Team, ...]) -> None:
        known = {one.name for one in accounts.list_teams(self.conn)}
        named = {one.name for one in wanted}
        for team in wanted:
            if team.name not in known:
                self.attempt(team.line, partial(accounts.insert_team, self.conn, self.actor, team.name))
        if self.prune:
            for name in sorted(known - named):
                accounts.remove_team(self.conn, self.actor, name)
        known = {one.name for one in accounts.list_teams(self.conn)}
        teams = [team for team in wanted if team.members is not None and team.name in known]
        have = self._members(teams)
        if self.prune:  # before anybody joins, or turning two teams around would look like a cycle
            for team in teams:
                for name in sorted(set(have[team.name]) - {one.name for one in team.members or ()}):
                    accounts.leave_team(self.conn, self.actor, team.name, name)
        for team in teams:
            for member in team.members or ():
                self._join(team.name, member, have[team.name].get(member.name), known)

    def _members(self, teams: list[Team]) -> dict[str, dict[str, accounts.Member]]:
        """The members now, without those whose membership has ended."""
        if len(teams) > 50:
            ids = {one.name: one.id for one in accounts.list_teams(self.conn)}
            everyone = accounts.list_all_members(self.conn)
            lists = {team.name: everyone.get(ids[team.name], []) for team in teams}
        else:
            lists = {team.name: accounts.list_members(self.conn, team.name) for team in teams}
        return {
            name: {one.name: one for one in some if one.until is None or one.until > self._now}
            for name, some in lists.items()
        }

    def _join(self, team: str, member: Member, have: accounts.Member | None, known: set[str]) -> None:
        other = team_part(member.name)
        if not self._exists(member.name, member.line, known):
            return
        terms = member.terms
        if have is not None:
            if bool(have.manager) == member.manager and _same_terms(terms, have):
                return
            terms = _exact(terms, have)
        name = member.name if other is None else f"group:{other}"
        self.attempt(
            member.line,
            lambda: accounts.join_team(
                self.conn, self.actor, team, name, manager=member.manager, since=terms.since, until=terms.until,
                reason=terms.reason,
            ),
        )  # fmt: skip

    def _exists(self, who: str, line: int, teams: Any) -> bool:
        """False, with a problem, where there is no such user or team."""
        other = team_part(who)
        if other is not None and other not in teams:
            self.wrong(line, f"There is no team {other!r}, here or in the file.{near(other, teams)}")
            return False
        if other is None and who not in self._users:
            self.wrong(line, f"There is no user {who!r}.{self._near_user(who, teams)}")
            return False
        return True

    def _near_user(self, who: str, teams: Any) -> str:
        if who in teams:
            return f" Did you mean 'group:{who}'?"
        return near(who, [one.name for one in accounts.list_users(self.conn)])

    # -- folders --------------------------------------------------------------------------------------------------

    def _apply_folders(self, wanted: tuple[Folder, ...]) -> None:
        places = [(one, place) for one in wanted if (place := self._place(one)) is not None]
        places.sort(key=lambda one: (one[1].home or "", one[1].path.split("/")))
        by_home: dict[str | None, list[str]] = {}
        for _, place in places:
            by_home.setdefault(place.home, []).append(place.path)
        have: dict[tuple[str | None, str], Mailbox] = {}
        for home, paths in by_home.items():
            found = policy.read_mailboxes_at(self.conn, self._users[home] if home is not None else None, paths)
            have.update({(home, path): one for path, one in found.items()})
        self._acls = rights.read_acls(self.conn, sorted({one.acl_id for one in have.values()}))
        for folder, place in places:
            mailbox = have.get((place.home, place.path))
            self.attempt(folder.line, partial(self._apply_folder, folder, place, mailbox))

    def _place(self, folder: Folder) -> Place | None:
        place = self.namespaces.place(folder.name, None)
        if place is None:
            text = f"No folder can have the name {folder.name!r}. {spelling(self.namespaces, folder.name)}"
            self.wrong(folder.line, text)
        elif place.home is not None and not self._exists(place.home, folder.line, ()):
            return None
        return place

    def _apply_folder(self, folder: Folder, place: Place, mailbox: Mailbox | None) -> None:
        if place.home is not None and folder.owner is not None:
            raise Refused("A personal folder belongs to its user; leave owner out.")
        owner = self._owner(folder)
        if mailbox is None:
            valid_new_path(place.path)
            home_id = self._users[place.home] if place.home is not None else None
            mailbox = mailboxes.create_mailbox(
                self.conn, self.actor, home_id, place.path, owner_user=owner[0], owner_team=owner[1]
            )
            self._dirty.add((place.home, place.path))
        elif self._is_stale(place):
            fresh = mailboxes.read_mailbox_by_id(self.conn, mailbox.id)
            assert fresh is not None
            mailbox = fresh
        if folder.owner is not None and owner != (mailbox.owner_user_id, mailbox.owner_team_id):
            rights.set_owner(self.conn, self.actor, mailbox.id, user_id=owner[0], team_id=owner[1])
            self._dirty.add((place.home, place.path))
        shared = folder.seen == "shared"
        if folder.seen is not None and (mailbox.seen_shared, mailbox.seen_own) != (shared, True):
            mailboxes.set_seen_mode(self.conn, self.actor, mailbox.id, shared=shared)
            self._dirty.add((place.home, place.path))
        if folder.inherit and mailbox.acl_own:
            rights.inherit_acl(self.conn, self.actor, mailbox.id)
            self._dirty.add((place.home, place.path))
        if folder.entries is not None:
            self._apply_acl(folder.entries, place, mailbox)

    def _is_stale(self, place: Place) -> bool:
        """True where this run has changed something above, or at the place itself."""
        levels = place.path.split("/")
        return any((place.home, "/".join(levels[:depth])) in self._dirty for depth in range(1, len(levels) + 1))

    def _owner(self, folder: Folder) -> tuple[Any, Any]:
        if folder.owner is None or folder.owner == "none":
            return None, None
        if not self._exists(folder.owner, folder.line, self._teams):
            return None, None
        team = team_part(folder.owner)
        return (None, self._teams[team].id) if team is not None else (self._users[folder.owner], None)

    # -- entries --------------------------------------------------------------------------------------------------

    def _apply_acl(self, wanted: tuple[Entry, ...], place: Place, mailbox: Mailbox) -> None:
        begins = not mailbox.acl_own
        if begins:
            policy.begin_acl(self.conn, self.actor, mailbox)
            self._dirty.add((place.home, place.path))
        acl = self._acls.get(mailbox.acl_id)
        if begins or acl is None or self._is_stale(place):
            fresh = mailboxes.read_mailbox_by_id(self.conn, mailbox.id)
            assert fresh is not None
            acl = rights.read_acl(self.conn, fresh.acl_id)
        have: dict[tuple[str, bool], AclEntry] = {}
        for one in acl.entries if acl is not None else ():
            team = team_part(one.identifier.name)
            if (one.until is None or one.until > self._now) and (team is None or team in self._teams):
                have[one.identifier.name, one.negative] = one
        named = {(one.identifier, one.negative) for one in wanted}
        for entry in wanted:
            self.attempt(
                entry.line, partial(self._set_entry, entry, mailbox, have.get((entry.identifier, entry.negative)))
            )
        if self.prune or begins:
            for key in sorted(set(have) - named):
                one = have[key]
                rights.change_entry(
                    self.conn, self.actor, mailbox.id, one.identifier, negative=one.negative, op="set", rights=NONE
                )

    def _set_entry(self, entry: Entry, mailbox: Mailbox, have: AclEntry | None) -> None:
        new, role = resolve_role(self._roles, entry.rights)
        if new == NONE:
            raise Refused(f"The role {entry.rights!r} has no rights; leave the entry out.")
        identifier = have.identifier if have is not None else self._identifier(entry)
        if identifier is None:
            return
        terms = entry.terms
        if have is not None:
            same = _same_rights(have, new, role) and (entry.negative or have.subscribe == entry.subscribe)
            if same and _same_terms(terms, have):
                return
            terms = _exact(terms, have)
        role_id = rights.read_role_id(self.conn, role) if role is not None else None
        rights.change_entry(
            self.conn, self.actor, mailbox.id, identifier, negative=entry.negative, op="set", rights=new,
            terms_=rights.Terms(role_id, terms.since, terms.until, terms.reason, subscribe=entry.subscribe),
        )  # fmt: skip

    def _identifier(self, entry: Entry) -> Identifier | None:
        try:
            return rights.resolve_identifier(self.conn, entry.identifier, allow_anyone=self.allow_anyone)
        except Cannot as error:
            if entry.identifier == "anyone" or entry.identifier.startswith("domain:"):
                self.wrong(entry.line, f"{error.text}.")
            else:
                self._exists(entry.identifier, entry.line, self._teams)
            return None


def _same_rights(have: AclEntry, new: Rights, role: str | None) -> bool:
    return have.role == role and parse_rights(have.rights) == new


def _same_terms(wanted: Terms, have: Any) -> bool:
    """True where the file asks for nothing else; a reason that it does not give stays."""
    limits = same_moment(wanted.since, have.since) and same_moment(wanted.until, have.until)
    return limits and wanted.reason in (None, have.reason)


def _exact(wanted: Terms, have: Any) -> Terms:
    """The moments as the database has them, where the file cannot tell the difference."""
    since = have.since if same_moment(wanted.since, have.since) else wanted.since
    until = have.until if same_moment(wanted.until, have.until) else wanted.until
    return Terms(since, until, wanted.reason)


def _user_names(wanted: Policy) -> set[str]:
    names = {one.name for team in wanted.teams or () for one in team.members or ()}
    for folder in wanted.folders or ():
        names.update(one.identifier for one in folder.entries or ())
        if folder.owner is not None:
            names.add(folder.owner)
        # "Other Users/alice/Work": whatever stands second may be a user.
        names.update(_homes(folder.name))
    return names


def _homes(name: str) -> list[str]:
    """Who may be meant by a folder's name, whatever the prefix of other users' folders is."""
    return name.split("/")[1:6]
