"""When a folder was last used, and by whom: what a review tells."""

from __future__ import annotations

from sqlalchemy import event, select

from acl_imapd.access.last_used import DAY_S, WRITE_AFTER_S
from acl_imapd.storage import accounts, mailboxes
from acl_imapd.storage.schema import last_access

from .conftest import ACTOR


def kept(world):
    def rows(conn):
        names = {one.id: one.name for one in accounts.list_users(conn)}
        paths = {one.id: one.path for one in mailboxes.list_all(conn)}
        found = conn.execute(select(last_access.c.user_id, last_access.c.mailbox_id, last_access.c.day))
        return sorted((names[row[0]], paths[row[1]], row[2]) for row in found)

    return world.database.read_now(rows)


def settle(world, seconds=WRITE_AFTER_S):
    """Let the time pass, and what is then written be written."""
    world.reactor.advance(seconds)
    landed, _ = world.reactor.landed.get(timeout=20)
    landed()


def today(world):
    return int(world.service.directory.now() // DAY_S)


def test_opening_anothers_folder_is_remembered_for_the_day(world):
    bob = world.client("bob")
    bob.ok('EXAMINE "Shared Folders/Team"')
    bob.ok("SELECT INBOX")
    bob.ok('STATUS "Shared Folders/Team" (MESSAGES)')
    world.client("cat").ok('LIST "" "*"')
    settle(world)

    assert kept(world) == [("bob", "Team", today(world))]


def test_putting_a_message_into_it_counts_too(world):
    assert world.client("bob").append('"Shared Folders/Team"').tagged.startswith("OK")
    settle(world)

    assert kept(world) == [("bob", "Team", today(world))]


def test_one_day_is_written_once_and_the_next_day_again(world):
    written = []

    def count(_conn, _cursor, statement, parameters, _context, many):
        if "INSERT INTO last_access" in statement:
            written.append(len(parameters) if many else 1)

    event.listen(world.database.engine, "before_cursor_execute", count)
    bob, cat = world.client("bob"), world.client("cat")
    for _ in range(3):
        for client in (bob, cat):
            client.ok('SELECT "Shared Folders/Team"')
    settle(world)
    assert written == [2]

    first = today(world)
    world.reactor.advance(DAY_S)
    world.client("bob").ok('SELECT "Shared Folders/Team"')
    settle(world)

    assert written == [2, 1]
    assert kept(world) == [("bob", "Team", first + 1), ("cat", "Team", first)]


def test_a_folder_that_goes_before_it_is_written_spoils_nothing(world):
    world.create("Other", bob="lr")
    bob = world.client("bob")
    bob.ok('SELECT "Shared Folders/Other"')
    bob.ok('SELECT "Shared Folders/Team"')
    world.database.write_now(mailboxes.delete_mailbox, ACTOR, world.mailbox("Shared Folders/Other").id)
    settle(world)

    assert kept(world) == [("bob", "Team", today(world))]


def test_what_is_pending_is_written_when_the_server_stops(world):
    world.client("bob").ok('SELECT "Shared Folders/Team"')
    world.service.last_used.close()
    settle(world, 0)

    assert kept(world) == [("bob", "Team", today(world))]
