"""Things as the audit log writes them down: whole, so that what was can be told from what is (storage/history.py)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from sqlalchemy import Connection, select

from acl_imapd.storage.audit import Subjects
from acl_imapd.storage.schema import team, user


class EntryLike(Protocol):
    """An entry of an ACL."""

    @property
    def text(self) -> str: ...
    @property
    def rights(self) -> str: ...
    @property
    def role(self) -> str | None: ...
    @property
    def since(self) -> float | None: ...
    @property
    def until(self) -> float | None: ...
    @property
    def granted_by(self) -> str: ...
    @property
    def granted_at(self) -> float: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def subscribe(self) -> bool: ...


_ENTRY_FIELDS = ("rights", "role", "since", "until", "granted_by", "granted_at", "reason")


def entry_record(entry: EntryLike) -> dict[str, Any]:
    """An entry; what it has not is left out, and that it subscribes (as most do)."""
    found = {"identifier": entry.text, **{key: getattr(entry, key) for key in _ENTRY_FIELDS}}
    found["subscribe"] = None if entry.subscribe else False
    return {key: value for key, value in found.items() if value is not None}


def entry_records(entries: Iterable[EntryLike]) -> list[dict[str, Any]]:
    """The entries of an ACL."""
    return [entry_record(entry) for entry in entries]


def owner_record(conn: Connection, user_id: int | None, team_id: int | None) -> str | None:
    """``alice``, ``group:project-x``, or None: nobody's."""
    if user_id is not None:
        return str(conn.execute(select(user.c.name).where(user.c.id == user_id)).scalar_one())
    if team_id is not None:
        return "group:" + str(conn.execute(select(team.c.name).where(team.c.id == team_id)).scalar_one())
    return None


def folder_record(conn: Connection, of: Any, entries: Iterable[EntryLike] | None) -> dict[str, Any]:
    """A mailbox's place, owner and settings; *entries* None: it follows its parent's ACL."""
    return {
        **place_record(conn, of),
        "owner": owner_record(conn, of.owner_user_id, of.owner_team_id),
        "special_use": of.special_use,
        "seen": seen_record(of.seen_shared, of.seen_own),
        "acl": None if entries is None else entry_records(entries),
    }


def place_record(conn: Connection, of: Any) -> dict[str, Any]:
    """Where a mailbox is: whose tree (None: the shared one), the parent's id, the name."""
    return {"home": owner_record(conn, of.home_id, None), "parent": of.parent_id, "path": of.path}


def seen_record(shared: bool, own: bool) -> dict[str, Any]:
    r"""How \Seen is kept, and whether that follows the parent."""
    return {"mode": "shared" if shared else "private", "follows": not own}


def concerned(*pairs: tuple[int | None, int | None]) -> Subjects:
    """``users`` and ``teams`` of a change, of owners given as (user, team)."""
    users = dict.fromkeys(user_id for user_id, _ in pairs if user_id is not None)
    teams = dict.fromkeys(team_id for _, team_id in pairs if team_id is not None)
    return {"users": list(users), "teams": list(teams)}
