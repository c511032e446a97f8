"""REPLACE.  RFC 8508."""

from __future__ import annotations

import re

import pytest

TEAM = '"Shared Folders/Team"'


def literal(text):
    return f"{{{len(text)}+}}\r\n{text}"


def mail(subject):
    return literal(f"Subject: {subject}\r\n\r\n")


@pytest.fixture
def bob(world):
    """Drafts with UIDs 1 to 4."""
    client = world.client("bob")
    for number in range(1, 5):
        client.append("Drafts", f"Subject: {number}\r\n\r\n{number}\r\n")
    client.ok("SELECT Drafts")
    return client


def test_a_draft_is_replaced(world, bob):
    """§3.2 and §3.3: APPENDUID first, then what went and came; \\Deleted is never seen."""
    (phone,) = world.selected("Drafts", "bob")

    answer = bob.ok(f"REPLACE 4 Drafts (\\Seen \\Draft) {mail('new')}")

    assert re.match(r"\* OK \[APPENDUID \d+ 5\]", answer.untagged[0])
    assert "* 4 EXPUNGE" in answer.untagged
    assert not any("FETCH" in line for line in answer.untagged)
    assert bob.ok("FETCH 1:* (UID FLAGS)").untagged[3].startswith("* 4 FETCH (UID 5 FLAGS (\\Seen \\Draft")
    assert "* 4 EXPUNGE" in phone.ok("NOOP").untagged
    again = bob.ok(f"UID REPLACE 5 Drafts (\\Draft) {mail('newer')}")
    assert re.match(r"\* OK \[APPENDUID \d+ 6\]", again.untagged[0])
    assert "Subject: newer" in bob.ok("FETCH * BODY[HEADER]")


def test_the_new_one_may_go_elsewhere(bob):
    """§3.4: a draft becomes what was sent."""
    answer = bob.ok(f'UID REPLACE 2 Sent (\\Seen) "17-Jul-1996 02:44:25 -0700" {mail("sent")}')

    assert "* 2 EXPUNGE" in answer.untagged
    assert "MESSAGES 1" in bob.ok("STATUS Sent (MESSAGES)")
    bob.ok("SELECT Sent")
    assert '"17-Jul-1996 02:44:25 -0700"' in bob.ok("FETCH 1 (FLAGS INTERNALDATE)")


def test_only_the_message_named_goes(bob):
    """§3.4: not what else is marked."""
    bob.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")

    assert "* 2 EXPUNGE" in bob.ok(f"REPLACE 2 Drafts {literal('x')}").untagged
    assert bob.ok("UID SEARCH ALL").untagged == ["* SEARCH 1 3 4 5"]


def test_with_qresync_vanished_and_its_modseq_are_told(bob):
    """§4.5."""
    bob.ok("ENABLE QRESYNC")

    answer = bob.ok(f"REPLACE 1 Drafts {literal('x')}")

    assert "* VANISHED 1" in answer.untagged
    assert answer.tagged.startswith("OK [HIGHESTMODSEQ ")


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("REPLACE 1 Nope {1+}\r\nx", "NO [TRYCREATE]"),
        ("REPLACE 9 Drafts {1+}\r\nx", "BAD"),
        ("UID REPLACE 99 Drafts {1+}\r\nx", "NO [NONEXISTENT]"),
        ("REPLACE 1:2 Drafts {1+}\r\nx", "BAD"),
        ("REPLACE 1,1 Drafts {1+}\r\nx", "BAD"),
        ("REPLACE $ Drafts {1+}\r\nx", "BAD"),
        ("REPLACE 1 Drafts {1+}\r\nx {1+}\r\ny", "BAD"),
        ("REPLACE 1 Drafts (\\Recent) {1+}\r\nx", "BAD"),
        ("REPLACE 1 Drafts {0+}\r\n", "NO"),
        ("REPLACE 1 Drafts", "BAD"),
    ],
)
def test_what_fails_changes_nothing(world, bob, line, answer):
    before = world.snapshot()

    assert bob.cmd(line).tagged.startswith(answer)
    assert world.snapshot() == before


def test_a_message_that_is_gone_is_replaced_by_nothing(world, bob):
    (phone,) = world.selected("Drafts", "bob")
    phone.ok("STORE 2 +FLAGS.SILENT (\\Deleted)")
    phone.ok("EXPUNGE")
    before = world.snapshot()

    assert bob.cmd("REPLACE 2 Drafts {1+}\r\nx").tagged.startswith("NO [EXPUNGEISSUED]")
    assert world.snapshot() == before


def test_where_examine_opened_the_mailbox_nothing_is_replaced(bob):
    bob.ok("EXAMINE Drafts")

    assert bob.cmd("REPLACE 1 Drafts {1+}\r\nx").tagged.startswith("NO [READ-ONLY]")


def test_flags_follow_the_rights_where_it_goes(world, bob):
    """§4.1, RFC 4314 §4: i is enough, and what else may be set is set."""
    world.give("Shared Folders/Team", "group:crew", "lris")

    bob.ok(f"REPLACE 1 {TEAM} (\\Seen \\Flagged Work) {literal('x')}")

    bob.ok(f"SELECT {TEAM}")
    assert "FLAGS (\\Seen \\Recent)" in bob.ok("FETCH 1 FLAGS")
