r"""When a user's own \Seen of which messages last turned: what gives a message its modseq for that user alone.

Kept in one row per user and mailbox, so it must stay small however much is read.  Adding is a concatenation.  Now and
then it is compacted: the newest turns stay as they are, older ones are put together in groups that grow with age, and
each group counts as turned when the newest of it did.  So a change is never hidden, and a client that was away for
n messages turned is told of some 2n, unless many turned at one go.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from acl_imapd.ranges import EMPTY, RangeSet

MAX_TURNS = 96
KEPT_TURNS = 32
MAX_RANGES = 1000


@dataclass(frozen=True, slots=True)
class Turns:
    """(modseq, UIDs), rising by modseq; a UID may be in several, of which the last counts."""

    entries: tuple[tuple[int, RangeSet], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Turns:
        """What :meth:`encode` wrote: ``"5@1:3,9;8@2"``."""
        if not text:
            return NO_TURNS
        pairs = (part.partition("@") for part in text.split(";"))
        return cls(tuple((int(modseq), RangeSet.parse(uids)) for modseq, _, uids in pairs))

    def encode(self) -> str:
        """``"5@1:3,9;8@2"``."""
        return ";".join(f"{modseq}@{uids.encode()}" for modseq, uids in self.entries)

    def since(self, modseq: int) -> RangeSet:
        """The UIDs that turned after *modseq*."""
        return RangeSet.of(pair for at, uids in self.entries if at > modseq for pair in uids.ranges)

    def compacted(self, there: Callable[[], RangeSet]) -> Turns:
        """The same in less; *there* is asked for the UIDs that exist, where it has grown long."""
        kept: list[tuple[int, RangeSet]] = []
        known = EMPTY
        group, newest, after = EMPTY, 0, 0  # after: how many turned after those of the group
        for modseq, uids in reversed(self.entries):
            left = uids - known
            if not left:
                continue
            newer = len(known)
            known |= left
            if len(kept) < KEPT_TURNS:
                kept.append((modseq, left))
                continue
            if group and len(group) + len(left) > after:
                kept.append((newest, group))
                group = EMPTY
            if not group:
                newest, after = modseq, newer
            group |= left
        if group:
            kept.append((newest, group))
        if sum(len(uids.ranges) for _, uids in kept) > MAX_RANGES:
            exists = there()
            kept = [(modseq, uids & exists) for modseq, uids in kept]
        return Turns(tuple((modseq, uids) for modseq, uids in reversed(kept) if uids))


NO_TURNS = Turns()


def with_turn(text: str, modseq: int, uids: RangeSet, there: Callable[[], RangeSet]) -> str:
    """The encoded turns *text* with one more."""
    more = f"{modseq}@{uids.encode()}"
    text = f"{text};{more}" if text else more
    if text.count(";") >= MAX_TURNS:
        return Turns.parse(text).compacted(there).encode()
    return text
