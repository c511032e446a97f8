"""Somebody leaves, and another takes over: all of it, or nothing."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from acl_imapd.errors import Refused
from acl_imapd.storage import accounts, audit, check, handover, history, mailboxes
from acl_imapd.storage.schema import acl_entry, mailbox, subscription, team_member
from tests.conftest import ACTOR, give

LAST = "From bob"


@pytest.fixture
def full(world):
    """bob has mail, flags, a folder shared with cat, a shared folder, a team and a role in another's folder."""
    bob = world.client("bob")
    bob.append("INBOX", "Subject: one\r\n\r\n1\r\n", "(\\Flagged \\Seen) ")
    bob.append("INBOX", "Subject: two\r\n\r\n2\r\n", "(work) ")
    bob.ok("CREATE Work/Deep")
    bob.append("Work/Deep", "Subject: three\r\n\r\n3\r\n")
    bob.ok("SETACL Work cat lr")
    bob.ok("SETACL Work/Deep ann lr")
    bob.ok("LOGOUT")

    def more(conn):
        accounts.insert_team(conn, ACTOR, "lead")
        accounts.join_team(conn, ACTOR, "lead", "bob", manager=True)
        made = mailboxes.create_mailbox(conn, ACTOR, None, "Desk/Sub", owner_user=accounts.read_user(conn, "bob").id)
        give(conn, made.id, "bob", "lrswi")

    world.database.write_now(more)
    return world


def offboard(world, heir="ann"):
    return world.database.write_now(handover.offboard, ACTOR, "bob", heir)


def test_all_that_somebody_has_goes_to_another_and_nothing_is_left(full):
    before = {name: full.mailbox(f"Other Users/bob{name}") for name in ("", "/Work", "/Work/Deep", "/Sent")}
    offboard(full)

    ann = full.client("ann")
    listed = ann.ok('LIST "" "From bob*"').untagged
    assert [line.rpartition(" ")[2] for line in listed] != []
    for name, old in before.items():
        new = full.mailbox(f"Other Users/ann/{LAST}{name or '/INBOX'}")
        assert (new.id, new.uidvalidity, new.messages, new.special_use) == (old.id, old.uidvalidity, old.messages, None)
    ann.ok(f'SELECT "{LAST}/INBOX"')
    flags = ann.ok("UID FETCH 1:* (UID FLAGS)").untagged
    assert "\\Flagged" in flags[0]
    assert "\\Seen" in flags[0]
    assert "work" in flags[1]
    assert "\\Seen" not in flags[1]
    assert "lrswipkxte" in ann.ok(f'MYRIGHTS "{LAST}/Work/Deep"').untagged[0]
    ann.ok(f'RENAME "{LAST}/Work" "Bobs"')
    assert "a" in ann.ok('MYRIGHTS "Shared Folders/Desk/Sub"').untagged[0].rpartition(" ")[2]
    assert "(bob" not in full.client().cmd("LOGIN bob pass")

    def left(conn):
        bob, heir = (accounts.read_user(conn, name).id for name in ("bob", "ann"))
        assert conn.execute(select(team_member).where(team_member.c.user_id == bob)).all() == []
        assert conn.execute(select(mailbox).where(mailbox.c.owner_user_id == bob)).all() == []
        (inbox,) = mailboxes.read_home_mailboxes(conn, bob)
        assert (inbox.path, inbox.messages) == ("INBOX", 0)
        entries = conn.execute(select(acl_entry.c.acl_id).where(acl_entry.c.user_id == bob)).scalars().all()
        assert entries == [inbox.acl_id]
        of_bob = select(subscription.c.mailbox_id).where(subscription.c.user_id == bob)
        assert conn.execute(of_bob).scalars().all() == [inbox.id]
        assert accounts.list_teams_of(conn, heir)[0][0] == "lead"
        assert accounts.list_teams_of(conn, heir)[0][1].manager
        assert check.check(conn, full.database.blobs) == []

    full.database.read_now(left)


def test_nobody_else_gets_or_loses_anything(full):
    cat, ann = full.client("cat"), full.client("ann")
    assert "Other Users/bob/Work" in cat.ok('LIST "" *')

    offboard(full)

    seen = cat.ok('LIST "" *')
    assert f"Other Users/ann/{LAST}/Work" in seen
    assert "Deep" in seen
    for hidden in (f"{LAST}/Sent", f"{LAST}/INBOX", "Desk"):
        assert hidden not in seen
    assert "lr" in cat.ok(f'MYRIGHTS "Other Users/ann/{LAST}/Work"').untagged[0]
    assert ann.ok(f'GETACL "{LAST}/INBOX"').untagged[0].endswith("ann lrswipkxteacd")


def test_whoever_has_the_folder_open_is_told_what_is_seen_now(full):
    """ann read bob's folder with \\Seen of her own; it is the folder's now, as bob left it."""
    full.give("Other Users/bob", "ann", "lrs")
    (ann,) = full.selected("Other Users/bob", "ann")
    ann.ok("STORE 2 +FLAGS (\\Seen)")

    offboard(full)
    full.notice()

    told = ann.ok("NOOP").untagged
    assert ["\\Seen" in line for line in told if " FETCH " in line] == [True, False]


def test_it_is_one_group_of_the_log_and_can_be_told_back(full):
    work = full.mailbox("Other Users/bob/Work")
    at = full.database.now()
    full.reactor.advance(10)

    offboard(full)

    rows = full.database.read_now(audit.list_audit, limit=200)
    group = rows[0].group_id
    actions = [row.action for row in rows if row.group_id == group]
    assert {"user-disable", "team-join", "folder-owner", "folder-rename", "acl-remove", "team-leave"} <= set(actions)
    past = full.database.read_now(history.read_acl_at, work.id, at)
    assert (past.place, past.owner) == (history.Place("bob", "Work"), "bob")
    assert [(entry["identifier"], entry["rights"]) for entry in past.entries] == [("bob", "lrswipkxtea"), ("cat", "lr")]
    assert full.database.read_now(history.find_at, past.place, at) == work.id
    full.database.read_now(audit.verify_chain)


def test_it_is_all_or_nothing(full):
    deep = "/".join("x" * 50)
    full.client("bob").ok(f"CREATE {deep}")
    before = full.snapshot()

    for heir in ("bob", "nobody", "ann"):
        with pytest.raises(Refused):
            offboard(full, heir)

    assert full.snapshot() == before


def test_another_of_that_name_is_handed_over_beside_the_first(full):
    offboard(full)
    full.database.write_now(accounts.remove_user, ACTOR, "bob")
    full.database.write_now(accounts.insert_user, ACTOR, "bob", None)

    assert offboard(full).path == f"{LAST} 2"


def test_what_somebody_has_is_told_before(full):
    bob = full.database.read_now(accounts.read_user, "bob")

    found = full.database.read_now(handover.read_holdings, bob.id)

    assert [(one.path, one.messages) for one, _ in found.personal if one.messages] == [("INBOX", 2), ("Work/Deep", 1)]
    assert [[entry.text for entry in entries] for one, entries in found.personal if one.path == "Work"] == [["cat"]]
    assert [one.path for one in found.owned] == ["Desk", "Desk/Sub"]
    assert [(name, member.manager) for name, member in found.teams] == [("crew", False), ("lead", True)]
    assert [(one.path, entry.rights) for one, entry in found.entries] == [("Desk/Sub", "lrswi")]
