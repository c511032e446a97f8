"""acl-imapd-admin user …"""

from __future__ import annotations

import re
import secrets
import sys
import time
from typing import Any

import click

from acl_imapd.access.explain import folder_name, what_can
from acl_imapd.access.namespaces import Namespaces
from acl_imapd.auth.passwords import hash_password
from acl_imapd.auth.scram import scram_of
from acl_imapd.errors import Refused
from acl_imapd.storage import accounts, handover
from acl_imapd.storage.database import Connection
from acl_imapd.storage.mailboxes import Mailbox
from acl_imapd.storage.visible import read_team_paths

from .app_password import app_password
from .output import Site, confirm, must_user, pass_site, with_json


@click.group()
def user() -> None:
    """People who log in."""


def _password(*, from_stdin: bool, generate: bool) -> tuple[str, bool]:
    if from_stdin:
        password = sys.stdin.readline().rstrip("\n")
    elif generate:
        return secrets.token_urlsafe(15), True
    elif sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        raise Refused("Say --password-stdin or --generate: there is nobody to ask for a password.")
    if not password:
        raise Refused("An empty password is none.")
    return password, False


_STDIN = click.option("--password-stdin", is_flag=True, help="Read the password from the first line of standard input.")
_GENERATE = click.option("--generate", is_flag=True, help="Make a password up and print it.")


def parse_size(text: str | None) -> int | None:
    """``500M`` in bytes."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d+)([KMGT]?)B?", text.strip().upper())
    if found is None:
        raise click.BadParameter("a size is written 500M or 2G")
    size = int(found[1]) << 10 * " KMGT".index(found[2] or " ")
    if size >= 2**63:
        raise click.BadParameter("that is more than can be counted; leave --quota out for no limit")
    return size


@user.command()
@click.argument("name")
@_STDIN
@_GENERATE
@click.option("--quota", help="How much the user may keep: 500M, 2G.")
@with_json
@pass_site
def add(site: Site, name: str, password_stdin: bool, generate: bool, quota: str | None) -> None:
    """Add a user, with an INBOX, Drafts, Sent, Junk and Trash.

    Example: acl-imapd-admin user add bob --generate
    """
    quota_bytes = parse_size(quota)
    password, made_up = _password(from_stdin=password_stdin, generate=generate)
    scram = scram_of(password, site.read(accounts.read_secret), name)
    site.write(accounts.insert_user, site.actor, name, hash_password(password), scram=scram, quota_bytes=quota_bytes)
    values = {"name": name, **({"password": password} if made_up else {})}
    site.done(f"User {name} added." + (f"  Password: {password}" if made_up else ""), **values)


@user.command("list")
@with_json
@pass_site
def list_(site: Site) -> None:
    """List all users.

    Example: acl-imapd-admin user list --json
    """
    rows = [
        {"name": one.name, "disabled": bool(one.disabled), "quota_bytes": one.quota_bytes}
        for one in site.read(accounts.list_users)
    ]
    site.rows(["name", "disabled", "quota_bytes"], rows)


@user.command()
@click.argument("name")
@with_json
@pass_site
def show(site: Site, name: str) -> None:
    """Show a user: teams, folders, since when.

    Example: acl-imapd-admin user show bob
    """
    found = site.read(must_user, name)
    paths = site.read(read_team_paths, found.id)
    held = site.read(what_can, site.namespaces, found.id, allow_anyone=site.allow_anyone)
    site.one(
        {
            "name": found.name,
            "disabled": bool(found.disabled),
            "quota_bytes": found.quota_bytes,
            "created": time.strftime("%Y-%m-%d %H:%M", time.localtime(found.created_at)),
            "teams": sorted(path[-1] for path in paths.values()),
            "folders": len(held),
        }
    )


@user.command()
@click.argument("name")
@_STDIN
@_GENERATE
@with_json
@pass_site
def passwd(site: Site, name: str, password_stdin: bool, generate: bool) -> None:
    """Give a user another password.

    Example: echo s3cret | acl-imapd-admin user passwd bob --password-stdin
    """
    site.read(must_user, name)
    password, made_up = _password(from_stdin=password_stdin, generate=generate)
    scram = scram_of(password, site.read(accounts.read_secret), name)
    site.write(accounts.set_password_hash, site.actor, name, hash_password(password), scram=scram)
    values = {"name": name, **({"password": password} if made_up else {})}
    site.done(f"Password of {name} changed." + (f"  Password: {password}" if made_up else ""), **values)


@user.command()
@click.argument("name")
@with_json
@pass_site
def disable(site: Site, name: str) -> None:
    """Let a user log in no more; open sessions end.

    Example: acl-imapd-admin user disable bob
    """
    site.read(must_user, name)
    site.write(accounts.set_disabled, site.actor, name, True)
    site.done(f"User {name} disabled.", name=name, disabled=True)


@user.command()
@click.argument("name")
@with_json
@pass_site
def enable(site: Site, name: str) -> None:
    """Let a user log in again.

    Example: acl-imapd-admin user enable bob
    """
    site.read(must_user, name)
    site.write(accounts.set_disabled, site.actor, name, False)
    site.done(f"User {name} enabled.", name=name, disabled=False)


@user.command()
@click.argument("old")
@click.argument("new")
@with_json
@pass_site
def rename(site: Site, old: str, new: str) -> None:
    """Give a user another login; folders, rights and teams stay.

    Example: acl-imapd-admin user rename bob robert
    """
    site.read(must_user, old)
    site.write(accounts.rename_user, site.actor, old, new)
    site.done(f"User {old} is {new} now.", name=new)


@user.command()
@click.argument("name")
@click.option("--transfer-to", "heir", metavar="USER", required=True, help="Who gets it all.")
@click.option("--dry-run", is_flag=True, help="Show what there is, and change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_json
@pass_site
def offboard(site: Site, name: str, heir: str, dry_run: bool, yes: bool) -> None:
    """Disable a user and give what it has to USER: folders, ownership, the management of teams.

    Personal folders come below "From NAME" in USER's tree with messages, UIDs and flags; what others were granted on
    them stays, and is shown.  NAME's entries in other ACLs and its memberships end.  All of it or nothing is done.

    \b
    Examples:
      acl-imapd-admin user offboard bob --transfer-to alice --dry-run
      acl-imapd-admin user offboard bob --transfer-to alice --yes
    """
    found, held = site.read(_holdings, site.namespaces, name, heir)
    if not site.as_json:
        for line in _holding_lines(held):
            click.echo(line)
    if dry_run:
        site.done("Nothing was changed.", name=found.name, transfer_to=heir, done=False, **held)
        return
    confirm(f"Disable {name} and hand all of this over to {heir}?", yes=yes)
    top = site.write(handover.offboard, site.actor, name, heir)
    folder = site.namespaces.name(heir, top.path, None)
    site.done(
        f"User {name} disabled; what {name} had is {heir}'s, the personal folders below {folder}.",
        name=name, transfer_to=heir, done=True, folder=folder, **held,
    )  # fmt: skip


def _holdings(
    conn: Connection, namespaces: Namespaces, name: str, heir: str
) -> tuple[accounts.User, dict[str, list[dict[str, Any]]]]:
    found = must_user(conn, name)
    must_user(conn, heir)
    has = handover.read_holdings(conn, found.id)

    def called(mailbox: Mailbox) -> str:
        return folder_name(conn, namespaces, mailbox)

    return found, {
        "personal": [
            {"folder": called(one), "messages": one.messages, "shared_with": [entry.text for entry in others]}
            for one, others in has.personal
        ],
        "owned": [{"folder": called(one), "messages": one.messages} for one in has.owned],
        "teams": [{"team": team, "manager": member.manager} for team, member in has.teams],
        "entries": [
            {"folder": called(one), "identifier": entry.text, "rights": entry.rights} for one, entry in has.entries
        ],
    }


def _holding_lines(held: dict[str, list[dict[str, Any]]]) -> list[str]:
    """For people, what is handed over and what ends."""
    lines = []
    for one in held["personal"]:
        others = f", shared with {', '.join(one['shared_with'])}" if one["shared_with"] else ""
        lines.append(f"  hands over  {one['folder']}: {one['messages']} messages{others}")
    lines += [f"  hands over  {one['folder']}, as its owner" for one in held["owned"]]
    lines += [f"  hands over  the management of team {one['team']}" for one in held["teams"] if one["manager"]]
    lines += [f"  leaves      team {one['team']}" for one in held["teams"]]
    lines += [f"  loses       {one['rights']} ({one['identifier']}) on {one['folder']}" for one in held["entries"]]
    return lines


@user.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_json
@pass_site
def remove(site: Site, name: str, yes: bool) -> None:
    """Remove a user with all personal folders and all rights; shared folders it owned have no owner then.

    `user offboard` hands them over before.

    Example: acl-imapd-admin user remove bob --yes
    """
    site.read(must_user, name)
    confirm(f"Remove {name} with all personal folders and messages?", yes=yes)
    site.write(accounts.remove_user, site.actor, name)
    site.done(f"User {name} removed.", name=name)


user.add_command(app_password)
