"""argon2id, outside the reactor's thread; a password that was right is remembered for a short while."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHash

_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
MAX_PASSWORD_BYTES = 1024
MAX_REMEMBERED = 50_000


def hash_password(password: str) -> str:
    """The argon2id hash, in the usual ``$argon2id$…`` form."""
    return _HASHER.hash(password)


def verify_password(password: str, stored_hash: str) -> bool:
    """True when *stored_hash* is of *password*; False for a hash that is none."""
    try:
        return _HASHER.verify(stored_hash, password)
    except (Argon2Error, InvalidHash):
        return False


class PasswordVerifier(Protocol):
    """What login needs."""

    def verify(self, name: str, password: str, stored_hash: str | None) -> Awaitable[bool]: ...


class Passwords:
    """Verifies in a small pool of threads, which bounds how much memory argon2 takes at once."""

    def __init__(
        self,
        run_in_thread: Callable[..., Awaitable[Any]],
        clock: Callable[[], float],
        *,
        cache_s: float = 60.0,
    ) -> None:
        """*run_in_thread(fn, …)* gives an awaitable of what fn returns, at most a few at a time."""
        self._run = run_in_thread
        self._clock = clock
        self._cache_s = cache_s
        self._key = secrets.token_bytes(32)
        self._right: OrderedDict[bytes, float] = OrderedDict()
        self._nobody = hash_password(secrets.token_hex(16))

    async def verify(self, name: str, password: str, stored_hash: str | None) -> bool:
        """True when the password is right.  Takes as long for a user who does not exist (*stored_hash* None)."""
        if len(password.encode("utf-8", "replace")) > MAX_PASSWORD_BYTES:
            return False
        # The stored hash is part of the key: a changed password forgets by itself.
        seen = hmac.new(self._key, f"{name}\0{password}\0{stored_hash}".encode(), hashlib.sha256).digest()
        until = self._right.get(seen)
        if until is not None and stored_hash is not None and until > self._clock():
            return True
        right: bool = await self._run(verify_password, password, stored_hash or self._nobody)
        if not right or stored_hash is None:
            return False
        self._right[seen] = self._clock() + self._cache_s
        self._right.move_to_end(seen)
        while len(self._right) > MAX_REMEMBERED:
            self._right.popitem(last=False)
        return True
