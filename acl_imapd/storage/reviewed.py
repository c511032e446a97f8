"""What a review of access reads: folders with rights of their own, in batches, and what ends soon."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, and_, exists, func, or_, select, text, tuple_

from acl_imapd.storage import roster
from acl_imapd.storage.accounts import list_all_members, list_teams
from acl_imapd.storage.last_access import read_last_access
from acl_imapd.storage.mailboxes import Mailbox, read_mailboxes
from acl_imapd.storage.rights import Acl, AclEntry, read_acls, read_entries
from acl_imapd.storage.roster import Memberships, Person
from acl_imapd.storage.schema import acl_entry, mailbox, team, team_member, user
from acl_imapd.storage.visible import read_user_names
from acl_imapd.types import AclId, MailboxId, TeamId, UserId

BATCH = 200

_PARENT = mailbox.alias("parent")
# A folder whose owner is not its parent's has rights of its own too: the owner's.
_OWN = or_(
    mailbox.c.acl_own,
    mailbox.c.owner_user_id.is_distinct_from(_PARENT.c.owner_user_id),
    mailbox.c.owner_team_id.is_distinct_from(_PARENT.c.owner_team_id),
)
# A personal folder that nobody but its user is named for is nobody else's business.
_SHARED_WITH_SOMEBODY = exists().where(
    acl_entry.c.acl_id == mailbox.c.acl_id,
    or_(acl_entry.c.user_id.is_(None), acl_entry.c.user_id != mailbox.c.home_id),
)


def read_reviewed(
    conn: Connection, *, below: Mailbox | None = None, acl_ids: Sequence[AclId] | None = None
) -> Iterator[list[Mailbox]]:
    """The folders that have rights of their own, by name, in batches: of all, of *below* and what is under it, or of
    those that *acl_ids* hold for.  Personal folders come after the shared ones, and only where somebody else is named.
    """
    which: list[Any] = []
    if acl_ids is not None:
        which.append(mailbox.c.acl_id.in_(acl_ids))
    if below is not None:
        prefix = below.path + "/"
        under = or_(mailbox.c.id == below.id, func.substr(mailbox.c.path, 1, len(prefix)) == prefix)
        which += [under, _same_home(below.home_id)]
    base = select(mailbox).outerjoin(_PARENT, _PARENT.c.id == mailbox.c.parent_id).limit(BATCH)
    own: Any = _OWN if below is None else or_(_OWN, mailbox.c.id == below.id)
    if below is None or below.home_id is None:
        query = base.where(mailbox.c.home_id.is_(None), own, *which).order_by(mailbox.c.path)
        yield from _paged(conn, query, lambda last: mailbox.c.path > last.path)
    if below is None or below.home_id is not None:
        shared = _SHARED_WITH_SOMEBODY if below is None else or_(_SHARED_WITH_SOMEBODY, mailbox.c.id == below.id)
        query = base.where(mailbox.c.home_id.isnot(None), mailbox.c.acl_own, shared, *which)
        query = query.order_by(mailbox.c.home_id, mailbox.c.path)
        key = tuple_(mailbox.c.home_id, mailbox.c.path)
        yield from _paged(conn, query, lambda last: key > (last.home_id, last.path))


def _same_home(home_id: UserId | None) -> Any:
    return mailbox.c.home_id.is_(None) if home_id is None else mailbox.c.home_id == home_id


def _paged(conn: Connection, query: Select[Any], after: Any) -> Iterator[list[Mailbox]]:
    page = query
    while found := [Mailbox(*row) for row in conn.execute(page)]:
        yield found
        if len(found) < BATCH:
            return
        page = query.where(after(found[-1]))


@dataclass(frozen=True, slots=True)
class Background:
    """All that is needed to tell who may do what with some folders, and to name them."""

    acls: dict[AclId, Acl]
    parents: dict[MailboxId, Mailbox]
    memberships: Memberships
    people: dict[UserId, Person]
    last_used: dict[tuple[AclId, UserId], int]
    folders: dict[AclId, int]  # how many an ACL holds for
    homes: dict[UserId, str]
    teams: dict[TeamId, str]  # the owners' names


def read_background(conn: Connection, folders: Sequence[Mailbox]) -> Background:
    """What concerns a batch, in a constant number of statements."""
    parents = {one.id: one for one in read_mailboxes(conn, [m.parent_id for m in folders if m.parent_id is not None])}
    both = [*folders, *parents.values()]
    acl_ids = sorted({one.acl_id for one in both})
    owner_teams = sorted({one.owner_team_id for one in both if one.owner_team_id is not None})
    owners = {one.owner_user_id for one in both} | {one.home_id for one in both}
    user_ids = sorted(one for one in owners if one is not None)
    own_ids = sorted({one.acl_id for one in folders})
    counts = select(mailbox.c.acl_id, func.count()).where(mailbox.c.acl_id.in_(own_ids)).group_by(mailbox.c.acl_id)
    return Background(
        acls=read_acls(conn, acl_ids),
        parents=parents,
        memberships=roster.read_memberships_below(conn, acl_ids, owner_teams),
        people=roster.read_people_of(conn, acl_ids, owner_teams, user_ids),
        last_used=read_last_access(conn, own_ids),
        folders={AclId(row[0]): row[1] for row in conn.execute(counts)},
        homes=read_user_names(conn, user_ids),
        teams=roster.read_team_names(conn, owner_teams),
    )


def read_usual_domain(conn: Connection) -> str | None:
    """The domain that most users' names end in; None where most have none."""
    count = func.count()
    query = select(user.c.domain).group_by(user.c.domain).order_by(count.desc(), user.c.domain).limit(1)
    return conn.execute(query).scalar()


def read_acls_of_team(conn: Connection, team_id: TeamId) -> list[AclId]:
    """The ACLs that name the team or one that it is in, and those of the folders that these own."""
    teams = list(conn.execute(_TEAM_AND_ABOVE, {"team_id": team_id}).scalars())
    named = select(acl_entry.c.acl_id).where(acl_entry.c.team_id.in_(teams))
    owned = select(mailbox.c.acl_id).where(mailbox.c.owner_team_id.in_(teams))
    return sorted(conn.execute(named.union(owned)).scalars())


_TEAM_AND_ABOVE = text(
    "WITH RECURSIVE above(id) AS (SELECT CAST(:team_id AS BIGINT) UNION SELECT up.team_id FROM team_member up"
    " JOIN above ON up.member_team_id = above.id) SELECT id FROM above"
)


# -- teams ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ReviewedTeam:
    """A team with its direct memberships; *folders*: how many ACLs name it; *owns*: how many folders are its."""

    name: str
    members: tuple[Any, ...]
    folders: int
    owns: int


def read_reviewed_teams(conn: Connection) -> Iterator[ReviewedTeam]:
    """All teams by name, in four statements."""
    members = list_all_members(conn)
    named = _counts(conn, acl_entry.c.team_id)
    owned = _counts(conn, mailbox.c.owner_team_id)
    for one in list_teams(conn):
        yield ReviewedTeam(one.name, tuple(members.get(one.id, ())), named.get(one.id, 0), owned.get(one.id, 0))


def _counts(conn: Connection, column: Any) -> dict[int, int]:
    rows = conn.execute(select(column, func.count()).where(column.isnot(None)).group_by(column))
    return {row[0]: row[1] for row in rows}


# -- what ends ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EndingMembership:
    team: str
    member: str  # "bob", "group:berlin"
    manager: bool
    since: float | None
    until: float
    added_by: str | None
    added_at: float | None
    reason: str | None


def read_ending_entries(conn: Connection, now: float, upto: float) -> list[tuple[Mailbox, AclEntry]]:
    """The entries that hold and end by *upto*, with the folder whose ACL they are in, the next to end first."""
    found = read_entries(conn, and_(acl_entry.c.until > now, acl_entry.c.until <= upto))
    folders = {one.id: one for one in read_mailboxes(conn, sorted({mailbox_id for mailbox_id, _, _ in found}))}
    pairs = [(folders[mailbox_id], entry) for mailbox_id, _, entry in found]
    return sorted(pairs, key=lambda pair: (pair[1].until or 0.0, pair[0].path))


_MEMBER = team.alias("member_team")


def read_ending_memberships(conn: Connection, now: float, upto: float) -> list[EndingMembership]:
    """The memberships that hold and end by *upto*, the next to end first."""
    columns = team_member.c
    query = (
        select(
            team.c.name, user.c.name, _MEMBER.c.name, columns.manager, columns.since, columns.until, columns.added_by,
            columns.added_at, columns.reason,
        )
        .join(team, team.c.id == columns.team_id)
        .outerjoin(user, user.c.id == columns.user_id)
        .outerjoin(_MEMBER, _MEMBER.c.id == columns.member_team_id)
        .where(columns.until > now, columns.until <= upto)
        .order_by(columns.until, team.c.name)
    )  # fmt: skip
    return [
        EndingMembership(row[0], row[1] if row[1] is not None else f"group:{row[2]}", bool(row[3]), *row[4:])
        for row in conn.execute(query)
    ]
