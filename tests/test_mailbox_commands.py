"""CREATE, DELETE, RENAME, and APPEND into what goes away meanwhile.  RFC 3501 §6.3."""

from __future__ import annotations

import pytest

from acl_imapd.storage import mailboxes

from .conftest import ACTOR, ADMIN_LETTERS

TEAM = '"Shared Folders/Team"'


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ('CREATE "Shared Folders/New"', "NO [CANNOT]"),
        ('CREATE "Shared Folders"', "NO [CANNOT]"),
        ('CREATE "Other Users"', "NO [CANNOT]"),
        ('CREATE "Other Users/eve"', "NO [CANNOT]"),
        ('CREATE "Other Users/bob/x"', "NO [CANNOT]"),
        (f'CREATE {TEAM[:-1]}/x"', "NO [NOPERM]"),
        (f'CREATE {TEAM[:-1]}/x/y"', "NO [NOPERM]"),
        ('CREATE "Other Users/ann/x"', "NO [NOPERM]"),
        ('CREATE "Other Users/ann/Work/x"', "NO [NOPERM]"),
        ('CREATE "Other Users/ann/Work/x/y"', "NO [NOPERM]"),
        ('DELETE "Other Users/ann/Work"', "NO [NOPERM]"),
        ('DELETE "Other Users/ann"', "NO [NOPERM]"),
        (f"RENAME {TEAM} Mine", "NO [NOPERM]"),
        (f'RENAME Sent {TEAM[:-1]}/Sent"', "NO [NOPERM]"),
        (f'RENAME INBOX {TEAM[:-1]}/x"', "NO [NOPERM]"),
    ],
)
def test_making_and_removing_where_one_may_not_is_refused(world, line, answer):
    """Statements 84 to 88; the answer names where one may."""
    ann = world.client("ann")
    ann.ok("CREATE Work")
    for name in ("INBOX", "Work"):
        ann.ok(f"SETACL {name} bob lr")
    world.give("Shared Folders/Team", "group:crew", "lr")
    bob = world.client("bob")
    before = world.snapshot()

    said = bob.cmd(line).tagged

    assert said.startswith(answer)
    assert "CANNOT" not in answer or "Shared Folders/" in said
    assert world.snapshot() == before


def test_inbox_stays_and_a_folder_with_others_below_too(world):
    """Statements 89 to 91; a fault seen elsewhere: HASCHILDREN told before the right was looked at."""
    bob = world.client("bob")
    bob.append("INBOX")
    bob.ok("CREATE a/b")
    world.create("Team/below")
    world.give("Shared Folders/Team", "group:crew", "lr")
    before = world.snapshot()

    assert bob.cmd("DELETE INBOX").tagged.startswith("NO [CANNOT]")
    assert bob.cmd("DELETE inbox").tagged.startswith("NO [CANNOT]")
    assert bob.cmd("DELETE a").tagged.startswith("NO [HASCHILDREN]")
    assert bob.cmd(f"DELETE {TEAM}").tagged.startswith("NO [NOPERM]")
    assert world.snapshot() == before
    bob.ok("DELETE a/b")
    assert bob.cmd("SELECT a/b").tagged.startswith("NO [NONEXISTENT]")


def test_flags_rights_and_subscriptions_of_all_survive_renames(world):
    """Statements 38, 94 and 99: of the folder, of what is above it, twice; for everybody who sees it."""
    world.create("Up/Deep/Est", ann=ADMIN_LETTERS)
    for name in ("Up", "Up/Deep"):
        world.give(f"Shared Folders/{name}", "ann", ADMIN_LETTERS)
    world.give("Shared Folders/Up/Deep/Est", "bob", "lrsw")
    ann, bob = world.client("ann"), world.client("bob")
    old = '"Shared Folders/Up/Deep/Est"'
    ann.append(old, flags="(\\Flagged) ")
    bob.ok(f"SELECT {old}")
    bob.ok("STORE 1 +FLAGS (\\Seen Work)")
    bob.ok(f"SUBSCRIBE {old}")
    validity = bob.ok(f"STATUS {old} (UIDVALIDITY UIDNEXT)").untagged[0].partition(" (")[2]

    for was, now in (("Up/Deep/Est", "Up/Deep/Far"), ("Up/Deep", "Up/New"), ("Up/New", "Up/Newer")):
        ann.ok(f'RENAME "Shared Folders/{was}" "Shared Folders/{now}"')

    new = '"Shared Folders/Up/Newer/Far"'
    assert new in bob.ok('LSUB "" "*"')
    bob.ok(f"SELECT {new}")
    told = bob.ok("FETCH 1 FLAGS")
    assert all(flag in told for flag in ("\\Seen", "\\Flagged", "Work"))
    assert validity in bob.ok(f"STATUS {new} (UIDVALIDITY UIDNEXT)")
    assert " bob lrsw" in ann.ok(f"GETACL {new}")
    assert bob.cmd(f"SELECT {old}").tagged.startswith("NO [NONEXISTENT]")
    ann.ok(f"SELECT {new}")
    assert "\\Seen" not in ann.ok("FETCH 1 FLAGS")


def test_rename_is_refused_where_a_folder_below_may_not_be_touched(world):
    """Statement 98."""
    world.create("Up/Deep/Est", bob=ADMIN_LETTERS)
    world.give("Shared Folders/Up", "bob", ADMIN_LETTERS)
    world.give("Shared Folders/Up/Deep", "bob", ADMIN_LETTERS.replace("x", ""))
    bob = world.client("bob")
    before = world.snapshot()

    assert bob.cmd('RENAME "Shared Folders/Up" "Shared Folders/Up2"').tagged.startswith("NO")
    world.create("Room", bob=ADMIN_LETTERS)
    before = world.snapshot()
    assert bob.cmd('RENAME "Shared Folders/Up" "Shared Folders/Room/Up"').tagged.startswith("NO [NOPERM]")
    assert world.snapshot() == before


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("RENAME Work Work", "NO [ALREADYEXISTS]"),
        ("RENAME Work Sent", "NO [ALREADYEXISTS]"),
        ("RENAME Work INBOX", "NO [ALREADYEXISTS]"),
        ("RENAME Work Work/below", "NO [CANNOT]"),
        ("RENAME Work a//b", "NO [CANNOT]"),
        ("CREATE Work", "NO [ALREADYEXISTS]"),
        ("CREATE Work/", "NO [ALREADYEXISTS]"),
        ("CREATE inbox", "NO [ALREADYEXISTS]"),
        ("CREATE Second (USE (\\Sent))", "NO [USEATTR]"),
        ("CREATE Second (USE (\\Nonsense))", "NO [USEATTR]"),
    ],
)
def test_a_name_that_is_taken_or_no_name_is_refused(world, line, answer):
    """Statements 97 and 103; nothing is half done."""
    bob = world.client("bob")
    bob.ok("CREATE Work")
    before = world.snapshot()

    assert bob.cmd(line).tagged.startswith(answer)
    assert world.snapshot() == before


def test_create_with_a_trailing_delimiter_makes_the_folder(world):
    """RFC 3501 §6.3.3: the client says that there will be others below."""
    bob = world.client("bob")

    bob.ok("CREATE later/")
    bob.ok("CREATE later/on")

    assert 'LIST (\\HasChildren) "/" later' in bob.ok('LIST "" later')


def test_inbox_is_inbox_in_any_case_also_at_the_head_of_a_name(world):
    """RFC 3501 §5.1: or there would be two."""
    bob = world.client("bob")
    bob.ok("CREATE Inbox/x")

    assert [line.rpartition(" ")[2] for line in bob.ok('LIST "" "INBOX*"').untagged] == ["INBOX", "INBOX/x"]
    assert "INBOX" in bob.ok('LIST "" inbox')
    assert "INBOX/x" in bob.ok('LIST "" inbox/%')
    bob.ok("SELECT iNBOX/x")


def test_renaming_an_empty_inbox_is_done_and_ok(world):
    """A fault seen elsewhere: NO, but done.  Statement 95: what is below INBOX stays."""
    bob = world.client("bob")
    bob.ok("CREATE INBOX/kept")

    bob.ok("RENAME INBOX old")

    assert "MESSAGES 0" in bob.ok("STATUS old (MESSAGES)")
    bob.ok("SELECT INBOX/kept")
    bob.ok("SELECT INBOX")


def test_append_into_a_folder_deleted_before_the_literal_came(world):
    """Statements 28 and 29; RFC 3501 §6.3.11."""
    bob, other = world.client("bob"), world.client("bob")
    bob.ok("CREATE Work")
    bob.send(b"x APPEND Work {3}\r\n")
    assert "+ " in bob.take()
    other.ok("DELETE Work")

    bob.send(b"abc\r\n")
    world.reactor.turn(lambda: b"x " in bob.transport.value())

    assert "x NO [TRYCREATE]" in bob.take()
    bob.ok("STATUS INBOX (MESSAGES)")


def test_append_after_the_right_went_before_the_literal_came(world):
    """Nothing that begins after the revocation: the command begins when it is whole."""
    bob = world.client("bob")
    bob.send(f"x APPEND {TEAM} {{3}}\r\n".encode())
    bob.take()
    world.give("Shared Folders/Team", "group:crew", "lr")
    before = world.snapshot()

    bob.send(b"abc\r\n")
    world.reactor.turn(lambda: b"x " in bob.transport.value())

    assert "x NO [NOPERM]" in bob.take()
    assert world.snapshot() == before


def test_two_sessions_that_subscribe_at_once_both_do(world):
    """Statement 81."""
    one, two = world.client("bob"), world.client("bob")
    for name in ("a", "b"):
        one.ok(f"CREATE {name}")
    one.send(b"x SUBSCRIBE a\r\n")
    two.send(b"x SUBSCRIBE b\r\n")
    world.reactor.turn(lambda: b"x OK" in one.transport.value() and b"x OK" in two.transport.value())

    one.take()
    told = one.ok('LSUB "" "%"')
    assert 'LSUB () "/" a' in told
    assert 'LSUB () "/" b' in told


def test_common_seen_goes_on_and_off_for_all_and_survives_a_new_session(world):
    """Statements 34, 36 and 37."""
    box = world.mailbox("Shared Folders/Team")
    ann = world.client("ann")
    ann.append(TEAM)
    for shared in (True, False):
        world.database.write_now(mailboxes.set_seen_mode, ACTOR, box.id, shared=shared)
        (bob,) = world.selected("Shared Folders/Team", "bob")
        for sign, told in (("-", False), ("+", True), ("-", False), ("+", True)):
            answer = bob.ok(f"STORE 1 {sign}FLAGS (\\Seen)")
            assert ("\\Seen" in "".join(answer.untagged)) == told
        (again, cat) = world.selected("Shared Folders/Team", "bob", "cat")
        assert "\\Seen" in again.ok("FETCH 1 FLAGS")
        again.ok("STORE 1 -FLAGS (\\Seen)")
        assert ("\\Seen" not in cat.ok("FETCH 1 FLAGS")) == shared
        again.ok("STORE 1 +FLAGS (\\Seen)")
