"""Who used whose folder when, kept at next to no cost: once per user, folder and day, some seconds later, in one
transaction for all.  What a crash loses of it the next use brings back."""

from __future__ import annotations

from collections.abc import Callable

from acl_imapd.access.directory import Clock
from acl_imapd.storage.last_access import write_last_access
from acl_imapd.storage.mailboxes import Mailbox
from acl_imapd.storage.reactor import AsyncDatabase
from acl_imapd.types import MailboxId, UserId

DAY_S = 86_400
WRITE_AFTER_S = 5.0
RETRY_AFTER_S = 60.0
# Pairs remembered of a day; when there are more, all are forgotten, and written once more.
MAX_REMEMBERED = 200_000

Used = tuple[MailboxId, UserId]


class LastUsed:
    """What ``acl review`` tells as last used.  One's own folders are not kept: nobody reviews these."""

    def __init__(self, database: AsyncDatabase, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._day = 0
        self._known: set[Used] = set()
        self._pending: set[Used] = set()
        self._call_off: Callable[[], None] | None = None

    def note(self, mailbox: Mailbox, user_id: UserId) -> None:
        """The user has the mailbox in use now.  Returns at once."""
        if mailbox.home_id == user_id:
            return
        day = int(self._clock.now() // DAY_S)
        if day != self._day or len(self._known) >= MAX_REMEMBERED:
            self._write()
            self._day = day
            self._known.clear()
        used = (mailbox.id, user_id)
        if used not in self._known:
            self._known.add(used)
            self._pending.add(used)
            self._write_in(WRITE_AFTER_S)

    def _write_in(self, seconds: float) -> None:
        if self._call_off is None:
            self._call_off = self._clock.call_later(seconds, self._time_has_come)

    def _time_has_come(self) -> None:
        self._call_off = None
        self._write()

    def _write(self) -> None:
        if not self._pending:
            return
        day, pending, self._pending = self._day, self._pending, set()
        written = self._database.write(write_last_access, list(pending), day)
        written.addErrback(lambda _failure: self._put_back(day, pending))

    def _put_back(self, day: int, pending: set[Used]) -> None:
        """The database was away, or a folder went while we wrote: once more later, unless the day is over."""
        if day == self._day and len(self._pending) + len(pending) <= MAX_REMEMBERED:
            self._pending |= pending
            self._write_in(RETRY_AFTER_S)

    def close(self) -> None:
        """Write what is pending; the database finishes it before it closes."""
        if self._call_off is not None:
            self._call_off()
            self._call_off = None
        self._write()
