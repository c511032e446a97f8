"""Passwords for one program of a user: made by the server, never chosen, each of them known by its first letters.

So the password that a client sends tells which stored hash to compare it with, and a login costs one hash however
many a user has.
"""

from __future__ import annotations

import re
import secrets

_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"  # 32 of them: without l and o, which are taken for 1 and 0
_FORM = re.compile(rf"([{_LETTERS}]{{8}})(?:-[{_LETTERS}]{{6}}){{4}}")


def new_app_password() -> tuple[str, str]:
    """(the letters it is known by, the password): 120 bits of chance besides the eight letters."""
    groups = ["".join(secrets.choice(_LETTERS) for _ in range(size)) for size in (8, 6, 6, 6, 6)]
    return groups[0], "-".join(groups)


def lookup_of(password: str) -> str | None:
    """The letters *password* is known by, if it has the form of one of these."""
    found = _FORM.fullmatch(password)
    return found[1] if found is not None else None
