"""Sequence sets.  RFC 3501 §9."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acl_imapd.proto.sequence import SequenceSet, parse_sequence_set
from acl_imapd.proto.syntax import ParseError


@pytest.mark.parametrize(
    ("text", "highest", "numbers"),
    [
        (b"1", 9, [1]),
        (b"2:4,7", 9, [2, 3, 4, 7]),
        (b"4:2", 9, [2, 3, 4]),
        (b"*", 9, [9]),
        (b"7:*", 9, [7, 8, 9]),
        (b"*:7", 9, [7, 8, 9]),
        (b"5:*", 3, [3, 4, 5]),
        (b"1,1:3,2", 9, [1, 2, 3]),
        (b"12", 9, [12]),
        (b"*", 0, []),
        (b"1:*", 0, []),
    ],
)
def test_a_set_stands_for_these_numbers(text: bytes, highest: int, numbers: list[int]) -> None:
    assert numbers == list(parse_sequence_set(text).resolve(highest))


def test_a_star_is_known_to_be_in_a_set() -> None:
    assert parse_sequence_set(b"1,5:*").has_star
    assert not parse_sequence_set(b"1,5:7").has_star


@pytest.mark.parametrize(
    "text", [b"", b"0", b"1:0", b"1,", b",1", b"1:2:3", b"a", b"-1", b"1:", b"4294967296", b"9" * 5000, b"**"]
)
def test_what_is_no_set_is_refused(text: bytes) -> None:
    with pytest.raises(ParseError):
        parse_sequence_set(text)


def test_the_number_of_ranges_is_limited() -> None:
    assert len(parse_sequence_set(b",".join([b"1"] * 10_000)).pairs) == 10_000
    with pytest.raises(ParseError):
        parse_sequence_set(b",".join([b"1"] * 10_001))


def test_a_whole_mailbox_costs_no_more_than_a_number() -> None:
    assert parse_sequence_set(b"1:4294967295").resolve(5).ranges == ((1, 4294967295),)


NUMBERS = st.integers(0, 30)


@given(pairs=st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=8), highest=st.integers(1, 30))
def test_a_set_means_what_it_says_number_by_number(pairs: list[tuple[int, int]], highest: int) -> None:
    expected = set[int]()
    for first, second in pairs:
        ends = sorted((first or highest, second or highest))
        expected |= set(range(ends[0], ends[1] + 1))
    text = ",".join(f"{first or '*'}:{second or '*'}" for first, second in pairs).encode()

    assert SequenceSet(tuple(pairs)) == parse_sequence_set(text)
    assert sorted(expected) == list(parse_sequence_set(text).resolve(highest))
