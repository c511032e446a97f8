"""Folders that come and go are told to whoever has listed them, and accounts that end take their sessions along."""

from __future__ import annotations

import time

import pytest
from twisted.internet.defer import ensureDeferred

from acl_imapd.access.rights import parse_rights
from acl_imapd.storage import accounts, mailboxes, rights

from .conftest import ACTOR, give

TEAM = '"Shared Folders/Team"'
NEWS = '"Shared Folders/News"'


def listing(world, user):
    client = world.client(user)
    client.ok('LIST "" *')
    return client


def idling(world, user):
    client = listing(world, user)
    client.idle()
    return client


def told(client):
    """The LIST lines that have come by themselves."""
    return [line for line in client.take().untagged if line.startswith("* LIST")]


@pytest.fixture
def news(world):
    world.create("News", ann="lrswipkxtea")
    return "Shared Folders/News"


def test_a_grant_is_announced_to_an_idling_client_at_once(world, news):
    """Nothing is selected, and it was another process that granted."""
    bob, cat = idling(world, "bob"), idling(world, "cat")

    world.give(news, "bob", "lrs")
    world.notice()

    assert told(bob) == [f'* LIST (\\Subscribed \\HasNoChildren) "/" {NEWS}']
    assert told(cat) == []


def test_a_grant_is_announced_before_the_next_command_is_answered(world, news):
    bob = listing(world, "bob")
    bob.ok("SELECT INBOX")

    world.client("ann").ok(f"SETACL {NEWS} bob lrs")
    world.settle()
    assert bob.take() == "", "nothing comes between two commands"

    answer = bob.ok("NOOP")
    assert answer.lines[:-1] == [f'* LIST (\\Subscribed \\HasNoChildren) "/" {NEWS}']
    assert bob.ok("NOOP").untagged == []


def test_a_client_that_never_listed_is_told_nothing(world, news):
    quiet = world.client("bob")
    quiet.idle()
    world.give(news, "bob", "lrs")
    world.notice()

    assert quiet.take() == ""


def test_a_revocation_is_announced_as_nonexistent_however_much_is_left(world):
    bob, cat = idling(world, "bob"), listing(world, "cat")

    world.give("Shared Folders/Team", "group:crew", "rs")
    world.notice()

    assert told(bob) == [f'* LIST (\\NonExistent) "/" {TEAM}']
    assert f'* LIST (\\NonExistent) "/" {TEAM}' in cat.ok("NOOP").untagged


def join(conn):
    accounts.join_team(conn, ACTOR, "crew", "ann")


def leave(conn):
    accounts.leave_team(conn, ACTOR, "crew", "bob")


def rename(conn):
    mailboxes.rename_mailbox(conn, ACTOR, mailboxes.read_mailbox(conn, None, "Team").id, "Crew")


def create(conn):
    mailboxes.create_mailbox(conn, ACTOR, None, "Team/Sub")


def remove(conn):
    mailboxes.delete_mailbox(conn, ACTOR, mailboxes.read_mailbox(conn, None, "Team").id)


def noselect(conn):
    give(conn, mailboxes.read_mailbox(conn, None, "Team").id, "group:crew", "l")


@pytest.mark.parametrize(
    ("change", "lines"),
    [
        (leave, [f'* LIST (\\NonExistent) "/" {TEAM}']),
        (
            rename,
            [
                f'* LIST (\\NonExistent) "/" {TEAM}',
                '* LIST (\\Subscribed \\HasNoChildren) "/" "Shared Folders/Crew"',
            ],
        ),
        (create, ['* LIST (\\Subscribed \\HasNoChildren) "/" "Shared Folders/Team/Sub"']),
        (remove, [f'* LIST (\\NonExistent) "/" {TEAM}']),
        (noselect, [f'* LIST (\\Subscribed \\Noselect \\HasNoChildren) "/" {TEAM}']),
    ],
)
def test_whatever_changes_what_one_sees_is_announced(world, change, lines):
    bob = idling(world, "bob")

    world.database.write_now(change)
    world.notice()

    assert told(bob) == lines


def test_a_role_that_changes_and_a_team_that_is_joined_are_announced(world, news):
    def grant(conn):
        rights.set_role(conn, ACTOR, "guest", parse_rights("p"))
        accounts.insert_team(conn, ACTOR, "guests")
        guests = rights.resolve_identifier(conn, "group:guests", allow_anyone=False)
        rights.change_entry(
            conn, ACTOR, mailboxes.read_mailbox(conn, None, "News").id, guests, negative=False, op="set",
            rights=parse_rights("p"), terms_=rights.Terms(rights.read_role_id(conn, "guest"), subscribe=False),
        )  # fmt: skip

    world.database.write_now(grant)
    bob = idling(world, "bob")

    world.database.write_now(accounts.join_team, ACTOR, "guests", "bob")
    world.notice()
    assert told(bob) == []
    world.database.write_now(rights.set_role, ACTOR, "guest", parse_rights("lr"))
    world.notice()
    assert told(bob) == [f'* LIST (\\HasNoChildren) "/" {NEWS}']


def test_what_begins_and_ends_by_itself_is_announced_to_the_second(world, news):
    def grant(conn):
        bob = rights.resolve_identifier(conn, "bob", allow_anyone=False)
        now = time.time()
        rights.change_entry(
            conn, ACTOR, mailboxes.read_mailbox(conn, None, "News").id, bob, negative=False, op="set",
            rights=parse_rights("lr"), terms_=rights.Terms(since=now + 100, until=now + 200),
        )  # fmt: skip

    world.database.write_now(grant)
    bob, later = idling(world, "bob"), listing(world, "bob")

    world.reactor.advance(98)
    world.settle()
    assert told(bob) == []
    world.reactor.advance(4)
    world.settle()
    assert told(bob) == [f'* LIST (\\Subscribed \\HasNoChildren) "/" {NEWS}']
    world.reactor.advance(100)
    world.settle()
    assert told(bob) == [f'* LIST (\\NonExistent) "/" {NEWS}']
    assert later.ok("NOOP").untagged == [], "it came and went between two commands"


def test_a_list_is_not_told_twice_and_leaves_nothing_out(world, news):
    """What the answer tells is not announced as well; what it does not tell is."""
    bob = listing(world, "bob")
    world.create("Other", bob="lrs")
    world.give(news, "bob", "lrs")
    world.give("Shared Folders/Team", "group:crew", "")

    answer = bob.ok(f'LIST "" {NEWS}')

    assert answer.untagged == [
        f'* LIST (\\HasNoChildren) "/" {NEWS}',
        f'* LIST (\\NonExistent) "/" {TEAM}',
        '* LIST (\\Subscribed \\HasNoChildren) "/" "Shared Folders/Other"',
    ]
    assert bob.ok("NOOP").untagged == []
    world.give("Shared Folders/Team", "group:crew", "lr")
    assert bob.ok('LIST "" *').count("Team") == 1


def test_what_a_client_does_itself_is_not_announced_to_it_but_to_the_others_of_its_user(world):
    bob, other = listing(world, "bob"), idling(world, "bob")

    for line in ("CREATE A/B", "RENAME A/B C", "DELETE C", "CREATE INBOX/x/y", "DELETE INBOX/x/y"):
        assert bob.ok(line).untagged == []
    world.settle()
    lines = told(other)
    assert '* LIST (\\HasChildren) "/" A' in lines
    assert any(line.endswith(' "/" INBOX/x') for line in lines)


def test_entering_idle_tells_what_came_before(world, news):
    bob = listing(world, "bob")
    world.give(news, "bob", "lrs")

    bob.send(b"x IDLE\r\n")
    world.reactor.turn(lambda: b"+ idling" in bob.transport.value())
    world.settle()

    assert f'* LIST (\\Subscribed \\HasNoChildren) "/" {NEWS}' in bob.take()
    bob.send(b"DONE\r\n")
    world.reactor.turn(lambda: b"x OK" in bob.transport.value())
    assert told(bob) == []


def test_many_changes_at_once_cost_one_listing_per_user_or_two(world, news, monkeypatch):
    """However many grants, and however many sessions of one user."""
    from acl_imapd.access import directory

    idle = [idling(world, "bob") for _ in range(5)]
    made = []
    real = directory.make_listing
    monkeypatch.setattr(directory, "make_listing", lambda *args, **more: made.append(1) or real(*args, **more))

    for number in range(40):
        world.give(news, "bob", "lr" if number % 2 else "lrs")
        ensureDeferred(world.service.directory.refresh())
    world.notice()

    assert len(made) <= 2
    assert all(len(told(one)) == 1 for one in idle)
    assert len({id(one.protocol.session.told) for one in idle}) == 1


def test_a_change_that_concerns_somebody_else_makes_nobody_a_listing(world, news, monkeypatch):
    """Or each grant on a site would cost every user who is logged in what his folders cost."""
    from acl_imapd.access import directory

    idle, lists = idling(world, "bob"), listing(world, "bob")
    made = []
    real = directory.make_listing
    monkeypatch.setattr(
        directory, "make_listing", lambda *args, **more: made.append(args[1].name) or real(*args, **more)
    )

    for letters in ("lr", "lrs", ""):
        world.give(news, "cat", letters)
        world.notice()
        lists.ok('LIST "" *')

    assert made == []
    assert told(idle) == []
    for who in ("group:crew", "bob", "authenticated"):
        world.give(news, who, "lr")
        world.notice()
        assert told(idle) == ['* LIST (\\Subscribed \\HasNoChildren) "/" "Shared Folders/News"']
        world.give(news, who, "")
        world.notice()
        assert told(idle) == ['* LIST (\\NonExistent) "/" "Shared Folders/News"']
    assert set(made) == {"bob"}


def test_a_long_announcement_to_a_slow_client_waits_for_it_and_holds_up_nobody(world):
    def make(conn):
        top = mailboxes.create_mailbox(conn, ACTOR, None, "Many")
        for number in range(1200):
            mailboxes.create_mailbox(conn, ACTOR, None, f"Many/{number:04}")
        return top.id

    top = world.database.write_now(make)
    slow, quick = idling(world, "bob"), idling(world, "bob")
    slow.protocol.pauseProducing()

    world.database.write_now(give, top, "bob", "lrs")
    world.notice()

    assert len(told(quick)) == 1201
    assert len(told(slow)) == 500
    world.database.write_now(give, top, "bob", "")
    world.notice()
    assert told(slow) == [], "not in the middle of another"
    slow.protocol.resumeProducing()
    world.settle()
    lines = told(slow)
    assert len(lines) == 701 + 1201
    assert sum("NonExistent" in line for line in lines) == 1201


def test_announcing_can_be_turned_off(make_world):
    world = make_world(imap={"announce_folders": False})
    world.create("News", ann="lrswipkxtea")
    idle, quiet = idling(world, "bob"), listing(world, "bob")

    world.give("Shared Folders/News", "bob", "lrs")
    world.notice()

    assert told(idle) == []
    assert quiet.ok("NOOP").untagged == []


@pytest.mark.parametrize(
    "change",
    [
        lambda conn: accounts.set_disabled(conn, ACTOR, "bob", True),
        lambda conn: accounts.remove_user(conn, ACTOR, "bob"),
        lambda conn: accounts.rename_user(conn, ACTOR, "bob", "rob"),
    ],
    ids=["disabled", "removed", "renamed"],
)
def test_sessions_of_an_account_that_ends_end_at_once(world, change):
    """Also where nothing is selected and nothing was listed; the change comes from another process."""
    idle, quiet, cat = world.client("bob"), world.client("bob"), world.client("cat")
    idle.idle()

    world.database.write_now(change)
    world.notice()

    for one in (idle, quiet):
        assert "* BYE" in one.take()
        assert one.transport.lost
    cat.ok("NOOP")
