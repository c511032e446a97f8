"""acl-imapd-admin policy …"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import click

from acl_imapd.access import impact
from acl_imapd.access.impact import Impact
from acl_imapd.access.namespaces import Namespaces
from acl_imapd.errors import Refused
from acl_imapd.storage import mailboxes
from acl_imapd.storage import policy as stored
from acl_imapd.storage.accounts import Actor
from acl_imapd.storage.audit import new_group
from acl_imapd.storage.database import Connection, time_of
from acl_imapd.storage.epochs import lock_site, read_epochs
from acl_imapd.types import MailboxId

from .output import Site, confirm, pass_site, with_json
from .policy_apply import Applying
from .policy_file import Document, Policy, PolicyError, format_moment, format_policy, read_document
from .policy_state import read_policy

DIFFERENT = 3
MAX_SHOWN = 20


@click.group()
def policy() -> None:
    """Roles, teams, folders and grants as one YAML file: written, compared, applied.

    FILE is a file, or - for standard input.  Users are not in it; those it names must exist.  What it does not
    mention stays, unless --prune is given.
    """


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is made, altered or removed.

    *what*: role, team, member, folder, owner, seen, inherit or entry; *name*: of the role, team or folder; *who*: the
    member, or the identifier of the entry.
    """

    what: str
    name: str
    who: str | None
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Plan:
    """*kept*: shared folders that the file does not mention and pruning leaves."""

    changes: tuple[Change, ...]
    impacts: tuple[Impact, ...]
    kept: tuple[str, ...] = ()


@policy.command()
@with_json
@pass_site
def export(site: Site) -> None:
    """Print the site's policy, always in the same order.

    Example: acl-imapd-admin policy export > policy.yaml
    """
    text = format_policy(site.read(read_policy, site.namespaces))
    site.done(text.rstrip("\n"), policy=text)


_PRUNE = click.option(
    "--prune", is_flag=True, help="Remove the roles, teams, members and entries of ACLs that the file does not mention."
)


@policy.command()
@click.argument("file")
@_PRUNE
@with_json
@pass_site
def plan(site: Site, file: str, prune: bool) -> None:
    """Show what `apply` would change, and whose rights.  Exit code 0: nothing, 3: something, 1: an error.

    \b
    Examples:
      acl-imapd-admin policy plan policy.yaml
      acl-imapd-admin policy export | acl-imapd-admin policy plan -
    """
    wanted = _read(site, file)
    found = _checked(file, site, wanted, prune=prune, keep=False)
    show_plan(site, found)
    if found.changes:
        sys.exit(DIFFERENT)


@policy.command()
@click.argument("file")
@_PRUNE
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_json
@pass_site
def apply(site: Site, file: str, prune: bool, yes: bool) -> None:
    """Make the site as the file says: all of it, in one transaction, or nothing.

    It shows the plan first, and asks.

    \b
    Examples:
      acl-imapd-admin policy apply policy.yaml
      acl-imapd-admin policy apply policy.yaml --prune --yes
    """
    wanted = _read(site, file)
    planned = _checked(file, site, wanted, prune=prune, keep=False)
    show_plan(site, planned)
    if not planned.changes:
        return
    confirm("Apply this?", yes=yes)
    _checked(file, site, wanted, prune=prune, keep=True, expected=planned.changes)
    if not site.as_json:
        click.echo("Applied.")


def _read(site: Site, file: str) -> Document:
    content = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    try:
        return read_document(content.decode("utf-8-sig"), site.now())
    except PolicyError as error:
        raise _told(file, error) from error


def _told(file: str, error: PolicyError) -> Exception:
    """The problems as lines FILE:LINE: …, and what follows from them."""
    for one in error.problems:
        click.echo(f"{'standard input' if file == '-' else file}:{one.line}: {one.text}", err=True)
    return Refused("The file has errors; nothing was changed.")


def _checked(
    file: str, site: Site, wanted: Document, *, prune: bool, keep: bool, expected: tuple[Change, ...] | None = None
) -> Plan:
    actor = replace(site.actor, channel="policy", group=new_group())
    try:
        return site.write(
            make_plan, actor, site.namespaces, wanted, allow_anyone=site.allow_anyone, prune=prune, keep=keep,
            expected=expected,
        )  # fmt: skip
    except PolicyError as error:
        raise _told(file, error) from error


def make_plan(
    conn: Connection,
    actor: Actor,
    namespaces: Namespaces,
    document: Document,
    *,
    allow_anyone: bool,
    prune: bool,
    keep: bool,
    expected: tuple[Change, ...] | None = None,
) -> Plan:
    """Apply the document, and tell what came of it; without *keep* take it back.  PolicyError: nothing is done.

    *expected*: the changes that somebody has agreed to; others are refused.
    """
    assert actor.group is not None
    lock_site(conn)
    wanted = document.policy
    applying = Applying(conn, actor, namespaces, allow_anyone, prune, list(document.problems))
    if keep:
        applying.run(wanted)
        changes = _changes(conn, namespaces, stored.read_group(conn, actor.group))
        if expected is not None and changes != expected:
            raise Refused("The site has changed since the plan was shown; look at it anew.")
        return Plan(changes, ())
    epochs = read_epochs(conn)
    trial = conn.begin_nested()
    applying.run(wanted)
    touched = stored.read_group(conn, actor.group)
    changes = _changes(conn, namespaces, touched)
    kept = _kept(conn, namespaces, wanted) if prune else ()
    scope = impact.find_scope(conn, touched, epochs.acl)
    after = impact.capture(conn, scope)
    trial.rollback()
    before = impact.capture(conn, scope)
    now = time_of(conn)
    impacts = impact.find_impacts(conn, namespaces, scope, before, after, allow_anyone=allow_anyone, now=now)
    return Plan(changes, tuple(impacts), kept)


def _kept(conn: Connection, namespaces: Namespaces, wanted: Policy) -> tuple[str, ...]:
    if wanted.folders is None:
        return ()
    named = {one.name for one in wanted.folders}
    names = (str(namespaces.name(None, one.path, None)) for one in mailboxes.list_shared(conn))
    return tuple(sorted(name for name in names if name not in named))


# -- what has changed, from the audit log's rows --------------------------------------------------------------------

_UNTOLD = frozenset({"identifier", "member", "granted_by", "granted_at", "added_by", "added_at"})
_MOMENTS = frozenset({"since", "until"})


def _changes(conn: Connection, namespaces: Namespaces, touched: Sequence[stored.Touched]) -> tuple[Change, ...]:
    """What is different in the end, however many steps led there."""
    ids = sorted({MailboxId(one.row.mailbox_id) for one in touched if one.row.mailbox_id is not None})
    places = stored.read_names(conn, mailboxes.read_mailboxes(conn, ids))
    names = {ident: str(namespaces.name(*place, None)) for ident, place in places.items()}
    found: dict[tuple[str, str, str | None], Change] = {}
    for one in touched:
        for change in _told_by(one, names):
            key = (change.what, change.name, change.who)
            first = found.get(key)
            if change.what == "seen" and ("folder", change.name, None) in found:
                change = replace(change, before=None)  # of a folder that is new
            found[key] = change if first is None else replace(change, before=first.before)
    changed = (one for one in found.values() if one.before != one.after)
    return tuple(sorted(changed, key=lambda one: (_ORDER.index(one.what), one.name, one.who or "")))


_ORDER = ("role", "team", "member", "folder", "owner", "seen", "inherit", "entry")


def _told_by(one: stored.Touched, names: dict[MailboxId, str]) -> Iterator[Change]:
    row = one.row
    name = names[MailboxId(row.mailbox_id)] if row.mailbox_id is not None else row.object
    noun, _, verb = row.action.partition("-")
    if noun == "role":
        yield Change("role", name, None, row.before, row.after)
    elif row.action in ("team-add", "team-remove"):
        yield Change("team", name, None, _there(row.before), _there(row.after))
    elif noun == "team":
        yield Change("member", name, (row.before or row.after)["member"], _values(row.before), _values(row.after))
    elif row.action == "folder-add":
        yield Change("folder", name, None, None, True)
        yield Change("owner", name, None, None, row.after["owner"])
    elif row.action == "folder-owner":
        yield Change("owner", name, None, row.before or "none", row.after or "none")
    elif row.action == "folder-seen":
        yield Change("seen", name, None, row.before, row.after)
    elif row.action in ("acl-own", "acl-inherit"):
        yield Change("inherit", name, None, verb == "own", verb != "own")
    else:
        yield Change("entry", name, (row.before or row.after)["identifier"], _values(row.before), _values(row.after))


def _there(record: Any) -> bool | None:
    return True if record is not None else None


def _values(record: dict[str, Any] | None) -> dict[str, Any] | None:
    """What a person would compare of a membership or an entry."""
    if record is None:
        return None
    return {
        key: format_moment(value) if key in _MOMENTS else value for key, value in record.items() if key not in _UNTOLD
    }


# -- showing it ------------------------------------------------------------------------------------------------------


def show_plan(site: Site, found: Plan) -> None:
    """The plan for people, or with --json as one object."""
    if site.as_json:
        click.echo(json.dumps(asdict(found), ensure_ascii=False, indent=2))
        return
    if not found.changes:
        click.echo("Nothing to change.")
    for line in _plan_lines(found):
        click.echo(line)


def _plan_lines(found: Plan) -> Iterable[str]:
    for title, some in (
        ("Added", [one for one in found.changes if one.before is None]),
        ("Changed", [one for one in found.changes if one.before is not None and one.after is not None]),
        ("Removed", [one for one in found.changes if one.before is not None and one.after is None]),
    ):
        if some:
            yield f"{title}:"
            yield from (f"  {_line(one)}" for one in some)
    if found.impacts:
        yield "Effective rights, before and after:"
    for one in found.impacts:
        more = len(one.folders) - 1
        yield f"  {one.folders[0]}" + (f" and {more} more with the same rights" if more else "")
        for shift in one.shifts:
            yield f"    {shift.user}: {shift.before or 'none'} -> {shift.after or 'none'}"
    if found.kept:
        yield "Kept, though the file does not mention them (`folder remove` removes a folder):"
        yield from (f"  {name}" for name in found.kept[:MAX_SHOWN])
        if len(found.kept) > MAX_SHOWN:
            yield f"  and {len(found.kept) - MAX_SHOWN} more"


def _line(change: Change) -> str:
    subject = {
        "role": f"role {change.name}",
        "team": f"team {change.name}",
        "member": f"team {change.name}: member {change.who}",
        "folder": f"folder {change.name}",
        "owner": f"{change.name}: owner",
        "seen": f"{change.name}: seen",
        "inherit": f"{change.name}: inherits",
        "entry": f"{change.name}: {change.who}",
    }[change.what]
    told = [_told_value(value) for value in (change.before, change.after) if value is not None and value is not True]
    if change.what == "inherit":
        told = ["its parent's rights" if change.after else "no more: it has rights of its own"]
    elif change.what == "owner":
        told = [str(one) for one in (change.before, change.after) if one is not None]
    text = " -> ".join(one for one in told if one)
    return f"{subject} {text}".rstrip()


def _told_value(value: Any) -> str:
    if not isinstance(value, dict):
        return str(value)
    if "mode" in value:
        return f"{value['mode']}{' (as its parent)' if value['follows'] else ''}"
    words = [value.get("rights", "")] + ([f"({value['role']})"] if value.get("role") else [])
    words += ["manager"] if value.get("manager") else []
    words += [f"{key} {value[key]}" for key in ("since", "until") if key in value]
    words += [f'"{value["reason"]}"'] if value.get("reason") else []
    words += ["not subscribed"] if value.get("subscribe") is False else []
    return " ".join(word for word in words if word)
