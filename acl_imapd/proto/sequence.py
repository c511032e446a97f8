"""Sequence sets as clients write them, and the numbers they stand for.  RFC 3501 §9."""

from __future__ import annotations

import re
from dataclasses import dataclass

from acl_imapd.proto.syntax import MAX_NUMBER, ParseError, show
from acl_imapd.ranges import RangeSet

MAX_PAIRS = 10_000
STAR = 0

_PART = re.compile(rb"(\*|[0-9]{1,20})(?::(\*|[0-9]{1,20}))?")


@dataclass(frozen=True, slots=True)
class SequenceSet:
    """The ranges of a sequence-set in the client's order; 0 stands for ``*``.

    *saved*: ``$``, what the last SEARCH saved; whoever resolves it knows that.  RFC 5182.
    """

    pairs: tuple[tuple[int, int], ...]
    saved: bool = False

    @property
    def has_star(self) -> bool:
        """Whether ``*`` is in it, so that it means something else after new mail."""
        return any(STAR in pair for pair in self.pairs)

    def resolve(self, highest: int) -> RangeSet:
        """The numbers meant when *highest* is the largest in use, 0 for an empty mailbox.

        RFC 3501 §9: the two ends of a range may come in either order, so ``5:*`` holds the last message
        even when that is 3.  Numbers above *highest* are kept; the caller clips or finds none of them.
        """
        ranges: list[tuple[int, int]] = []
        for first, second in self.pairs:
            if highest == 0 and STAR in (first, second):
                continue
            low, high = first or highest, second or highest
            ranges.append((low, high) if low <= high else (high, low))
        return RangeSet.of(ranges)


def parse_sequence_set(text: bytes) -> SequenceSet:
    """The set written as *text*, at most 10000 ranges; raises ParseError.

    sequence-set = (seq-number / seq-range) *("," sequence-set) / "$"
    """
    if text == b"$":
        return SequenceSet((), saved=True)
    if text.count(b",") >= MAX_PAIRS:
        raise ParseError(f"A set may have at most {MAX_PAIRS} ranges")
    pairs: list[tuple[int, int]] = []
    for part in text.split(b","):
        match = _PART.fullmatch(part)
        if match is None:
            raise ParseError(f'"{show(part)}" is not a message number or range')
        low = _number(match[1])
        pairs.append((low, low if match[2] is None else _number(match[2])))
    return SequenceSet(tuple(pairs))


def _number(text: bytes) -> int:
    if text == b"*":
        return STAR
    number = int(text)
    if not 0 < number <= MAX_NUMBER:
        raise ParseError(f"Message numbers go from 1 to {MAX_NUMBER}")
    return number
