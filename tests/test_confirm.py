"""A command looks at the rights, then waits for its turn to write.  What is revoked in between has no effect after."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import select

from acl_imapd.access.rights import ORDER
from acl_imapd.storage import accounts
from acl_imapd.storage.schema import mailbox
from tests.conftest import ACTOR, give

TEAM = '"Shared Folders/Team"'
SUB = '"Shared Folders/Team/Sub"'
APPEND = f"APPEND {TEAM} {{3+}}\r\nabc"


@pytest.fixture
def overtaken(world, monkeypatch):
    """Has a client say a command, and *change* commit after the command has looked and before it writes."""

    def run(client, line, change):
        begun, go_on, waiting = threading.Event(), threading.Event(), threading.Event()

        def work(conn):
            if conn.dialect.name == "postgresql":
                conn.execute(select(mailbox.c.id).with_for_update())  # what the command will wait for
            change(conn)
            begun.set()
            assert go_on.wait(20)

        first = world.database.submit_write(work)
        assert begun.wait(20)
        submit = world.database.submit_write

        def submitted(*args, **kwargs):
            future = submit(*args, **kwargs)
            waiting.set()
            return future

        monkeypatch.setattr(world.database, "submit_write", submitted)
        client.number += 1
        tag = f"a{client.number} "
        client.send(f"{tag}{line}\r\n".encode())
        world.reactor.turn(waiting.is_set)
        go_on.set()
        first.result(timeout=20)
        world.reactor.turn(lambda: client.transport.lost or f"\r\n{tag}" in "\r\n" + client.transport.value().decode())
        return client.take()

    return run


@pytest.mark.parametrize(
    ("line", "right"),
    [
        (APPEND, "i"),
        (f"COPY 1 {TEAM}", "i"),
        ("STORE 1 +FLAGS (\\Flagged)", "w"),
        ("EXPUNGE", "e"),
        ("MOVE 1 INBOX", "t"),
        (f"SETACL {TEAM} bob {ORDER}", "a"),
        (f"DELETEACL {TEAM} ann", "a"),
        (f"CREATE {TEAM[:-1]}/New\"", "k"),
        (f"RENAME {SUB} {TEAM[:-1]}/Other\"", "x"),
        (f"DELETE {SUB}", "x"),
    ],
)  # fmt: skip
def test_a_command_that_is_overtaken_by_the_loss_of_its_right_is_refused_and_does_nothing(
    world, overtaken, line, right
):
    world.create("Team/Sub")
    world.give("Shared Folders/Team", "group:crew", ORDER)
    (bob,) = world.selected("Shared Folders/Team", "bob")
    bob.append(TEAM, flags="(\\Deleted) ")
    bob.ok("NOOP")
    lost = ORDER.replace(right, "")
    team = world.mailbox("Shared Folders/Team")
    before = world.snapshot()

    answer = overtaken(bob, line, lambda conn: give(conn, team.id, "group:crew", lost))

    assert answer.tagged.startswith("NO [NOPERM]"), answer
    after = world.snapshot()
    untouched = ("mailbox", "message", "expunged", "seen", "keyword")
    assert {name: after[name] for name in untouched} == {name: before[name] for name in untouched}
    assert len(after["acl_entry"]) == len(before["acl_entry"])


def test_a_user_disabled_meanwhile_writes_nothing(world, overtaken):
    bob = world.client("bob")

    answer = overtaken(bob, APPEND, lambda conn: accounts.set_disabled(conn, ACTOR, "bob", True))

    assert "* BYE" in answer
    assert world.mailbox("Shared Folders/Team").messages == 0


@pytest.mark.parametrize(
    "line",
    [APPEND, f"SETACL {TEAM} bob lr", f"CREATE {SUB}", "STORE 1 +FLAGS (\\Flagged)"],
)
def test_a_change_of_other_rights_stops_nobody(world, overtaken, line):
    """On a busy site there is always one."""
    world.create("Other")
    (ann,) = world.selected("Shared Folders/Team", "ann")
    ann.append(TEAM)
    ann.ok("NOOP")
    other = world.mailbox("Shared Folders/Other")

    answer = overtaken(ann, line, lambda conn: give(conn, other.id, "bob", "lr"))

    assert answer.tagged.startswith("OK"), answer


def test_a_folder_that_goes_elsewhere_takes_nothing_made_below_its_old_name(world, overtaken):
    from acl_imapd.storage import mailboxes

    world.give("Shared Folders/Team", "group:crew", ORDER)
    team = world.mailbox("Shared Folders/Team")
    bob = world.client("bob")

    answer = overtaken(bob, f"CREATE {SUB}", lambda conn: mailboxes.rename_mailbox(conn, ACTOR, team.id, "Away"))

    assert answer.tagged.startswith("NO [CANNOT]"), answer
    assert bob.ok('LIST "" "Shared Folders/*"').untagged == ['* LIST (\\HasNoChildren) "/" "Shared Folders/Away"']
