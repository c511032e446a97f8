"""Units of work: answered whatever happens, done once or not at all."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy.exc import OperationalError

from acl_imapd.storage import accounts
from acl_imapd.storage.database import Database
from tests.conftest import ACTOR


def test_a_database_that_cannot_be_opened_answers_every_writer(tmp_path):
    """Or the server hangs at its first write, silently, when a directory is missing."""
    database = Database.open(f"sqlite:///{tmp_path}/missing/site.db")

    futures = [database.submit_write(accounts.insert_team, ACTOR, f"team-{n}") for n in range(3)]

    assert all(isinstance(future.exception(timeout=20), OperationalError) for future in futures)
    database.close()


def test_writes_succeed_once_the_database_can_be_opened(tmp_path):
    database = Database.open(f"sqlite:///{tmp_path}/later/site.db")
    with pytest.raises(OperationalError):
        database.submit_write(lambda conn: None).result(timeout=20)

    (tmp_path / "later").mkdir()

    assert database.submit_write(lambda conn: 7).result(timeout=20) == 7
    database.close()


def test_a_cancelled_write_is_not_done_and_the_next_ones_are(database):
    """One waiter that gives up must not take the writer down for everybody."""
    started, go_on = threading.Event(), threading.Event()

    def hold(conn):
        started.set()
        go_on.wait(20)

    # As many as PostgreSQL has threads, so that the cancelled one waits there too.
    holding = [database.submit_write(hold) for _ in range(8)]
    started.wait(20)
    cancelled = database.submit_write(accounts.insert_team, ACTOR, "unwanted")
    assert cancelled.cancel()
    go_on.set()

    assert database.submit_write(accounts.insert_team, ACTOR, "wanted").result(timeout=20).name == "wanted"
    assert all(future.exception(timeout=20) is None for future in holding)
    assert database.read_now(accounts.read_team, "unwanted") is None


def test_closing_finishes_what_was_submitted(database):
    futures = [database.submit_write(accounts.insert_team, ACTOR, f"team-{n}") for n in range(30)]

    database.close()

    assert [future.result(timeout=0).name for future in futures] == [f"team-{n}" for n in range(30)]
    with pytest.raises(RuntimeError):
        database.submit_write(accounts.insert_team, ACTOR, "late")


def test_two_programs_write_the_same_site(database):
    """The admin CLI beside the server: each waits for the other, neither fails nor loses a change."""
    other = Database.open(database.url, blob_dir=database.blobs.directory)

    futures = [
        one.submit_write(accounts.insert_team, ACTOR, f"team-{number}-{n}")
        for n in range(20)
        for number, one in enumerate((database, other))
    ]

    made = {future.result(timeout=60).name for future in futures}
    assert made <= {team.name for team in database.read_now(accounts.list_teams)}
    other.close()
