"""Who may do what, worked out the slow way: plain data, loops, and the words of PRODUCT §3 and §4 and of RFC 4314.

Written from those documents alone.  It imports nothing of the server, so that the two can only agree by both being
right.  Times are seconds since 1970; rights are sets of letters.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

LETTERS = "lrswipkxtea"
SHARED, OTHERS = "Shared Folders/", "Other Users/"
Who = tuple[str, Any]  # ("user", 3) ("team", 2) ("owner", None) ("authenticated", None) ("domain", "x.example")


class Refusal(Exception):
    """The site says no.  *code* where a client can tell by it what is meant."""

    def __init__(self, code: str = "") -> None:
        super().__init__(code)
        self.code = code


def letters(text: str) -> set[str]:
    """RFC 4314 §2.1.1: c stands for k and x, d for t and e."""
    found = set(text)
    if "c" in found:
        found |= set("kx")
    if "d" in found:
        found |= set("te")
    return found & set(LETTERS)


def shown(rights: set[str]) -> str:
    """In the order of RFC 4314 §2.1."""
    return "".join(letter for letter in LETTERS if letter in rights)


def shown_to_clients(rights: set[str]) -> str:
    """With the obsolete letters.  RFC 4314 §2.1.1."""
    return shown(rights) + ("c" if rights & set("kx") else "") + ("d" if rights & set("te") else "")


@dataclass
class Entry:
    who: Who
    negative: bool
    letters: set[str]
    role: str | None = None
    since: float | None = None
    until: float | None = None
    subscribe: bool = True


@dataclass
class Subscription:
    """*folder* None: it is gone, the name stays (RFC 3501 §6.3.6)."""

    user: int
    folder: int | None
    name: str


@dataclass
class Member:
    """*who* is a user or a team."""

    who: Who
    manager: bool
    since: float | None = None
    until: float | None = None


@dataclass
class User:
    name: str
    disabled: bool = False


@dataclass
class Team:
    name: str
    members: list[Member] = field(default_factory=list)


@dataclass
class Folder:
    """*home*: whose personal folder, None for a shared one.  *acl* None: the parent's."""

    home: int | None
    path: str
    acl: list[Entry] | None
    owner: Who | None = None


class Site:
    """Everything there is."""

    def __init__(self, now: float) -> None:
        self.now = now
        self.users: dict[int, User] = {}
        self.teams: dict[int, Team] = {}
        self.folders: dict[int, Folder] = {}
        self.roles: dict[str, set[str]] = {
            "reader": set("lrs"),
            "contributor": set("lrsip"),
            "editor": set("lrswipte"),
            "manager": set(LETTERS),
        }
        self.subscriptions: list[Subscription] = []
        self.declined: set[tuple[int, int]] = set()
        self._last = 0

    def _new(self) -> int:
        self._last += 1
        return self._last

    # -- rights: PRODUCT §4 -----------------------------------------------------------------------------------

    def in_force(self, one: Entry | Member) -> bool:
        """It holds from *since* on, and at *until* no more."""
        if one.since is not None and self.now < one.since:
            return False
        return one.until is None or self.now < one.until

    def teams_of(self, user: int) -> dict[int, bool]:
        """The teams a user is in, nested ones too; True where it manages the team: as a member that manages it, or by
        being in a team that does."""
        found: dict[int, bool] = {}
        again = True
        while again:
            again = False
            for team, one in self.teams.items():
                for member in one.members:
                    if not self.in_force(member):
                        continue
                    kind, which = member.who
                    if (kind == "user" and which == user) or (kind == "team" and which in found):
                        manages = found.get(team, False) or member.manager
                        if found.get(team) != manages:
                            found[team] = manages
                            again = True
        return found

    def is_owner(self, user: int, folder: Folder) -> bool:
        """The user of a personal folder; of a shared one whom it was given to, of a team's its managers."""
        if folder.home is not None:
            return folder.home == user
        if folder.owner is None:
            return False
        kind, which = folder.owner
        return which == user if kind == "user" else self.teams_of(user).get(which, False)

    def parent(self, folder: Folder) -> Folder | None:
        above = folder.path.rpartition("/")[0]
        return next((one for one in self.folders.values() if (one.home, one.path) == (folder.home, above)), None)

    def entries(self, folder: Folder) -> list[Entry]:
        """Its own, or those of the nearest above that has any of its own: live inheritance."""
        while folder.acl is None:
            above = self.parent(folder)
            assert above is not None
            folder = above
        return folder.acl

    def rights_of_entry(self, entry: Entry) -> set[str]:
        return self.roles[entry.role] if entry.role is not None else entry.letters

    def names(self, entry: Entry, user: int, folder: Folder) -> bool:
        """True when the entry is about this user."""
        kind, which = entry.who
        if kind == "user":
            return which == user
        if kind == "team":
            return which in self.teams_of(user)
        if kind == "owner":
            return self.is_owner(user, folder)
        if kind == "domain":
            return self.users[user].name.rpartition("@")[2].lower() == which and "@" in self.users[user].name
        return kind == "authenticated"  # anyone is off

    def rights(self, user: int, folder: Folder) -> set[str]:
        """What matches, less what the negative entries take, plus l and a for the owner.  Nothing to one who is
        disabled."""
        if user not in self.users or self.users[user].disabled:
            return set()
        given: set[str] = set()
        taken: set[str] = set()
        for entry in self.entries(folder):
            if self.in_force(entry) and self.names(entry, user, folder):
                if entry.negative:
                    taken |= self.rights_of_entry(entry)
                else:
                    given |= self.rights_of_entry(entry)
        return given - taken | (set("la") if self.is_owner(user, folder) else set())

    # -- names: PRODUCT §3 ------------------------------------------------------------------------------------

    def name(self, folder: Folder, user: int | None) -> str:
        """As *user* sees it; None: as an administrator writes it."""
        if folder.home is None:
            return SHARED + folder.path
        if folder.home == user:
            return folder.path
        return OTHERS + self.users[folder.home].name + ("" if folder.path == "INBOX" else "/" + folder.path)

    def place(self, name: str, user: int) -> tuple[int | None, str] | None:
        """Whose tree and which path; None where no folder can be."""
        if name.startswith(SHARED):
            return None, name[len(SHARED) :]
        if name.startswith(OTHERS):
            home, _, path = name[len(OTHERS) :].partition("/")
            found = [ident for ident, one in self.users.items() if one.name == home]
            if not found or found[0] == user or path == "INBOX":
                return None
            return found[0], path or "INBOX"
        return user, name

    def at(self, place: tuple[int | None, str] | None) -> int | None:
        for ident, one in self.folders.items():
            if place == (one.home, one.path):
                return ident
        return None

    def visible(self, user: int) -> dict[str, int]:
        """What LIST "" "*" tells: the names of those with l."""
        return {self.name(one, user): ident for ident, one in self.folders.items() if "l" in self.rights(user, one)}

    def below(self, folder: Folder) -> list[int]:
        return [
            ident
            for ident, one in self.folders.items()
            if one.home == folder.home and one.path.startswith(folder.path + "/")
        ]

    def need(self, user: int, name: str, needed: str, *, any_of: bool = False) -> int:
        """The folder of that name, if the user has these rights; else no, and NONEXISTENT where it is hidden."""
        ident = self.at(self.place(name, user))
        rights = self.rights(user, self.folders[ident]) if ident is not None else set()
        if ident is not None and (rights & set(needed) if any_of else rights >= set(needed)):
            return ident
        raise Refusal("NOPERM" if "l" in rights else "NONEXISTENT")

    # -- people -----------------------------------------------------------------------------------------------

    def add_user(self, name: str, folders: tuple[str, ...]) -> int:
        if any(one.name == name for one in self.users.values()):
            raise Refusal()
        user = self._new()
        self.users[user] = User(name)
        for path in folders:
            self.subscriptions.append(Subscription(user, self._add(user, path, None), path))
        return user

    def rename_user(self, user: int, name: str) -> None:
        if any(one.name == name for one in self.users.values()):
            raise Refusal()
        self.users[user].name = name

    def remove_user(self, user: int) -> None:
        for ident in [ident for ident, one in self.folders.items() if one.home == user]:
            self._drop(ident)
        self.subscriptions = [one for one in self.subscriptions if one.user != user]
        self._forget(("user", user))
        del self.users[user]

    def add_team(self, name: str) -> int:
        if any(one.name == name for one in self.teams.values()):
            raise Refusal()
        team = self._new()
        self.teams[team] = Team(name)
        return team

    def rename_team(self, team: int, name: str) -> None:
        if any(one.name == name for one in self.teams.values()):
            raise Refusal()
        self.teams[team].name = name

    def remove_team(self, team: int) -> None:
        self._forget(("team", team))
        del self.teams[team]

    def _forget(self, who: Who) -> None:
        for folder in self.folders.values():
            if folder.acl is not None:
                folder.acl[:] = [entry for entry in folder.acl if entry.who != who]
            if folder.owner == who:
                folder.owner = None
        for team in self.teams.values():
            team.members[:] = [member for member in team.members if member.who != who]

    def join(self, team: int, member: Member) -> None:
        """A team within itself, at whatever depth and whenever it would begin, is refused."""
        if member.until is not None and member.until <= (self.now if member.since is None else member.since):
            raise Refusal()
        if member.who[0] == "team":
            reached, before = {member.who[1]}, set[int]()
            while reached != before:
                before = set(reached)
                reached |= {m.who[1] for t in before for m in self.teams[t].members if m.who[0] == "team"}
            if team in reached:
                raise Refusal()
        self.teams[team].members[:] = [one for one in self.teams[team].members if one.who != member.who] + [member]

    def leave(self, team: int, who: Who) -> None:
        left = [one for one in self.teams[team].members if one.who != who]
        if len(left) == len(self.teams[team].members):
            raise Refusal()
        self.teams[team].members[:] = left

    def set_role(self, name: str, rights: set[str]) -> None:
        self.roles[name] = rights

    def remove_role(self, name: str) -> None:
        """Entries that hold it keep its letters."""
        for folder in self.folders.values():
            for entry in folder.acl or ():
                if entry.role == name:
                    entry.role, entry.letters = None, set(self.roles[name])
        del self.roles[name]

    # -- entries ----------------------------------------------------------------------------------------------

    def _own(self, folder: Folder) -> list[Entry]:
        """The first change gives it an ACL of its own, which starts as what it inherited."""
        if folder.acl is None:
            folder.acl = [Entry(**vars(entry)) for entry in self.entries(folder)]
        return folder.acl

    def grant(self, folder: Folder, entry: Entry) -> None:
        """An administrator's grant or denial: just this, with these limits."""
        if entry.until is not None and entry.until <= (self.now if entry.since is None else entry.since):
            raise Refusal()
        mine = self._own(folder)
        mine[:] = [one for one in mine if (one.who, one.negative) != (entry.who, entry.negative)] + [entry]

    def revoke(self, folder: Folder, who: Who) -> None:
        if not any(entry.who == who for entry in self.entries(folder)):
            raise Refusal()
        mine = self._own(folder)
        mine[:] = [one for one in mine if one.who != who]

    def setacl(self, user: int, name: str, who: Who | None, negative: bool, op: str, rights: set[str]) -> None:
        """RFC 4314 §3.1.  What is not in force is not there for a client, who then gives something new; what it changes
        keeps its limits, and is letters from then on.  An entry left without rights goes."""
        folder = self.folders[self.need(user, name, "a")]
        if who is None:
            raise Refusal()
        known = [one for one in self.entries(folder) if (one.who, one.negative) == (who, negative)]
        old = known[0] if known else None
        if old is not None and old.until is not None and old.until <= self.now:
            old = None
        planned = old is not None and not self.in_force(old)
        had = self.rights_of_entry(old) if old is not None and (not planned or op == "-") else set()
        new = had | rights if op == "+" else had - rights if op == "-" else set(rights)
        if not new and (not known or op == "+"):
            return
        made = Entry(who, negative, new)
        if old is not None:
            made.until, made.subscribe = old.until, old.subscribe
            made.since = old.since if not planned or op == "-" else None
            if new == had:
                made.role = old.role
        mine = self._own(folder)
        mine[:] = [one for one in mine if (one.who, one.negative) != (who, negative)] + ([made] if new else [])

    def inherit(self, folder: Folder) -> None:
        if folder.acl is None:
            return
        if self.parent(folder) is None:
            raise Refusal()
        folder.acl = None

    def give(self, folder: Folder, owner: Who | None) -> None:
        """With all below."""
        if folder.home is not None:
            raise Refusal()
        for one in [folder, *(self.folders[ident] for ident in self.below(folder))]:
            one.owner = owner

    # -- folders ----------------------------------------------------------------------------------------------

    def _add(self, home: int | None, path: str, owner: Who | None) -> int:
        """With the levels above it; a child has its parent's ACL and, unless it was given one, its owner."""
        above = path.rpartition("/")[0]
        parent = None
        if above:
            parent = self.at((home, above))
            if parent is None:
                parent = self._add(home, above, owner)
        folder = Folder(home, path, None, owner if home is None else None)
        if parent is None:
            folder.acl = [Entry(("user", home), False, set(LETTERS))] if home is not None else []
        elif owner is None:
            folder.owner = self.folders[parent].owner
        ident = self._new()
        self.folders[ident] = folder
        return ident

    def add_folder(self, home: int | None, path: str, owner: Who | None = None) -> int:
        if self.at((home, path)) is not None:
            raise Refusal()
        return self._add(home, path, owner)

    def _may_make(self, user: int, name: str) -> tuple[int | None, str]:
        """Where *name* leads, if this user may make a folder there: k on the nearest level above that is there for it
        (RFC 4314 §4), or the top of its own tree."""
        place = self.place(name, user)
        if place is None or not place[1] or self.at(place) is not None:
            raise Refusal()
        home, path = place
        while "/" in path:
            path = path.rpartition("/")[0]
            above = self.at((home, path))
            rights = self.rights(user, self.folders[above]) if above is not None else set()
            if "k" in rights:
                return place
            if "l" in rights:
                raise Refusal()
        if home == user:
            return place
        raise Refusal()

    def create(self, user: int, name: str) -> int:
        return self._add(*self._may_make(user, name), None)

    def _remove(self, ident: int) -> None:
        folder = self.folders[ident]
        if self.below(folder) or (folder.home is not None and folder.path == "INBOX"):
            raise Refusal()
        self._drop(ident)

    def _drop(self, ident: int) -> None:
        del self.folders[ident]
        self.declined = {pair for pair in self.declined if pair[1] != ident}
        for one in self.subscriptions:
            if one.folder == ident:
                one.folder = None

    def delete(self, user: int, name: str) -> None:
        self._remove(self.need(user, name, "x"))

    def remove_folder(self, ident: int) -> None:
        self._remove(ident)

    def _move(self, ident: int, path: str) -> None:
        """What followed its parent and comes below another keeps what it had."""
        folder = self.folders[ident]
        if (folder.home is not None and folder.path == "INBOX") or path.startswith(folder.path + "/"):
            raise Refusal()
        if self.at((folder.home, path)) is not None:
            raise Refusal()
        old = folder.path
        above = path.rpartition("/")[0]
        if above != old.rpartition("/")[0]:
            self._own(folder)
        if above and self.at((folder.home, above)) is None:
            self._add(folder.home, above, folder.owner)
        for one in self.below(folder):
            self.folders[one].path = path + self.folders[one].path[len(old) :]
        folder.path = path

    def rename_folder(self, ident: int, path: str) -> None:
        self._move(ident, path)

    def rename(self, user: int, old: str, new: str) -> None:
        """RFC 4314 §4: x on it, k above the new name; and x on all below that it may know of.  It stays in its tree.
        Renaming one's INBOX moves the messages to a new folder (RFC 3501 §6.3.5)."""
        if old == "INBOX":
            home, path = self._may_make(user, new)
            if home != user:
                raise Refusal()
            self._add(home, path, None)
            return
        ident = self.need(user, old, "x")
        folder = self.folders[ident]
        home, path = self._may_make(user, new)
        if home != folder.home:
            raise Refusal()
        for one in self.below(folder):
            rights = self.rights(user, self.folders[one])
            if "l" in rights and "x" not in rights:
                raise Refusal()
        self._move(ident, path)

    def subscribed(self, user: int, ident: int) -> bool:
        """By oneself; or by what makes one see another's folder, unless that says otherwise or one has declined."""
        if any((one.user, one.folder) == (user, ident) for one in self.subscriptions):
            return True
        folder = self.folders[ident]
        if folder.home == user or (user, ident) in self.declined:
            return False
        return any(
            entry.subscribe and not entry.negative and "l" in self.rights_of_entry(entry)
            for entry in self.entries(folder)
            if self.in_force(entry) and self.names(entry, user, folder)
        )

    def subscribe(self, user: int, name: str) -> None:
        ident = self.need(user, name, "l")
        self.subscriptions = [
            one
            for one in self.subscriptions
            if one.user != user or (one.folder != ident and (one.folder is not None or one.name != name))
        ] + [Subscription(user, ident, name)]
        self.declined.discard((user, ident))

    def unsubscribe(self, user: int, name: str) -> None:
        """No right is needed to forget something: what is gone or hidden goes by the name it was subscribed by."""
        visible = self.visible(user)
        unseen = [
            one
            for one in self.subscriptions
            if one.user == user and one.name == name and one.folder not in visible.values()
        ]
        self.subscriptions = [one for one in self.subscriptions if one not in unseen]
        if name in visible:
            ident = visible[name]
            self.subscriptions = [one for one in self.subscriptions if (one.user, one.folder) != (user, ident)]
            self.declined.add((user, ident))
        elif not unseen:
            raise Refusal("NONEXISTENT")

    # -- what commands answer -----------------------------------------------------------------------------------

    def spelled(self, who: Who) -> str:
        kind, which = who
        if kind == "user":
            return self.users[which].name
        if kind == "team":
            return f"group:{self.teams[which].name}"
        return f"domain:{which}" if kind == "domain" else kind

    def getacl(self, folder: Folder) -> dict[str, str]:
        """Of what is in force."""
        return {
            ("-" if entry.negative else "") + self.spelled(entry.who): shown_to_clients(self.rights_of_entry(entry))
            for entry in self.entries(folder)
            if self.in_force(entry)
        }

    def permanent(self, user: int, folder: Folder) -> set[str]:
        """Which system flags STORE changes.  RFC 4314 §4."""
        rights = self.rights(user, folder)
        flags: set[str] = set()
        if "w" in rights:
            flags |= {"\\Answered", "\\Flagged", "\\Draft", "\\*"}
        if "t" in rights:
            flags.add("\\Deleted")
        if "s" in rights:
            flags.add("\\Seen")
        return flags

    def read_write(self, user: int, folder: Folder) -> bool:
        r"""RFC 4314 §5.2: where it can change what others see.  \Seen is one's own in others' and shared folders."""
        changing = set("iewt") | (set("s") if folder.home == user else set())
        return bool(self.rights(user, folder) & changing)
