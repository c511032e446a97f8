"""Many requests for the same reading answered by few readings."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.python.failure import Failure


class Coalesced:
    """Runs a coroutine function so that every request is answered by a run that began after it was made.

    One run at a time; requests made meanwhile share the next one.
    """

    def __init__(self, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._run = run
        self._running = False
        self._waiting: list[Deferred[None]] = []

    def request(self) -> Deferred[None]:
        """Fires when a run that began now or later has ended, with its failure if it failed."""
        waiter: Deferred[None] = Deferred()
        self._waiting.append(waiter)
        if not self._running:
            self._start()
        return waiter

    def _start(self) -> None:
        waiters, self._waiting = self._waiting, []
        self._running = True

        def ended(result: Failure | None) -> None:
            self._running = False
            if self._waiting:
                self._start()
            for waiter in waiters:
                if isinstance(result, Failure):
                    waiter.errback(result)
                else:
                    waiter.callback(None)

        ensureDeferred(self._run()).addBoth(ended)
