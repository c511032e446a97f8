"""Users and teams: who there is, who counts as what, and what goes with a user."""

from __future__ import annotations

import pytest
from sqlalchemy import event

from acl_imapd.errors import Refused
from acl_imapd.storage import accounts, mailboxes, rights
from acl_imapd.storage.subscriptions import read_subscriptions
from tests.conftest import ACTOR


def test_a_new_user_finds_inbox_and_special_folders_subscribed(database):
    made = database.write_now(accounts.insert_user, ACTOR, "dan", None)

    found = {box.path: box.special_use for box in database.read_now(mailboxes.read_home_mailboxes, made.id)}
    assert found == {"INBOX": None, **accounts.SPECIAL_FOLDERS}
    subscribed = {one.name for one in database.read_now(read_subscriptions, made.id).own}
    assert subscribed == set(found)


@pytest.mark.parametrize(
    "name",
    ["", "anyone", "Owner", "anonymous", "authenticated", "administrators", "-bob", "$crew", "group:x", "domain:x",
     "a/b", "a*", "a%", 'a"', "a\\b", "a b", "a\x00", "a\x7f", "x" * 201],
)  # fmt: skip
def test_names_that_mean_something_in_an_acl_are_refused(database, name):
    """RFC 4314 §2: a user called anyone, or -bob, would be granted what was meant for others."""
    with pytest.raises(Refused):
        database.write_now(accounts.insert_user, ACTOR, name, None)
    with pytest.raises(Refused):
        database.write_now(accounts.rename_user, ACTOR, "bob", name)


def test_a_renamed_user_keeps_rights_and_folders(database):
    bob = database.read_now(accounts.read_user, "bob")
    before = database.read_now(accounts.read_identity, bob.id)

    database.write_now(accounts.rename_user, ACTOR, "bob", "robert")

    after = database.read_now(accounts.read_identity, bob.id)
    assert (after.name, after.teams) == ("robert", before.teams)
    inbox = database.read_now(mailboxes.read_mailbox, bob.id, "INBOX")
    assert [one.text for one in database.read_now(rights.read_acl, inbox.acl_id).entries] == ["robert"]


def test_a_user_made_again_has_nothing_of_the_removed_one(database):
    """Rights hang on the user that was removed, not on the name."""
    team_box = database.read_now(mailboxes.read_mailbox, None, "Team")
    database.write_now(accounts.remove_user, ACTOR, "ann")
    again = database.write_now(accounts.insert_user, ACTOR, "ann", None)

    assert database.read_now(accounts.read_identity, again.id).teams == frozenset()
    assert "ann" not in [one.text for one in database.read_now(rights.read_acl, team_box.acl_id).entries]


def test_removing_an_owner_keeps_the_shared_folder(database):
    bob = database.read_now(accounts.read_user, "bob")
    team_box = database.read_now(mailboxes.read_mailbox, None, "Team")
    database.write_now(rights.set_owner, ACTOR, team_box.id, user_id=bob.id)

    database.write_now(accounts.remove_user, ACTOR, "bob")

    assert database.read_now(mailboxes.read_mailbox, None, "Team").owner_user_id is None


def test_a_disabled_user_has_no_identity_until_enabled(database):
    bob = database.read_now(accounts.read_user, "bob")

    database.write_now(accounts.set_disabled, ACTOR, "bob", True)
    assert database.read_now(accounts.read_identity, bob.id) is None

    database.write_now(accounts.set_disabled, ACTOR, "bob", False)
    assert database.read_now(accounts.read_identity, bob.id) is not None


def test_only_a_membership_as_manager_makes_an_owner(database):
    """The managers of a nested team manage what is above only where that team is a manager itself."""
    bob = database.read_now(accounts.read_user, "bob")
    crew = database.read_now(accounts.read_team, "crew")
    led = database.write_now(accounts.insert_team, ACTOR, "led")
    joined = database.write_now(accounts.insert_team, ACTOR, "joined")
    database.write_now(accounts.join_team, ACTOR, "led", "group:crew", manager=True)
    database.write_now(accounts.join_team, ACTOR, "joined", "$crew")

    identity = database.read_now(accounts.read_identity, bob.id)

    assert identity.teams == {crew.id, led.id, joined.id}
    assert identity.managed == {led.id}


def test_joining_again_changes_whether_one_manages(database):
    database.write_now(accounts.join_team, ACTOR, "crew", "bob", manager=True)

    members = database.read_now(accounts.list_members, "crew")
    assert [(one.name, one.manager) for one in members] == [("bob", True), ("cat", False)]


def test_two_teams_that_join_each_other_at_once_make_no_cycle(database):
    """Whichever comes second is refused, also where the two transactions overlap."""
    for n in range(10):
        for name in (f"a{n}", f"b{n}"):
            database.write_now(accounts.insert_team, ACTOR, name)
        one = database.submit_write(accounts.join_team, ACTOR, f"a{n}", f"group:b{n}")
        two = database.submit_write(accounts.join_team, ACTOR, f"b{n}", f"group:a{n}")

        failed = [future.exception(timeout=60) for future in (one, two)]

        assert sorted(type(error).__name__ for error in failed) == ["NoneType", "Refused"]


def test_every_change_moves_the_identity_epoch(database):
    """Or sessions would go on with the teams and users they knew."""
    changes = [
        (accounts.insert_team, "t"),
        (accounts.join_team, "t", "ann"),
        (accounts.leave_team, "t", "ann"),
        (accounts.rename_team, "t", "u"),
        (accounts.remove_team, "u"),
        (accounts.set_password_hash, "ann", "hash"),
        (accounts.set_disabled, "ann", True),
        (accounts.rename_user, "ann", "anna"),
        (accounts.remove_user, "anna"),
        (accounts.insert_user, "eve", None),
    ]
    for change, *arguments in changes:
        before = database.read_now(rights.read_epochs).identity
        database.write_now(change, ACTOR, *arguments)
        assert database.read_now(rights.read_epochs).identity > before, change.__name__


def test_the_members_of_all_teams_are_one_statement(database):
    """A listing must not ask once per team."""
    for name in ("alpha", "beta", "empty"):
        database.write_now(accounts.insert_team, ACTOR, name)
    for name, member in (("alpha", "group:crew"), ("alpha", "cat"), ("alpha", "ann"), ("beta", "group:alpha")):
        database.write_now(accounts.join_team, ACTOR, name, member, manager=member == "cat")
    ids = {one.name: one.id for one in database.read_now(accounts.list_teams)}
    statements = []

    def read(conn):
        event.listen(conn, "before_cursor_execute", lambda *args: statements.append(args[2]))
        return accounts.list_all_members(conn)

    found = database.read_now(read)

    assert found == {ids[name]: database.read_now(accounts.list_members, name) for name in ("crew", "alpha", "beta")}
    shown = [(one.name, one.manager) for one in found[ids["alpha"]]]
    assert shown == [("ann", False), ("cat", True), ("group:crew", False)]
    assert len(statements) == 1
