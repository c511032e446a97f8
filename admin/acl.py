"""acl-imapd-admin acl …"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import click

from acl_imapd.access.explain import Explanation, Matched, what_can, who_can
from acl_imapd.access.explain import explain as explain_rights
from acl_imapd.access.rights import NONE, ORDER, Rights, format_rights, parse_rights
from acl_imapd.errors import Refused
from acl_imapd.storage import rights as stored
from acl_imapd.storage.database import Connection, time_of
from acl_imapd.storage.roster import Edge

from .output import Site, must_folder, must_identifier, must_user, near, pass_site, with_json
from .past import ENTRY_COLUMNS, NO_ENTRIES, show_past
from .when import When, limits, shown


@click.group()
def acl() -> None:
    """Who may do what with a folder, and why.

    WHO is a user, group:TEAM, domain:EXAMPLE.COM (whoever's name ends in @example.com), owner, authenticated or,
    where it is switched on, anyone.  Rights are letters of lrswipkxtea, or the name of a role (`role list`).
    """


def resolve_role(roles: Sequence[stored.Role], text: str) -> tuple[Rights, str | None]:
    """The rights that letters or the name of one of *roles* stand for, and the name where it is one."""
    for one in roles:
        if one.name == text:
            return parse_rights(one.rights), text
    names = [one.name for one in roles]
    # "read" is letters too, a among them: what is nearly a role's name is not meant as letters, unless they
    # stand in the order that rights are shown in.
    if text and set(text) <= set(ORDER + "cd"):
        rights = parse_rights(text)
        if format_rights(rights) == text or not near(text, names, cutoff=0.75):
            return rights, None
    raise Refused(f"{text!r} is neither rights ({ORDER}) nor a role ({', '.join(names)}).{near(text, names)}")


def parse_role(conn: Connection, text: str) -> tuple[Rights, int | None]:
    """The rights that letters or a role's name stand for, and the role as entries keep it."""
    rights, role = resolve_role(stored.list_roles(conn), text)
    return rights, None if role is None else stored.read_role_id(conn, role)


def parse_letters(conn: Connection, text: str) -> Rights:
    """The rights that letters or a role's name stand for."""
    return parse_role(conn, text)[0]


def is_letters(name: str) -> bool:
    """True where a role of that name would change what letters mean: each a right, none twice."""
    return set(name) <= set(ORDER + "cd") and len(set(name)) == len(name)


def _change(site: Site, folder: str, who: str, letters: str, terms: stored.Terms, *, negative: bool) -> dict[str, Any]:
    def change(conn: Connection) -> dict[str, Any]:
        found = must_folder(conn, site.namespaces, folder)
        identifier = must_identifier(conn, who, allow_anyone=site.allow_anyone)
        new, role_id = parse_role(conn, letters)
        stored.change_entry(
            conn, site.actor, found.id, identifier, negative=negative, op="set", rights=new,
            terms_=replace(terms, role_id=role_id),
        )  # fmt: skip
        return {
            "folder": folder,
            "identifier": f"-{identifier.name}" if negative else identifier.name,
            "rights": format_rights(new),
            "role": letters if role_id is not None else None,
            "since": shown(terms.since),
            "until": shown(terms.until),
            "subscribe": None if negative else terms.subscribe,
        }

    return site.write(change)


def _spell(done: dict[str, Any]) -> tuple[str, str]:
    role = f" ({done['role']})" if done["role"] else ""
    since = f", from {done['since']}" if done["since"] else ""
    until = f", until {done['until']}" if done["until"] else ""
    return f"{done['rights']}{role}", since + until + (", not subscribed" if done["subscribe"] is False else "")


_REASON = click.option("--reason", help="Why; kept with the entry and shown by `acl explain`.")


@acl.command()
@click.argument("folder")
@click.argument("who")
@click.argument("rights")
@limits
@_REASON
@click.option(
    "--no-subscribe", is_flag=True, help="Do not subscribe the folder for those it is given to; they can do so."
)
@with_json
@pass_site
def grant(
    site: Site, folder: str, who: str, rights: str, since: float | None, until: float | None, reason: str | None,
    no_subscribe: bool,
) -> None:  # fmt: skip
    """Give WHO just these rights on a folder.  They hold from now on, in open sessions too.

    A role's name gives whatever the role stands for, now and after `role set`.  What ends by --until ends to the
    second: sessions that have the folder open are cut off then.  A grant anew replaces role and limits.

    Whoever comes to see the folder by it has it subscribed, later members of a team too, but for those who once
    unsubscribed it, and but with --no-subscribe.

    \b
    Examples:
      acl-imapd-admin acl grant "Shared Folders/Project X" group:project-x editor --reason "kick-off"
      acl-imapd-admin acl grant "Shared Folders/Project X" bob lrs --until 30d --reason "audit"
    """
    terms = stored.Terms(None, since, until, reason, subscribe=not no_subscribe)
    done = _change(site, folder, who, rights, terms, negative=False)
    what, when = _spell(done)
    site.done(f"{who} has {what} on {folder}{when}.", **done)


@acl.command()
@click.argument("folder")
@click.argument("who")
@click.argument("rights")
@limits
@_REASON
@with_json
@pass_site
def deny(
    site: Site, folder: str, who: str, rights: str, since: float | None, until: float | None, reason: str | None
) -> None:
    """Take these rights from WHO, whatever else gives them.

    Example: acl-imapd-admin acl deny "Shared Folders/Project X" bob rswipkxte
    """
    done = _change(site, folder, who, rights, stored.Terms(None, since, until, reason), negative=True)
    what, when = _spell(done)
    site.done(f"{what} is taken from {who} on {folder}{when}.", **done)


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
@click.option(
    "--at", type=When(back=True), help="The entries as they were then: 2026-03-31, 2026-03-31T18:00, 30d (ago)."
)
@with_json
@pass_site
def show(site: Site, folder: str, at: float | None) -> None:
    """Show the entries of a folder's ACL; with --at as they were, and whose folder it was.

    \b
    Examples:
      acl-imapd-admin acl show "Shared Folders/Project X"
      acl-imapd-admin acl show "Shared Folders/Project X" --at 2026-03-31T18:00
    """
    if at is not None:
        show_past(site, folder, at)
        return

    def rows(conn: Connection) -> list[dict[str, Any]]:
        found = must_folder(conn, site.namespaces, folder)
        acl_ = stored.read_acl(conn, found.acl_id)
        entries = acl_.entries if acl_ is not None else ()
        now = time_of(conn)
        return [_entry(entry) for entry in entries if entry.until is None or entry.until > now]

    site.rows(list(ENTRY_COLUMNS), site.read(rows), empty=NO_ENTRIES)


def _entry(entry: stored.AclEntry) -> dict[str, Any]:
    return {
        "identifier": entry.text,
        "rights": entry.rights,
        "role": entry.role,
        "since": shown(entry.since),
        "until": shown(entry.until),
        "subscribe": None if entry.negative else entry.subscribe,
        "granted_by": entry.granted_by,
        "granted_at": shown(entry.granted_at),
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
        site.one(explain_values(found))
        return
    for line in explain_lines(found):
        click.echo(line)


def explain_values(found: Explanation) -> dict[str, Any]:
    """The chain for programs."""
    values = {name: getattr(found, name) for name in ("user", "folder", "disabled")}
    values["teams"] = [list(via) for via in found.teams]
    values["led"] = [
        {
            "team": one.team,
            "via": list(one.via),
            "counts": one.counts,
            "because": one.because,
            "memberships": [_membership(edge) for edge in one.memberships],
        }
        for one in found.led
    ]
    for name in ("inherited_from", "is_owner", "owner", "owner_because", "rights"):
        values[name] = getattr(found, name)
    values["owner_via"] = list(found.owner_via)
    values["matched"] = [
        {**_entry(one.entry), "via": list(one.via), "counts": one.counts, "because": one.because}
        for one in found.matched
    ]
    return values


def _membership(edge: Edge) -> dict[str, Any]:
    return {
        "member": edge.member,
        "team": edge.team,
        "manager": edge.manager,
        "since": shown(edge.since),
        "until": shown(edge.until),
        "added_by": edge.added_by,
        "added_at": shown(edge.added_at),
        "reason": edge.reason,
    }


def explain_lines(found: Explanation) -> list[str]:
    """The chain for people: the teams and memberships that matter, the entries, the owner's part, the result."""
    lines = [f"{found.user} on {found.folder}"]
    if found.disabled:
        lines.append("  the account is disabled: it cannot log in, and nothing below counts")
    relevant = {one.entry.identifier.name for one in found.matched}
    if found.owner_via:
        relevant.add(f"group:{found.owner_via[-1]}")
    lines += _team_lines(found, relevant)
    if found.inherited_from is not None:
        lines.append(f"  the ACL is inherited from {found.inherited_from}")
    lines += [_matched_line(found.user, one) for one in found.matched]
    if not found.matched:
        lines.append("  no entry of the ACL names this user, a team of it, or everybody")
    if found.owner_because is not None:
        lines.append(f"  not the owner, {found.owner}: {found.owner_because}")
    elif found.is_owner:
        by = f", which {' → '.join((found.user, *found.owner_via[:-1]))} manages" if found.owner_via else ""
        lines.append(f"  + {'la':12} owner ({found.owner}{by}): cannot be taken away")
    lines.append(f"= {found.rights}" if found.rights else "= no rights: the folder does not exist for this user")
    return lines


def _team_lines(found: Explanation, relevant: set[str]) -> list[str]:
    names = [_team(via) for via in found.teams if len(found.teams) <= 8 or f"group:{via[-1]}" in relevant]
    more = len(found.teams) - len(names)
    lines = ["  in " + ", ".join([*names, f"{more} more teams"] if more else names)] if found.teams else []
    edges = [edge for one in found.led if f"group:{one.team}" in relevant for edge in one.memberships]
    for edge in dict.fromkeys(edges):
        values = _membership(edge)
        who = f": by {edge.added_by} {values['added_at']}" if edge.added_by is not None else ""
        manages = " (manager)" if edge.manager else ""
        lines.append(f"    {edge.member} in {edge.team}{manages}{who}{_terms(values)}")
    return lines


def _matched_line(user: str, one: Matched) -> str:
    entry = _entry(one.entry)
    sign = "-" if one.entry.negative else "+"
    own = one.entry.identifier.name
    way = " → ".join(one.via if own == user or len(one.via) > 1 else (*one.via, own))
    role = f" ({entry['role']})" if entry["role"] else ""
    note = "" if one.counts else f"  (does not count: {one.because})"
    return (
        f"  {sign} {entry['rights']:12} {way}{role}: by {entry['granted_by']} {entry['granted_at']}"
        f"{_terms(entry)}{note}"
    )


def _terms(values: dict[str, Any]) -> str:
    limits_ = "".join(f", {word} {values[word]}" for word in ("since", "until") if values[word] is not None)
    return limits_ + (f', "{values["reason"]}"' if values["reason"] else "")


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
@click.option("--rights", default="", help="Only folders on which USER has all of these.")
@with_json
@pass_site
def what_can_(site: Site, user: str, rights: str) -> None:
    """List every folder on which USER has rights.

    \b
    Examples:
      acl-imapd-admin acl what-can bob
      acl-imapd-admin acl what-can bob --rights a
    """

    def rows(conn: Connection) -> list[dict[str, Any]]:
        wanted = parse_letters(conn, rights) if rights else NONE
        found = must_user(conn, user)
        held = what_can(conn, site.namespaces, found.id, allow_anyone=site.allow_anyone, wanted=wanted)
        return [dataclasses.asdict(one) for one in held]

    site.rows(["folder", "rights"], site.read(rows), empty="None.")
