"""Who holds ``a``, who owns, who administers: what each may do, and what nobody may."""

from __future__ import annotations

import pytest

from acl_imapd.access.rights import ORDER
from acl_imapd.storage import accounts, mailboxes, rights
from acl_imapd.storage.audit import list_audit
from tests.conftest import ACTOR

TEAM = "Shared Folders/Team"


def own(world, path, user):
    def run(conn):
        found = mailboxes.read_mailbox(conn, None, path)
        rights.set_owner(conn, ACTOR, found.id, user_id=accounts.read_user(conn, user).id)

    world.database.write_now(run)


def test_a_holder_of_a_below_manages_that_part_and_nothing_above(world):
    world.create("Team/Sub", bob="lra")
    bob = world.client("bob")

    bob.ok(f'SETACL "{TEAM}/Sub" cat lr')

    assert bob.cmd(f'SETACL "{TEAM}" cat lr').tagged.startswith("NO [NOPERM]")
    assert " cat lr" in bob.ok(f'GETACL "{TEAM}/Sub"')


def test_a_holder_of_a_makes_a_folder_independent_of_the_one_above(world):
    """PRODUCT §4: the first SETACL on the child gives it an ACL of its own."""
    world.create("Team/Sub")
    world.create("Team/Sub/Deep")
    ann, bob = world.client("ann"), world.client("bob")

    ann.ok(f'DELETEACL "{TEAM}/Sub" group:crew')

    bob.ok(f'SELECT "{TEAM}"')
    for name in ("Sub", "Sub/Deep"):
        assert bob.cmd(f'SELECT "{TEAM}/{name}"').tagged.startswith("NO [NONEXISTENT]")
        bob.ok(f'SELECT "{TEAM}"')


def test_a_holder_of_a_gives_what_it_does_not_hold_and_the_log_tells(world):
    """RFC 4314 §4 asks for a alone."""
    world.give(TEAM, "bob", "")
    world.give(TEAM, "group:crew", "la")
    bob = world.client("bob")
    assert bob.cmd(f'SELECT "{TEAM}"').tagged.startswith("NO [NOPERM]")

    bob.ok(f'SETACL "{TEAM}" bob +lrs')

    bob.ok(f'SELECT "{TEAM}"')
    newest = world.database.read_now(list_audit, limit=1)[0]
    assert (newest.actor, newest.channel, newest.action) == ("bob", "imap", "acl-set")


def test_nobody_reads_by_being_an_owner_or_a_manager_of_one(world):
    """The owner keeps l and a; to read it says so in the ACL, where everybody who administers it can see it."""
    world.give(TEAM, "group:crew", "")
    own(world, "Team", "bob")
    bob = world.client("bob")

    assert f'* MYRIGHTS "{TEAM}" la' in bob.ok(f'MYRIGHTS "{TEAM}"').untagged
    assert bob.cmd(f'SELECT "{TEAM}"').tagged.startswith("NO [NOPERM]")
    assert bob.cmd(f'STATUS "{TEAM}" (MESSAGES)').tagged.startswith("NO [NOPERM]")
    bob.ok(f'SETACL "{TEAM}" owner lrs')
    bob.ok(f'SELECT "{TEAM}"')


@pytest.mark.parametrize("line", [f'SETACL "{TEAM}" -bob {ORDER}', f'SETACL "{TEAM}" -owner {ORDER}'])
def test_an_owner_whom_entries_shut_out_repairs_them(world, line):
    own(world, "Team", "bob")
    world.client("ann").ok(line)
    bob = world.client("bob")

    assert bob.cmd(f'SELECT "{TEAM}"').tagged.startswith("NO [NOPERM]")
    bob.ok(line.replace(ORDER, '""'))
    bob.ok(f'SELECT "{TEAM}"')


def test_a_folder_given_away_takes_those_below_along_and_no_entry_changes(world):
    world.create("Team/Sub")
    before = world.snapshot()["acl_entry"]

    own(world, "Team", "cat")

    assert world.mailbox(f"{TEAM}/Sub").owner_user_id == world.mailbox(TEAM).owner_user_id is not None
    assert world.snapshot()["acl_entry"] == before


def test_rename_needs_x_on_all_below_that_one_knows_of_or_moves_nothing(world):
    """RFC 4314 §4 asks for x on the folder itself; what one may not remove one does not carry off either."""
    world.give(TEAM, "group:crew", ORDER)
    world.create("Team/Old")
    world.create("Team/Old/Kept", **{"group:crew": "lr"})
    bob = world.client("bob")
    before = world.snapshot()

    assert bob.cmd(f'RENAME "{TEAM}/Old" "{TEAM}/New"').tagged.startswith("NO [NOPERM]")

    assert world.snapshot() == before


def test_rename_takes_along_what_is_hidden_and_leaves_its_rights(world):
    """A refusal would tell of it."""
    world.give(TEAM, "group:crew", ORDER)
    world.create("Team/Old")
    world.create("Team/Old/Secret")
    secret = world.mailbox(f"{TEAM}/Old/Secret")
    world.client("ann").ok(f'DELETEACL "{TEAM}/Old/Secret" group:crew')
    bob = world.client("bob")

    bob.ok(f'RENAME "{TEAM}/Old" "{TEAM}/New"')

    moved = world.mailbox(f"{TEAM}/New/Secret")
    assert moved.id == secret.id
    assert bob.cmd(f'SELECT "{TEAM}/New/Secret"').tagged.startswith("NO [NONEXISTENT]")
    world.client("ann").ok(f'SELECT "{TEAM}/New/Secret"')


def test_rename_below_somebody_elses_folder_changes_no_owner_and_no_right(world):
    world.create("Theirs", bob=ORDER, ann="lr")
    world.give(TEAM, "group:crew", ORDER)
    own(world, "Theirs", "cat")
    before = world.mailbox("Shared Folders/Theirs")

    world.client("bob").ok(f'RENAME "Shared Folders/Theirs" "{TEAM}/Theirs"')

    after = world.mailbox(f"{TEAM}/Theirs")
    assert (after.id, after.owner_user_id, after.acl_id) == (before.id, before.owner_user_id, before.acl_id)
    assert "* MYRIGHTS" in world.client("ann").ok(f'MYRIGHTS "{TEAM}/Theirs"')


def test_a_folder_does_not_leave_its_tree(world):
    """It would change owner, and what is seen by whom."""
    world.give(TEAM, "group:crew", ORDER)
    bob = world.client("bob")
    bob.ok("CREATE Work")
    before = world.snapshot()

    assert bob.cmd(f'RENAME Work "{TEAM}/Work"').tagged.startswith("NO [CANNOT]")
    assert bob.cmd(f'RENAME "{TEAM}" Work/Team').tagged.startswith("NO [CANNOT]")

    assert world.snapshot() == before


def test_delete_removes_one_folder_or_nothing(world):
    """RFC 3501 §6.3.4; x on the folder does not reach those below."""
    world.give(TEAM, "group:crew", ORDER)
    world.create("Team/Sub", cat=ORDER)
    bob = world.client("bob")
    before = world.snapshot()

    assert bob.cmd(f'DELETE "{TEAM}"').tagged.startswith("NO [HASCHILDREN]")

    assert world.snapshot() == before
