"""How a process notices what another one committed."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from typing import Any

from acl_imapd.storage.database import Database
from acl_imapd.storage.epochs import Epochs
from acl_imapd.storage.rights import TERMS, Term, terms
from acl_imapd.types import AclId, UserId

# A connection that only listens would never notice by itself that the other side is gone.
_NOTICE_SILENCE: dict[str, Any] = {
    "connect_timeout": 10, "keepalives": 1, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3,
}  # fmt: skip


class SqliteWatch:
    """One connection that only looks.  PRAGMA data_version costs some microseconds and changes with every commit of
    any other connection; then the epochs are one row."""

    poll_s = 0.05

    def __init__(self, database: Database) -> None:
        path = database.engine.url.database or ""
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._version = -1
        self._epochs: Epochs | None = None
        self._told_version = -1

    def peek(self) -> Epochs | None:
        """The epochs now."""
        version = self._connection.execute("PRAGMA data_version").fetchone()[0]
        if version != self._version or self._epochs is None:
            row = self._connection.execute("SELECT acl_epoch, tree_epoch, identity_epoch FROM site").fetchone()
            self._version = version
            self._epochs = Epochs(*row)
        return self._epochs

    def changed_acls(self, since_epoch: int) -> list[int] | None:
        """The ACLs changed after that epoch."""
        query = "SELECT id FROM acl WHERE epoch > ? LIMIT 1000"
        rows = self._connection.execute(query, (since_epoch,)).fetchall()
        return [row[0] for row in rows] if len(rows) < 1000 else None

    def terms(self, acl_id: AclId, user_id: UserId) -> list[Term] | None:
        """The entries of an ACL that can concern a user: one indexed read, shorter than the way to a thread."""
        return terms(self._connection.execute(TERMS, {"acl_id": acl_id, "user_id": user_id}))

    def forget(self) -> None:
        """Have :meth:`anything_new` be True once more: what came of its last answer failed."""
        self._told_version = -1

    def anything_new(self) -> bool:
        """True when something was committed since the last call, or nobody can tell."""
        try:
            self.peek()
        except sqlite3.Error:
            return True
        new = self._version != self._told_version
        self._told_version = self._version
        return new

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()


class PostgresqlWatch:
    """LISTEN on a connection of its own, read by the reactor; the epochs themselves are read with every command."""

    def __init__(self, database: Database, *, woken: Callable[[str], None], lost: Callable[[str], None]) -> None:
        """*woken* gets each payload: ``e:0``, ``m:17``; *lost*, why nothing more comes until :meth:`connect`."""
        url = database.engine.url.set(drivername="postgresql")
        self._url = url.render_as_string(hide_password=False)
        self._woken = woken
        self._lost = lost
        self._connection: Any = None
        self._fd = -1
        self.connect()

    def connect(self) -> None:
        """Listen on a new connection.  Waits for the database, so it is not for the reactor's thread."""
        import psycopg

        connection = psycopg.connect(self._url, autocommit=True, **_NOTICE_SILENCE)
        connection.execute("LISTEN acl_imapd")
        # Of one's own: libpq closes its descriptor as soon as it sees the end, when the reactor still watches it.
        self._fd = os.dup(connection.fileno())
        self._connection = connection

    def peek(self) -> Epochs | None:
        """None: only a query tells."""
        return None

    def changed_acls(self, since_epoch: int) -> list[int] | None:
        """None: only a query tells."""
        return None

    def terms(self, acl_id: AclId, user_id: UserId) -> list[Term] | None:
        """None: only a query tells."""
        return None

    # What the reactor wants of a reader.

    def fileno(self) -> int:
        """The socket; -1 where there is none."""
        return self._fd

    def logPrefix(self) -> str:
        """For the reactor's own log."""
        return "listen"

    def doRead(self) -> Exception | None:
        """Notifications have come; or what ended the connection, which has the reactor call connectionLost."""
        from psycopg import Error

        try:
            for notification in self._connection.notifies(timeout=0):
                self._woken(notification.payload)
        except Error as error:
            return error
        return None

    def connectionLost(self, reason: Any) -> None:
        """Nobody is told anything until there is another connection; commands look for themselves meanwhile."""
        self.close()
        self._lost(str(reason.value).strip())

    def close(self) -> None:
        """Let go of the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
            os.close(self._fd)
            self._fd = -1
