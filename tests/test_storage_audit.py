"""The audit log: what is in it cannot be changed without notice."""

from __future__ import annotations

import pytest
from sqlalchemy import delete, update

from acl_imapd.errors import Refused
from acl_imapd.storage import accounts, audit
from acl_imapd.storage.accounts import Actor
from acl_imapd.storage.schema import audit as table
from tests.conftest import ACTOR


def test_a_changed_row_is_named(database):
    assert database.read_now(audit.verify_chain) > 3

    database.write_now(lambda conn: conn.execute(update(table).where(table.c.id == 2).values(actor="nobody")))

    with pytest.raises(Refused, match="Row 2 "):
        database.read_now(audit.verify_chain)


def test_a_removed_row_is_noticed_at_the_next(database):
    database.write_now(lambda conn: conn.execute(delete(table).where(table.c.id == 2)))

    with pytest.raises(Refused, match="Row 3 "):
        database.read_now(audit.verify_chain)


def test_changes_made_at_once_are_one_chain(database):
    before = database.read_now(audit.verify_chain)

    futures = [database.submit_write(accounts.insert_team, ACTOR, f"team-{n}") for n in range(20)]
    for future in futures:
        future.result(timeout=60)

    assert database.read_now(audit.verify_chain) == before + 20


def test_a_change_that_is_rolled_back_is_not_in_the_log(database):
    before = database.read_now(audit.verify_chain)

    with pytest.raises(Refused):
        database.write_now(accounts.insert_team, ACTOR, "crew")

    assert database.read_now(audit.verify_chain) == before


def test_the_log_is_listed_by_actor_object_and_time_newest_first(database):
    eve = Actor("eve", "imap", "192.0.2.1")
    for name in ("zx1", "z_1", "zz1"):
        database.write_now(accounts.insert_team, eve, name)

    rows = database.read_now(audit.list_audit, actor="eve")
    assert [row.object for row in rows] == ["zz1", "z_1", "zx1"]
    assert (rows[0].channel, rows[0].peer, rows[0].action) == ("imap", "192.0.2.1", "team-add")
    assert [row.object for row in database.read_now(audit.list_audit, object_prefix="z_")] == ["z_1"]
    assert [row.object for row in database.read_now(audit.list_audit, since=rows[1].at, actor="eve")] == ["zz1", "z_1"]
    assert len(database.read_now(audit.list_audit, limit=2)) == 2


def test_names_in_any_script_are_kept_and_still_verify(database):
    database.write_now(accounts.insert_team, ACTOR, "Büro-日本")

    assert database.read_now(audit.list_audit, limit=1)[0].object == "Büro-日本"
    database.read_now(audit.verify_chain)


def test_a_prefix_is_of_just_that_case(database):
    """Names differ by case: what was done to Team is nothing of team."""
    for name in ("Büro", "büro", "BÜRO", "Bur", "a_b", "aXb"):
        database.write_now(accounts.insert_team, ACTOR, name)

    for prefix, found in (("Bü", ["Büro"]), ("bü", ["büro"]), ("B", ["Bur", "BÜRO", "Büro"]), ("a_", ["a_b"])):
        assert found == [row.object for row in database.read_now(audit.list_audit, object_prefix=prefix)], prefix
