"""OBJECTID.  RFC 8474."""

from __future__ import annotations

import re

import pytest

TEAM = '"Shared Folders/Team"'


def ids(answer, name):
    return re.findall(rf"{name} \(?([\w-]+)\)?", answer)


def test_a_mailbox_has_a_name_that_stays(world):
    """§4.1 to §4.3: told by CREATE, SELECT, EXAMINE, STATUS and LIST, the same through a RENAME."""
    bob = world.client("bob")
    (made,) = ids(bob.ok("CREATE foo"), "MAILBOXID")
    (other,) = ids(bob.ok("CREATE bar"), "MAILBOXID")

    bob.ok("RENAME foo renamed")

    assert made != other
    assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,254}", made)
    assert ids(bob.ok("STATUS renamed (MAILBOXID)"), "MAILBOXID") == [made]
    assert ids(bob.ok("STATUS bar (MESSAGES MAILBOXID)"), "MAILBOXID") == [other]
    assert ids(bob.ok("SELECT renamed"), "MAILBOXID") == ids(bob.ok("EXAMINE renamed"), "MAILBOXID") == [made]
    listed = bob.ok('LIST "" (bar renamed) RETURN (STATUS (MAILBOXID))')
    assert sorted(ids(listed, "MAILBOXID")) == sorted([made, other])
    bob.ok("DELETE bar")
    assert ids(bob.ok("CREATE bar"), "MAILBOXID") != [other]
    assert "MAILBOXID" not in bob.cmd("CREATE bar")


def test_rename_of_inbox_makes_a_new_mailbox(world):
    """§8.2."""
    bob = world.client("bob")
    before = ids(bob.ok("STATUS INBOX (MAILBOXID)"), "MAILBOXID")

    bob.ok("RENAME INBOX old")

    assert ids(bob.ok("STATUS INBOX (MAILBOXID)"), "MAILBOXID") == before
    assert ids(bob.ok("STATUS old (MAILBOXID)"), "MAILBOXID") != before


def test_a_message_keeps_its_name_when_it_is_copied_or_moved(world):
    """§5.1: equal octets have the same, whoever's they are; others another.  THREADID is NIL (§5.2)."""
    bob = world.client("bob")
    bob.append("INBOX", "Subject: a\r\n\r\na\r\n")
    bob.append("INBOX", "Subject: b\r\n\r\nb\r\n")
    bob.ok("SELECT INBOX")

    first = bob.ok("FETCH 1:2 (EMAILID THREADID)")
    a, b = ids(first, "EMAILID")
    bob.ok(f"COPY 1 {TEAM}")
    bob.ok(f"MOVE 2 {TEAM}")

    assert a != b
    assert ids(first, "THREADID") == ["NIL", "NIL"]
    (cat,) = world.selected("Shared Folders/Team", "cat")
    assert ids(cat.ok("UID FETCH 1:* (EMAILID)"), "EMAILID") == [a, b]


def test_search_by_name(world):
    """§6: exactly, with the case; a THREADID matches nothing."""
    bob = world.client("bob")
    for text in "aba":
        bob.append("INBOX", f"Subject: {text}\r\n\r\n{text}\r\n")
    bob.ok("SELECT INBOX")
    a, b, _ = ids(bob.ok("FETCH 1:3 (EMAILID)"), "EMAILID")

    assert bob.ok(f"SEARCH EMAILID {a}").untagged == ["* SEARCH 1 3"]
    assert bob.ok(f"SEARCH OR EMAILID {a} EMAILID {b}").untagged == ["* SEARCH 1 2 3"]
    assert bob.ok(f"SEARCH NOT EMAILID {b}").untagged == ["* SEARCH 1 3"]
    for none in (f"EMAILID {a.upper()}", f"EMAILID {a[:-1]}", "EMAILID M", f"THREADID {a}", "THREADID NIL"):
        assert bob.ok(f"SEARCH {none}").untagged == ["* SEARCH"], none


def test_a_message_of_a_folder_one_cannot_read_is_not_found_by_its_name(world):
    ann, bob = world.client("ann"), world.client("bob")
    ann.append("INBOX", "Subject: secret\r\n\r\nx\r\n")
    ann.ok("SELECT INBOX")
    (name,) = ids(ann.ok("FETCH 1 EMAILID"), "EMAILID")
    bob.append("INBOX")
    bob.ok("SELECT INBOX")

    assert bob.ok(f"SEARCH EMAILID {name}").untagged == ["* SEARCH"]


@pytest.mark.parametrize("line", ["SEARCH EMAILID", "SEARCH EMAILID M.1", "SEARCH THREADID (T1)", "FETCH 1 EMAILID2"])
def test_what_the_grammar_does_not_know_is_bad(world, line):
    (bob,) = world.selected("INBOX", "bob")

    assert bob.cmd(line).tagged.startswith("BAD")
