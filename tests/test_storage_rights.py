"""Entries, inheritance and ownership as they are stored."""

from __future__ import annotations

import pytest

from acl_imapd.access.rights import ALL, NONE, ORDER, parse_rights
from acl_imapd.errors import Cannot, Refused
from acl_imapd.storage import accounts, audit, mailboxes, rights
from tests.conftest import ACTOR, give


@pytest.fixture
def team(database):
    return database.read_now(mailboxes.read_mailbox, None, "Team")


def entries(database, path):
    found = database.read_now(mailboxes.read_mailbox, None, path)
    return {one.text: one.rights for one in database.read_now(rights.read_acl, found.acl_id).entries}


def change(database, mailbox_id, who, letters, **keywords):
    identifier = database.read_now(rights.resolve_identifier, who, allow_anyone=True)
    values = {"negative": False, "op": "set", **keywords}
    return database.submit_write(
        rights.change_entry, ACTOR, mailbox_id, identifier, rights=parse_rights(letters), **values
    )


def test_an_owner_does_not_get_folders_that_differ_in_case(database):
    """SQLite's LIKE takes OPS/… for Ops/…: the owner of one would administer the other."""
    bob = database.read_now(accounts.read_user, "bob")
    for path in ("Ops/Below", "OPS/Secret", "Op_/Other", "Ops2"):
        database.write_now(mailboxes.create_mailbox, ACTOR, None, path)
    ops = database.read_now(mailboxes.read_mailbox, None, "Ops")

    database.write_now(rights.set_owner, ACTOR, ops.id, user_id=bob.id)

    owned = {one.path for one in database.read_now(mailboxes.list_shared) if one.owner_user_id == bob.id}
    assert owned == {"Ops", "Ops/Below"}


def test_rights_added_at_once_are_all_there(database, team):
    """RFC 4314 §3.1 +rights: two administrators at the same moment, on connections of their own."""
    futures = [change(database, team.id, "bob", letter, op="add") for letter in ORDER]
    for future in futures:
        future.result(timeout=60)

    assert entries(database, "Team")["bob"] == ORDER
    acl = database.read_now(rights.read_acl, team.acl_id)
    assert [one.text for one in acl.entries].count("bob") == 1


def test_a_right_taken_away_does_not_come_back_by_another_change(database, team):
    """A lost removal is a right that somebody revoked and that still holds."""
    change(database, team.id, "bob", ORDER).result(timeout=60)

    for future in [change(database, team.id, "bob", letter, op="remove") for letter in "atex"]:
        future.result(timeout=60)

    assert entries(database, "Team")["bob"] == "lrswipk"


def test_accounts_and_rights_change_at_once_without_deadlock(database, team):
    """Both write the site's row and the audit log; in one order, or PostgreSQL ends one of them."""
    futures = []
    for n in range(12):
        futures.append(database.submit_write(accounts.insert_user, ACTOR, f"user{n}", None))
        futures.append(change(database, team.id, "bob", "lr" if n % 2 else "lrs"))

    assert [future.exception(timeout=60) for future in futures] == [None] * len(futures)
    database.read_now(audit.verify_chain)


def test_a_change_that_changes_nothing_writes_nothing(database, team):
    change(database, team.id, "bob", "lr").result(timeout=60)
    before = (database.read_now(rights.read_epochs), database.read_now(audit.verify_chain))

    change(database, team.id, "bob", "lr").result(timeout=60)
    change(database, team.id, "cat", "a", op="remove").result(timeout=60)

    assert (database.read_now(rights.read_epochs), database.read_now(audit.verify_chain)) == before


def test_a_changed_acl_is_told_by_its_epoch(database, team):
    since = database.read_now(rights.read_epochs).acl

    change(database, team.id, "bob", "lr").result(timeout=60)

    assert database.read_now(rights.read_changed_acls, since) == [team.acl_id]


def test_an_entry_without_rights_is_gone_and_the_negative_one_stays(database, team):
    change(database, team.id, "bob", "lr").result(timeout=60)
    change(database, team.id, "bob", "w", negative=True).result(timeout=60)

    change(database, team.id, "bob", "").result(timeout=60)
    assert {"bob", "-bob"} & set(entries(database, "Team")) == {"-bob"}

    bob = database.read_now(rights.resolve_identifier, "bob", allow_anyone=False)
    database.write_now(rights.remove_entries, ACTOR, team.id, bob)
    assert not {"bob", "-bob"} & set(entries(database, "Team"))


def test_inheriting_again_drops_own_entries_here_and_below(database, team):
    for path in ("Team/a", "Team/a/b"):
        database.write_now(mailboxes.create_mailbox, ACTOR, None, path)
    child = database.read_now(mailboxes.read_mailbox, None, "Team/a")
    database.write_now(give, child.id, "bob", "lr")
    assert "bob" in entries(database, "Team/a/b")

    database.write_now(rights.inherit_acl, ACTOR, child.id)

    assert entries(database, "Team/a") == entries(database, "Team/a/b") == entries(database, "Team")
    database.write_now(give, team.id, "cat", "l")
    assert entries(database, "Team/a/b")["cat"] == "l"


def test_a_folder_at_the_top_has_nothing_to_inherit(database, team):
    with pytest.raises(Refused):
        database.write_now(rights.inherit_acl, ACTOR, team.id)


def test_a_personal_folder_cannot_be_given_away(database):
    bob = database.read_now(accounts.read_user, "bob")
    inbox = database.read_now(mailboxes.read_mailbox, bob.id, "INBOX")

    with pytest.raises(Refused):
        database.write_now(rights.set_owner, ACTOR, inbox.id, user_id=bob.id)


def test_identifiers_name_users_teams_and_everybody(database):
    def resolve(text):
        return database.read_now(rights.resolve_identifier, text, allow_anyone=False).name

    assert [resolve(text) for text in ("bob", "group:crew", "$crew", "owner")] == [
        "bob", "group:crew", "group:crew", "owner",
    ]  # fmt: skip
    for text in ("nobody", "group:none", "anyone"):
        with pytest.raises(Cannot):
            resolve(text)


def test_matching_acls_are_those_by_name_team_or_for_everybody(database, team):
    bob = database.read_now(accounts.read_user, "bob")
    identity = database.read_now(accounts.read_identity, bob.id)
    boxes = {}
    for path, who in (("All", "authenticated"), ("Any", "anyone"), ("Anns", "ann")):
        boxes[path] = database.write_now(mailboxes.create_mailbox, ACTOR, None, path)
        database.write_now(give, boxes[path].id, who, "l")

    without = set(database.read_now(rights.read_matching_acls, identity, include_anyone=False))
    with_anyone = set(database.read_now(rights.read_matching_acls, identity, include_anyone=True))

    assert {team.acl_id, boxes["All"].acl_id} <= without
    assert not {boxes["Any"].acl_id, boxes["Anns"].acl_id} & without
    assert with_anyone - without == {boxes["Any"].acl_id}


def test_roles_are_there_from_the_start_and_can_be_changed(database):
    assert database.read_now(rights.list_roles) == list(rights.BUILTIN_ROLES)

    database.write_now(rights.set_role, ACTOR, "reader", parse_rights("lr"))
    assert database.read_now(rights.read_role, "reader").rights == "lr"

    database.write_now(rights.remove_role, ACTOR, "reader")
    assert database.read_now(rights.read_role, "reader") is None
    with pytest.raises(Refused):
        database.write_now(rights.remove_role, ACTOR, "reader")


def test_all_rights_at_once_and_none_at_all_are_stored(database, team):
    bob = database.read_now(rights.resolve_identifier, "bob", allow_anyone=False)
    for wanted, letters in ((ALL, ORDER), (NONE, None)):
        database.write_now(rights.change_entry, ACTOR, team.id, bob, negative=False, op="set", rights=wanted)
        assert entries(database, "Team").get("bob") == letters
