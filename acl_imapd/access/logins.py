"""Who somebody is who logs in: the only reader of passwords and keys.

Nothing here tells whether a user exists: it takes as long, and says as much, for one who does not.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from acl_imapd.access.namespaces import split_login
from acl_imapd.auth.app_passwords import lookup_of
from acl_imapd.auth.passwords import PasswordVerifier
from acl_imapd.auth.scram import Keys, derive_keys, invented_keys, salt_of
from acl_imapd.storage.accounts import User, add_scram, read_secret, read_user
from acl_imapd.storage.app_passwords import AppPassword, mark_used, read_app_password
from acl_imapd.storage.database import Connection
from acl_imapd.storage.reactor import AsyncDatabase

__all__ = ["Logins", "User"]

USED_EVERY_S = 300.0  # the last use of an app password is known that exactly


class Logins:
    """Passwords, app passwords and keys of SCRAM over the database."""

    def __init__(
        self,
        database: AsyncDatabase,
        passwords: PasswordVerifier,
        run_in_thread: Callable[..., Awaitable[Any]],
        now: Callable[[], float],
    ) -> None:
        """*run_in_thread(fn, …)* gives an awaitable of what fn returns; *now* is in seconds since 1970."""
        self._database = database
        self._passwords = passwords
        self._run = run_in_thread
        self._now = now
        self._secret = b""

    async def user(self, name: str) -> User | None:
        """The user of that name, whom somebody else has vouched for."""
        return await self._database.read(read_user, name)

    async def by_password(self, name: str, password: str) -> User | None:
        """The user, if the password is right: its own, or one for a program that has not ended.

        Here and below the name may say after a ``%`` what to present (``bob%Support``): the account is bob's.
        """
        name, _ = split_login(name)
        user, app = await self._database.read(_read_login, name, lookup_of(password))
        if app is not None and app.until is not None and app.until <= self._now():
            app = None
        stored = app.password_hash if app is not None else user.password_hash if user is not None else None
        if not await self._passwords.verify(name, password, stored) or user is None:
            return None
        if app is not None:
            if app.used_at is None or self._now() - app.used_at > USED_EVERY_S:
                await self._database.write(mark_used, app.id, self._now())
        elif user.scram is None:
            await self._keep_keys(user, password)
        return user

    async def _keep_keys(self, user: User, password: str) -> None:
        """The password is known just now: keep what SCRAM needs of it, for a user of before there was SCRAM."""
        keys: Keys | None = await self._run(derive_keys, password, salt_of(await self.secret(), user.name))
        if keys is not None and user.password_hash is not None:
            await self._database.write(add_scram, user.id, user.password_hash, keys.encode())

    async def scram(self, name: str) -> tuple[Keys, User | None]:
        """The keys of the user's password, and the user; made-up keys and None where there are none."""
        name, _ = split_login(name)
        secret = await self.secret()
        user = await self._database.read(read_user, name)
        if user is None or user.scram is None:
            return invented_keys(secret, name), None
        return Keys.parse(user.scram), user

    async def secret(self) -> bytes:
        """The site's secret."""
        if not self._secret:
            self._secret = await self._database.read(read_secret)
        return self._secret


def _read_login(conn: Connection, name: str, lookup: str | None) -> tuple[User | None, AppPassword | None]:
    return read_user(conn, name), read_app_password(conn, name, lookup) if lookup is not None else None
