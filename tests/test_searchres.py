"""SEARCHRES: ``$``, what the last SEARCH saved.  RFC 5182; and what PARTIAL makes of it, RFC 9394."""

from __future__ import annotations

import pytest

TEAM = '"Shared Folders/Team"'


@pytest.fixture
def bob(world):
    """Six messages: 2, 4 and 5 flagged."""
    client = world.client("bob")
    for number in range(1, 7):
        client.append(TEAM, f"Subject: {number}\r\n\r\n{'x' * 100 * number}\r\n",
                      "(\\Flagged) " if number in (2, 4, 5) else "")  # fmt: skip
    client.ok(f"SELECT {TEAM}")
    return client


def saved(client):
    return [line.split()[1] for line in client.ok("FETCH $ UID").untagged]


def test_what_was_found_is_named_by_a_dollar_in_any_command(world, bob):
    """Examples 1, 3 and 4; the numbers are sequence numbers or UIDs as the command wants them."""
    assert bob.ok("SEARCH RETURN (SAVE) FLAGGED").untagged == []
    assert bob.ok("FETCH $ (UID)").untagged == [f"* {n} FETCH (UID {n})" for n in (2, 4, 5)]
    assert bob.ok("UID SEARCH UID $ SMALLER 500").untagged == ["* SEARCH 2 4"]
    assert bob.ok("UID SEARCH $ SMALLER 500").untagged == ["* SEARCH 2 4"]
    assert bob.ok("SEARCH (OR $ 1,6) NOT SMALLER 500").untagged == ["* SEARCH 5 6"]
    assert bob.ok("UID STORE $ +FLAGS.SILENT (\\Deleted)").untagged == []
    assert bob.ok("UID EXPUNGE $").untagged == ["* 5 EXPUNGE", "* 4 EXPUNGE", "* 2 EXPUNGE"]
    assert saved(bob) == []


def test_empty_is_a_set_that_names_nothing(bob):
    """Example 6: no error; also right after SELECT."""
    assert saved(bob) == []
    bob.ok("SEARCH RETURN (SAVE) ANSWERED")

    assert bob.ok("COPY $ Trash").tagged == "OK Copied"
    assert bob.ok("STORE $ +FLAGS (\\Flagged)").untagged == []
    assert bob.ok("SEARCH $").untagged == ["* SEARCH"]


def test_an_expunged_message_leaves_it_and_the_numbers_follow(world, bob):
    """§2.1."""
    bob.ok("SEARCH RETURN (SAVE) FLAGGED")
    (cat,) = world.selected("Shared Folders/Team", "cat")
    cat.ok("STORE 1,4 +FLAGS (\\Deleted)")
    cat.ok("EXPUNGE")
    bob.ok("NOOP")

    assert bob.ok("FETCH $ UID").untagged == ["* 1 FETCH (UID 2)", "* 3 FETCH (UID 5)"]


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("SEARCH RETURN (ALL) SEEN", True),
        ("SEARCH SEEN", True),
        ("SEARCH CHARSET KOI8-R SEEN", True),
        ("SEARCH RETURN (SAVE) FROB", True),
        ("SEARCH RETURN (SAVE) COLOUR", True),
        ("SEARCH RETURN (SAVE) 99", False),
        ("SEARCH RETURN (SAVE) CHARSET KOI8-R TEXT x", False),
        ("SEARCH RETURN (SAVE) SEEN", False),
        ("SELECT INBOX", False),
    ],
)
def test_what_changes_it_and_what_does_not(bob, line, kept):
    """§2.1: BAD and a SEARCH without SAVE leave it, NO empties it (example 5), and so does SELECT."""
    bob.ok("SEARCH RETURN (SAVE) FLAGGED")

    bob.cmd(line)

    assert saved(bob) == (["2", "4", "5"] if kept else [])


@pytest.mark.parametrize(
    ("options", "told", "kept"),
    [
        ("ALL SAVE", "ALL 2,4:5", "2 4 5"),
        ("SAVE MIN", "MIN 2", "2"),
        ("SAVE MAX", "MAX 5", "5"),
        ("MAX SAVE MIN", "MIN 2 MAX 5", "2 5"),
        ("MAX SAVE MIN COUNT", "MIN 2 MAX 5 COUNT 3", "2 4 5"),
        ("ALL SAVE MIN", "MIN 2 ALL 2,4:5", "2 4 5"),
        ("SAVE PARTIAL 1:2", "PARTIAL (1:2 2,4)", "2 4"),
        ("SAVE PARTIAL -1:-1 MIN", "MIN 2 PARTIAL (-1:-1 5)", "2 5"),
        ("SAVE PARTIAL 2:2 MIN MAX", "MIN 2 MAX 5 PARTIAL (2:2 4)", "2 4 5"),
        ("SAVE PARTIAL 1:1 COUNT", "COUNT 3 PARTIAL (1:1 2)", "2 4 5"),
    ],
)
def test_what_is_saved_goes_by_what_is_asked(bob, options, told, kept):
    """§2.4, example 10; RFC 9394 §3.2."""
    answer = bob.ok(f"SEARCH RETURN ({options}) FLAGGED")

    assert answer.untagged == [f'* ESEARCH (TAG "a{bob.number}") {told}']
    assert saved(bob) == kept.split()


def test_a_search_that_saves_may_use_what_was_saved(bob):
    bob.ok("SEARCH RETURN (SAVE) FLAGGED")
    bob.ok("SEARCH RETURN (SAVE) $ LARGER 500")

    assert saved(bob) == ["5"]


def test_it_is_no_message_number_where_none_may_be(bob):
    bob.ok("ENABLE QRESYNC")

    assert bob.cmd("SELECT INBOX (QRESYNC (1 1 $))").tagged.startswith("BAD")
    assert bob.cmd("FETCH $,1 FLAGS").tagged.startswith("BAD")
