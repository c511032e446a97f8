"""Sets of positive integers as sorted, disjoint, inclusive ranges: uid sets, seen sets, vanished sets."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class RangeSet:
    """An immutable set of integers >= 1; ``ranges`` is sorted, disjoint and not adjacent."""

    ranges: tuple[Range, ...] = ()

    @classmethod
    def of(cls, ranges: Iterable[Range]) -> RangeSet:
        """The set covered by *ranges*, given in any order, overlapping or not."""
        merged: list[Range] = []
        for low, high in sorted(ranges):
            if merged and low <= merged[-1][1] + 1:
                if high > merged[-1][1]:
                    merged[-1] = (merged[-1][0], high)
            else:
                merged.append((low, high))
        return cls(tuple(merged))

    @classmethod
    def from_numbers(cls, numbers: Iterable[int]) -> RangeSet:
        """The set of *numbers*, given in any order."""
        merged: list[Range] = []
        low = high = 0
        for number in sorted(numbers):
            if low and number <= high + 1:
                high = number
                continue
            if low:
                merged.append((low, high))
            low = high = number
        if low:
            merged.append((low, high))
        return cls(tuple(merged))

    @classmethod
    def parse(cls, text: str) -> RangeSet:
        """The set written by :meth:`encode`: ``"1:5,9"``; ``""`` is the empty set."""
        if not text:
            return EMPTY
        pairs = (part.partition(":") for part in text.split(","))
        return cls(tuple((int(low), int(high or low)) for low, _, high in pairs))

    def encode(self) -> str:
        """``"1:5,9"``, the sequence-set form of RFC 3501 §9 without ``*``."""
        return ",".join(f"{low}:{high}" if high != low else f"{low}" for low, high in self.ranges)

    def __len__(self) -> int:
        return sum(high - low + 1 for low, high in self.ranges)

    def __bool__(self) -> bool:
        return bool(self.ranges)

    def __iter__(self) -> Iterator[int]:
        for low, high in self.ranges:
            yield from range(low, high + 1)

    def __contains__(self, number: object) -> bool:
        if not isinstance(number, int):
            return False
        place = bisect_right(self.ranges, (number, 1 << 63)) - 1
        return place >= 0 and self.ranges[place][1] >= number

    def __or__(self, other: RangeSet) -> RangeSet:
        if not other.ranges:
            return self
        return RangeSet.of((*self.ranges, *other.ranges)) if self.ranges else other

    def __sub__(self, other: RangeSet) -> RangeSet:
        if not other.ranges or not self.ranges:
            return self
        left: list[Range] = []
        cuts = other.ranges
        place = 0
        for low, high in self.ranges:
            while place < len(cuts) and cuts[place][1] < low:
                place += 1
            at = place
            while at < len(cuts) and cuts[at][0] <= high:
                if cuts[at][0] > low:
                    left.append((low, cuts[at][0] - 1))
                low = cuts[at][1] + 1
                at += 1
            if low <= high:
                left.append((low, high))
        return RangeSet(tuple(left))

    def __and__(self, other: RangeSet) -> RangeSet:
        both: list[Range] = []
        mine, yours = self.ranges, other.ranges
        i = j = 0
        while i < len(mine) and j < len(yours):
            low, high = max(mine[i][0], yours[j][0]), min(mine[i][1], yours[j][1])
            if low <= high:
                both.append((low, high))
            if mine[i][1] < yours[j][1]:
                i += 1
            else:
                j += 1
        return RangeSet(tuple(both))

    def places(self, first: int, last: int) -> RangeSet:
        """The *first* to the *last* of the numbers, counted from 1; fewer where there are not as many."""
        some: list[Range] = []
        before = 0
        for low, high in self.ranges:
            start, stop = max(low, low + first - 1 - before), min(high, low + last - 1 - before)
            if start <= stop:
                some.append((start, stop))
            before += high - low + 1
            if before >= last:
                break
        return RangeSet(tuple(some))

    def select(self, numbers: Sequence[int]) -> list[int]:
        """Those of the sorted *numbers* that are in the set; found by bisection, one cut per range."""
        found: list[int] = []
        start = 0
        for low, high in self.ranges:
            start = bisect_right(numbers, low - 1, start)
            stop = bisect_right(numbers, high, start)
            found.extend(numbers[start:stop])
            start = stop
        return found


EMPTY = RangeSet()
