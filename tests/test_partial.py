"""PARTIAL: pages of results.  RFC 9394."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acl_imapd.commands.search import partial_of
from acl_imapd.ranges import RangeSet


@pytest.fixture
def bob(world):
    """UIDs 1 to 10 without 4; the even ones flagged."""
    client = world.client("bob")
    for number in range(1, 11):
        client.append("INBOX", flags="(\\Flagged) " if number % 2 == 0 else "")
    client.ok("SELECT INBOX")
    client.ok("STORE 4 +FLAGS.SILENT (\\Deleted)")
    client.ok("EXPUNGE")
    return client


@pytest.mark.parametrize(
    ("partial", "told"),
    [
        ("1:2", "2,6"),
        ("2:1", "2,6"),
        ("3:100", "8,10"),
        ("5:9", "NIL"),
        ("-1:-2", "8,10"),
        ("-2:-1", "8,10"),
        ("-4:-100", "2"),
        ("-5:-9", "NIL"),
    ],
)
def test_search_tells_the_results_of_those_places(bob, partial, told):
    """§3.1: with the range as it was asked for; NIL where there is none."""
    answer = bob.ok(f"UID SEARCH RETURN (PARTIAL {partial}) FLAGGED")

    assert answer.untagged == [f'* ESEARCH (TAG "a{bob.number}") UID PARTIAL ({partial} {told})']


def test_the_modseq_told_is_that_of_the_page(bob):
    """RFC 7162 §3.1.10."""
    bob.ok("STORE 1 +FLAGS.SILENT (\\Answered)")
    page = bob.ok("SEARCH RETURN (PARTIAL 2:3) MODSEQ 1").untagged[-1]
    whole = bob.ok("SEARCH RETURN (PARTIAL 2:3 COUNT) MODSEQ 1").untagged[-1]

    assert int(page.rpartition(" ")[2]) < int(whole.rpartition(" ")[2])


@pytest.mark.parametrize(
    ("line", "uids"),
    [
        ("UID FETCH 2:9 UID (PARTIAL -1:-3)", "7 8 9"),
        ("UID FETCH 2:9 UID (PARTIAL 1:3)", "2 3 5"),
        ("UID FETCH 2:9 UID (PARTIAL 6:99)", "8 9"),
        ("UID FETCH 2:9 UID (PARTIAL -6:-99)", "2 3"),
        ("UID FETCH 2:9 UID (PARTIAL 50:60)", ""),
    ],
)
def test_fetch_tells_of_the_messages_of_those_places(bob, line, uids):
    """§3.3."""
    assert [told.split("UID ")[1].rstrip(")") for told in bob.ok(line).untagged] == uids.split()


@pytest.mark.parametrize("modifiers", ["PARTIAL -1:-3 CHANGEDSINCE {0}", "CHANGEDSINCE {0} PARTIAL -1:-3"])
def test_what_changed_is_looked_for_among_those(bob, modifiers):
    """§3.4: the last three first, then what of them has changed; in whichever order it is written."""
    since = bob.ok("STATUS INBOX (HIGHESTMODSEQ)").split("HIGHESTMODSEQ ")[-1].split(")")[0]
    bob.ok("UID STORE 2,9 +FLAGS.SILENT (\\Seen)")

    told = bob.ok(f"UID FETCH 1:* (UID FLAGS) ({modifiers.format(since)})").untagged

    assert len(told) == 1
    assert "UID 9 " in told[0]


@pytest.mark.parametrize(
    "line",
    [
        "FETCH 1:3 FLAGS (PARTIAL 1:2)",
        "UID FETCH 1:3 FLAGS (PARTIAL 0:2)",
        "UID FETCH 1:3 FLAGS (PARTIAL 1:-2)",
        "UID FETCH 1:3 FLAGS (PARTIAL 1)",
        "SEARCH RETURN (PARTIAL 1:2 ALL) ALL",
        "SEARCH RETURN (PARTIAL 1:2 PARTIAL 3:4) ALL",
        "SEARCH RETURN (PARTIAL 1:4294967296) ALL",
    ],
)
def test_what_the_grammar_does_not_know_is_bad(bob, line):
    assert bob.cmd(line).tagged.startswith("BAD")


@settings(max_examples=40)
@given(st.lists(st.integers(1, 40), unique=True).map(sorted), st.integers(1, 30), st.integers(1, 30), st.booleans())
def test_places_of_a_set_are_those_of_a_list(numbers, first, last, from_end):
    low, high = sorted((first, last))
    found = partial_of(numbers, (-first, -last) if from_end else (first, last))

    assert found == (numbers[::-1][low - 1 : high][::-1] if from_end else numbers[low - 1 : high])
    assert list(RangeSet.from_numbers(numbers).places(low, high)) == numbers[low - 1 : high]
