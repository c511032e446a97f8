r"""One session's side of a selected mailbox: what its client has been told, and what it is owed.

No queue: what is owed is worked out from the index when the client may be told (RFC 3501 §5.2, §7.4.1).
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field

from acl_imapd.access.rights import SEEN
from acl_imapd.mailbox.index import MailboxIndex
from acl_imapd.ranges import EMPTY, RangeSet
from acl_imapd.types import UserId

RECENT = 1 << 63  # a bit no mailbox stores


@dataclass(frozen=True, slots=True)
class Updates:
    """What to tell, in this order; ``expunged`` is descending, so each number holds when it is said.

    ``vanished`` are the UIDs of the expunged ones; ``delayed``: there are some that may not be told now.
    """

    expunged: list[int] = field(default_factory=list)
    vanished: RangeSet = EMPTY
    delayed: bool = False
    exists: int | None = None
    recent: int | None = None
    changed: RangeSet = EMPTY  # sequence numbers, after the expunges
    keywords: bool = False


class Selected:
    """A selected mailbox as one client knows it."""

    def __init__(self, index: MailboxIndex, user_id: UserId, *, own_seen: bool, read_only: bool) -> None:
        r"""*own_seen*: \Seen is this user's own; *read_only*: opened by EXAMINE, so \Recent stays."""
        self.index = index
        self.user_id = user_id
        self.own_seen = own_seen
        self.read_only = read_only
        self.known = index.uids
        self.count = len(index.uids)
        self.told_modseq = index.highest_modseq
        self.told_highest = index.highest_for(user_id, own_seen=own_seen)
        self.told_keywords = len(index.keywords)
        self.recent = EMPTY
        self.searched: RangeSet = EMPTY  # what SEARCH saved, as UIDs: RFC 5182
        self.batched: tuple[object, tuple[int, int]] | None = None  # the last UIDBATCHES, and count and UIDNEXT then
        self._expected: dict[int, int] = {}
        self._claim_recent(0)

    # -- what a sequence number is --------------------------------------------------------------------

    def uids(self, start: int, stop: int) -> array[int]:
        """The UIDs of the 0-based sequence positions start … stop - 1."""
        return self.known[start:stop]

    def seqs_of(self, uids: RangeSet) -> RangeSet:
        """The sequence numbers of those *uids* the client knows."""
        ranges = []
        for low, high in uids.ranges:
            start = bisect_left(self.known, low, 0, self.count)
            stop = bisect_right(self.known, high, start, self.count)
            if start < stop:
                ranges.append((start + 1, stop))
        return RangeSet.of(ranges)

    def uids_of(self, seqs: RangeSet) -> RangeSet:
        """The UIDs of *seqs*; ranges may span UIDs that the client has not been told of as its own."""
        uids: list[int] = []
        for low, high in seqs.ranges:
            uids.extend(self.known[low - 1 : high])
        return RangeSet.from_numbers(uids)

    def places(self, start: int, stop: int) -> list[int]:
        """Where in the index the positions start … stop - 1 are; -1 for a message expunged meanwhile."""
        if self.known is self.index.uids:
            return list(range(start, stop))
        return [self.index.position(uid) for uid in self.known[start:stop]]

    def flags(self, start: int, stop: int) -> list[int]:
        r"""The flag bits this user sees at the positions; RECENT set where the session has it, -1 for gone."""
        index = self.index
        if self.known is index.uids:
            flags = index.flags[start:stop].tolist()
        else:
            flags = [index.flags[place] if place >= 0 else -1 for place in self.places(start, stop)]
        if self.own_seen:
            flags = [bits & ~SEEN if bits > 0 else bits for bits in flags]
            self._mark(flags, start, stop, index.seen.get(self.user_id, EMPTY), SEEN)
        if self.recent:
            self._mark(flags, start, stop, self.recent, RECENT)
        return flags

    # -- modseqs ------------------------------------------------------------------------------------------

    def modseqs(self, start: int, stop: int) -> list[int]:
        """The modseqs this user sees at the positions start … stop - 1; 0 for gone.  RFC 7162 §3.1."""
        index = self.index
        column = index.common_modseqs if self.own_seen else index.modseqs
        if self.known is index.uids:
            found = column[start:stop].tolist()
        else:
            found = [column[place] if place >= 0 else 0 for place in self.places(start, stop)]
        if not self.own_seen or start >= stop:
            return found
        first, last = self.known[start], self.known[stop - 1]
        for modseq, uids in index.turns_of(self.user_id).entries:
            begin = max(0, bisect_right(uids.ranges, (first, 1 << 62)) - 1)
            for low, high in uids.ranges[begin:]:
                if low > last:
                    break
                from_, to = bisect_left(self.known, low, start, stop), bisect_right(self.known, high, start, stop)
                for place in range(from_ - start, to - start):
                    if 0 < found[place] < modseq:
                        found[place] = modseq
        return found

    def changed_since(self, seqs: RangeSet, modseq: int) -> RangeSet:
        """Those of the sequence numbers whose message this user sees changed after *modseq*."""
        changed: list[int] = []
        for low, high in seqs.ranges:
            for start in range(low - 1, high, 10_000):
                found = self.modseqs(start, min(start + 10_000, high))
                changed += [seq for seq, one in enumerate(found, start + 1) if one > modseq]
        return RangeSet.from_numbers(changed)

    def _mark(self, flags: list[int], start: int, stop: int, uids: RangeSet, bit: int) -> None:
        if start >= stop:
            return
        first, last = self.known[start], self.known[stop - 1]
        begin = max(0, bisect_right(uids.ranges, (first, 1 << 62)) - 1)
        for low, high in uids.ranges[begin:]:
            if low > last:
                break
            for place in range(bisect_left(self.known, low, start, stop), bisect_right(self.known, high, start, stop)):
                if flags[place - start] >= 0:
                    flags[place - start] |= bit

    # -- what the client is owed ------------------------------------------------------------------------

    def expect(self, uids: array[int] | list[int], flags: list[int]) -> None:
        """Do not tell of these messages again if their flags turn out to be just *flags* (RECENT aside)."""
        for uid, bits in zip(uids, flags, strict=True):
            self._expected[uid] = bits & ~RECENT

    def owed(self) -> RangeSet:
        """The UIDs of messages whose flags have changed and were not told."""
        return self._changed() if self.owes() else EMPTY

    def owes(self) -> bool:
        """True when there may be something to tell."""
        index = self.index
        return index.highest_modseq != self.told_modseq or index.uids is not self.known or bool(self._expected)

    def updates(self, *, expunge_ok: bool) -> Updates:
        """What the client is to be told now; counts as told.

        Without *expunge_ok* (RFC 3501 §7.4.1: while FETCH, STORE or SEARCH runs) EXPUNGE waits, and EXISTS of
        later messages with it, since their numbers depend on it.
        """
        index = self.index
        if not self.owes():
            return Updates()
        vanished = index.uids is not self.known
        if vanished and not expunge_ok:
            # Flag changes wait too: told_modseq stays.  Nothing is lost, it is told a command later.
            self._expected.clear()
            return Updates(delayed=True)
        changed_uids = self._changed()
        expunged: list[int] = []
        gone = EMPTY
        if vanished:
            expunged = self._expunged(self.known, self.count)
            gone = RangeSet.from_numbers([self.known[seq - 1] for seq in expunged])
        self.known = index.uids
        before = self.count - len(expunged)
        self.count = len(index.uids)
        exists = self.count if self.count != before else None
        recent = self._claim_recent(before) if exists is not None else False
        if expunged and self.recent:
            self.recent = RangeSet.from_numbers(index.uids[n - 1] for n in self.seqs_of(self.recent))
        changed = self._unexpected(self.seqs_of(changed_uids) & RangeSet(((1, before),) if before else ()))
        keywords = len(index.keywords) != self.told_keywords
        self.told_keywords = len(index.keywords)
        self.told_modseq = index.highest_modseq
        self.told_highest = max(self.told_highest, index.highest_for(self.user_id, own_seen=self.own_seen))
        self._expected.clear()
        return Updates(
            expunged=expunged,
            vanished=gone,
            exists=exists,
            recent=self.recent_count() if recent else None,
            changed=changed,
            keywords=keywords,
        )

    def _changed(self) -> RangeSet:
        index = self.index
        if self.told_modseq < index.log_start:
            return self._changed_by_scan()
        changed: list[tuple[int, int]] = []
        for entry in reversed(index.log):
            if entry.modseq <= self.told_modseq:
                break
            if entry.user is None:
                if entry.seen_only and self.own_seen:
                    continue
            elif entry.user != self.user_id or not self.own_seen:
                continue
            changed.extend(entry.changed.ranges)
        return RangeSet.of(changed)

    def _changed_by_scan(self) -> RangeSet:
        """The log does not reach back far enough: look at every message."""
        index = self.index
        column = index.common_modseqs if self.own_seen else index.modseqs
        pairs = zip(index.uids, column, strict=True)
        changed = RangeSet.from_numbers(uid for uid, modseq in pairs if modseq > self.told_modseq)
        return changed | index.turns_of(self.user_id).since(self.told_modseq) if self.own_seen else changed

    def _expunged(self, old: array[int], count: int) -> list[int]:
        index = self.index
        if self.told_modseq < index.log_start:
            there = set(index.uids)
            return [place + 1 for place in range(count - 1, -1, -1) if old[place] not in there]
        gone = RangeSet.of(
            pair for entry in index.log if entry.modseq > self.told_modseq for pair in entry.vanished.ranges
        )
        places: list[int] = []
        for low, high in gone.ranges:
            start = bisect_left(old, low, 0, count)
            places.extend(range(start + 1, bisect_right(old, high, start, count) + 1))
        places.reverse()
        return places

    def _unexpected(self, seqs: RangeSet) -> RangeSet:
        if not self._expected or not seqs:
            return seqs
        left: list[int] = []
        for low, high in seqs.ranges:
            flags = self.flags(low - 1, high)
            for seq, uid, bits in zip(range(low, high + 1), self.known[low - 1 : high], flags, strict=True):
                if self._expected.get(uid) != bits & ~RECENT:
                    left.append(seq)
        return RangeSet.from_numbers(left)

    def _claim_recent(self, before: int) -> bool:
        r"""Take \Recent of what nobody was told of yet (RFC 3501 §2.3.2); EXAMINE only looks."""
        index = self.index
        start = max(before, bisect_right(index.uids, index.recent_uid))
        if start >= len(index.uids):
            return before > 0 or bool(len(index.uids))
        self.recent |= RangeSet(((index.uids[start], index.uids[-1]),))
        if not self.read_only:
            index.recent_uid = index.uids[-1]
        return True

    def recent_count(self) -> int:
        r"""How many messages are \Recent in this session."""
        return sum(high - low + 1 for low, high in self.seqs_of(self.recent).ranges)
