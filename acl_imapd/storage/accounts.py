"""Users and teams.  Every change goes with its audit row, its epoch and its wake-up, in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Connection,
    Float,
    Row,
    bindparam,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    text,
    update,
)

from acl_imapd.access.rights import in_force
from acl_imapd.errors import Refused
from acl_imapd.storage import mailboxes
from acl_imapd.storage.audit import Change, Subjects, append_audit, append_changes, new_group
from acl_imapd.storage.database import time_of
from acl_imapd.storage.epochs import bump, lock_site
from acl_imapd.storage.ownership import give_away
from acl_imapd.storage.prepared import Prepared
from acl_imapd.storage.schema import acl, acl_entry, mailbox, site, team, team_member, user
from acl_imapd.storage.subscriptions import subscribe
from acl_imapd.types import TeamId, UserId

SPECIAL_FOLDERS: Mapping[str, str] = {"Drafts": "\\Drafts", "Sent": "\\Sent", "Junk": "\\Junk", "Trash": "\\Trash"}
# RFC 4314 §2: these are identifiers of their own.
RESERVED = frozenset({"anyone", "anonymous", "authenticated", "owner", "administrators"})
MAX_NAME_CHARS = 200


@dataclass(frozen=True, slots=True)
class Actor:
    """Who changes something, and how he came: ``imap``, ``cli``, ``policy`` or ``expiry``.

    *group*: what the audit log's rows of one undertaking have in common, see :func:`audit.new_group`.
    """

    name: str
    channel: str
    peer: str = ""
    group: str | None = None


@dataclass(frozen=True, slots=True)
class User:
    id: UserId
    name: str
    password_hash: str | None
    disabled: bool
    quota_bytes: int | None
    created_at: float
    domain: str | None = None
    scram: str | None = None


@dataclass(frozen=True, slots=True)
class Team:
    id: TeamId
    name: str
    created_at: float


@dataclass(frozen=True, slots=True)
class Member:
    """A member as an identifier writes it: ``bob``, ``group:project-x``; and from when to when it is one."""

    name: str
    manager: bool
    since: float | None = None
    until: float | None = None
    reason: str | None = None
    added_by: str | None = None
    added_at: float | None = None


@dataclass(frozen=True, slots=True)
class Membership:
    """A way from a user up to a team, and while it is open: from the latest *since* to the earliest *until* on it."""

    team_id: TeamId
    manager: bool
    since: float | None
    until: float | None


@dataclass(frozen=True, slots=True)
class Identity:
    """A user and the teams it is in at one moment, nested ones too; *managed*: those whose mailboxes it owns.

    *limited*: the memberships that begin or end; :meth:`at` tells who the user is at another moment.
    """

    user_id: UserId
    name: str
    teams: frozenset[TeamId]
    managed: frozenset[TeamId]
    domain: str | None = None
    always: tuple[frozenset[TeamId], frozenset[TeamId]] = (frozenset(), frozenset())
    limited: tuple[Membership, ...] = ()

    def at(self, now: float) -> Identity:
        """The same user at *now*, seconds since 1970."""
        if not self.limited:
            return self
        open_now = [one for one in self.limited if in_force(one, now)]
        teams, managed = self.always
        return replace(
            self,
            teams=teams | {one.team_id for one in open_now},
            managed=managed | {one.team_id for one in open_now if one.manager},
        )


def make_identity(user_id: UserId, name: str, domain: str | None, ways: Iterable[Membership], now: float) -> Identity:
    ways = list(ways)
    lasting = [one for one in ways if one.since is None and one.until is None]
    teams = frozenset(one.team_id for one in lasting)
    managed = frozenset(one.team_id for one in lasting if one.manager)
    limited = tuple(one for one in ways if one.since is not None or one.until is not None)
    return Identity(user_id, name, teams, managed, domain, (teams, managed), limited).at(now)


def domain_of(name: str) -> str | None:
    """What follows the ``@`` of a user's name, in lower case."""
    return name.rpartition("@")[2].lower() if "@" in name else None


# -- users ----------------------------------------------------------------------------------------------

_USER_BY_NAME = Prepared(select(user).where(user.c.name == bindparam("name")))
_USER_BY_ID = Prepared(select(user).where(user.c.id == bindparam("id")))


def read_user(conn: Connection, name: str) -> User | None:
    """The user of that name."""
    return _user(_USER_BY_NAME.first(conn, {"name": name}))


def read_user_by_id(conn: Connection, user_id: UserId) -> User | None:
    """The user of that id."""
    return _user(_USER_BY_ID.first(conn, {"id": user_id}))


def _user(row: Row[Any] | None) -> User | None:
    return None if row is None else User(*tuple(row))


def list_users(conn: Connection) -> list[User]:
    """All users by name."""
    return [User(*row) for row in conn.execute(select(user).order_by(user.c.name))]


def insert_user(
    conn: Connection,
    actor: Actor,
    name: str,
    password_hash: str | None,
    *,
    scram: str | None = None,
    quota_bytes: int | None = None,
    special_folders: Mapping[str, str] = SPECIAL_FOLDERS,
) -> User:
    """A new user with an INBOX and the *special_folders* (name → special use), all subscribed.

    *scram*: the keys (:mod:`auth.scram`) of the password that *password_hash* is of.
    """
    _check_name(name, "user")
    if read_user(conn, name) is not None:
        raise Refused(f"There is a user {name!r} already.")
    values = {
        "name": name,
        "password_hash": password_hash,
        "disabled": False,
        "quota_bytes": quota_bytes,
        "created_at": time_of(conn),
        "domain": domain_of(name),
        "scram": scram,
    }
    user_id = UserId(conn.execute(insert(user).values(values).returning(user.c.id)).scalar_one())
    made = {"disabled": False, "quota_bytes": quota_bytes}
    append_audit(conn, actor, "user-add", name, None, made, users=[user_id])
    bump(conn, identity=True, tree=True)
    for path, special_use in {"INBOX": None, **special_folders}.items():
        folder = mailboxes.create_mailbox(conn, actor, user_id, path, special_use=special_use)
        subscribe(conn, user_id, folder.id, path)
    return User(user_id, name, password_hash, False, quota_bytes, values["created_at"])  # type: ignore[arg-type]  # a float


def _check_name(name: str, noun: str) -> None:
    bad = (
        not name
        or len(name) > MAX_NAME_CHARS
        or name.lower() in RESERVED
        or name[0] in "-$"
        or name.startswith(("group:", "domain:"))
        or any(char in '/%*"\\' or ord(char) < 32 or ord(char) == 127 for char in name)
        or (noun == "user" and " " in name)
        or name != name.strip()
    )
    if bad:
        raise Refused(
            f"{name!r} cannot be the name of a {noun}: it is reserved, too long, begins with - $ group: or domain:, "
            'or has one of / % * " \\ or a control character' + (" or a space." if noun == "user" else ".")
        )


def _must_user(conn: Connection, name: str) -> User:
    found = read_user(conn, name)
    if found is None:
        raise Refused(f"There is no user {name!r}.")
    return found


def set_password_hash(
    conn: Connection, actor: Actor, name: str, password_hash: str, *, scram: str | None = None
) -> None:
    """Give the user another password; *scram*: its keys, without which those of the old one go."""
    found = _must_user(conn, name)
    conn.execute(update(user).where(user.c.id == found.id).values(password_hash=password_hash, scram=scram))
    append_audit(conn, actor, "user-passwd", name, None, None, users=[found.id])
    bump(conn, identity=True)


def add_scram(conn: Connection, user_id: UserId, password_hash: str, scram: str) -> None:
    """Keep the keys of the password that *password_hash* is of, if that is still the user's.

    No change of access: who knew the password could log in before, and nobody else can now.
    """
    same = (user.c.id == user_id) & (user.c.password_hash == password_hash)
    conn.execute(update(user).where(same).values(scram=scram))


def read_secret(conn: Connection) -> bytes:
    """The site's secret."""
    return bytes(conn.execute(select(site.c.secret)).scalar_one())


def set_disabled(conn: Connection, actor: Actor, name: str, disabled: bool) -> None:
    """Let the user log in no more, or again.  Open sessions end at once."""
    lock_site(conn)
    found = _must_user(conn, name)
    if found.disabled == disabled:
        return
    conn.execute(update(user).where(user.c.id == found.id).values(disabled=disabled))
    append_audit(
        conn, actor, "user-disable" if disabled else "user-enable", name, {"disabled": not disabled},
        {"disabled": disabled}, users=[found.id],
    )  # fmt: skip
    bump(conn, identity=True)


def remove_user(conn: Connection, actor: Actor, name: str) -> None:
    """Remove the user with its mailboxes, its entries in ACLs and its memberships; what it owned is nobody's then."""
    from acl_imapd.storage.rights import end_entries

    lock_site(conn)
    found = _must_user(conn, name)
    actor = as_one(actor)
    mailboxes.remove_home(conn, actor, found.id)
    end_entries(conn, actor, acl_entry.c.user_id == found.id)
    end_memberships(conn, actor, team_member.c.user_id == found.id)
    give_away(conn, actor, mailbox.c.owner_user_id == found.id)
    conn.execute(delete(user).where(user.c.id == found.id))
    before = {"disabled": found.disabled, "quota_bytes": found.quota_bytes}
    append_audit(conn, actor, "user-remove", name, before, None, users=[found.id])
    bump(conn, acl=True, tree=True, identity=True)


def as_one(actor: Actor) -> Actor:
    """The actor of an undertaking whose changes the audit log tells as one."""
    return actor if actor.group is not None else replace(actor, group=new_group())


def rename_user(conn: Connection, actor: Actor, old: str, new: str) -> None:
    """Another login; mailboxes, entries, memberships and subscriptions hang on the id and stay."""
    lock_site(conn)
    found = _must_user(conn, old)
    _check_name(new, "user")
    if read_user(conn, new) is not None:
        raise Refused(f"There is a user {new!r} already.")
    conn.execute(update(user).where(user.c.id == found.id).values(name=new, domain=domain_of(new)))
    epochs = bump(conn, acl=True, tree=True, identity=True)
    touched = select(acl_entry.c.acl_id).where(acl_entry.c.user_id == found.id)
    conn.execute(update(acl).where(acl.c.id.in_(touched)).values(epoch=epochs.acl))
    append_audit(conn, actor, "user-rename", old, {"name": old}, {"name": new}, users=[found.id])


# -- teams ----------------------------------------------------------------------------------------------


def read_team(conn: Connection, name: str) -> Team | None:
    """The team of that name."""
    row = conn.execute(select(team).where(team.c.name == name)).first()
    return None if row is None else Team(*row)


def list_teams(conn: Connection) -> list[Team]:
    """All teams by name."""
    return [Team(*row) for row in conn.execute(select(team).order_by(team.c.name))]


def _must_team(conn: Connection, name: str) -> Team:
    found = read_team(conn, name)
    if found is None:
        raise Refused(f"There is no team {name!r}.")
    return found


def insert_team(conn: Connection, actor: Actor, name: str) -> Team:
    """A new team without members."""
    _check_name(name, "team")
    if read_team(conn, name) is not None:
        raise Refused(f"There is a team {name!r} already.")
    now = time_of(conn)
    team_id = TeamId(conn.execute(insert(team).values(name=name, created_at=now).returning(team.c.id)).scalar_one())
    append_audit(conn, actor, "team-add", name, None, {"name": name}, teams=[team_id])
    bump(conn, identity=True)
    return Team(team_id, name, now)


def _touch_acls_of_team(conn: Connection, team_id: TeamId) -> None:
    epochs = bump(conn, acl=True, identity=True, tree=True)
    touched = select(acl_entry.c.acl_id).where(acl_entry.c.team_id == team_id)
    conn.execute(update(acl).where(acl.c.id.in_(touched)).values(epoch=epochs.acl))


def rename_team(conn: Connection, actor: Actor, old: str, new: str) -> None:
    """Another name; members, entries and mailboxes stay."""
    lock_site(conn)
    found = _must_team(conn, old)
    _check_name(new, "team")
    if read_team(conn, new) is not None:
        raise Refused(f"There is a team {new!r} already.")
    conn.execute(update(team).where(team.c.id == found.id).values(name=new))
    _touch_acls_of_team(conn, found.id)
    append_audit(conn, actor, "team-rename", old, {"name": old}, {"name": new}, teams=[found.id])


def remove_team(conn: Connection, actor: Actor, name: str) -> None:
    """Remove the team with its entries in ACLs and its memberships; mailboxes it owned are nobody's then."""
    from acl_imapd.storage.rights import end_entries

    lock_site(conn)
    found = _must_team(conn, name)
    actor = as_one(actor)
    end_entries(conn, actor, acl_entry.c.team_id == found.id)
    end_memberships(conn, actor, or_(team_member.c.team_id == found.id, team_member.c.member_team_id == found.id))
    give_away(conn, actor, mailbox.c.owner_team_id == found.id)
    conn.execute(delete(team).where(team.c.id == found.id))
    append_audit(conn, actor, "team-remove", name, {"name": name}, None, teams=[found.id])
    bump(conn, acl=True, tree=True, identity=True)


def list_members(conn: Connection, team_name: str) -> list[Member]:
    """The direct members, users first."""
    return [Member(*row[1:]) for row in conn.execute(_MEMBERS_OF, {"id": _must_team(conn, team_name).id})]


def list_teams_of(conn: Connection, user_id: UserId) -> list[tuple[str, Member]]:
    """The teams the user is in itself, by name, and how."""
    of_team = team.alias("of_team")
    query = _MEMBERS.join(of_team, of_team.c.id == team_member.c.team_id).add_columns(of_team.c.name.label("of"))
    rows = conn.execute(query.where(team_member.c.user_id == user_id))
    return sorted((row[-1], Member(*row[1:-1])) for row in rows)


def list_all_members(conn: Connection) -> dict[TeamId, list[Member]]:
    """The direct members of each team that has any, users first; one statement however many teams there are."""
    found: dict[TeamId, list[Member]] = {}
    for row in conn.execute(_MEMBERS):
        found.setdefault(TeamId(row.team_id), []).append(Member(*row[1:]))
    return found


_MEMBER_TEAM = team.alias("member_team")
_MEMBERS = (
    select(
        team_member.c.team_id,
        func.coalesce(user.c.name, literal("group:") + _MEMBER_TEAM.c.name).label("name"),
        team_member.c.manager,
        team_member.c.since,
        team_member.c.until,
        team_member.c.reason,
        team_member.c.added_by,
        team_member.c.added_at,
    )
    .outerjoin(user, user.c.id == team_member.c.user_id)
    .outerjoin(_MEMBER_TEAM, _MEMBER_TEAM.c.id == team_member.c.member_team_id)
    .order_by(team_member.c.user_id.is_(None), user.c.name, _MEMBER_TEAM.c.name)
)
_MEMBERS_OF = _MEMBERS.where(team_member.c.team_id == bindparam("id"))


def _member_columns(conn: Connection, member: str) -> dict[str, int | None]:
    for prefix in ("group:", "$"):
        if member.startswith(prefix):
            return {"user_id": None, "member_team_id": _must_team(conn, member[len(prefix) :]).id}
    return {"user_id": _must_user(conn, member).id, "member_team_id": None}


def join_team(
    conn: Connection,
    actor: Actor,
    team_name: str,
    member: str,
    *,
    manager: bool = False,
    since: float | None = None,
    until: float | None = None,
    reason: str | None = None,
) -> None:
    """Make *member* (``bob``, ``group:x``, ``$x``) a member, or change how: whether it manages the team, from when
    to when (seconds since 1970), and why."""
    lock_site(conn)  # or two that join each other would make a cycle
    found = _must_team(conn, team_name)
    columns = _member_columns(conn, member)
    if columns["member_team_id"] is not None and _contains(conn, columns["member_team_id"], found.id):
        raise Refused(f"{member} cannot join {team_name!r}: {team_name!r} is a member of it, or the same team.")
    check_limits(since, until, time_of(conn))
    same = (team_member.c.team_id == found.id) & (
        team_member.c.user_id == columns["user_id"]
        if columns["user_id"] is not None
        else team_member.c.member_team_id == columns["member_team_id"]
    )
    row = conn.execute(_MEMBERS.where(same)).first()
    before = None if row is None else Member(*row[1:])
    if before is not None and (before.manager, before.since, before.until) == (manager, since, until) and (
        reason is None or reason == before.reason
    ):  # fmt: skip
        return
    name = f"group:{member.removeprefix('$').removeprefix('group:')}" if columns["user_id"] is None else member
    made = Member(name, manager, since, until, reason, actor.name, time_of(conn))
    values = {key: value for key, value in asdict(made).items() if key != "name"}
    if row is None:
        conn.execute(insert(team_member).values(team_id=found.id, **columns, **values))
    else:
        conn.execute(update(team_member).where(same).values(**values))
    append_audit(
        conn, actor, "team-join", team_name, None if before is None else _member_record(before),
        _member_record(made), reason=reason, **_member_subjects(found.id, **columns),
    )  # fmt: skip
    bump(conn, identity=True)


def _member_record(member: Member) -> dict[str, Any]:
    found = {"member": member.name, **{key: value for key, value in asdict(member).items() if key != "name"}}
    return {key: value for key, value in found.items() if value is not None}


def _member_subjects(team_id: int, user_id: int | None, member_team_id: int | None) -> Subjects:
    return {
        "users": [user_id] if user_id is not None else [],
        "teams": [team_id] if member_team_id is None else [team_id, member_team_id],
    }


def check_limits(since: float | None, until: float | None, now: float) -> None:
    """Refused where something would end before it begins, or has ended already."""
    if until is not None and until <= (since if since is not None else now):
        raise Refused("It would end before it begins; --until is a moment to come, after --since.")


def _contains(conn: Connection, outer: int, inner: int) -> bool:
    """True when team *inner* is *outer* or, at any depth, a member of it."""
    return conn.execute(_CONTAINS, {"outer": outer, "inner": inner}).first() is not None


_CONTAINS = text(
    "WITH RECURSIVE below(id) AS (SELECT CAST(:outer AS BIGINT) UNION SELECT team_member.member_team_id"
    " FROM team_member JOIN below ON team_member.team_id = below.id WHERE team_member.member_team_id IS NOT NULL)"
    " SELECT 1 FROM below WHERE id = :inner"
)


def leave_team(conn: Connection, actor: Actor, team_name: str, member: str) -> None:
    """End a membership; Refused where there is none."""
    lock_site(conn)
    found = _must_team(conn, team_name)
    columns = _member_columns(conn, member)
    same = team_member.c.team_id == found.id
    for column, value in columns.items():
        if value is not None:
            same = same & (team_member.c[column] == value)
    if not end_memberships(conn, actor, same):
        raise Refused(f"{member} is not a member of {team_name!r}; `team show` tells who is.")


def end_memberships(conn: Connection, actor: Actor, which: Any, *, action: str = "team-leave") -> int:
    """End those memberships; how many.  For this package."""
    owner = team.alias("owner_team")
    query = _MEMBERS.join(owner, owner.c.id == team_member.c.team_id).add_columns(
        owner.c.name.label("team_name"), team_member.c.user_id, team_member.c.member_team_id
    )
    changes = []
    for row in conn.execute(query.where(which)).all():
        *columns, team_name, user_id, member_team_id = row[1:]
        one = Member(*columns)
        subjects = _member_subjects(row.team_id, user_id, member_team_id)
        changes.append(Change(action, team_name, _member_record(one), None, one.reason, **subjects))
    if changes:
        conn.execute(delete(team_member).where(which))
        append_changes(conn, actor, changes)
        bump(conn, identity=True)
    return len(changes)


# -- identities -------------------------------------------------------------------------------------------

# From the user up to every team above it; a manager below counts as one only by a membership as manager.  A way is
# open from the latest of its beginnings to the earliest of its ends.
_CLOSURE = Prepared(
    text(
        "WITH RECURSIVE above(id, manager, since, until) AS ("
        " SELECT team_id, manager, since, until FROM team_member WHERE user_id = :user_id"
        " UNION SELECT member.team_id, member.manager,"
        " CASE WHEN above.since IS NULL OR member.since > above.since THEN member.since ELSE above.since END,"
        " CASE WHEN above.until IS NULL OR member.until < above.until THEN member.until ELSE above.until END"
        " FROM team_member AS member JOIN above ON member.member_team_id = above.id)"
        " SELECT id, manager, since, until FROM above"
    ).columns(id=BigInteger, manager=Boolean, since=Float, until=Float)
)


def read_identity(conn: Connection, user_id: UserId) -> Identity | None:
    """The user and its teams; None where it is gone or disabled."""
    found = read_user_by_id(conn, user_id)
    if found is None or found.disabled:
        return None
    rows = _CLOSURE.all(conn, {"user_id": user_id})
    ways = [Membership(TeamId(row.id), bool(row.manager), row.since, row.until) for row in rows]
    return make_identity(user_id, found.name, domain_of(found.name), ways, time_of(conn))
