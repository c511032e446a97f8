"""SAVEDATE (RFC 8514) and WITHIN (RFC 5032): messages by when they came."""

from __future__ import annotations

import re
import time

import pytest

DAY = 86400


def day(offset: float = 0.0) -> str:
    return time.strftime("%d-%b-%Y", time.gmtime(time.time() + offset * DAY))


@pytest.fixture
def bob(world):
    client = world.client("bob")
    for ago in (0, 1, 400):
        when = time.strftime("%d-%b-%Y %H:%M:%S +0000", time.gmtime(time.time() - ago * DAY))
        client.append("INBOX", flags=f'"{when}" ')
    client.ok("SELECT INBOX")
    return client


def test_the_save_date_is_when_the_message_came_here(bob, world):
    """§3: whatever internal date APPEND gives; a copy's is its own, and the old one's stays."""
    dates = re.findall(r'SAVEDATE "([^"]+)"', bob.ok("FETCH 1:3 (SAVEDATE)"))
    assert len(dates) == 3
    assert {one[:11].strip().lstrip("0") for one in dates} <= {day(-0.01).lstrip("0"), day(0.01).lstrip("0")}

    world.reactor.advance(3 * DAY)
    (bob,) = world.selected("INBOX", "bob")
    bob.ok("COPY 3 Trash")
    bob.ok("MOVE 2 Trash")

    assert re.findall(r'SAVEDATE "([^"]+)"', bob.ok("FETCH 1:2 (SAVEDATE)")) == [dates[0], dates[2]]
    bob.ok("SELECT Trash")
    copies = re.findall(r'SAVEDATE "([^"]+)"', bob.ok("FETCH 1:2 (SAVEDATE)"))
    assert {one[:11].strip().lstrip("0") for one in copies} <= {day(2.99).lstrip("0"), day(3.01).lstrip("0")}


def test_search_by_save_date(bob):
    """§4.3."""
    for line, found in (
        (f"SAVEDBEFORE {day(-1)}", ""),
        (f"SAVEDBEFORE {day(2)}", " 1 2 3"),
        (f"OR SAVEDON {day(-0.01)} SAVEDON {day(0.01)}", " 1 2 3"),
        (f"SAVEDSINCE {day(-1)}", " 1 2 3"),
        (f"SAVEDSINCE {day(2)}", ""),
        ("SAVEDATESUPPORTED", " 1 2 3"),
        ("NOT SAVEDATESUPPORTED", ""),
        (f"SAVEDSINCE {day(-1)} YOUNGER 1000", " 1"),
    ):
        assert bob.ok(f"SEARCH {line}").untagged == [f"* SEARCH{found}"], line


def test_search_by_age(bob, world):
    """RFC 5032 §2: by the internal date, to the second."""
    assert bob.ok("SEARCH YOUNGER 259200").untagged == ["* SEARCH 1 2"]
    assert bob.ok("SEARCH OLDER 3600 UNSEEN").untagged == ["* SEARCH 2 3"]
    assert bob.ok(f"UID SEARCH NOT OLDER {500 * DAY}").untagged == ["* SEARCH 1 2 3"]

    world.reactor.advance(2.5 * DAY)
    (bob,) = world.selected("INBOX", "bob")

    assert bob.ok("SEARCH YOUNGER 259200").untagged == ["* SEARCH 1"]


@pytest.mark.parametrize(
    "line", ["YOUNGER 0", "OLDER x", "OLDER", "YOUNGER -1", "SAVEDON", "SAVEDON 31-Feb-2020", "SAVEDATE 1-Jan-2020"]
)
def test_what_the_grammar_does_not_know_is_bad(bob, line):
    assert bob.cmd(f"SEARCH {line}").tagged.startswith("BAD")
