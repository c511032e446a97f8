r"""When a user's own \Seen turned, kept in little."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from acl_imapd.ranges import EMPTY, RangeSet
from acl_imapd.storage.turns import KEPT_TURNS, MAX_TURNS, NO_TURNS, Turns, with_turn

SETS = st.lists(st.integers(1, 60), min_size=1, max_size=8).map(RangeSet.from_numbers)


def modseqs(turns: Turns) -> dict[int, int]:
    return {uid: modseq for modseq, uids in turns.entries for uid in uids}


@settings(max_examples=40)
@given(st.lists(SETS, max_size=2 * MAX_TURNS))
def test_no_turn_is_ever_hidden_and_the_newest_are_exact(turned):
    """A client that knows all up to some modseq is told at least of what turned after it."""
    text, last = "", {}
    for modseq, uids in enumerate(turned, 1):
        text = with_turn(text, modseq, uids, lambda: EMPTY)
        last.update(dict.fromkeys(uids, modseq))

    kept = Turns.parse(text)

    for since in range(0, len(turned) + 1, 7):
        exact = {uid for uid, modseq in last.items() if modseq > since}
        assert exact <= set(kept.since(since))
        if since >= len(turned) - KEPT_TURNS:
            assert exact == set(kept.since(since))
    assert all(last[uid] <= modseq <= len(turned) for uid, modseq in modseqs(kept).items())
    assert len(kept.entries) <= MAX_TURNS
    assert Turns.parse(kept.encode()) == kept


def test_a_client_that_was_away_for_some_turns_is_told_of_not_many_more():
    text = ""
    for uid in range(1, 20_001):
        text = with_turn(text, uid, RangeSet(((uid, uid),)), lambda: EMPTY)
    kept = Turns.parse(text)

    for away in (10, 100, 1000, 10_000):
        assert away <= len(kept.since(20_000 - away)) <= 2 * away + MAX_TURNS
    assert len(kept.entries) <= MAX_TURNS


def test_what_is_gone_is_forgotten_when_it_becomes_much():
    text = ""
    for number in range(3):
        uids = RangeSet.from_numbers(range(number + 1, 6000, 10))
        text = with_turn(text, number + 1, uids, lambda: EMPTY)
    there = RangeSet(((1, 3),))

    kept = Turns.parse(text).compacted(lambda: there)

    assert modseqs(kept) == {1: 1, 2: 2, 3: 3}
    assert NO_TURNS.compacted(lambda: EMPTY) == NO_TURNS
