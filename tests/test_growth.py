"""What a site's size may not change: statements and rows, counted on a small site and on one ten times as large.

bench/growth.py measures the time; see docs/benchmarks.md.
"""

from __future__ import annotations

import re

import pytest
from sqlalchemy import event

from acl_imapd.access.explain import explain, what_can, who_can
from acl_imapd.access.namespaces import Namespaces
from acl_imapd.access.rights import Rights
from acl_imapd.storage import accounts, audit, check, mailboxes, migrate
from acl_imapd.storage.database import Database
from acl_imapd.storage.visible import read_visible
from bench.grow import BIG, SEES, SUBJECT, Site, write

from .conftest import give

SIZES = ({"folders": 200, "teams": 10, "users": 30}, {"folders": 2_000, "teams": 40, "users": 120})


@pytest.fixture(scope="module", params=SIZES, ids=["small", "large"])
def grown(request, tmp_path_factory):
    """A grown site on SQLite, and what it is asked, as SQLite sees it: with the parameters put in."""
    path = tmp_path_factory.mktemp("grown") / "site.db"
    database = Database.open(f"sqlite:///{path}")
    asked: list[str] = []
    event.listen(database.engine, "connect", lambda connection, _record: connection.set_trace_callback(asked.append))
    migrate.upgrade(database)
    database.write_now(write, Site(**request.param))
    yield database, asked
    database.close()


def subject_sees(conn):
    identity = accounts.read_identity(conn, accounts.read_user(conn, SUBJECT).id)
    assert len(read_visible(conn, identity, include_anyone=False).mailboxes) == SEES


def subject_can(conn):
    user = accounts.read_user(conn, SUBJECT)
    assert len(what_can(conn, Namespaces(), user.id, allow_anyone=False)) == SEES


def subject_is_explained(conn):
    user, folder = accounts.read_user(conn, SUBJECT), mailboxes.read_mailbox(conn, None, "For1/Sub4")
    assert explain(conn, Namespaces(), user, folder, allow_anyone=False).rights == "lrswipte"


def team_can(conn):
    assert who_can(conn, mailboxes.read_mailbox(conn, None, "Tree1"), Rights.r, allow_anyone=False)


ASKED = {"LIST": (subject_sees, 11), "what-can": (subject_can, 11), "explain": (subject_is_explained, 7),
         "who-can": (team_can, 5)}  # fmt: skip


@pytest.mark.parametrize("name", ASKED)
def test_an_answer_takes_as_many_statements_and_only_indexes_whatever_the_size(grown, name):
    database, asked = grown
    ask, most = ASKED[name]
    asked.clear()
    database.read_now(ask)
    selects = [one for one in asked if "SELECT" in one]

    assert 0 < len(selects) <= most, selects

    def plans(conn):
        return [
            row[3] for one in selects for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {one}".replace("%", "%%"))
        ]

    # What is found is walked through; a table of the site is not.
    assert not [line for line in database.read_now(plans) if re.match(r"SCAN (?!above|below|CONSTANT|\d)", line)]


def test_a_grant_on_the_root_of_a_tree_is_one_entry_and_touches_no_folder(grown):
    database, asked = grown

    def change(conn, letters):
        give(conn, mailboxes.read_mailbox(conn, None, BIG).id, SUBJECT, letters)

    asked.clear()
    database.write_now(change, "lr")
    written = [found[1] for one in asked if (found := re.match(r'(?:INSERT INTO|UPDATE|DELETE FROM) "?(\w+)', one))]
    database.write_now(change, "")

    assert written.count("acl_entry") == 1
    assert "mailbox" not in written


def test_a_grown_site_is_sound(grown):
    database, _ = grown
    assert database.read_now(check.check, database.blobs) == []
    database.read_now(audit.verify)
