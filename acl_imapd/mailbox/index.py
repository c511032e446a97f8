r"""What a process knows of one open mailbox: parallel arrays, once for all its sessions.

Some 54 bytes a message.  An index follows the database as a QRESYNC client follows its server: by the changes
since a modseq.  What changed when is kept in a log, so that a session can be told what it has not been told.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from acl_imapd.ranges import EMPTY, RangeSet
from acl_imapd.storage.messages import Changes
from acl_imapd.storage.turns import NO_TURNS, Turns
from acl_imapd.types import MailboxId, UserId

MAX_LOG_ENTRIES = 10_000
UNKNOWN_DATE = -(1 << 62)  # a sent date that nobody has asked for yet


@dataclass(frozen=True, slots=True)
class LogEntry:
    r"""What one catching-up brought: *changed* flags or *vanished* messages.

    *user*: whose \Seen it was alone; *seen_only*: only the \Seen bit changed, and that is the home's user's own.
    """

    modseq: int  # the index's highest_modseq once it was applied
    changed: RangeSet = EMPTY
    vanished: RangeSet = EMPTY
    user: UserId | None = None
    seen_only: bool = False


class MailboxIndex:
    """The arrays: one item per message, in UID order.

    ``uids`` only grows in place; an expunge replaces all the arrays, so whoever kept a reference and a count
    still has what its client was told.
    """

    __slots__ = (
        "bodies", "common_modseq", "common_modseqs", "dates", "flags", "highest_modseq", "home_modseq", "keywords",
        "log", "log_start", "mailbox_id", "modseqs", "recent_uid", "seen", "seen_modseq", "sent", "sessions", "sizes",
        "turns", "uidnext", "uids", "uidvalidity", "zones",
    )  # fmt: skip

    def __init__(self, changes: Changes) -> None:
        """An index from everything: ``read_changes(…, since=0)``."""
        self.mailbox_id: MailboxId = changes.mailbox_id
        self.uidvalidity = changes.uidvalidity
        self.uidnext = changes.uidnext
        self.recent_uid = changes.recent_uid
        self.highest_modseq = changes.upto
        self.keywords: dict[int, str] = dict(changes.keywords)
        self.seen: dict[UserId, RangeSet] = dict(changes.seen)
        self.seen_modseq: dict[UserId, int] = {user: modseq for user, (modseq, _) in changes.turns.items()}
        # When whose own \Seen turned: as text until somebody asks.
        self.turns: dict[UserId, str | Turns] = {user: text for user, (_, text) in changes.turns.items()}
        self.common_modseq = changes.common_modseq
        self.home_modseq = changes.home_modseq
        self.uids = array("I", [row.uid for row in changes.rows])
        self.flags = array("Q", [row.flags for row in changes.rows])
        self.modseqs = array("Q", [row.modseq for row in changes.rows])
        self.common_modseqs = array("Q", [row.common_modseq for row in changes.rows])
        self.dates = array("q", [row.internal_date for row in changes.rows])
        self.zones = array("h", [row.internal_zone for row in changes.rows])
        self.sizes = array("Q", [row.size for row in changes.rows])
        self.bodies = array("Q", [row.body_id for row in changes.rows])
        self.sent = array("q", [UNKNOWN_DATE]) * len(self.uids)  # filled in as somebody sorts by it
        self.log: deque[LogEntry] = deque()
        self.log_start = changes.upto  # the log tells everything after this modseq
        self.sessions = 0

    def position(self, uid: int) -> int:
        """Where *uid* is in the arrays; -1 where it is not."""
        place = bisect_left(self.uids, uid)
        return place if place < len(self.uids) and self.uids[place] == uid else -1

    def highest_for(self, user: UserId, *, own_seen: bool) -> int:
        r"""HIGHESTMODSEQ as that user may know it: what only others see of their own \Seen does not count."""
        return max(self.common_modseq, self.seen_modseq.get(user, 0) if own_seen else self.home_modseq)

    def turns_of(self, user: UserId) -> Turns:
        r"""When that user's own \Seen of which messages turned."""
        turns = self.turns.get(user, NO_TURNS)
        if isinstance(turns, str):
            turns = self.turns[user] = Turns.parse(turns)
        return turns

    def learn_sent(self, dates: Iterable[tuple[int, int | None]]) -> None:
        """Remember the sent date of each UID; without one it is the internal date.  RFC 5256 §2.2."""
        for uid, sent in dates:
            place = self.position(uid)
            if place >= 0:
                self.sent[place] = sent if sent is not None else self.dates[place]

    def apply(self, changes: Changes) -> bool:
        """Bring in *changes*, which begin at or before what is known.  False if they told nothing new."""
        self.uidnext = max(self.uidnext, changes.uidnext)
        self.recent_uid = max(self.recent_uid, changes.recent_uid)
        if changes.upto <= self.highest_modseq:
            return False
        known = self.highest_modseq
        self.highest_modseq = changes.upto
        self.common_modseq = changes.common_modseq
        self.home_modseq = changes.home_modseq
        self.keywords.update(changes.keywords)
        self._apply_rows(changes, known)
        gone = self._remove(changes.vanished)
        if gone:
            self._log(LogEntry(changes.upto, vanished=gone))
        for user, uids in changes.seen.items():
            old = self.seen.get(user, EMPTY)
            self.seen[user] = uids
            self.seen_modseq[user], self.turns[user] = changes.turns[user]
            turned = ((old - uids) | (uids - old)) - changes.vanished
            if turned:
                self._log(LogEntry(changes.upto, changed=turned, user=user))
        return True

    def _apply_rows(self, changes: Changes, known: int) -> None:
        last = self.uids[-1] if self.uids else 0
        flagged: list[int] = []
        seen_only: list[int] = []
        for row in changes.rows:
            if row.modseq <= known:
                continue
            if row.uid > last:
                self.uids.append(row.uid)
                self.flags.append(row.flags)
                self.modseqs.append(row.modseq)
                self.common_modseqs.append(row.common_modseq)
                self.dates.append(row.internal_date)
                self.zones.append(row.internal_zone)
                self.sizes.append(row.size)
                self.bodies.append(row.body_id)
                self.sent.append(UNKNOWN_DATE)
                continue
            place = self.position(row.uid)
            if place < 0:
                continue
            self.flags[place] = row.flags
            self.modseqs[place] = row.modseq
            self.common_modseqs[place] = row.common_modseq
            if row.common_modseq <= known:
                seen_only.append(row.uid)
            else:
                flagged.append(row.uid)
        if flagged:
            self._log(LogEntry(changes.upto, changed=RangeSet.from_numbers(flagged)))
        if seen_only:
            self._log(LogEntry(changes.upto, changed=RangeSet.from_numbers(seen_only), seen_only=True))

    def _remove(self, vanished: RangeSet) -> RangeSet:
        """Take *vanished* out of new arrays; those that were there."""
        uids = self.uids
        cuts: list[tuple[int, int]] = []
        gone: list[tuple[int, int]] = []
        for low, high in vanished.ranges:
            start, stop = bisect_left(uids, low), bisect_right(uids, high)
            if start < stop:
                cuts.append((start, stop))
                gone.append((low, high))
        if not cuts:
            return EMPTY
        for name in ("uids", "flags", "modseqs", "common_modseqs", "dates", "zones", "sizes", "bodies", "sent"):
            old: array[int] = getattr(self, name)
            new: array[int] = array(old.typecode)
            start = 0
            for cut_start, cut_stop in cuts:
                new.extend(old[start:cut_start])
                start = cut_stop
            new.extend(old[start:])
            setattr(self, name, new)
        return RangeSet.of(gone)

    def _log(self, entry: LogEntry) -> None:
        if not self.sessions:  # nobody is owed anything
            self.log_start = self.highest_modseq
            self.log.clear()
            return
        self.log.append(entry)
        while len(self.log) > MAX_LOG_ENTRIES:
            self.log_start = self.log.popleft().modseq
            # Entries of one catching-up go together, or half of it would be told.
            while self.log and self.log[0].modseq == self.log_start:
                self.log.popleft()
