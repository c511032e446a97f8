"""SEARCH=FUZZY and relevancy.  RFC 6203."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acl_imapd.mail.fuzzy import nearly, relevancy, words_of

from .test_sort import fill, mail, told


def score(query, *texts):
    return relevancy(query, words_of(query), texts)


def test_the_nearer_the_more():
    exact = score("IMAP break", "On the IMAP break of today")
    apart = score("IMAP break", "break the IMAP server")
    inflected = score("IMAP break", "IMAP breaks")
    misspelt = score("IMAP braek", "IMAP break")
    related = score("IMAP break", "broken IMAP is breakable") or score("IMAP break", "IMAP is broken")

    assert exact == inflected == 100  # it is there as it is
    assert 100 > apart > misspelt > 0
    assert related > 0
    assert score("Helo", "Hello") > 0
    assert score("Gruesse", "unrelated words only") == 0
    assert score("Grüße", "GRUßE aus Köln") == 100
    assert score("one two three four", "one two three") > 0
    assert score("one two three four", "one two") == 0
    assert score("!!", "!") == 0
    assert score("!!", "a!!") == 100
    assert score("", "anything") == 100


def test_one_wrong_letter():
    for other in ("helo", "hello", "hellp", "hlelo", "ello", "xhello", "helloo"):
        assert nearly("hello", other)
    for other in ("hell0o0", "help", "olleh", "hel"):
        assert not nearly("hello", other)


@settings(max_examples=80, deadline=None)
@given(st.text(max_size=30), st.lists(st.text(max_size=60), max_size=3))
def test_any_text_has_a_score_and_contains_itself_wholly(query, texts):
    assert 0 <= score(query, *texts) <= 100
    assert score(query, *texts, query) == 100


def test_hostile_texts_cost_little():
    begun = time.process_time()
    score(" ".join(f"w{n}ord" for n in range(1000)), "x" * 5_000_000, " ".join(f"w{n}orx" for n in range(100_000)))
    assert time.process_time() - begun < 5


@pytest.fixture
def client(world):
    return fill(
        world,
        mail("break the IMAP server"),
        mail("unrelated"),
        mail("IMAP break", sender="user@example.com"),
        mail("IMAP braek", body="hello world"),
    )


def test_fuzzy_keys_find_what_is_near_and_the_others_are_as_they_are(client):
    """§3: the examples' form."""
    assert told(client, 'SEARCH SUBJECT "IMAP break"', "SEARCH") == [3]
    assert told(client, 'SEARCH FUZZY SUBJECT "IMAP break"', "SEARCH") == [1, 3, 4]
    assert told(client, 'SEARCH FUZZY SUBJECT "IMAP break" FROM user@example.com', "SEARCH") == [3]
    assert told(client, 'SEARCH FUZZY (SUBJECT "IMAP break" LARGER 1)', "SEARCH") == [1, 3, 4]
    assert told(client, "SEARCH FUZZY BODY helo", "SEARCH") == [4]
    assert told(client, "SEARCH FUZZY TEXT brake", "SEARCH") == [4]
    assert told(client, 'SEARCH NOT FUZZY SUBJECT "IMAP break"', "SEARCH") == [2]
    assert told(client, 'SEARCH FUZZY NOT SUBJECT "IMAP break"', "SEARCH") == [1, 2, 4]
    assert told(client, "SEARCH FUZZY 2:3", "SEARCH") == [2, 3]


def test_relevancy_is_told_and_sorted_by(client):
    """§4, §6: scores in the order of the results; the most relevant first."""
    answer = client.ok('SEARCH RETURN (RELEVANCY ALL) FUZZY SUBJECT "IMAP break"').untagged[0]
    scores = [int(one) for one in re.search(r"ALL 1,3:4 RELEVANCY \((.*)\)$", answer)[1].split()]
    assert scores[1] == 100 > scores[0] > scores[2] >= 1
    assert told(client, 'SORT (RELEVANCY) UTF-8 FUZZY SUBJECT "IMAP break"') == [3, 1, 4]
    assert told(client, 'SORT (REVERSE RELEVANCY) UTF-8 FUZZY SUBJECT "IMAP break"') == [4, 1, 3]
    answer = client.ok('SORT RETURN (RELEVANCY PARTIAL 1:2) (RELEVANCY) UTF-8 FUZZY SUBJECT "IMAP break"').untagged[0]
    assert answer.endswith(f"PARTIAL (1:2 3,1) RELEVANCY (100 {scores[0]})")
    answer = client.ok("SEARCH RETURN (RELEVANCY COUNT) FUZZY SUBJECT nothing").untagged[0]
    assert answer.endswith("COUNT 0 RELEVANCY ()")
    answer = client.ok('ESEARCH IN (inboxes) RETURN (RELEVANCY ALL) FUZZY SUBJECT "IMAP break"').untagged[0]
    assert answer.endswith(f"UID ALL 1,3:4 RELEVANCY ({scores[0]} 100 {scores[2]})")


@pytest.mark.parametrize(
    "command",
    [
        "SEARCH RETURN (RELEVANCY) ALL", "SORT (RELEVANCY) UTF-8 ALL", "SEARCH FUZZY", "SEARCH FUZZY COLOUR",
        "ESEARCH IN (inboxes) RETURN (RELEVANCY) ALL", "SEARCH " + "FUZZY " * 60 + "ALL",
    ],
)  # fmt: skip
def test_there_is_no_relevancy_without_fuzzy_keys(client, command):
    assert client.cmd(command).tagged.startswith("BAD")


def test_an_order_by_relevancy_is_not_kept_up_to_date_but_what_is_found_is(client):
    """RFC 5267 §4.3.1."""
    assert "NOUPDATE" in client.ok('SORT RETURN (UPDATE ALL) (RELEVANCY) UTF-8 FUZZY SUBJECT "IMAP break"')
    client.ok('SEARCH RETURN (UPDATE ALL) FUZZY SUBJECT "IMAP break"')
    assert "ADDTO (0 5)" in client.append("INBOX", mail("IMAP breaks"))
