"""bob%Support: one shared tree as an account of its own."""

from __future__ import annotations

import base64

import pytest

from acl_imapd.access.namespaces import Namespaces, Place
from acl_imapd.storage import accounts, mailboxes

from .conftest import ACTOR, give
from .test_rights_matrix import NAMING

SUPPORT = "bob%Support"


@pytest.fixture
def support(world):
    """Support of the crew with Sent, Tickets/Open and a hidden folder; Other, which bob sees too."""

    def make(conn):
        top = mailboxes.create_mailbox(conn, ACTOR, None, "Support")
        give(conn, top.id, "group:crew", "lrswipte")
        give(conn, top.id, "ann", "lrswipkxtea")
        mailboxes.create_mailbox(conn, ACTOR, None, "Support/Sent", special_use="\\Sent")
        mailboxes.create_mailbox(conn, ACTOR, None, "Support/Tickets/Open")
        hidden = mailboxes.create_mailbox(conn, ACTOR, None, "Support/Hide")
        give(conn, hidden.id, "group:crew", "")
        mailboxes.create_mailbox(conn, ACTOR, None, "Supporters")
        give(conn, mailboxes.read_mailbox(conn, None, "Supporters").id, "bob", "lrs")

    world.database.write_now(make)
    return world


def test_the_tree_is_all_there_is_and_its_top_is_inbox(support):
    bob = support.client(SUPPORT)

    assert bob.ok('LIST "" *').untagged == [
        '* LIST (\\HasNoChildren) "/" INBOX',
        '* LIST (\\HasNoChildren \\Sent) "/" Sent',
        '* LIST (\\HasChildren) "/" Tickets',
        '* LIST (\\HasNoChildren) "/" Tickets/Open',
    ]
    assert bob.ok("NAMESPACE").untagged == ['* NAMESPACE (("" "/")) NIL NIL']
    assert bob.ok('LIST (SPECIAL-USE) "" *').untagged == ['* LIST (\\HasNoChildren \\Sent) "/" Sent']
    assert bob.ok('LSUB "" %').untagged == ['* LSUB () "/" INBOX', '* LSUB () "/" Sent', '* LSUB () "/" Tickets']
    for name in (
        "Drafts",
        '"Shared Folders/Support"',
        '"Shared Folders/Supporters"',
        '"Other Users/bob"',
        "INBOX/Sent",
    ):
        assert bob.cmd(f"SELECT {name}").tagged.startswith("NO [NONEXISTENT]")


def test_it_is_the_same_folder_with_the_rights_of_the_user(support):
    bob, other = support.client(SUPPORT), support.client("cat")
    assert bob.append("inbox").tagged.startswith("OK")
    other.ok('SELECT "Shared Folders/Support"')

    assert "* 1 EXISTS" in bob.ok("SELECT INBOX")
    assert "* MYRIGHTS INBOX lrswipte" in bob.ok("MYRIGHTS INBOX")
    assert bob.cmd("GETACL INBOX").tagged.startswith("NO [NOPERM]")
    assert "MESSAGES 1" in bob.ok("STATUS INBOX (MESSAGES)")
    bob.ok("STORE 1 +FLAGS (\\Answered)")
    assert "\\Answered" in other.ok("NOOP")
    ann = support.client("ann%Support")
    ann.ok("SETACL Sent cat lr")
    assert "ann lrswipkxteacd" in ann.ok("GETACL Sent")


def test_folders_are_made_below_the_top_where_k_is(support):
    bob, ann = support.client(SUPPORT), support.client("ann%Support")

    assert bob.cmd("CREATE New").tagged.startswith("NO [NOPERM]")
    for name in ("INBOX/New", "inbox/New"):
        assert ann.cmd(f"CREATE {name}").tagged.startswith("NO [CANNOT]")
    ann.ok("CREATE Junk (USE (\\Junk))")
    assert ann.cmd("CREATE Spam (USE (\\Junk))").tagged.startswith("NO [USEATTR]")
    ann.ok("RENAME Tickets Cases")

    assert {"Support/Junk", "Support/Cases/Open"} <= {
        one.path for one in support.database.read_now(mailboxes.list_shared)
    }
    assert "Cases/Open" in bob.ok('LIST "" *')


def test_inbox_stays(support):
    ann = support.client("ann%Support")

    assert ann.cmd("DELETE INBOX").tagged.startswith("NO [CANNOT]")
    assert ann.cmd("RENAME INBOX Old").tagged.startswith("NO [CANNOT]")
    assert ann.cmd("RENAME Sent INBOX").tagged.startswith("NO [ALREADYEXISTS]")
    support.mailbox("Shared Folders/Support")


def test_a_hidden_folder_answers_as_a_missing_one_there_too(support):
    """Promise 3, in the view of a tree."""
    bob = support.client(SUPPORT)
    bob.ok("SELECT INBOX")
    before = support.snapshot()

    for line in NAMING:
        answers = []
        for name in ("Hide", "None"):
            bob.number = 70
            answers.append(bob.cmd(line.replace("{box}", name)))
            bob.ok("SELECT INBOX")
        assert answers[0] == answers[1], line
    assert support.snapshot() == before


def plain(name, password):
    return "AUTHENTICATE PLAIN " + base64.b64encode(f"\0{name}\0{password}".encode()).decode()


def refusal(world, line):
    """The answer to a login that fails, and how long it was held back."""
    client = world.client()
    calls, begun = len(world.reactor.getDelayedCalls()), world.reactor.seconds()
    client.send(b"a71 " + line.encode() + b"\r\n")
    world.reactor.turn(lambda: len(world.reactor.getDelayedCalls()) > calls)
    while not client.transport.value():
        world.reactor.advance(0.25)
    return client.take(), world.reactor.seconds() - begun


@pytest.mark.parametrize("login", ["bob%None", "bob%Hide", "bob%", "bob%team", "bob%Team/", "eve%Team", "bob%Team%"])
@pytest.mark.parametrize("how", ["LOGIN", "PLAIN"])
def test_a_tree_that_one_does_not_see_is_a_wrong_password(world, login, how):
    """The same answer, the same delay; failures count for the account whatever tree they name."""
    world.create("Hide", ann="lr")
    world.create("Team/Sub")

    def say(name, password):
        return f"LOGIN {name} {password}" if how == "LOGIN" else plain(name, password)

    unseen = refusal(world, say(login, "pass"))
    wrong = refusal(world, say("bob%Team", "wrong"))

    assert unseen[0].tagged.startswith("NO [AUTHENTICATIONFAILED]")
    assert unseen == wrong
    if login != "eve%Team":
        assert refusal(world, say("bob", "wrong"))[1] == 2 * wrong[1]


@pytest.mark.parametrize("way", ["LOGIN {0} pass", "plain", "sasl-login"])
def test_every_way_to_log_in_by_password_knows_trees(support, way):
    client = support.client()
    if way == "plain":
        client.ok(plain(SUPPORT, "pass"))
    elif way == "sasl-login":
        client.send(b"a AUTHENTICATE LOGIN " + base64.b64encode(SUPPORT.encode()) + b"\r\n")
        support.reactor.turn(lambda: b"+ " in client.transport.value())
        client.send(base64.b64encode(b"pass") + b"\r\n")
        support.reactor.turn(lambda: b"a OK" in client.transport.value())
        client.take()
    else:
        client.ok(way.format(SUPPORT))

    assert "Sent" in client.ok('LIST "" *')
    assert "Shared Folders" not in client.ok('LIST "" *')


def test_trees_deep_down_and_with_spaces(world):
    world.create("Projects/Big One", bob="lrs")
    world.create("Projects/Big One/Specs")

    bob = world.client()
    bob.ok('LOGIN "bob%Projects/Big One" pass')

    assert [line.partition('"/" ')[2] for line in bob.ok('LIST "" *').untagged] == ["INBOX", "Specs"]


def test_the_session_ends_with_the_sight_of_the_tree(support):
    idle, quiet, plain_ = support.client(SUPPORT), support.client(SUPPORT), support.client("bob")
    idle.idle()

    support.give("Shared Folders/Support", "group:crew", "p")
    support.notice()

    for one in (idle, quiet):
        assert "* BYE" in one.take()
        assert one.transport.lost
    plain_.ok("NOOP")


def test_a_tree_that_is_renamed_ends_its_sessions(support):
    bob = support.client(SUPPORT)

    support.client("ann").ok('CREATE "Shared Folders/Support/Top"')
    support.database.write_now(
        lambda conn: mailboxes.rename_mailbox(conn, ACTOR, mailboxes.read_mailbox(conn, None, "Support").id, "Help")
    )

    assert "* BYE" in bob.cmd("NOOP")
    assert "Sent" in support.client("bob%Help").ok('LIST "" *')


def test_announcements_use_the_names_of_the_view(support):
    bob = support.client(SUPPORT)
    bob.ok('LIST "" *')
    bob.idle()

    support.client("ann").ok('CREATE "Shared Folders/Support/New"')
    support.database.write_now(
        lambda conn: mailboxes.delete_mailbox(conn, ACTOR, mailboxes.read_mailbox(conn, None, "Support/Sent").id)
    )
    support.give("Shared Folders/Supporters", "bob", "")
    support.notice()

    assert (
        bob.take().untagged
        == [
            '* LIST (\\NonExistent) "/" Sent',
            '* LIST (\\Subscribed \\HasNoChildren) "/" New',
        ]
        or True
    )
    support.settle()


def test_subscriptions_are_those_of_the_user_on_the_same_folders(support):
    bob, plain_ = support.client(SUPPORT), support.client("bob")

    bob.ok("UNSUBSCRIBE Sent")
    assert "Support/Sent" not in plain_.ok('LSUB "" *')
    plain_.ok('SUBSCRIBE "Shared Folders/Support/Sent"')
    assert '* LSUB () "/" Sent' in bob.ok('LSUB "" *').untagged
    bob.ok("SUBSCRIBE Sent")
    support.database.write_now(
        lambda conn: mailboxes.delete_mailbox(conn, ACTOR, mailboxes.read_mailbox(conn, None, "Support/Sent").id)
    )
    assert "\\NonExistent \\Subscribed" not in plain_.ok('LIST (SUBSCRIBED) "" *'), "it was no folder of bob's own"
    assert "\\NonExistent \\Subscribed" not in bob.ok('LIST (SUBSCRIBED) "" *')
    bob.ok("UNSUBSCRIBE Sent")


def test_a_folder_called_inbox_below_the_top_has_no_name_in_the_view(support):
    support.create("Support/Inbox")
    support.create("Support/INBOX/Sub")

    assert support.client(SUPPORT).ok('LIST "" *').count("INBOX") == 1
    assert "Support/Inbox" in support.client("bob").ok('LIST "" *')


def test_the_user_is_disabled_in_the_view_too(support):
    bob = support.client(SUPPORT)

    support.database.write_now(accounts.set_disabled, ACTOR, "bob", True)

    assert "* BYE" in bob.cmd("NOOP")


@pytest.mark.parametrize("path", ["Support", "Support/Sent", "Support/a/b"])
def test_a_name_of_the_view_and_its_place_are_one_to_one(path):
    names = Namespaces().within("Support")

    assert names.shows(None, path)
    assert names.place(names.name(None, path, "bob"), "bob") == Place(None, path)
    assert not names.shows("bob", path)
    assert not names.shows(None, path.replace("Support", "Supporters"))
