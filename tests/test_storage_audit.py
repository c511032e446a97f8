"""The audit log: what is in it cannot be changed without notice."""

from __future__ import annotations

import pytest
from sqlalchemy import delete, insert, update

from acl_imapd.errors import Refused
from acl_imapd.storage import accounts, audit
from acl_imapd.storage.accounts import Actor
from acl_imapd.storage.schema import audit as table
from acl_imapd.storage.schema import site
from tests.conftest import ACTOR


def sealed(conn, row, **changes):
    """The row with *changes*, its own hash put right again: what a careful forger writes."""
    values = {**row._mapping, **changes}
    told = {key: values[key] for key in audit._FIELDS}
    told.update((key, values[key]) for key in audit._LATER if values[key] is not None)
    return {**values, "hash": audit._hash(values["prev_hash"], told)}


def rows_of(conn):
    return conn.execute(table.select().order_by(table.c.id)).all()


def put_in(conn, after, **changes):
    """A row between *after* and the next, all later ones moved on by one."""
    rows = rows_of(conn)
    for row in reversed(rows[after:]):
        conn.execute(update(table).where(table.c.id == row.id).values(id=row.id + 1))
    conn.execute(insert(table).values(sealed(conn, rows[after - 1], id=after + 1, **changes)))


def alter(column, value):
    return lambda conn: conn.execute(update(table).where(table.c.id == 5).values({column: value}))


def write_anew(conn):
    row = rows_of(conn)[4]
    conn.execute(update(table).where(table.c.id == 5).values(sealed(conn, row, actor="nobody")))


def swap(conn):
    for old, new in ((5, 1000), (6, 5), (1000, 6)):
        conn.execute(update(table).where(table.c.id == old).values(id=new))


def cut_off(conn):
    last = rows_of(conn)[-1].id
    conn.execute(delete(table).where(table.c.id > last - 2))


def go_on(conn):
    last = rows_of(conn)[-1]
    conn.execute(insert(table).values(sealed(conn, last, id=last.id + 1, prev_hash=last.hash)))


def last_anew(conn):
    last = rows_of(conn)[-1]
    conn.execute(update(table).where(table.c.id == last.id).values(sealed(conn, last, actor="nobody")))


@pytest.mark.parametrize(
    ("tamper", "says"),
    [
        *[
            (alter(column, value), "Row 5 .*not what was written")
            for column, value in (
                ("actor", "nobody"), ("at", 1.0), ("channel", "imap"), ("peer", "x"), ("action", "x"), ("object", "x"),
                ("before", "1"), ("after", "1"), ("reason", "x"), ("group_id", "x"), ("mailbox_id", 9), ("user_id", 9),
                ("other_user_id", 9), ("team_id", 9), ("other_team_id", 9), ("prev_hash", b"x"), ("hash", b"x"),
            )
        ],
        (lambda conn: conn.execute(delete(table).where(table.c.id == 5)), "Row 6 .*does not follow row 4"),
        (lambda conn: conn.execute(delete(table).where(table.c.id < 3)), "Row 3 .*was not the first"),
        (lambda conn: conn.execute(delete(table)), "Row 1 .*is missing"),
        (write_anew, "Row 6 .*does not follow row 5: .*row 5 was written anew"),
        (lambda conn: put_in(conn, 5, actor="nobody", prev_hash=rows_of(conn)[4].hash), "Row 6 .*was put in"),
        (lambda conn: put_in(conn, 5, actor="nobody", prev_hash=bytes(32)), "Row 6 .*was put in"),
        (swap, "Row 5 .*belongs after row 6"),
        (cut_off, "is missing: it went on to row"),
        (go_on, "was put in, after what was the last"),
        (last_anew, "was written anew"),
    ],
)  # fmt: skip
def test_whatever_is_done_to_the_rows_is_found(database, tamper, says):
    """Promise 4: a field, a row from the middle or off the end, one put in, two changed about."""
    assert database.read_now(audit.verify_chain) > 8

    database.write_now(tamper)

    with pytest.raises(Refused, match=says):
        database.read_now(audit.verify_chain)


def test_a_log_that_was_cut_off_does_not_verify_again_after_later_changes(database):
    database.write_now(cut_off)
    database.write_now(accounts.insert_team, ACTOR, "late")

    with pytest.raises(Refused, match="rows between them are missing"):
        database.read_now(audit.verify_chain)


def test_a_head_that_was_noted_is_found_again_until_the_log_is_another(database):
    """Whoever writes the whole log anew can write its head too; not the one on the operator's paper."""
    noted = database.read_now(audit.read_head)
    database.write_now(accounts.insert_team, ACTOR, "late")

    assert database.read_now(audit.verify, expect=noted.hash).expected == noted.id
    with pytest.raises(Refused, match="No row"):
        database.read_now(audit.verify, expect=bytes(32))


def test_rows_of_the_first_release_still_verify(database):
    """They had no reason, group or subjects, and their hashes do not cover any."""
    last = database.read_now(rows_of)[-1]
    told = dict.fromkeys(audit._LATER)
    values = {"at": 1.0, "actor": "x", "channel": "cli", "peer": "", "action": "x", "object": "x"}
    values |= {"before": "null", "after": "null"}

    def write(conn):
        made = {**values, **told, "id": last.id + 1, "prev_hash": last.hash, "hash": audit._hash(last.hash, values)}
        conn.execute(insert(table).values(made))
        conn.execute(update(site).values(audit_id=made["id"], audit_hash=made["hash"]))

    database.write_now(write)

    assert database.read_now(audit.verify_chain) > 8


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
