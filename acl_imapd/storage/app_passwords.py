"""Passwords for one program of a user: made, listed without the secret, revoked, each change with its audit row."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from acl_imapd.errors import Refused
from acl_imapd.storage.accounts import Actor, check_limits, read_user
from acl_imapd.storage.audit import append_audit
from acl_imapd.storage.database import time_of
from acl_imapd.storage.epochs import lock_site
from acl_imapd.storage.schema import app_password, user
from acl_imapd.types import UserId

MAX_NAME_CHARS = 100
MAX_PER_USER = 100


@dataclass(frozen=True, slots=True)
class AppPassword:
    """Times in seconds since 1970."""

    id: int
    name: str
    password_hash: str
    created_at: float
    until: float | None
    used_at: float | None


_COLUMNS = (
    app_password.c.id, app_password.c.name, app_password.c.password_hash, app_password.c.created_at,
    app_password.c.until, app_password.c.used_at,
)  # fmt: skip
_OF_USER = select(*_COLUMNS).where(app_password.c.user_id == bindparam("user_id")).order_by(app_password.c.name)
_BY_LOOKUP = (
    select(*_COLUMNS)
    .join(user, user.c.id == app_password.c.user_id)
    .where(user.c.name == bindparam("user"), app_password.c.lookup == bindparam("lookup"))
)


def insert_app_password(
    conn: Connection, actor: Actor, user_name: str, name: str, lookup: str, password_hash: str, until: float | None
) -> None:
    """A password called *name*, whose own first letters are *lookup*; it ends at *until*."""
    lock_site(conn)
    user_id = _user_id(conn, user_name)
    if not name.strip() or len(name) > MAX_NAME_CHARS or not name.isprintable():
        raise Refused(f"Name the password by what it is for, in at most {MAX_NAME_CHARS} characters: phone, laptop.")
    check_limits(None, until, time_of(conn))
    there = conn.execute(_OF_USER, {"user_id": user_id}).all()
    if any(row.name == name for row in there):
        raise Refused(f"{user_name} has a password called {name!r} already; revoke it first, or choose another name.")
    if len(there) >= MAX_PER_USER:
        raise Refused(f"{user_name} has {MAX_PER_USER} such passwords; revoke what is not used any more.")
    conn.execute(
        insert(app_password).values(
            user_id=user_id,
            name=name,
            lookup=lookup,
            password_hash=password_hash,
            created_at=time_of(conn),
            until=until,
        )
    )
    append_audit(conn, actor, "app-password-add", user_name, None, {"name": name, "until": until}, users=[user_id])


def list_app_passwords(conn: Connection, user_name: str) -> list[AppPassword]:
    """Those of the user, by name, ended ones too."""
    return [AppPassword(*row) for row in conn.execute(_OF_USER, {"user_id": _user_id(conn, user_name)})]


def revoke_app_password(conn: Connection, actor: Actor, user_name: str, name: str) -> None:
    """Nobody logs in with it any more.  Refused where there is none of that name."""
    lock_site(conn)
    user_id = _user_id(conn, user_name)
    these = (app_password.c.user_id == user_id) & (app_password.c.name == name)
    row = conn.execute(delete(app_password).where(these).returning(app_password.c.until)).first()
    if row is None:
        raise Refused(f"{user_name} has no password called {name!r}; `user app-password list {user_name}` shows them.")
    before = {"name": name, "until": row.until}
    append_audit(conn, actor, "app-password-revoke", user_name, before, None, users=[user_id])


def read_app_password(conn: Connection, user_name: str, lookup: str) -> AppPassword | None:
    """The password of that user that begins with *lookup*."""
    row = conn.execute(_BY_LOOKUP, {"user": user_name, "lookup": lookup}).first()
    return None if row is None else AppPassword(*row)


def mark_used(conn: Connection, ident: int, now: float) -> None:
    """Somebody has logged in with it."""
    conn.execute(update(app_password).where(app_password.c.id == ident).values(used_at=now))


def _user_id(conn: Connection, name: str) -> UserId:
    found = read_user(conn, name)
    if found is None:
        raise Refused(f"There is no user {name!r}.")
    return found.id
