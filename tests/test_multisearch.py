"""MULTISEARCH: ESEARCH in many mailboxes.  RFC 7377."""

from __future__ import annotations

import pytest

TEAM = "Shared Folders/Team"
BODY = "Subject: {}\r\n\r\ntext\r\n"


def put(client, name, *subjects):
    for subject in subjects:
        assert client.append(f'"{name}"', BODY.format(subject)).tagged.startswith("OK")


@pytest.fixture
def ann(world):
    """ann with messages in INBOX, folder1, folder2 and what is below, and in the team's folder."""
    client = world.client("ann")
    for name in ("folder1", "folder2", "folder2/banana", "folder2/banana/ripe", "folder2/peach"):
        client.ok(f'CREATE "{name}"')
    for name in ("INBOX", "folder1", "folder2/banana", "folder2/banana/ripe", TEAM):
        put(client, name, "chad", "other")
    return client


def found(client, command):
    """{mailbox: what follows the correlators}."""
    lines = client.ok(command).untagged
    answers = {}
    for line in lines:
        head, _, data = line.partition(") ")
        assert head.startswith(f'* ESEARCH (TAG "a{client.number}" MAILBOX ')
        name, _, validity = head.partition("MAILBOX ")[2].partition(" UIDVALIDITY ")
        assert int(validity) > 0
        assert data.startswith("UID ")
        answers[name.strip('"')] = data.removeprefix("UID ")
    assert len(answers) == len(lines)
    return answers


def test_the_examples_of_section_3(ann):
    assert found(ann, 'ESEARCH IN (mailboxes "folder1" subtree "folder2") unseen') == {
        "folder1": "ALL 1:2", "folder2/banana": "ALL 1:2", "folder2/banana/ripe": "ALL 1:2",
    }  # fmt: skip
    assert found(ann, 'ESEARCH IN (mailboxes "folder1" subtree-one "folder2") subject "chad"') == {
        "folder1": "ALL 1", "folder2/banana": "ALL 1",
    }  # fmt: skip


def test_each_source(ann):
    own = {"INBOX", "folder1", "folder2/banana", "folder2/banana/ripe"}
    assert set(found(ann, "ESEARCH IN (personal) ALL")) == own
    assert set(found(ann, "ESEARCH IN (inboxes) ALL")) == {"INBOX"}
    assert set(found(ann, f'ESEARCH IN (mailboxes ("{TEAM}" folder1) inboxes mailboxes folder1) ALL')) == {
        TEAM, "folder1", "INBOX",
    }  # fmt: skip
    ann.ok("UNSUBSCRIBE folder1")
    ann.ok("SUBSCRIBE folder2/banana")
    assert {"INBOX", "folder2/banana"} <= set(found(ann, "ESEARCH IN (subscribed) ALL"))
    assert "folder1" not in found(ann, "ESEARCH IN (subscribed) ALL")
    ann.ok("SELECT folder1")
    assert found(ann, "ESEARCH SUBJECT chad") == {"folder1": "ALL 1"}
    assert set(found(ann, "ESEARCH IN (selected inboxes) SUBJECT chad")) == {"folder1", "INBOX"}


def test_result_options_are_of_each_mailbox_and_nothing_is_said_of_one_without_a_match(ann):
    own = ("INBOX", "folder1", "folder2/banana", "folder2/banana/ripe")
    assert found(ann, "ESEARCH IN (personal) RETURN (MIN MAX COUNT) SUBJECT other") == dict.fromkeys(
        own, "MIN 2 MAX 2 COUNT 1"
    )
    assert ann.ok("ESEARCH IN (personal) RETURN (COUNT) SUBJECT nothing").untagged == []
    assert found(ann, "ESEARCH IN (inboxes) RETURN (PARTIAL 2:3) ALL") == {"INBOX": "PARTIAL (2:3 2)"}
    assert found(ann, "ESEARCH IN (inboxes) 1:100 2") == {"INBOX": "ALL 2"}
    assert found(ann, "ESEARCH IN (inboxes) CHARSET UTF-8 UID 2:*") == {"INBOX": "ALL 2"}


def test_the_selected_mailbox_stays_and_nothing_loses_recent(world, ann):
    ann.ok("SELECT folder1")
    found(ann, "ESEARCH IN (inboxes) ALL")

    assert "* 2 RECENT" in world.client("ann").ok("SELECT INBOX").untagged
    assert ann.ok("SEARCH ALL").untagged == ["* SEARCH 1 2"]


def test_only_what_one_may_read_and_list_and_hidden_is_as_missing(world, ann):
    """§2.2: r on what is named, l as well on what is not; nothing tells what is hidden from what is not there."""
    bob = world.client("bob")
    for letters, named, listed in (("lr", True, True), ("r", True, False), ("l", False, False), ("", False, False)):
        world.give(TEAM, "group:crew", letters)
        in_named = found(bob, f'ESEARCH IN (mailboxes "{TEAM}") ALL')
        in_subtree = found(bob, 'ESEARCH IN (subtree "Shared Folders") ALL')
        assert (bool(in_named), bool(in_subtree)) == (named, listed), letters
    hidden = bob.ok(f'ESEARCH IN (mailboxes "{TEAM}") ALL')
    missing = bob.ok('ESEARCH IN (mailboxes "Shared Folders/Nope") ALL')
    assert hidden.replace("a9", "").split(" ", 1)[1] == missing.split(" ", 1)[1]
    assert found(bob, "ESEARCH IN (personal) ALL") == {}


@pytest.mark.parametrize(
    "command",
    [
        "ESEARCH ALL",  # nothing is selected
        "ESEARCH IN (selected) ALL",
        "ESEARCH IN (selected-delayed) ALL",
        "ESEARCH IN () ALL",
        "ESEARCH IN (mailboxes) ALL",
        "ESEARCH IN (mailboxes ()) ALL",
        "ESEARCH IN (everything) ALL",
        "ESEARCH IN (personal)",
        "ESEARCH IN (personal) RETURN (SAVE) ALL",
        "ESEARCH IN (personal) RETURN (UPDATE) ALL",
        "ESEARCH IN (personal) COLOUR",
    ],
)
def test_what_is_bad(ann, command):
    assert ann.cmd(command).tagged.startswith("BAD")


def test_save_and_updates_of_the_selected_mailbox(ann):
    ann.ok("SELECT folder1")

    assert ann.ok("ESEARCH RETURN (SAVE) SUBJECT chad").untagged == []
    assert ann.ok("SEARCH $").untagged == ["* SEARCH 1"]
    assert ann.cmd("ESEARCH IN (personal) CHARSET KOI-7 ALL").tagged.startswith("NO [BADCHARSET")
    assert found(ann, "ESEARCH IN (selected) RETURN (UPDATE COUNT) FLAGGED") == {}
    tag = f"a{ann.number}"
    lines = ann.ok("STORE 2 +FLAGS (\\Flagged)").untagged
    assert any(line.startswith(f'* ESEARCH (TAG "{tag}" MAILBOX folder1 UIDVALIDITY ') for line in lines)
    assert lines[-1].endswith(") UID ADDTO (0 2)")


def test_many_mailboxes_take_one_listing(world, ann, database):
    """The folders are found in a constant number of statements; each is then read once."""
    from sqlalchemy import event

    ann.ok("ESEARCH IN (personal) ALL")
    seen = []
    listen = lambda _conn, _cursor, statement, *_: seen.append(statement)  # noqa: E731
    event.listen(database.engine, "before_cursor_execute", listen)
    try:
        ann.ok("ESEARCH IN (personal) ALL")
        few = len(seen)
        for n in range(20):
            ann.ok(f"CREATE many{n}")
        ann.ok("ESEARCH IN (personal) ALL")
        seen.clear()
        ann.ok("ESEARCH IN (personal) ALL")
    finally:
        event.remove(database.engine, "before_cursor_execute", listen)
    assert len(seen) <= few + 4 * 20
    assert len([one for one in seen if "acl_entry" in one]) <= 2
