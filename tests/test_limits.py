"""Rights that begin and end by themselves, that follow a role, or that go by the domain of a login."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import update

from acl_imapd.access.rights import parse_rights
from acl_imapd.errors import Cannot, Refused
from acl_imapd.storage import accounts, expiry, rights
from acl_imapd.storage.audit import list_audit, verify_chain
from acl_imapd.storage.schema import acl_entry, team_member

from .conftest import ACTOR, PASSWORD_HASH

FOLDER = "Shared Folders/Team"


def grant(world, who, letters, *, negative=False, **terms):
    def run(conn):
        identifier = rights.resolve_identifier(conn, who, allow_anyone=False)
        rights.change_entry(
            conn, ACTOR, world.mailbox(FOLDER).id, identifier, negative=negative, op="set",
            rights=parse_rights(letters), terms_=rights.Terms(**terms),
        )  # fmt: skip

    world.database.write_now(run)


def only(world, who, letters, **terms):
    """The crew loses the folder; *who* has it."""
    grant(world, "group:crew", "")
    grant(world, who, letters, **terms)


def as_role(world, name):
    return world.database.read_now(rights.read_role_id, name)


def entries(world):
    acl = world.database.read_now(rights.read_acl, world.mailbox(FOLDER).acl_id)
    return {entry.text: entry for entry in acl.entries}


def test_a_grant_ends_to_the_second_in_open_sessions_with_nobody_touching_the_database(world):
    only(world, "bob", "lrs", until=time.time() + 100)
    world.client("ann").append(FOLDER, "Subject: x\r\n\r\nx")
    idle, quiet = world.selected(FOLDER, "bob", "bob")
    other = world.client("bob")
    idle.idle()

    world.reactor.advance(98)
    assert "* BYE" not in idle.take()
    assert FOLDER in other.ok('LIST "" *')

    world.reactor.advance(3)
    assert "* BYE" in idle.take()
    assert "* BYE" in quiet.take()
    assert FOLDER not in other.ok('LIST "" *')
    assert "NONEXISTENT" in other.cmd(f'STATUS "{FOLDER}" (MESSAGES)')


def test_a_grant_begins_to_the_second(world):
    only(world, "bob", "lrs", since=time.time() + 50)
    bob = world.client("bob")
    assert FOLDER not in bob.ok('LIST "" *')
    assert "NONEXISTENT" in bob.cmd(f'SELECT "{FOLDER}"')

    world.reactor.advance(52)

    assert FOLDER in bob.ok('LIST "" *')
    bob.ok(f'SELECT "{FOLDER}"')


def test_a_denial_that_ends_gives_the_rights_back(world):
    grant(world, "bob", "w", negative=True, until=time.time() + 50)
    [bob] = world.selected(FOLDER, "bob")
    assert "lrsipkte" in bob.ok(f'MYRIGHTS "{FOLDER}"')

    world.reactor.advance(52)

    assert "PERMANENTFLAGS (\\Answered" in bob.ok("NOOP")


@pytest.mark.parametrize("nested", [False, True])
def test_a_membership_that_ends_takes_its_rights_along(world, nested):
    def run(conn):
        accounts.leave_team(conn, ACTOR, "crew", "bob")
        until = time.time() + 100
        if nested:
            accounts.insert_team(conn, ACTOR, "guests")
            accounts.join_team(conn, ACTOR, "guests", "bob")
            accounts.join_team(conn, ACTOR, "crew", "group:guests", until=until, reason="fair")
        else:
            accounts.join_team(conn, ACTOR, "crew", "bob", until=until, reason="fair")

    world.database.write_now(run)
    [bob] = world.selected(FOLDER, "bob")
    [cat] = world.selected(FOLDER, "cat")
    bob.idle()

    world.reactor.advance(98)
    assert "* BYE" not in bob.take()

    world.reactor.advance(3)
    assert "* BYE" in bob.take()
    assert "* BYE" not in cat.ok("NOOP")


def test_a_manager_for_a_time_owns_for_a_time(world):
    def run(conn):
        accounts.insert_team(conn, ACTOR, "leads")
        accounts.join_team(conn, ACTOR, "leads", "bob", manager=True, until=time.time() + 50)
        rights.set_owner(conn, ACTOR, world.mailbox(FOLDER).id, team_id=accounts.read_team(conn, "leads").id)

    world.database.write_now(run)
    bob = world.client("bob")
    bob.ok(f'GETACL "{FOLDER}"')

    world.reactor.advance(52)

    assert "NOPERM" in bob.cmd(f'GETACL "{FOLDER}"')


def test_what_would_end_before_it_begins_is_refused(world):
    with pytest.raises(Refused):
        grant(world, "bob", "lr", until=time.time() - 1)
    with pytest.raises(Refused):
        grant(world, "bob", "lr", since=time.time() + 20, until=time.time() + 10)
    with pytest.raises(Refused):
        world.database.write_now(accounts.join_team, ACTOR, "crew", "ann", until=time.time() - 1)
    assert "bob" not in entries(world)


def test_setacl_keeps_the_limit_of_an_entry_and_getacl_tells_only_what_holds(world):
    """Or whoever changes a letter would make the grant last for ever without knowing."""
    until = time.time() + 50
    grant(world, "bob", "lr", until=until, reason="audit")
    ann = world.client("ann")

    ann.ok(f'SETACL "{FOLDER}" bob +s')
    assert (entries(world)["bob"].rights, entries(world)["bob"].until) == ("lrs", until)
    assert entries(world)["bob"].reason == "audit"
    assert " bob lrs" in ann.ok(f'GETACL "{FOLDER}"')

    world.reactor.advance(52)
    assert " bob " not in ann.ok(f'GETACL "{FOLDER}"')


def test_setacl_where_an_entry_has_ended_starts_anew(world):
    only(world, "bob", "lrswi", until=time.time() + 50)
    world.database.write_now(lambda conn: conn.execute(update(acl_entry).values(until=time.time() - 1)
                                                       .where(acl_entry.c.until.isnot(None))))  # fmt: skip

    world.client("ann").ok(f'SETACL "{FOLDER}" bob +l')

    assert (entries(world)["bob"].rights, entries(world)["bob"].until) == ("l", None)


def test_a_role_that_changes_changes_every_entry_that_holds_it(world):
    only(world, "bob", "lrs", role_id=as_role(world, "reader"))
    [bob] = world.selected(FOLDER, "bob")

    world.database.write_now(rights.set_role, ACTOR, "reader", parse_rights("lrsw"))
    assert "PERMANENTFLAGS (\\Answered" in bob.ok("NOOP")
    assert " bob lrsw" in world.client("ann").ok(f'GETACL "{FOLDER}"')

    world.database.write_now(rights.set_role, ACTOR, "reader", parse_rights("l"))
    assert "* BYE" in bob.take() + bob.cmd("NOOP")


def test_a_role_removed_leaves_its_rights_as_letters(world):
    only(world, "bob", "lrs", role_id=as_role(world, "reader"))

    world.database.write_now(rights.remove_role, ACTOR, "reader")

    assert (entries(world)["bob"].rights, entries(world)["bob"].role) == ("lrs", None)
    assert " lrs" in world.client("bob").ok(f'MYRIGHTS "{FOLDER}"')


def test_a_client_that_changes_letters_leaves_the_role(world):
    grant(world, "bob", "lrs", role_id=as_role(world, "reader"))

    world.client("ann").ok(f'SETACL "{FOLDER}" bob +w')

    assert (entries(world)["bob"].rights, entries(world)["bob"].role) == ("lrsw", None)


def test_a_folder_that_gets_an_acl_of_its_own_takes_role_and_limit_along(world):
    until = time.time() + 500
    grant(world, "bob", "lrs", role_id=as_role(world, "reader"), until=until)
    ann = world.client("ann")
    ann.ok(f'CREATE "{FOLDER}/Sub"')

    ann.ok(f'SETACL "{FOLDER}/Sub" cat l')

    acl = world.database.read_now(rights.read_acl, world.mailbox(f"{FOLDER}/Sub").acl_id)
    [bob] = [entry for entry in acl.entries if entry.text == "bob"]
    assert (bob.role, bob.until) == ("reader", until)


def test_a_domain_is_everybody_whose_login_ends_in_it(world):
    world.database.write_now(accounts.insert_user, ACTOR, "dora@Example.com", PASSWORD_HASH)
    world.database.write_now(accounts.insert_user, ACTOR, "eve@example.com.evil", PASSWORD_HASH)
    ann = world.client("ann")

    ann.ok(f'SETACL "{FOLDER}" domain:EXAMPLE.com lrs')

    assert " domain:example.com lrs" in ann.ok(f'GETACL "{FOLDER}"')
    dora, eve = world.client("dora@Example.com"), world.client("eve@example.com.evil")
    assert FOLDER in dora.ok('LIST "" *')
    assert FOLDER not in eve.ok('LIST "" *')
    dora.ok(f'SELECT "{FOLDER}"')
    ann.ok(f'DELETEACL "{FOLDER}" domain:example.com')
    assert "* BYE" in dora.take() + dora.cmd("NOOP")
    assert "NO " in ann.cmd(f'SETACL "{FOLDER}" domain:nowhere.example lr')


def test_a_user_renamed_into_a_domain_has_its_rights(world):
    world.database.write_now(accounts.insert_user, ACTOR, "dora@example.com", PASSWORD_HASH)
    only(world, "domain:example.com", "lr")
    assert FOLDER not in world.client("bob").ok('LIST "" *')

    world.database.write_now(accounts.rename_user, ACTOR, "bob", "bob@example.com")

    assert FOLDER in world.client("bob@example.com").ok('LIST "" *')
    with pytest.raises(Cannot):
        world.database.read_now(rights.resolve_identifier, "domain:other.example", allow_anyone=False)


def test_what_has_ended_is_removed_and_the_audit_log_tells(world):
    grant(world, "bob", "lr", until=time.time() + 50, reason="audit")
    world.database.write_now(accounts.join_team, ACTOR, "crew", "ann", until=time.time() + 50)
    later = time.time() + 100

    assert not world.database.read_now(expiry.anything_ended, time.time())
    assert world.database.read_now(expiry.anything_ended, later)
    assert world.database.write_now(expiry.remove_ended, later) == 2

    assert "bob" not in entries(world)
    assert world.database.read_now(lambda conn: conn.execute(team_member.select()).all())
    team, entry = world.database.read_now(list_audit, limit=2)
    assert (entry.action, entry.channel, entry.object, entry.reason) == ("acl-ended", "expiry", "shared:Team", "audit")
    assert (team.action, team.before["member"]) == ("team-ended", "ann")
    world.database.read_now(verify_chain)


def test_a_client_that_gives_what_is_only_to_come_gives_it_now(world):
    """RFC 4314 §3.1: after SETACL, GETACL shows it.  The end of the grant stays."""
    until = time.time() + 500
    only(world, "bob", "lrs", since=time.time() + 100, until=until)
    ann, bob = world.client("ann"), world.client("bob")
    assert "bob" not in ann.ok(f'GETACL "{FOLDER}"')

    ann.ok(f'SETACL "{FOLDER}" bob +lr')

    assert " bob lr" in ann.ok(f'GETACL "{FOLDER}"')
    bob.ok(f'SELECT "{FOLDER}"')
    assert entries(world)["bob"].until == until
    ann.ok(f'DELETEACL "{FOLDER}" bob')
    assert "bob" not in entries(world)


def test_a_grant_that_is_inherited_as_it_is_gives_the_folder_an_acl_of_its_own(world):
    """PRODUCT: the first SETACL does.  Who names bob on the folder itself means him to stay."""
    world.create("Team/Sub")
    world.create("Team/Other")
    ann = world.client("ann")

    ann.ok(f'SETACL "{FOLDER}/Sub" ann lrswipkxtea')
    ann.ok(f'DELETEACL "{FOLDER}" group:crew')

    assert "group:crew" in ann.ok(f'GETACL "{FOLDER}/Sub"')
    assert "group:crew" not in ann.ok(f'GETACL "{FOLDER}/Other"')
