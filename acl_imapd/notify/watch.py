"""How a process notices what another one committed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

from acl_imapd.storage.database import Database
from acl_imapd.storage.epochs import Epochs
from acl_imapd.storage.rights import TERMS, Term, terms
from acl_imapd.types import AclId, UserId


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

    def anything_new(self) -> bool:
        """True when something was committed since the last call."""
        self.peek()
        new = self._version != self._told_version
        self._told_version = self._version
        return new

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()


class PostgresqlWatch:
    """LISTEN on a connection of its own, read by the reactor; the epochs themselves are read with every command."""

    def __init__(self, database: Database, *, woken: Callable[[str], None]) -> None:
        """*woken* gets each payload: ``e:0``, ``m:17``."""
        import psycopg

        url = database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._connection: Any = psycopg.connect(url, autocommit=True)
        self._connection.execute("LISTEN acl_imapd")
        self._woken = woken
        self.lost: Callable[[], None] = lambda: None

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
        """The socket."""
        return int(self._connection.fileno())

    def logPrefix(self) -> str:
        """For the reactor's own log."""
        return "listen"

    def doRead(self) -> None:
        """Notifications have come."""
        for notification in self._connection.notifies(timeout=0):
            self._woken(notification.payload)

    def connectionLost(self, _reason: object) -> None:
        """The server is gone; the commands' own look at the epochs does not need us."""
        self.lost()

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()
