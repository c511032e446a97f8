"""``acl show --at``: the rights on a folder as they were."""

from __future__ import annotations

import click

from acl_imapd.access.namespaces import Namespaces
from acl_imapd.errors import Refused
from acl_imapd.storage import accounts, history, mailboxes
from acl_imapd.storage.database import Connection

from .output import Site, spelling
from .when import shown

ENTRY_COLUMNS = ("identifier", "rights", "role", "since", "until", "subscribe", "granted_by", "granted_at", "reason")
NO_ENTRIES = "The ACL has no entries: only the owner sees the folder."


def show_past(site: Site, folder: str, at: float) -> None:
    """Print the ACL as of *at*, seconds since 1970."""
    found = site.read(_find, site.namespaces, folder, at)
    name = _name(site.namespaces, found.place)
    inherited = _name(site.namespaces, found.inherited_from) if found.inherited_from is not None else None
    rows = [
        {
            **dict.fromkeys(ENTRY_COLUMNS),
            "subscribe": None if entry["identifier"].startswith("-") else True,
            **entry,
            **{key: shown(entry.get(key)) for key in _MOMENTS},
        }
        for entry in found.entries
    ]
    if site.as_json:
        site.one({"folder": name, "at": shown(at), "owner": found.owner, "inherited_from": inherited, "entries": rows})
        return
    follows = f", with the ACL of {inherited}" if inherited is not None else ""
    click.echo(f"{name} at {shown(at)}: owner {found.owner or 'none'}{follows}")
    site.rows(list(ENTRY_COLUMNS), rows, empty=NO_ENTRIES)


_MOMENTS = ("since", "until", "granted_at")


def _find(conn: Connection, namespaces: Namespaces, name: str, at: float) -> history.PastAcl:
    """Of the folder that has the name now, if it existed then; else of the one that had the name."""
    since = history.told_since(conn)
    if at < since:
        raise Refused(f"The audit log tells rights since {shown(since)}; nothing is known of before.")
    place = namespaces.place(name, None)
    if place is None:
        raise Refused(f"No folder can be called {name!r}. {spelling(namespaces, name)}")
    home = accounts.read_user(conn, place.home) if place.home is not None else None
    now = None
    if place.home is None or home is not None:
        now = mailboxes.read_mailbox(conn, home.id if home is not None else None, place.path)
    found = history.read_acl_at(conn, now.id, at) if now is not None else None
    if found is None:
        then = history.find_at(conn, history.Place(place.home, place.path), at)
        found = history.read_acl_at(conn, then, at) if then is not None else None
    if found is None:
        raise Refused(f"There was no folder {name!r} at {shown(at)}; `audit list --folder` tells what became of it.")
    return found


def _name(namespaces: Namespaces, place: history.Place) -> str:
    return namespaces.name(place.home, place.path, None)
