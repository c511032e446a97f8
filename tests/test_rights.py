"""Rights over IMAP: what they allow in part, and the moment they are taken away."""

from __future__ import annotations

import pytest

TEAM = '"Shared Folders/Team"'


@pytest.mark.parametrize(
    ("letters", "flags", "allowed"),
    [
        ("lrs", "\\Seen", True),
        ("lr", "\\Seen", False),
        ("lrt", "\\Deleted", True),
        ("lrswip", "\\Deleted", False),
        ("lrw", "\\Flagged", True),
        ("lrst", "\\Flagged", False),
        ("lrst", "Keyword", False),
        ("lrs", "\\Seen \\Deleted", True),
    ],
)
def test_store_sets_what_the_rights_allow(world, letters, flags, allowed):
    """RFC 4314 §4; statements 18 to 20, 23 and 25."""
    world.client("ann").append(TEAM)
    world.give("Shared Folders/Team", "group:crew", letters)
    (bob,) = world.selected("Shared Folders/Team", "bob")
    before = world.snapshot()

    answer = bob.cmd(f"STORE 1 +FLAGS ({flags})")

    assert answer.tagged.startswith("OK" if allowed else "NO [NOPERM]")
    if allowed:
        assert flags.split()[0] in answer
        assert len(flags.split()) == 1 or "\\Deleted" not in answer
    else:
        assert world.snapshot() == before


@pytest.mark.parametrize("line", ["EXPUNGE", "UID EXPUNGE 1", "MOVE 1 INBOX", "STORE 1 +FLAGS (\\Deleted)"])
def test_who_may_read_without_l_is_told_which_right_is_missing(world, line):
    """What one has open exists, listed or not."""
    world.client("ann").append(TEAM)
    world.give("Shared Folders/Team", "group:crew", "r")
    (bob,) = world.selected("Shared Folders/Team", "bob")

    assert bob.cmd(line).tagged.startswith("NO [NOPERM] You need the right")


def test_replacing_flags_leaves_what_one_may_not_touch(world):
    """Statements 22 and 24."""
    ann = world.client("ann")
    ann.append(TEAM, flags="(\\Deleted) ")
    world.give("Shared Folders/Team", "group:crew", "lrsw")
    (bob,) = world.selected("Shared Folders/Team", "bob")

    assert "\\Deleted" in bob.ok("STORE 1 FLAGS (\\Flagged)")
    assert bob.cmd("STORE 1 FLAGS (\\Flagged \\Deleted)").tagged.startswith("NO [NOPERM]")


@pytest.mark.parametrize(
    ("letters", "mode", "flags"),
    [
        ("lr", "READ-ONLY", "()"),
        ("lrs", "READ-ONLY", "(\\Seen)"),
        ("lri", "READ-WRITE", "()"),
        ("lrt", "READ-WRITE", "(\\Deleted)"),
        ("lrw", "READ-WRITE", "(\\Answered \\Flagged \\Draft \\*)"),
    ],
)
def test_select_tells_what_the_rights_allow(world, letters, mode, flags):
    """RFC 4314 §5.2: READ-ONLY where nothing common to all can be changed."""
    world.give("Shared Folders/Team", "group:crew", letters)

    answer = world.client("bob").ok(f"SELECT {TEAM}")

    assert answer.tagged.startswith(f"OK [{mode}]")
    assert f"* OK [PERMANENTFLAGS {flags}] Kept" in answer.untagged


def test_revocation_cuts_off_whoever_has_the_folder_open(world):
    """Promise 3: in IDLE at once, else before the next command; by SETACL, before its OK goes out."""
    ann = world.client("ann")
    ann.append(TEAM)
    idle, quiet = world.selected("Shared Folders/Team", "bob", "cat")
    idle.idle()

    ann.ok(f"DELETEACL {TEAM} group:crew")

    assert "* BYE" in idle.take()
    assert idle.transport.lost
    assert "* BYE" in quiet.take()
    assert quiet.transport.lost


def test_revocation_by_another_process_holds_for_the_next_command(world):
    world.client("ann").append(TEAM)
    (bob,) = world.selected("Shared Folders/Team", "bob")

    world.give("Shared Folders/Team", "group:crew", "")

    answer = bob.cmd("FETCH 1 BODY[]")
    assert "* BYE" in answer
    assert "BODY[]" not in answer


def test_leaving_a_team_ends_its_rights_in_open_sessions(world):
    from acl_imapd.storage import accounts
    from tests.conftest import ACTOR

    bob, cat = world.selected("Shared Folders/Team", "bob", "cat")
    bob.idle()

    world.database.write_now(accounts.leave_team, ACTOR, "crew", "bob")
    world.notice()

    assert "* BYE" in bob.take()
    assert "* BYE" not in cat.ok("NOOP")


def test_disabled_user_is_out(world):
    from acl_imapd.storage import accounts
    from tests.conftest import ACTOR

    bob = world.client("bob")
    world.database.write_now(accounts.set_disabled, ACTOR, "bob", True)

    assert "* BYE" in bob.cmd('LIST "" *')
    assert world.client().cmd("LOGIN bob pass").tagged.startswith("NO [AUTHENTICATIONFAILED]")


def test_changed_rights_are_told_to_whoever_has_the_folder_open(world):
    ann = world.client("ann")
    (bob,) = world.selected("Shared Folders/Team", "bob")

    ann.ok(f"SETACL {TEAM} group:crew lr")

    told = bob.take()
    assert "* OK [PERMANENTFLAGS ()]" in told
    assert "* OK [READ-ONLY]" in told
    ann.ok(f"SETACL {TEAM} group:crew +t")
    assert "* OK [READ-WRITE]" in bob.ok("NOOP")


def test_removed_folder_ends_the_sessions_in_it(world):
    (bob,) = world.selected("Shared Folders/Team", "bob")

    world.client("ann").ok(f"DELETE {TEAM}")

    assert "* BYE" in bob.take()


def test_negative_entries_take_away(world):
    ann, bob = world.client("ann"), world.client("bob")

    ann.ok(f"SETACL {TEAM} -bob wte")

    assert f"* MYRIGHTS {TEAM} lrsipkc" in bob.ok(f"MYRIGHTS {TEAM}").untagged
    assert "-bob wted" in ann.ok(f"GETACL {TEAM}")


def test_owner_cannot_be_locked_out(world):
    """RFC 4314 §2; a fault seen elsewhere."""
    bob = world.client("bob")

    bob.ok("SETACL INBOX bob r")
    bob.ok("SETACL INBOX -group:crew la")

    assert "* MYRIGHTS INBOX lra" in bob.ok("MYRIGHTS INBOX").untagged
    assert "* LISTRIGHTS INBOX bob la r s w i p k x t e c d" in bob.ok("LISTRIGHTS INBOX bob").untagged
    assert '* LISTRIGHTS INBOX ann "" l r s w i p k x t e a c d' in bob.ok("LISTRIGHTS INBOX ann").untagged


def test_grant_is_seen_by_the_next_list(world):
    bob = world.client("bob")
    assert "Other Users/ann" not in bob.ok('LIST "" *')

    world.client("ann").ok("SETACL INBOX bob lr")

    assert '* LIST (\\HasNoChildren) "/" "Other Users/ann"' in bob.ok('LIST "" *').untagged
    bob.ok('SELECT "Other Users/ann"')


def test_child_follows_its_parent_until_it_has_rights_of_its_own(world):
    """Live inheritance."""
    ann, bob = world.client("ann"), world.client("bob")
    ann.ok('CREATE "Shared Folders/Team/Sub"')
    bob.ok('SELECT "Shared Folders/Team/Sub"')

    ann.ok('SETACL "Shared Folders/Team/Sub" bob lr')
    ann.ok(f"DELETEACL {TEAM} group:crew")

    assert bob.cmd(f"SELECT {TEAM}").tagged.startswith("NO [NONEXISTENT]") or bob.transport.lost
    again = world.client("bob")
    again.ok('SELECT "Shared Folders/Team/Sub"')


def test_drop_box(world):
    """``i`` alone: APPEND works, nothing else tells of the folder."""
    world.create("Drop", bob="i")
    bob = world.client("bob")

    assert bob.append('"Shared Folders/Drop"').tagged.startswith("OK")
    assert "Drop" not in bob.ok('LIST "" *')
    assert bob.cmd('SELECT "Shared Folders/Drop"').tagged.startswith("NO [NONEXISTENT]")
