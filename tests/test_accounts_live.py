"""What becomes of open sessions when an account is disabled, removed, renamed or handed over."""

from __future__ import annotations

import pytest

from acl_imapd.storage import accounts, handover
from tests.conftest import ACTOR

ENDINGS = {
    "removed": lambda conn: accounts.remove_user(conn, ACTOR, "bob"),
    "disabled": lambda conn: accounts.set_disabled(conn, ACTOR, "bob", True),
    "renamed": lambda conn: accounts.rename_user(conn, ACTOR, "bob", "robert"),
    "handed over": lambda conn: handover.offboard(conn, ACTOR, "bob", "ann"),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_session_of_an_account_ends_at_once_idle_or_not(world, ending):
    """One that has nothing selected too; and nobody else's."""
    quiet, idle, reading, cat = (world.client(name) for name in ("bob", "bob", "bob", "cat"))
    idle.idle()
    reading.ok("SELECT INBOX")
    reading.idle()
    cat.ok("SELECT INBOX")

    world.database.write_now(ENDINGS[ending])
    world.notice()

    for client in (quiet, idle, reading):
        assert client.take().startswith("* BYE")
        assert client.transport.lost
    cat.ok("NOOP")
    assert not world.service.directory._residents.keys() - {cat.protocol.session.user_id}


def test_whoever_was_renamed_logs_in_by_the_new_name_and_finds_everything(world):
    bob = world.client("bob")
    bob.append("INBOX")
    bob.ok("SETACL INBOX cat lr")
    world.database.write_now(accounts.rename_user, ACTOR, "bob", "robert")

    assert "* BYE" in bob.cmd("NOOP")
    robert = world.client("robert")
    assert "* 1 EXISTS" in robert.ok("SELECT INBOX")
    assert 'ACL "INBOX" robert' in robert.ok("GETACL INBOX").replace("ACL INBOX", 'ACL "INBOX"')
    assert "Other Users/robert" in world.client("cat").ok('LIST "" *')
