"""What the database keeps, on both kinds."""

from __future__ import annotations

import pytest

from acl_imapd.mail.mime import parsed
from acl_imapd.ranges import RangeSet
from acl_imapd.storage import accounts, audit, bodies, check, mailboxes, messages, rights
from acl_imapd.storage.messages import NewMessage
from tests.conftest import ACTOR, give


def new(text: str = "x", **values):
    body = f"Subject: {text}\r\n\r\n{text}\r\n".encode()
    defaults = {"flags": 0, "keywords": (), "internal_date": 1, "internal_zone": 0, "seen": False}
    return NewMessage(body, parsed(body), **{**defaults, **values})


@pytest.fixture
def team(database):
    return database.read_now(mailboxes.read_mailbox, None, "Team")


@pytest.fixture
def bob(database):
    return database.read_now(accounts.read_user, "bob")


def sound(database):
    assert database.read_now(check.check, database.blobs) == []


def test_a_failed_unit_leaves_nothing_and_the_others_stand(database):
    """Group commit: one that raises is rolled back alone."""

    def fails(conn):
        accounts.insert_team(conn, ACTOR, "gone")
        raise ValueError("no")

    futures = [database.submit_write(fails)]
    futures += [database.submit_write(accounts.insert_team, ACTOR, f"team-{n}") for n in range(20)]

    assert isinstance(futures[0].exception(), ValueError)
    assert [future.result().name for future in futures[1:]] == [f"team-{n}" for n in range(20)]
    assert database.read_now(accounts.read_team, "gone") is None


def test_changes_tell_what_happened_since(database, team, bob):
    database.write_now(messages.insert_messages, team.id, bob.id, [new("a"), new("b"), new("c")], blobs=database.blobs)
    before = database.read_now(messages.read_changes, team.id, 0)
    assert before is not None

    database.write_now(messages.store_flags, team.id, bob.id, RangeSet(((1, 2),)), add=8, seen=True)
    database.write_now(messages.expunge, team.id, RangeSet(((1, 1),)))

    changes = database.read_now(messages.read_changes, team.id, before.upto)
    assert changes is not None
    assert [(row.uid, row.flags) for row in changes.rows] == [(2, 8)]
    assert changes.vanished == RangeSet(((1, 1),))
    assert changes.seen == {bob.id: RangeSet(((2, 2),))}
    sound(database)


def test_uids_never_come_back(database, team, bob):
    """Promise 2."""
    for _ in range(3):
        done = database.write_now(messages.insert_messages, team.id, bob.id, [new()], blobs=database.blobs)
        database.write_now(messages.expunge, team.id, None, only_deleted=False)

    assert done.uids == [3]
    first = team.uidvalidity
    database.write_now(mailboxes.delete_mailbox, ACTOR, team.id)
    made = database.write_now(mailboxes.create_mailbox, ACTOR, None, "Team")
    assert made.uidvalidity > first


def test_large_bodies_are_files_and_identical_ones_are_kept_once(database, team, bob):
    large = new("y" * 200_000)
    database.write_now(messages.insert_messages, team.id, bob.id, [large, new(), large], blobs=database.blobs)
    copied = database.write_now(
        messages.copy_messages, team.id, team.id, bob.id, [1, 2],
        flag_mask=~0, keep_seen=True, allow_keywords=True,
    )  # fmt: skip

    assert copied.target_uids == [4, 5]
    assert len([path for path in database.blobs.directory.rglob("*") if path.is_file()]) == 1
    rows = database.read_now(messages.read_changes, team.id, 0).rows
    assert len({row.body_id for row in rows}) == 2
    found = database.read_now(bodies.read_bodies, [rows[0].body_id], frozenset({"message"}), blobs=database.blobs)
    assert found[rows[0].body_id].message == large.body
    database.write_now(messages.expunge, team.id, None, only_deleted=False)
    assert database.write_now(bodies.sweep_bodies, database.blobs) == 2
    assert not any(path.is_file() for path in database.blobs.directory.rglob("*"))
    sound(database)


def test_counters_follow_every_change(database, team, bob):
    database.write_now(
        messages.insert_messages, team.id, bob.id, [new(seen=True), new(flags=8), new()], blobs=database.blobs
    )
    inbox = database.read_now(mailboxes.read_mailbox, bob.id, "INBOX")
    database.write_now(
        messages.move_messages, team.id, inbox.id, bob.id, [1, 2], flag_mask=~0, keep_seen=True, allow_keywords=True
    )
    sound(database)
    status = database.read_now(mailboxes.read_status, bob.id, [team.id, inbox.id])

    assert (status[team.id].messages, status[team.id].unseen) == (1, 1)
    assert (status[inbox.id].messages, status[inbox.id].unseen, status[inbox.id].deleted) == (2, 1, 1)


def test_seen_conversion_goes_both_ways(database, team, bob):
    cat = database.read_now(accounts.read_user, "cat")
    database.write_now(messages.insert_messages, team.id, bob.id, [new(), new()], blobs=database.blobs)
    database.write_now(messages.store_flags, team.id, bob.id, RangeSet(((1, 1),)), seen=True)

    database.write_now(mailboxes.set_seen_mode, ACTOR, team.id, shared=True)
    assert [row.flags for row in database.read_now(messages.read_changes, team.id, 0).rows] == [1, 0]
    sound(database)

    database.write_now(mailboxes.set_seen_mode, ACTOR, team.id, shared=False)
    assert database.read_now(mailboxes.read_status, cat.id, [team.id])[team.id].unseen == 1
    sound(database)


def test_grants_at_the_top_of_a_tree_hold_below(database, team):
    for path in ("Team/a", "Team/a/b", "Team/c"):
        database.write_now(mailboxes.create_mailbox, ACTOR, None, path)
    database.write_now(give, team.id, "bob", "lr")
    child = database.read_now(mailboxes.read_mailbox, None, "Team/a")
    database.write_now(give, child.id, "cat", "lrs")

    acls = {
        path: database.read_now(mailboxes.read_mailbox, None, path).acl_id
        for path in ("Team", "Team/a", "Team/a/b", "Team/c")
    }

    assert acls["Team"] == acls["Team/c"]
    assert acls["Team/a"] == acls["Team/a/b"] != acls["Team"]
    assert "bob" in [e.text for e in database.read_now(rights.read_acl, acls["Team/a"]).entries]


def test_nested_teams_count_and_cycles_are_refused(database):
    from acl_imapd.errors import Refused

    for name in ("a", "b"):
        database.write_now(accounts.insert_team, ACTOR, name)
    database.write_now(accounts.join_team, ACTOR, "a", "group:b")
    database.write_now(accounts.join_team, ACTOR, "b", "group:crew")

    with pytest.raises(Refused):
        database.write_now(accounts.join_team, ACTOR, "crew", "$a")
    bob = database.read_now(accounts.read_user, "bob")
    assert len(database.read_now(accounts.read_identity, bob.id).teams) == 3


def test_every_change_of_access_is_in_the_audit_log(database, team):
    """Promise 4: by whichever way it came."""
    before = database.read_now(audit.verify_chain)
    database.write_now(give, team.id, "bob", "lr")
    database.write_now(rights.set_owner, ACTOR, team.id, team_id=database.read_now(accounts.read_team, "crew").id)
    database.write_now(accounts.leave_team, ACTOR, "crew", "bob")

    rows = database.read_now(audit.list_audit, limit=3)

    assert [row.action for row in rows] == ["team-leave", "folder-owner", "acl-set"]
    assert (rows[2].before, rows[2].mailbox_id) == (None, team.id)
    assert {key: rows[2].after[key] for key in ("identifier", "rights")} == {"identifier": "bob", "rights": "lr"}
    assert (rows[1].before, rows[1].after) == (None, "group:crew")
    assert rows[0].before["member"] == "bob"
    assert database.read_now(audit.verify_chain) == before + 3


def test_rename_keeps_rights_messages_and_uidvalidity(database, team, bob):
    database.write_now(messages.insert_messages, team.id, bob.id, [new(keywords=("k",))], blobs=database.blobs)
    database.write_now(mailboxes.create_mailbox, ACTOR, None, "Team/Sub")
    sub = database.read_now(mailboxes.read_mailbox, None, "Team/Sub")

    database.write_now(mailboxes.rename_mailbox, ACTOR, team.id, "Else/Where")
    database.write_now(mailboxes.rename_mailbox, ACTOR, sub.id, "Alone")

    moved = database.read_now(mailboxes.read_mailbox, None, "Else/Where")
    assert (moved.uidvalidity, moved.acl_id, moved.messages) == (team.uidvalidity, team.acl_id, 1)
    alone = database.read_now(mailboxes.read_mailbox, None, "Alone")
    assert [e.text for e in database.read_now(rights.read_acl, alone.acl_id).entries] == ["group:crew", "ann"]
    sound(database)
