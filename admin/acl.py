"""acl-imapd-admin acl …"""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import click

from acl_imapd.access.explain import Explanation, what_can, who_can
from acl_imapd.access.explain import explain as explain_rights
from acl_imapd.access.rights import ORDER, Rights, format_rights, parse_rights
from acl_imapd.errors import Refused
from acl_imapd.storage import rights as stored
from acl_imapd.storage.database import Connection

from .output import Site, must_folder, must_identifier, must_user, near, pass_site, with_json


@click.group()
def acl() -> None:
    """Who may do what with a folder, and why.

    WHO is a user, group:TEAM, owner, authenticated or, where it is switched on, anyone.  Rights are letters of
    lrswipkxtea, or the name of a role (`role list`).
    """


def parse_letters(conn: Connection, text: str) -> Rights:
    """The rights that letters or a role's name stand for."""
    role = stored.read_role(conn, text)
    if role is not None:
        return parse_rights(role.rights)
    names = [one.name for one in stored.list_roles(conn)]
    # "read" is letters too, a among them: what is nearly a role's name is not meant as letters, unless they
    # stand in the order that rights are shown in.
    if text and set(text) <= set(ORDER + "cd"):
        rights = parse_rights(text)
        if format_rights(rights) == text or not near(text, names, cutoff=0.75):
            return rights
    raise Refused(f"{text!r} is neither rights ({ORDER}) nor a role ({', '.join(names)}).{near(text, names)}")


def is_letters(name: str) -> bool:
    """True where a role of that name would change what letters mean: each a right, none twice."""
    return set(name) <= set(ORDER + "cd") and len(set(name)) == len(name)


def _change(site: Site, folder: str, who: str, letters: str, reason: str | None, *, negative: bool) -> str:
    def change(conn: Connection) -> str:
        found = must_folder(conn, site.namespaces, folder)
        identifier = must_identifier(conn, who, allow_anyone=site.allow_anyone)
        new = parse_letters(conn, letters)
        stored.change_entry(
            conn, site.actor, found.id, identifier, negative=negative, op="set", rights=new, reason=reason
        )
        return format_rights(new)

    return site.write(change)


_REASON = click.option("--reason", help="Why; kept with the entry and shown by `acl explain`.")


@acl.command()
@click.argument("folder")
@click.argument("who")
@click.argument("rights")
@_REASON
@with_json
@pass_site
def grant(site: Site, folder: str, who: str, rights: str, reason: str | None) -> None:
    """Give WHO just these rights on a folder.  They hold from now on, in open sessions too.

    Example: acl-imapd-admin acl grant "Shared Folders/Project X" group:project-x editor --reason "kick-off"
    """
    letters = _change(site, folder, who, rights, reason, negative=False)
    site.done(f"{who} has {letters} on {folder}.", folder=folder, identifier=who, rights=letters)


@acl.command()
@click.argument("folder")
@click.argument("who")
@click.argument("rights")
@_REASON
@with_json
@pass_site
def deny(site: Site, folder: str, who: str, rights: str, reason: str | None) -> None:
    """Take these rights from WHO, whatever else gives them.

    Example: acl-imapd-admin acl deny "Shared Folders/Project X" bob rswipkxte
    """
    letters = _change(site, folder, who, rights, reason, negative=True)
    site.done(f"{letters} is taken from {who} on {folder}.", folder=folder, identifier=f"-{who}", rights=letters)


@acl.command()
@click.argument("folder")
@click.argument("who")
@with_json
@pass_site
def revoke(site: Site, folder: str, who: str) -> None:
    """Remove what the folder's ACL gives to WHO, and takes from it.  Sessions that lose access are cut off at once.

    Example: acl-imapd-admin acl revoke "Shared Folders/Project X" bob
    """

    def change(conn: Connection) -> bool:
        found = must_folder(conn, site.namespaces, folder)
        identifier = must_identifier(conn, who, allow_anyone=True)
        before = stored.read_acl(conn, found.acl_id)
        names = {entry.identifier.name for entry in before.entries} if before is not None else set()
        if identifier.name not in names:
            raise Refused(f"The ACL of {folder} does not name {who}; `acl show` tells whom it names.")
        stored.remove_entries(conn, site.actor, found.id, identifier)
        return True

    site.write(change)
    site.done(f"The ACL of {folder} names {who} no more.", folder=folder, identifier=who)


@acl.command()
@click.argument("folder")
@with_json
@pass_site
def show(site: Site, folder: str) -> None:
    """Show the entries of a folder's ACL.

    Example: acl-imapd-admin acl show "Shared Folders/Project X"
    """

    def rows(conn: Connection) -> list[dict[str, Any]]:
        found = must_folder(conn, site.namespaces, folder)
        acl_ = stored.read_acl(conn, found.acl_id)
        return [_entry(entry) for entry in acl_.entries] if acl_ is not None else []

    site.rows(
        ["identifier", "rights", "granted_by", "granted_at", "reason"], site.read(rows),
        empty="The ACL has no entries: only the owner sees the folder.",
    )  # fmt: skip


def _entry(entry: stored.AclEntry) -> dict[str, Any]:
    return {
        "identifier": entry.text,
        "rights": entry.rights,
        "granted_by": entry.granted_by,
        "granted_at": time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(entry.granted_at)),
        "reason": entry.reason,
    }


@acl.command()
@click.argument("folder")
@with_json
@pass_site
def inherit(site: Site, folder: str) -> None:
    """Drop the folder's own ACL: it follows its parent's again.

    Example: acl-imapd-admin acl inherit "Shared Folders/Project X/Specs"
    """
    found = site.read(must_folder, site.namespaces, folder)
    site.write(stored.inherit_acl, site.actor, found.id)
    site.done(f"{folder} has the rights of its parent.", folder=folder)


@acl.command("explain")
@click.argument("user")
@click.argument("folder")
@with_json
@pass_site
def explain_(site: Site, user: str, folder: str) -> None:
    """Tell why USER has the rights it has on a folder, or has none.

    Example: acl-imapd-admin acl explain bob "Shared Folders/Project X"
    """

    def run(conn: Connection) -> Explanation:
        found = must_folder(conn, site.namespaces, folder)
        return explain_rights(conn, site.namespaces, must_user(conn, user), found, allow_anyone=site.allow_anyone)

    found = site.read(run)
    if site.as_json:
        values = dataclasses.asdict(found)
        values["matched"] = [{**_entry(one.entry), "via": list(one.via), "counts": one.counts} for one in found.matched]
        site.one(values)
        return
    for line in explain_lines(found):
        click.echo(line)


def explain_lines(found: Explanation) -> list[str]:
    """The chain for people."""
    lines = [f"{found.user} on {found.folder}"]
    if found.disabled:
        return [*lines, "  the account is disabled: it cannot log in", "= no rights"]
    if found.teams:
        lines.append("  in " + ", ".join(_team(path) for path in found.teams))
    if found.inherited_from is not None:
        lines.append(f"  the ACL is inherited from {found.inherited_from}")
    for one in found.matched:
        entry = _entry(one.entry)
        sign = "-" if one.entry.negative else "+"
        own = one.entry.identifier.name
        way = " → ".join(one.via if own == found.user or len(one.via) > 1 else (*one.via, own))
        reason = f', "{entry["reason"]}"' if entry["reason"] else ""
        note = "" if one.counts else "  (does not count: acl.allow_anyone is off)"
        lines.append(
            f"  {sign} {entry['rights']:12} {way}: by {entry['granted_by']} {entry['granted_at']}{reason}{note}"
        )
    if not found.matched:
        lines.append("  no entry of the ACL names this user, a team of it, or everybody")
    if found.is_owner:
        lines.append(f"  + {'la':12} owner ({found.owner}): cannot be taken away")
    lines.append(f"= {found.rights}" if found.rights else "= no rights: the folder does not exist for this user")
    return lines


def _team(path: tuple[str, ...]) -> str:
    return path[-1] if len(path) == 1 else f"{path[-1]} (by {' → '.join(path[:-1])})"


@acl.command("who-can")
@click.argument("rights")
@click.argument("folder")
@with_json
@pass_site
def who_can_(site: Site, rights: str, folder: str) -> None:
    """List everybody who has all of RIGHTS on a folder.

    Example: acl-imapd-admin acl who-can r "Shared Folders/Project X"
    """

    def rows(conn: Connection) -> list[dict[str, Any]]:
        found = must_folder(conn, site.namespaces, folder)
        holders = who_can(conn, found, parse_letters(conn, rights), allow_anyone=site.allow_anyone)
        return [dataclasses.asdict(one) for one in holders]

    site.rows(["user", "rights"], site.read(rows), empty="Nobody can.")


@acl.command("what-can")
@click.argument("user")
@with_json
@pass_site
def what_can_(site: Site, user: str) -> None:
    """List every folder on which USER has rights.

    Example: acl-imapd-admin acl what-can bob
    """

    def rows(conn: Connection) -> list[dict[str, Any]]:
        held = what_can(conn, site.namespaces, must_user(conn, user).id, allow_anyone=site.allow_anyone)
        return [dataclasses.asdict(one) for one in held]

    site.rows(["folder", "rights"], site.read(rows), empty="None.")
