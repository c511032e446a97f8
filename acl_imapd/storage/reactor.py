"""Storage functions for callers that must not wait: the same functions, in threads, as Deferreds."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, ParamSpec, Protocol, TypeVar

import structlog
from twisted.internet.defer import Deferred

from acl_imapd.errors import Unavailable
from acl_imapd.storage.database import Database, unreachable

P = ParamSpec("P")
T = TypeVar("T")


class CallsFromThread(Protocol):
    """What is needed of a reactor."""

    def callFromThread(self, callable: Callable[..., Any], *args: Any) -> None: ...


class AsyncDatabase:
    """``await database.read(fn, …)``; one hop per unit of work, never one per message."""

    def __init__(self, database: Database, reactor: CallsFromThread) -> None:
        self.database = database
        self._reactor = reactor

    def read(self, fn: Callable[..., T], *args: Any, **kwargs: Any) -> Deferred[T]:
        """What ``fn(conn, …)`` returns.  Unavailable while the database cannot be reached."""
        return self._deferred(self.database.submit_read(fn, *args, **kwargs))

    def write(self, fn: Callable[..., T], *args: Any, **kwargs: Any) -> Deferred[T]:
        """What ``fn(conn, …)`` returns, once durable."""
        return self._deferred(self.database.submit_write(fn, *args, **kwargs))

    def work(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        """What ``fn(…)`` returns, which needs no connection and takes too long for the reactor's thread."""
        return self._deferred(self.database.submit_work(fn, *args, **kwargs))

    def _deferred(self, future: Future[T]) -> Deferred[T]:
        deferred: Deferred[T] = Deferred()

        def land() -> None:
            error = future.exception()
            if isinstance(error, Exception) and unreachable(error):
                structlog.get_logger().error("the database cannot be reached", reason=str(error).partition("\n")[0])
                deferred.errback(Unavailable("The server cannot reach its database; try again in a moment"))
            elif error is not None:
                deferred.errback(error)
            else:
                deferred.callback(future.result())

        future.add_done_callback(lambda _: self._reactor.callFromThread(land))
        return deferred
