"""Many requests for the same work answered by doing it a few times."""

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


class Passes:
    """Runs a coroutine function again whenever somebody asks: one run at a time, and after each a rest as long as it
    took.  A run answers all who asked before it began, so a thousand requests cost little more than one."""

    def __init__(
        self,
        run: Callable[[], Coroutine[Any, Any, None]],
        *,
        failed: Callable[[object], None],
        now: Callable[[], float],
        call_later: Callable[[float, Callable[[], None]], Callable[[], None]],
    ) -> None:
        self._run = run
        self._failed = failed
        self._now = now
        self._call_later = call_later
        self._wanted = False
        self._call_off: Callable[[], None] | None = None
        self.busy = False  # running, or at rest

    def request(self) -> None:
        """Have a run begin, now or after the one that is under way."""
        self._wanted = True
        if not self.busy:
            self._start()

    def _start(self) -> None:
        self.busy, self._wanted = True, False
        began = self._now()

        def ended(result: object) -> None:
            if isinstance(result, Failure):
                self._failed(result.value)
            rest = min(self._now() - began, LONGEST_REST_S)
            if rest > 0:
                self._call_off = self._call_later(rest, self._rested)
            else:
                self._rested()

        ensureDeferred(self._run()).addBoth(ended)

    def _rested(self) -> None:
        self.busy, self._call_off = False, None
        if self._wanted:
            self._start()

    def close(self) -> None:
        """Begin no more."""
        if self._call_off is not None:
            self._call_off()
            self._call_off = None


LONGEST_REST_S = 10.0


def detached(work: Coroutine[Any, Any, None], failed: Callable[[object], None]) -> None:
    """Let *work* go its way; what it fails with goes to *failed*."""

    def ended(result: object) -> None:
        if isinstance(result, Failure):
            failed(result.value)

    ensureDeferred(work).addBoth(ended)
