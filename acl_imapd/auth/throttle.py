"""Failed logins cost time, per address and per user.  Pure: the clock is handed in, the tables are bounded."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

MAX_KEYS = 100_000
FORGET_S = 600.0
MAX_DELAY_S = 15.0
FREE_FAILURES = 2
MAX_NAME_CHARS = 255  # of what is kept; no user has a longer name


class Throttle:
    """How long the answer to the next attempt is held back."""

    def __init__(self, clock: Callable[[], float], *, first_delay_s: float = 1.0) -> None:
        self._clock = clock
        self._first_delay_s = first_delay_s
        self._failures: OrderedDict[tuple[str, str], tuple[int, float]] = OrderedDict()

    def delay_s(self, peer: str, user: str) -> float:
        """Seconds that a failed attempt of *peer* for *user* is made to wait now."""
        count = max(self._count(("peer", peer)), self._count(_user_key(user)))
        if count <= FREE_FAILURES:
            return self._first_delay_s if count else 0.0
        doublings = min(count - FREE_FAILURES, 32)  # more would not fit a float, and let off who has failed so often
        return float(min(MAX_DELAY_S, self._first_delay_s * 2**doublings))

    def failed(self, peer: str, user: str) -> None:
        """Count a failed attempt."""
        for key in (("peer", peer), _user_key(user)):
            self._failures[key] = (self._count(key) + 1, self._clock())
            self._failures.move_to_end(key)
        while len(self._failures) > MAX_KEYS:
            self._failures.popitem(last=False)

    def succeeded(self, peer: str, user: str) -> None:
        """Forget the failures of this user; an address keeps its own until they are old."""
        self._failures.pop(_user_key(user), None)

    def keys(self) -> list[tuple[str, str]]:
        """What is kept of whom."""
        return list(self._failures)

    def _count(self, key: tuple[str, str]) -> int:
        count, at = self._failures.get(key, (0, 0.0))
        return count if count and self._clock() - at < FORGET_S else 0


def _user_key(user: str) -> tuple[str, str]:
    return "user", user[:MAX_NAME_CHARS]
