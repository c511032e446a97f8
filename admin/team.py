"""acl-imapd-admin team …"""

from __future__ import annotations

from typing import Any

import click

from acl_imapd.storage import accounts
from acl_imapd.storage.database import Connection

from .output import Site, confirm, must_team, must_user, pass_site, team_part, with_json
from .when import limits, shown


@click.group()
def team() -> None:
    """Teams: several people, or other teams, under one name (group:NAME in an ACL)."""


def must_member(conn: Connection, member: str) -> None:
    """Refused where there is no such user or team."""
    name = team_part(member)
    if name is None:
        must_user(conn, member)
    else:
        must_team(conn, name)


@team.command()
@click.argument("name")
@with_json
@pass_site
def add(site: Site, name: str) -> None:
    """Add a team.

    Example: acl-imapd-admin team add project-x
    """
    site.write(accounts.insert_team, site.actor, name)
    site.done(f"Team {name} added; `team join {name} USER` gives it members.", name=name)


@team.command("list")
@with_json
@pass_site
def list_(site: Site) -> None:
    """List all teams.

    Example: acl-imapd-admin team list
    """

    def rows(conn: Connection) -> list[dict[str, Any]]:
        members = accounts.list_all_members(conn)
        return [
            {"name": one.name, "members": [member.name for member in members.get(one.id, ())]}
            for one in accounts.list_teams(conn)
        ]

    site.rows(["name", "members"], site.read(rows))


@team.command()
@click.argument("name")
@with_json
@pass_site
def show(site: Site, name: str) -> None:
    """Show who is in a team.

    Example: acl-imapd-admin team show project-x
    """
    site.read(must_team, name)
    rows = [
        {
            "member": one.name,
            "manager": bool(one.manager),
            "since": shown(one.since),
            "until": shown(one.until),
            "added_by": one.added_by,
            "added_at": shown(one.added_at),
            "reason": one.reason,
        }
        for one in site.read(accounts.list_members, name)
    ]
    site.rows(list(rows[0]) if rows else ["member"], rows, empty="The team has no members.")


@team.command()
@click.argument("name", metavar="TEAM")
@click.argument("member")
@click.option("--manager", is_flag=True, help="The member manages the team: it owns what the team owns.")
@limits
@click.option("--reason", help="Why; kept with the membership.")
@with_json
@pass_site
def join(
    site: Site, name: str, member: str, manager: bool, since: float | None, until: float | None, reason: str | None
) -> None:
    """Make MEMBER, a user or group:TEAM, a member.

    \b
    Examples:
      acl-imapd-admin team join project-x bob --manager
      acl-imapd-admin team join project-x carol --until 2027-03-31 --reason "stands in for bob"
    """
    site.read(must_team, name)
    site.read(must_member, member)
    site.write(accounts.join_team, site.actor, name, member, manager=manager, since=since, until=until, reason=reason)
    when = "".join(f", {word} {shown(one)}" for word, one in (("from", since), ("until", until)) if one is not None)
    site.done(
        f"{member} is in {name}" + (" and manages it" if manager else "") + f"{when}.",
        team=name, member=member, manager=manager, since=shown(since), until=shown(until),
    )  # fmt: skip


@team.command()
@click.argument("name", metavar="TEAM")
@click.argument("member")
@with_json
@pass_site
def leave(site: Site, name: str, member: str) -> None:
    """End a membership; what it gave ends with it, at once.

    Example: acl-imapd-admin team leave project-x bob
    """
    site.read(must_team, name)
    site.read(must_member, member)
    site.write(accounts.leave_team, site.actor, name, member)
    site.done(f"{member} is in {name} no more.", team=name, member=member)


@team.command()
@click.argument("old")
@click.argument("new")
@with_json
@pass_site
def rename(site: Site, old: str, new: str) -> None:
    """Give a team another name; members and rights stay.

    Example: acl-imapd-admin team rename project-x project-y
    """
    site.read(must_team, old)
    site.write(accounts.rename_team, site.actor, old, new)
    site.done(f"Team {old} is {new} now.", name=new)


@team.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_json
@pass_site
def remove(site: Site, name: str, yes: bool) -> None:
    """Remove a team and the rights it was given.

    Example: acl-imapd-admin team remove project-x --yes
    """
    site.read(must_team, name)
    confirm(f"Remove team {name} and every right it was given?", yes=yes)
    site.write(accounts.remove_team, site.actor, name)
    site.done(f"Team {name} removed.", name=name)
