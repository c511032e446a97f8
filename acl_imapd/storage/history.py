"""The rights on a folder as they were: what is now, and from the audit log, backwards, what has changed since.

There is no second record of changes.  Everything that can change what ``acl show`` tells writes a row with the folder's
id and what was before, but for three things, of which one row tells for all folders: another name of a user or of a
team, and other rights of a role.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, func, or_, select

from acl_imapd.errors import Refused
from acl_imapd.storage.accounts import read_user
from acl_imapd.storage.mailboxes import Mailbox, read_mailbox, read_mailbox_by_id
from acl_imapd.storage.records import entry_records, owner_record, place_record
from acl_imapd.storage.rights import list_roles, read_acl
from acl_imapd.storage.schema import audit, site
from acl_imapd.types import MailboxId

_OF_ALL = ("user-rename", "team-rename", "role-set", "role-remove")
_SINCE = (
    select(audit.c.action, audit.c.object, audit.c.mailbox_id, audit.c.before, audit.c.after)
    .where(
        audit.c.id > bindparam("then"), or_(audit.c.mailbox_id == bindparam("mailbox_id"), audit.c.action.in_(_OF_ALL))
    )
    .order_by(audit.c.id.desc())
)
_PLACES = ("user-rename", "folder-rename", "folder-remove")
_MOVES = (
    select(audit.c.action, audit.c.mailbox_id, audit.c.before, audit.c.after)
    .where(audit.c.id > bindparam("then"), audit.c.action.in_(_PLACES))
    .order_by(audit.c.id)
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a folder was: in the tree of that user (None: the shared one), by that name."""

    home: str | None
    path: str


@dataclass(frozen=True, slots=True)
class PastAcl:
    """What ``acl show`` would have told.  *inherited_from*: the folder whose entries these were, if not its own."""

    place: Place
    owner: str | None
    inherited_from: Place | None
    entries: tuple[dict[str, Any], ...]  # as records.entry_record makes them


@dataclass(slots=True)
class _Folder:
    """A folder on its way back; *acl* None: it follows its parent's."""

    home: str | None
    parent: MailboxId | None
    name: str  # the last part of the path
    owner: str | None
    acl: dict[str, dict[str, Any]] | None


def told_since(conn: Connection) -> float:
    """From when on the log can tell; before there are rows of a release that did not write enough."""
    return float(conn.execute(select(site.c.audit_since)).scalar_one())


def read_acl_at(conn: Connection, mailbox_id: MailboxId, at: float) -> PastAcl | None:
    """The ACL of a folder, be it there now or not, at *at* (seconds since 1970); None where it did not exist then."""
    then = _row_at(conn, at)
    roles: dict[str, str] = {}
    chain: list[_Folder] = []
    pending: MailboxId | None = mailbox_id
    while pending is not None:
        found = _go_back(conn, pending, then, roles)
        if found is None:
            if chain:
                raise Refused(_UNFIT)
            return None
        chain.append(found)
        pending = found.parent
    source = next(place for place, one in enumerate(chain) if one.acl is not None)
    entries = chain[source].acl or {}
    return PastAcl(
        _place(chain),
        chain[0].owner if chain[0].home is None else chain[0].home,
        _place(chain[source:]) if source else None,
        tuple(
            {**entry, "rights": roles[entry["role"]]} if "role" in entry else entry
            for entry in sorted(entries.values(), key=entry_order)
            if "until" not in entry or entry["until"] > at
        ),
    )


def entry_order(entry: dict[str, Any]) -> tuple[str, str]:
    """Sorts the entries of an ACL by whom they name."""
    return entry["identifier"].removeprefix("-"), entry["identifier"]


def find_at(conn: Connection, place: Place, at: float) -> MailboxId | None:
    """The folder that had the name at *at*, wherever it is now: followed over what was renamed and removed since."""
    home, path = place.home, place.path
    for row in conn.execute(_MOVES, {"then": _row_at(conn, at)}):
        before, after = json.loads(row.before), json.loads(row.after)
        if row.action == "user-rename":
            home = after["name"] if home == before["name"] else home
        elif home != before["home"]:
            continue
        elif row.action == "folder-remove":
            if path == before["path"]:
                return MailboxId(row.mailbox_id)
        elif path == before["path"] or path.startswith(before["path"] + "/"):
            home, path = after["home"], after["path"] + path[len(before["path"]) :]
    user = read_user(conn, home) if home is not None else None
    if home is not None and user is None:
        return None
    found = read_mailbox(conn, user.id if user is not None else None, path)
    return found.id if found is not None else None


# -- going back -------------------------------------------------------------------------------------------------

_UNFIT = "The audit log does not fit what is in the database; `audit verify` tells where it was changed."


def _row_at(conn: Connection, at: float) -> int:
    return conn.execute(select(func.max(audit.c.id)).where(audit.c.at <= at)).scalar() or 0


def _go_back(conn: Connection, mailbox_id: MailboxId, then: int, roles: dict[str, str]) -> _Folder | None:
    """The folder after row *then*, and into *roles* what they were."""
    mailbox = read_mailbox_by_id(conn, mailbox_id)
    folder = _now(conn, mailbox) if mailbox is not None else None
    roles.update({one.name: one.rights for one in list_roles(conn)})
    for row in conn.execute(_SINCE, {"then": then, "mailbox_id": mailbox_id}):
        before, after = json.loads(row.before), json.loads(row.after)
        if row.action.startswith("role-"):
            if before is None:
                roles.pop(row.object, None)
            else:
                roles[row.object] = before
        elif row.action == "folder-remove":
            folder = _recorded(before)
        elif folder is None:
            continue
        elif row.action == "folder-add":
            folder = None
        else:
            _undo(folder, row.action, before, after)
    return folder


def _now(conn: Connection, mailbox: Mailbox) -> _Folder:
    own = read_acl(conn, mailbox.acl_id) if mailbox.acl_own else None
    return _recorded(
        {
            **place_record(conn, mailbox),
            "owner": owner_record(conn, mailbox.owner_user_id, mailbox.owner_team_id),
            "acl": entry_records(own.entries) if own is not None else None,
        }
    )


def _recorded(record: dict[str, Any]) -> _Folder:
    return _Folder(
        record["home"], record["parent"], record["path"].rpartition("/")[2], record["owner"], _keyed(record["acl"])
    )


def _keyed(entries: list[dict[str, Any]] | None) -> dict[str, dict[str, Any]] | None:
    return None if entries is None else {entry["identifier"]: entry for entry in entries}


def _undo(folder: _Folder, action: str, before: Any, after: Any) -> None:
    if action == "user-rename":
        _rename(folder, after["name"], before["name"])
        folder.home = before["name"] if folder.home == after["name"] else folder.home
    elif action == "team-rename":
        _rename(folder, f"group:{after['name']}", f"group:{before['name']}")
    elif action == "folder-rename":
        folder.home, folder.parent, folder.name = before["home"], before["parent"], before["path"].rpartition("/")[2]
    elif action == "folder-owner":
        folder.owner = before
    elif action == "acl-own":
        folder.acl = None
    elif action == "acl-inherit":
        folder.acl = _keyed(before)
    elif action.startswith("acl-"):
        if folder.acl is None:
            raise Refused(_UNFIT)
        if after is not None:
            folder.acl.pop(after["identifier"], None)
        if before is not None:
            folder.acl[before["identifier"]] = before


def _rename(folder: _Folder, new: str, old: str) -> None:
    if folder.owner == new:
        folder.owner = old
    for sign in ("", "-"):
        if folder.acl is not None and sign + new in folder.acl:
            folder.acl[sign + old] = {**folder.acl.pop(sign + new), "identifier": sign + old}


def _place(chain: list[_Folder]) -> Place:
    return Place(chain[0].home, "/".join(one.name for one in reversed(chain)))
