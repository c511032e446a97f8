"""Connections, transactions and threads: the one place that knows which database this is.

SQLite: WAL, synchronous=FULL, readers in a pool of threads, one writer thread that commits many units of work
at once.  PostgreSQL: a pool of connections, each unit of work a transaction of its own.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Literal, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import QueuePool

from acl_imapd.storage.bodies import Blobs
from acl_imapd.storage.prepared import Prepared

__all__ = ["Connection", "Database", "notify", "time_of"]

P = ParamSpec("P")
T = TypeVar("T")

MAX_UNITS_PER_COMMIT = 100
MAX_ATTEMPTS = 5
BUSY_TIMEOUT_MS = 10_000
# PostgreSQL: serialization_failure, deadlock_detected.
RETRIED_STATES = ("40001", "40P01")


def notify(conn: Connection, kind: Literal["m", "e"], ident: int) -> None:
    """Wake other processes when this transaction commits: ``m``, a mailbox changed; ``e``, an epoch did.

    PostgreSQL only.  On SQLite whoever waits looks at PRAGMA data_version.
    """
    if conn.dialect.name == "postgresql":
        _NOTIFY.first(conn, {"payload": f"{kind}:{ident}"})


_NOTIFY = Prepared(text("SELECT pg_notify('acl_imapd', :payload)"))


def time_of(conn: Connection) -> float:
    """Seconds since 1970, by the clock that the database was opened with: the one that its server goes by."""
    now: Callable[[], float] = conn.get_execution_options()["now"]
    return now()


class Database:
    """A site's database.  Its functions run in the caller's thread or in threads of its own, never in both
    at once on one connection."""

    def __init__(self, url: str, engine: Engine, blobs: Blobs, now: Callable[[], float]) -> None:
        self.url = url
        self.now = now
        self.engine = engine
        self.blobs = blobs
        self.kind: Literal["sqlite", "postgresql"] = "sqlite" if engine.dialect.name == "sqlite" else "postgresql"
        self._readers = ThreadPoolExecutor(4 if self.kind == "sqlite" else 8, thread_name_prefix="read")
        self._writers = ThreadPoolExecutor(8, thread_name_prefix="write") if self.kind == "postgresql" else None
        self._units: SimpleQueue[tuple[Callable[[Connection], Any], Future[Any]] | None] = SimpleQueue()
        self._writer: threading.Thread | None = None
        self._start_lock = threading.Lock()
        self._closed = False

    @classmethod
    def open(
        cls,
        url: str,
        *,
        blob_dir: Path | None = None,
        inline_limit_bytes: int = 131_072,
        now: Callable[[], float] = time.time,
    ) -> Database:
        """The database at *url* (``sqlite:///path``, ``postgresql://…``); nothing is read yet.

        Bodies over *inline_limit_bytes* are files in *blob_dir*; by default a directory beside SQLite's file.  *now*:
        the time of day, by which rights begin and end.
        """
        parsed = make_url(url)
        clock = {"now": now}
        if parsed.get_backend_name() == "sqlite":
            path = Path(parsed.database or "")
            engine = create_engine(
                parsed,
                poolclass=QueuePool,
                pool_size=8,
                max_overflow=8,
                connect_args={"check_same_thread": False},
                execution_options=clock,
            )
            event.listen(engine, "connect", _prepare_sqlite)
            blob_dir = blob_dir or path.with_name(path.name + "-blobs")
        else:
            engine = create_engine(
                parsed.set(drivername="postgresql+psycopg"), pool_size=18, pool_pre_ping=False, execution_options=clock
            )
            blob_dir = blob_dir or Path("/var/lib/acl-imapd/blobs")
        return cls(url, engine, Blobs(blob_dir, inline_limit_bytes), now)

    # -- in the caller's thread ---------------------------------------------------------------------------

    def read_now(self, fn: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """What ``fn(conn, …)`` returns, from one snapshot.

        A connection that the database has closed meanwhile costs a second attempt: the pool then drops all it has.
        """
        try:
            return self._read(fn, *args, **kwargs)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
        return self._read(fn, *args, **kwargs)

    def _read(self, fn: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        with self.engine.connect() as conn:
            if self.kind == "sqlite":
                conn.exec_driver_sql("BEGIN")
            else:
                conn.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            try:
                return fn(conn, *args, **kwargs)
            finally:
                conn.rollback()

    def write_now(self, fn: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """What ``fn(conn, …)`` returns, once its changes are durable; what it raises, with none of them made."""
        return self.submit_write(fn, *args, **kwargs).result()

    # -- in other threads -----------------------------------------------------------------------------------

    def submit_read(self, fn: Callable[..., T], *args: Any, **kwargs: Any) -> Future[T]:
        """:meth:`read_now` in a thread of the pool."""
        return self._readers.submit(self.read_now, fn, *args, **kwargs)

    def submit_work(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """What ``fn(…)`` returns, from a thread of the readers: long work on what was read, or is to be written."""
        return self._readers.submit(fn, *args, **kwargs)

    def submit_write(self, fn: Callable[..., T], *args: Any, **kwargs: Any) -> Future[T]:
        """:meth:`write_now` in the writer's thread; on SQLite committed together with what waits beside it."""
        unit = partial(_call, fn, args, kwargs)
        if self._writers is not None:
            return self._writers.submit(self._write_alone, unit)
        future: Future[T] = Future()
        with self._start_lock:
            if self._closed:
                raise RuntimeError("the database is closed")
            if self._writer is None:
                self._writer = threading.Thread(target=self._write_units, name="write", daemon=True)
                self._writer.start()
        self._units.put((unit, future))
        return future

    def close(self) -> None:
        """Finish what was submitted, then let go of every connection and thread."""
        with self._start_lock:
            self._closed = True
        if self._writer is not None:
            self._units.put(None)
            self._writer.join()
        if self._writers is not None:
            self._writers.shutdown()
        self._readers.shutdown()
        self.engine.dispose()

    # -- PostgreSQL -----------------------------------------------------------------------------------------

    def _write_alone(self, unit: Callable[[Connection], T]) -> T:
        for attempt in range(MAX_ATTEMPTS):
            committing = False
            try:
                with self.engine.connect() as conn:
                    transaction = conn.begin()  # some units speak to the driver alone, which begins nothing here
                    result = unit(conn)
                    committing = True
                    transaction.commit()
                    return result
            except DBAPIError as error:
                # Lost before COMMIT was sent, nothing is done; lost after, nobody knows, so it must not be done twice.
                lost = error.connection_invalidated and not committing
                again = lost or getattr(error.orig, "sqlstate", None) in RETRIED_STATES
                if not again or attempt == MAX_ATTEMPTS - 1:
                    raise
                time.sleep(0.005 * 2**attempt)
        raise AssertionError("unreachable")

    # -- SQLite: group commit ---------------------------------------------------------------------------------

    def _write_units(self) -> None:
        """Take what is waiting into one transaction, each unit in a savepoint of its own, and answer all after
        the one COMMIT.  While its fsync runs the next ones gather."""
        conn: Connection | None = None
        last = False
        while not last:
            unit = self._units.get()
            if unit is None:
                break
            units = [unit]
            while len(units) < MAX_UNITS_PER_COMMIT:
                try:
                    unit = self._units.get_nowait()
                except Empty:
                    break
                if unit is None:
                    last = True
                    break
                units.append(unit)
            # One that its caller has cancelled is not done, and must not be answered.
            units = [one for one in units if one[1].set_running_or_notify_cancel()]
            if conn is None:
                try:
                    conn = self.engine.connect()
                except Exception as error:  # no such directory, no permission: whoever waits is told, not left waiting
                    for _, future in units:
                        future.set_exception(error)
                    continue
            self._commit_together(conn, units)
        if conn is not None:
            conn.close()

    def _commit_together(self, conn: Connection, units: list[tuple[Callable[[Connection], Any], Future[Any]]]) -> None:
        done: list[tuple[Future[Any], Any]] = []
        try:
            conn.exec_driver_sql("BEGIN IMMEDIATE")
            for unit, future in units:
                alone = len(units) == 1
                if not alone:
                    conn.exec_driver_sql("SAVEPOINT unit")
                try:
                    result = unit(conn)
                except Exception as error:
                    future.set_exception(error)
                    if alone:
                        conn.rollback()
                        return
                    conn.exec_driver_sql("ROLLBACK TO unit")
                    conn.exec_driver_sql("RELEASE unit")
                else:
                    if not alone:
                        conn.exec_driver_sql("RELEASE unit")
                    done.append((future, result))
            conn.commit()
        except Exception as error:
            conn.rollback()
            for _, future in units:
                if not future.done():
                    future.set_exception(error)
            return
        for future, result in done:
            future.set_result(result)


def _call(fn: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any], conn: Connection) -> T:
    return fn(conn, *args, **kwargs)


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # The driver must begin nothing by itself: the transactions here are BEGIN and BEGIN IMMEDIATE.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        f"busy_timeout={BUSY_TIMEOUT_MS}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "cache_size=-32768",
        "temp_store=MEMORY",
        "wal_autocheckpoint=2000",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def unreachable(error: Exception) -> bool:
    """True when *error* says that the database cannot be reached or is locked, rather than that we are wrong."""
    return isinstance(error, OperationalError) or (isinstance(error, DBAPIError) and error.connection_invalidated)
