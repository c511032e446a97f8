"""Mailboxes as rows of a tree, subscriptions, and what STATUS is told from."""

from __future__ import annotations

import pytest
from sqlalchemy import event

from acl_imapd.errors import AlreadyExists, Cannot, HasChildren
from acl_imapd.mail.mime import parsed
from acl_imapd.ranges import RangeSet
from acl_imapd.storage import accounts, check, mailboxes, messages, rights, subscriptions
from acl_imapd.storage.messages import NewMessage
from acl_imapd.storage.seen import read_seen
from tests.conftest import ACTOR, PASSWORD_HASH, give

BODY = b"Subject: x\r\n\r\nx\r\n"


def append(database, mailbox, user, count=1, **values):
    defaults = {"flags": 0, "keywords": (), "internal_date": 1, "internal_zone": 0, "seen": False}
    new = NewMessage(BODY, parsed(BODY), **{**defaults, **values})
    return database.write_now(messages.insert_messages, mailbox.id, user.id, [new] * count, blobs=database.blobs)


def create(database, path, home=None, **values):
    return database.write_now(mailboxes.create_mailbox, ACTOR, home.id if home else None, path, **values)


def find(database, path, home=None):
    return database.read_now(mailboxes.read_mailbox, home.id if home else None, path)


@pytest.fixture
def bob(database):
    return database.read_now(accounts.read_user, "bob")


@pytest.fixture
def cat(database):
    return database.read_now(accounts.read_user, "cat")


@pytest.fixture
def team(database):
    return find(database, "Team")


def test_missing_ancestors_are_made_and_share_what_is_above(database):
    top = create(database, "Top")
    database.write_now(mailboxes.set_seen_mode, ACTOR, top.id, shared=True)

    deep = create(database, "Top/a/b")

    between = find(database, "Top/a")
    assert between is not None
    assert (top.id, between.id) == (between.parent_id, deep.parent_id)
    assert {top.acl_id} == {between.acl_id, deep.acl_id}
    assert between.seen_shared
    assert deep.seen_shared


def test_a_new_folder_at_the_top_of_the_shared_tree_gives_nobody_anything(database):
    made = create(database, "Secret")

    assert database.read_now(rights.read_acl, made.acl_id).entries == ()


def test_only_one_of_many_who_create_a_name_at_once_gets_it(database):
    futures = [database.submit_write(mailboxes.create_mailbox, ACTOR, None, "Same/Below") for _ in range(8)]

    errors = [future.exception() for future in futures]

    assert errors.count(None) == 1
    assert {AlreadyExists} == {type(error) for error in errors if error is not None}


def test_names_that_differ_in_case_or_hold_wildcards_are_different_folders(database):
    for path in ("ops/x", "Ops/x", "O_s/x", "O%/x"):
        create(database, path)
    ops = find(database, "Ops")

    database.write_now(mailboxes.rename_mailbox, ACTOR, ops.id, "Moved")

    paths = [one.path for one in database.read_now(mailboxes.list_shared)]
    assert sorted(["ops", "ops/x", "Moved", "Moved/x", "O_s", "O_s/x", "O%", "O%/x", "Team"]) == sorted(paths)


def test_delete_removes_no_folder_that_has_others_below(database, team):
    create(database, "Team/Sub")

    with pytest.raises(HasChildren):
        database.write_now(mailboxes.delete_mailbox, ACTOR, team.id)

    assert find(database, "Team") is not None


def test_inbox_cannot_be_deleted(database, bob):
    with pytest.raises(Cannot):
        database.write_now(mailboxes.delete_mailbox, ACTOR, find(database, "INBOX", bob).id)


def test_what_a_deleted_folder_gave_does_not_come_back_with_its_name(database, team):
    """A new folder of an old name has the rights, UIDs and messages of a new one."""
    database.write_now(mailboxes.delete_mailbox, ACTOR, team.id)

    again = create(database, "Team")

    assert database.read_now(rights.read_acl, again.acl_id).entries == ()
    assert again.uidvalidity > team.uidvalidity
    assert again.objectid != team.objectid


@pytest.mark.parametrize("target", ["Team/Sub/Deeper", "Team/x"])
def test_a_folder_does_not_go_below_itself(database, team, target):
    create(database, "Team/Sub")

    with pytest.raises(Cannot):
        database.write_now(mailboxes.rename_mailbox, ACTOR, team.id, target)


def test_rename_to_a_name_that_is_taken_changes_nothing(database, team):
    create(database, "Taken")

    with pytest.raises(AlreadyExists):
        database.write_now(mailboxes.rename_mailbox, ACTOR, team.id, "Taken")

    assert team == find(database, "Team")


def test_rename_takes_all_inferiors_along_whatever_their_letters(database, team, bob):
    for path in ("Team/Größe/ü", "Team/a b/c"):
        create(database, path)
    inferior = find(database, "Team/Größe/ü")
    append(database, inferior, bob)

    database.write_now(mailboxes.rename_mailbox, ACTOR, team.id, "Neue/Mannschaft")

    below = [one.path for one in database.read_now(mailboxes.read_descendants, find(database, "Neue/Mannschaft"))]
    assert sorted(path.removeprefix("Neue/Mannschaft/") for path in below) == ["Größe", "Größe/ü", "a b", "a b/c"]
    moved = find(database, "Neue/Mannschaft/Größe/ü")
    assert (inferior.id, inferior.uidvalidity, 1) == (moved.id, moved.uidvalidity, moved.messages)
    assert database.read_now(check.check, database.blobs) == []


def test_a_folder_moved_out_of_a_tree_is_not_opened_by_later_grants_there(database, team):
    create(database, "Other")
    sub = create(database, "Team/Sub")

    database.write_now(mailboxes.rename_mailbox, ACTOR, sub.id, "Other/Sub")
    database.write_now(give, team.id, "anyone", "lr")

    moved = database.read_now(rights.read_acl, find(database, "Other/Sub").acl_id)
    assert [entry.text for entry in moved.entries] == ["group:crew", "ann"]


def test_rename_of_inbox_moves_its_messages_and_leaves_its_inferiors(database, bob):
    """RFC 3501 §6.3.5."""
    create(database, "INBOX/Sub", bob)
    append(database, find(database, "INBOX", bob), bob, 3, keywords=("k",), seen=True)

    made = database.write_now(mailboxes.move_inbox, ACTOR, bob.id, "Old/Mail")

    status = database.read_now(mailboxes.read_status, bob.id, [made.id])[made.id]
    assert (status.messages, status.unseen) == (3, 0)
    assert database.read_now(messages.read_keywords, made.id) == ["k"]
    assert find(database, "INBOX", bob).messages == 0
    assert find(database, "INBOX/Sub", bob) is not None
    assert database.read_now(check.check, database.blobs) == []


def test_a_home_goes_with_all_that_is_in_it_and_nothing_else(database, bob, cat):
    append(database, create(database, "Work/Deep/Deeper", bob), bob)
    others = database.read_now(mailboxes.read_home_mailboxes, cat.id)

    database.write_now(mailboxes.remove_home, ACTOR, bob.id)

    assert database.read_now(mailboxes.read_home_mailboxes, bob.id) == []
    assert others == database.read_now(mailboxes.read_home_mailboxes, cat.id)
    assert find(database, "Team") is not None


def test_a_subscription_keeps_its_name_when_the_folder_is_gone(database, bob, team):
    """RFC 3501 §6.3.6."""
    name = "Shared Folders/Team"
    database.write_now(subscriptions.subscribe, bob.id, team.id, name)
    database.write_now(subscriptions.subscribe, bob.id, team.id, name)
    database.write_now(mailboxes.delete_mailbox, ACTOR, team.id)

    kept = subscriptions.Subscription(None, name)
    assert kept in database.read_now(subscriptions.read_subscriptions, bob.id).own
    database.write_now(subscriptions.forget_subscriptions, bob.id, [kept])
    assert kept not in database.read_now(subscriptions.read_subscriptions, bob.id).own


def test_subscribing_to_a_new_folder_of_an_old_name_leaves_one_subscription(database, bob, team):
    name = "Shared Folders/Team"
    database.write_now(subscriptions.subscribe, bob.id, team.id, name)
    database.write_now(mailboxes.delete_mailbox, ACTOR, team.id)

    again = create(database, "Team")
    database.write_now(subscriptions.subscribe, bob.id, again.id, name)

    found = database.read_now(subscriptions.read_subscriptions, bob.id)
    assert [again.id] == [one.mailbox_id for one in found.own if one.name == name]


def test_status_tells_each_user_its_own_unseen(database, bob, cat, team):
    append(database, team, bob, 3)
    database.write_now(messages.store_flags, team.id, bob.id, RangeSet(((1, 2),)), seen=True)

    unseen = [database.read_now(mailboxes.read_status, user.id, [team.id])[team.id].unseen for user in (bob, cat)]

    assert unseen == [1, 3]


def test_status_of_many_folders_does_not_ask_for_each(database, bob):
    made = [create(database, f"Many/{number}") for number in range(30)]
    append(database, made[3], bob, 2)
    append(database, made[5], bob)
    database.write_now(messages.claim_recent, made[5].id, 1)
    ids = [one.id for one in made]
    executed: list[str] = []

    def note(_conn, _cursor, statement, *_rest):
        executed.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    status = database.read_now(mailboxes.read_status, bob.id, ids, recent=True)
    event.remove(database.engine, "before_cursor_execute", note)

    assert {made[3].id: 2} == {ident: one.recent for ident, one in status.items() if one.recent}
    assert len(executed) <= 5


def test_seen_of_all_is_what_anybody_saw_and_forgets_what_nobody_sees_any_more(database, bob, cat, team):
    append(database, team, bob, 3)
    for user, uid in ((bob, 1), (cat, 2)):
        database.write_now(messages.store_flags, team.id, user.id, RangeSet(((uid, uid),)), seen=True)
    database.write_now(mailboxes.set_seen_mode, ACTOR, team.id, shared=True)
    assert [row.flags for row in database.read_now(messages.read_changes, team.id, 0).rows] == [1, 1, 0]
    database.write_now(mailboxes.set_seen_mode, ACTOR, team.id, shared=False)
    ann = database.read_now(accounts.read_user, "ann")

    for user in (ann, bob, cat):
        database.write_now(messages.store_flags, team.id, user.id, RangeSet(((1, 1),)), seen=False)
    database.write_now(mailboxes.set_seen_mode, ACTOR, team.id, shared=True)

    assert [row.flags for row in database.read_now(messages.read_changes, team.id, 0).rows] == [0, 1, 0]
    assert database.read_now(check.check, database.blobs) == []


def test_seen_can_be_converted_however_scattered_it_is(database, bob, cat, team):
    """SQLite takes no expression of more than 1000 levels."""
    append(database, team, bob, 3000)
    odd = RangeSet.from_numbers(range(1, 3001, 2))
    database.write_now(messages.store_flags, team.id, bob.id, odd, seen=True)

    database.write_now(mailboxes.set_seen_mode, ACTOR, team.id, shared=True)
    assert find(database, "Team").unseen == 1500
    database.write_now(mailboxes.set_seen_mode, ACTOR, team.id, shared=False)

    assert database.read_now(mailboxes.read_status, cat.id, [team.id])[team.id].unseen == 1500
    assert database.read_now(check.check, database.blobs) == []


def test_conversion_to_own_seen_writes_rows_for_those_who_may_read_alone(database, bob, team):
    """A team named in the ACL counts with the teams in it; ann is named herself; dan is not."""
    dan = database.write_now(accounts.insert_user, ACTOR, "dan", None)
    eve = database.write_now(accounts.insert_user, ACTOR, "eve", None)
    database.write_now(accounts.insert_team, ACTOR, "inner")
    database.write_now(accounts.join_team, ACTOR, "inner", "eve")
    database.write_now(accounts.join_team, ACTOR, "crew", "group:inner")
    database.write_now(mailboxes.set_seen_mode, ACTOR, team.id, shared=True)
    append(database, team, bob, 2, seen=True)

    database.write_now(mailboxes.set_seen_mode, ACTOR, team.id, shared=False)

    seen = database.read_now(messages.read_changes, team.id, 0).seen
    names = {database.read_now(accounts.read_user_by_id, user_id).name for user_id in seen}
    assert {"ann", "bob", "cat", "eve"} == names
    assert dan.id not in seen
    assert RangeSet(((1, 2),)) == seen[eve.id]


def test_seen_mode_reaches_the_folders_below_that_follow_and_stops_at_one_that_has_its_own(database, team):
    for path in ("Team/follows/deep", "Team/own/below"):
        create(database, path)
    own = find(database, "Team/own")
    database.write_now(mailboxes.set_seen_mode, ACTOR, own.id, shared=False)

    database.write_now(mailboxes.set_seen_mode, ACTOR, team.id, shared=True)

    modes = {one.path: one.seen_shared for one in database.read_now(mailboxes.list_shared)}
    assert modes == {
        "Team": True, "Team/follows": True, "Team/follows/deep": True, "Team/own": False, "Team/own/below": False,
    }  # fmt: skip


def test_what_was_seen_by_all_is_kept_for_everybody_who_may_read_in_one_statement(database, bob, cat, team):
    """Also for whom only a domain names; and not for one who had nothing to do with the mailbox."""
    dora = database.write_now(accounts.insert_user, ACTOR, "dora@example.com", PASSWORD_HASH)
    eve = database.write_now(accounts.insert_user, ACTOR, "eve", PASSWORD_HASH)
    database.write_now(give, team.id, "domain:example.com", "lr")
    append(database, team, bob, 2)
    database.write_now(mailboxes.set_seen_mode, ACTOR, team.id, shared=True)
    database.write_now(messages.store_flags, team.id, bob.id, RangeSet(((1, 1),)), seen=True)
    executed = []

    def note(conn, cursor, statement, parameters, context, executemany):
        executed.append((statement, executemany))

    event.listen(database.engine, "before_cursor_execute", note)
    database.write_now(mailboxes.set_seen_mode, ACTOR, team.id, shared=False)
    event.remove(database.engine, "before_cursor_execute", note)

    seen = {user: database.read_now(read_seen, team.id, user.id) for user in (bob, cat, dora, eve)}
    assert {user.name: found.encode() for user, found in seen.items()} == {
        "bob": "1", "cat": "1", "dora@example.com": "1", "eve": ""
    }  # fmt: skip
    written = [many for statement, many in executed if "INTO seen" in statement]
    assert written == [False]
