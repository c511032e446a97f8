"""What check finds, and what it puts right."""

from __future__ import annotations

import os
import time

import pytest
from sqlalchemy import text

from acl_imapd.errors import Refused
from acl_imapd.mail.mime import parsed
from acl_imapd.ranges import RangeSet
from acl_imapd.storage import accounts, check, mailboxes, messages
from acl_imapd.storage.messages import NewMessage
from tests.conftest import ACTOR, give

DAY_S = 86_400
LARGE = b"Subject: l\r\n\r\n" + b"y" * 200_000


@pytest.fixture
def site(database):
    """Shared folder Team with two messages that bob has seen, and Team/Sub below it."""
    bob = database.read_now(accounts.read_user, "bob")
    team = database.read_now(mailboxes.read_mailbox, None, "Team")
    new = NewMessage(LARGE, parsed(LARGE), flags=0, keywords=(), internal_date=1, internal_zone=0, seen=True)
    database.write_now(messages.insert_messages, team.id, bob.id, [new, new], blobs=database.blobs)
    database.write_now(mailboxes.create_mailbox, ACTOR, None, "Team/Sub")
    assert database.read_now(check.check, database.blobs) == []
    return team, bob


def damage(database, statement, **values):
    database.write_now(lambda conn: conn.execute(text(statement), values))


def problems(database):
    return database.read_now(check.check, database.blobs)


def test_wrong_counters_are_found_and_put_right(database, site):
    damage(database, "UPDATE mailbox SET messages = 7, deleted = 3, size_bytes = 0 WHERE path = 'Team'")
    assert [one.repairable for one in problems(database)] == [True]

    database.write_now(check.check, database.blobs, repair=True)

    assert problems(database) == []
    assert database.read_now(mailboxes.read_mailbox, None, "Team").messages == 2


def test_what_was_seen_of_messages_that_are_gone_is_found_and_put_right(database, site):
    """STATUS would tell too few unseen messages."""
    team, bob = site
    damage(database, "UPDATE seen SET uids = '1:9', count = 9")
    assert [one.repairable for one in problems(database)] == [True]

    database.write_now(check.check, database.blobs, repair=True)

    assert problems(database) == []
    assert RangeSet(((1, 2),)) == database.read_now(messages.read_changes, team.id, 0).seen[bob.id]


def test_a_missing_file_is_found_and_not_called_repairable(database, site):
    (path,) = [path for path in database.blobs.directory.rglob("*") if path.is_file()]
    path.unlink()

    (found,) = problems(database)

    assert path.name in found.text
    assert not found.repairable


def test_a_folder_that_does_not_share_the_acl_it_should_is_found_and_left_alone(database, site):
    """Who may read what is nothing to guess."""
    other = database.write_now(mailboxes.create_mailbox, ACTOR, None, "Other")
    damage(database, "UPDATE mailbox SET acl_id = :acl WHERE path = 'Team/Sub'", acl=other.acl_id)

    database.write_now(check.check, database.blobs, repair=True)

    (found,) = problems(database)
    assert "Team/Sub" in found.text
    assert not found.repairable


def test_a_folder_that_hangs_elsewhere_than_its_name_says_is_found(database, site):
    database.write_now(mailboxes.create_mailbox, ACTOR, None, "Other")
    damage(database, "UPDATE mailbox SET path = 'Other/Sub' WHERE path = 'Team/Sub'")

    (found,) = problems(database)

    assert "Other/Sub" in found.text


def test_an_uid_beyond_uidnext_is_found(database, site):
    """The next message would collide with it, or a client would be told it twice."""
    damage(database, "UPDATE mailbox SET uidnext = 2 WHERE path = 'Team'")

    assert len(problems(database)) == 1


def test_all_that_is_done_to_a_folder_leaves_a_sound_database(database, site):
    team, bob = site
    sub = database.read_now(mailboxes.read_mailbox, None, "Team/Sub")
    database.write_now(give, sub.id, "bob", "lrswite")
    database.write_now(
        messages.move_messages, team.id, sub.id, bob.id, [1], flag_mask=~0, keep_seen=True, allow_keywords=True
    )
    database.write_now(messages.store_flags, sub.id, bob.id, RangeSet(((1, 1),)), add=8, seen=False)
    database.write_now(mailboxes.set_seen_mode, ACTOR, team.id, shared=True)
    database.write_now(mailboxes.rename_mailbox, ACTOR, team.id, "Else/Where")
    database.write_now(mailboxes.set_seen_mode, ACTOR, team.id, shared=False)
    database.write_now(accounts.remove_user, ACTOR, "cat")
    database.write_now(messages.expunge, sub.id, None)

    assert problems(database) == []


def age(path, seconds):
    then = time.time() - seconds
    os.utime(path, (then, then))


def files(database):
    return {path for path in database.blobs.directory.rglob("*") if path.is_file()}


def aborted(database, site, body=LARGE + b"z", *, ago=2 * DAY_S):
    """The file that an APPEND leaves which is rolled back."""
    team, bob = site
    before = files(database)
    new = NewMessage(body, parsed(body), flags=0, keywords=(), internal_date=1, internal_zone=0, seen=False)

    def fail(conn):
        messages.insert_messages(conn, team.id, bob.id, [new], blobs=database.blobs)
        raise Refused("no")

    with pytest.raises(Refused):
        database.write_now(fail)
    (path,) = files(database) - before
    age(path, ago)
    return path


def test_the_file_of_a_delivery_that_came_to_nothing_is_found_and_removed(database, site):
    kept = files(database)
    for path in kept:
        age(path, 9 * DAY_S)  # old as it is, a row names it
    stray = aborted(database, site)
    draft = stray.with_name(f".{stray.name}")
    draft.write_bytes(b"half")
    age(draft, 2 * DAY_S)
    (found,) = problems(database)
    assert found.repairable
    assert found.text.startswith("2 files")
    assert files(database) == kept | {stray, draft}

    database.write_now(check.check, database.blobs, repair=True)

    assert files(database) == kept
    assert problems(database) == []


def test_a_file_younger_than_a_day_may_yet_get_its_row(database, site):
    """A delivery in flight: the file is on disk before the row is committed."""
    young = aborted(database, site, ago=DAY_S - 60)

    assert database.write_now(check.check, database.blobs, repair=True) == []

    assert young.exists()


def test_a_file_of_a_body_without_a_message_is_not_stray(database, site):
    """Its row names it, so a message with the same bytes may come to share it."""
    team, bob = site
    database.write_now(messages.store_flags, team.id, bob.id, RangeSet(((1, 2),)), add=8)
    database.write_now(messages.expunge, team.id, None)
    for path in files(database):
        age(path, 2 * DAY_S)

    assert database.write_now(check.check, database.blobs, repair=True) == []

    assert len(files(database)) == 1


def test_files_of_other_makes_are_left_alone(database, site):
    others = [database.blobs.directory / "ab" / "notes.txt", database.blobs.directory / "README"]
    for path in others:
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
        age(path, 2 * DAY_S)

    assert database.write_now(check.check, database.blobs, repair=True) == []

    assert all(path.exists() for path in others)


def test_a_directory_that_is_another_databases_is_left_alone(database, site):
    """--database on a command line, and the directory of the site: what is stray there is another's mail."""
    stray = aborted(database, site)
    named = files(database) - {stray}
    for path in named:
        age(path, 2 * DAY_S)
    damage(database, "DELETE FROM message")
    damage(database, "DELETE FROM body")

    found = database.write_now(check.check, database.blobs, repair=True)

    assert [one.repairable for one in found if "whose directory" in one.text] == [False]
    assert files(database) == named | {stray}
