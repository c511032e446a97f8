"""acl-imapd-admin audit …"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from acl_imapd.errors import Refused
from acl_imapd.storage import audit as log

from .output import Site, pass_site, spelling, with_json
from .when import When


@click.group()
def audit() -> None:
    """The log of every change of access."""


_FOLDER_HELP = "Of this folder, whatever it was called, and of one removed."


@audit.command("list")
@click.option("--folder", metavar="PATH", help=_FOLDER_HELP)
@click.option("--below", is_flag=True, help="With --folder: of those below it too.")
@click.option("--user", metavar="NAME", help="That concern this user: the account, entries, memberships, ownership.")
@click.option("--team", metavar="NAME", help="That concern this team.")
@click.option("--by", "actor", metavar="NAME", help="Made by this user or administrator.")
@click.option("--since", type=When(back=True), help="From then on: 2026-11-01, 2026-11-01T08:00, 30d ago.")
@click.option("--until", type=When(back=True, day_ends=True), help="Before then; a day counts to its end.")
@click.option("--action", help="Of this kind: acl-set, folder-rename …")
@click.option("--channel", type=click.Choice(["imap", "cli", "policy", "expiry"]), help="By this way.")
@click.option("--group", help="Made as one, under this name.")
@click.option(
    "--limit", type=click.IntRange(1, 10**9), default=50, show_default=True, help="How many, the newest first."
)
@with_json
@pass_site
def list_(site: Site, /, folder: str | None, below: bool, limit: int, **wanted: Any) -> None:
    """List changes, the newest first.

    \b
    Examples:
      acl-imapd-admin audit list --limit 3
      acl-imapd-admin audit list --folder "Shared Folders/Project X" --below --since 30d
      acl-imapd-admin audit list --user bob --json
    """
    if below and folder is None:
        raise click.UsageError("--below goes with --folder.")
    place = _place(site, folder, below=below) if folder is not None else None
    rows = [log.as_json(one) for one in site.read(log.list_audit, limit=limit, folder=place, **wanted)]
    columns = ["id", "at", "actor", "channel", "action", "object", "before", "after"]
    columns += [column for column in ("reason", "group") if any(row[column] for row in rows)]
    if not site.as_json:
        for row in rows:
            row["at"] = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(row["at"]))
            row.update({key: None if row[key] is None else short(row[key]) for key in ("before", "after")})
    site.rows(columns, rows, empty="There are no such changes.")


def _place(site: Site, folder: str, *, below: bool) -> log.OfFolder:
    place = site.namespaces.place(folder, None)
    if place is None:
        raise Refused(f"No folder can be called {folder!r}. {spelling(site.namespaces, folder)}")
    return log.OfFolder(place.home, place.path, below)


def short(value: Any) -> str:
    """A record in one line for people; ``--json`` has all of it."""
    if isinstance(value, list):
        return "; ".join(map(short, value)) or "-"
    if not isinstance(value, dict):
        return str(value)
    if "identifier" in value:
        parts = [value["identifier"], value["rights"], f"({value['role']})" if "role" in value else ""]
    elif "member" in value:
        parts = [value["member"], "manager" if value.get("manager") else ""]
    elif "path" in value:
        parts = [value["path"], f"owner {value['owner']}" if value.get("owner") else ""]
    else:
        return ", ".join(f"{key} {json.dumps(one, ensure_ascii=False)}" for key, one in value.items())
    for word in ("since", "until"):
        if word in value:
            parts.append(f"{word} {time.strftime('%Y-%m-%dT%H:%M:%S', time.localtime(value[word]))}")
    return " ".join(part for part in parts if part)


@audit.command()
@click.option("--expect", metavar="HASH", help="A head that was noted earlier: prove that the log still has it.")
@with_json
@pass_site
def verify(site: Site, expect: str | None) -> None:
    """Check that no row was altered, removed, put in or moved, and print the head, the last row's hash.

    Whoever can write to the database can write the whole log anew, head and all.  So note the head outside the
    database, from time to time; --expect then proves that all up to it is what it was.

    \b
    Examples:
      acl-imapd-admin audit verify
      acl-imapd-admin audit verify --expect 5f6e…
    """
    try:
        wanted = bytes.fromhex(expect) if expect is not None else None
    except ValueError:
        wanted = b""
    if wanted is not None and len(wanted) != 32:
        raise Refused("A head is 64 hexadecimal digits, as `audit verify` prints it.")
    last = site.read(log.read_head)
    with _progress(last.id if last is not None else 0) as tell:
        found = site.read(log.verify, expect=wanted, progress=tell)
    head = {"id": found.head.id, "hash": found.head.hash.hex()} if found.head is not None else None
    lines = [f"All {found.rows} rows are as they were written."]
    if head is not None:
        lines.append(f"Head: row {head['id']}, {head['hash']}")
    if found.expected is not None:
        lines.append(f"The head that was noted is row {found.expected}.")
    site.done("\n".join(lines), rows=found.rows, head=head, expected=found.expected)


@contextmanager
def _progress(last: int) -> Iterator[Callable[[int], None] | None]:
    """How far it is, on a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    with click.progressbar(length=last, label="Rows", file=sys.stderr) as bar:
        yield lambda reached: bar.update(reached - bar.pos)
