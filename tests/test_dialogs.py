"""What clients meet, command by command."""

from __future__ import annotations

import pytest


def test_uid_fetch_shows_what_append_brought(world):
    (bob,) = world.selected("INBOX", "bob")

    answer = bob.append("INBOX", "Subject: hi\r\n\r\nbody\r\n", '(\\Flagged Work) "17-Jul-1996 02:44:25 -0700" ')

    assert "[APPENDUID" in answer.tagged
    assert "* 1 EXISTS" in answer.untagged
    fetched = bob.ok("UID FETCH 1 (FLAGS INTERNALDATE BODY.PEEK[TEXT])")
    assert 'INTERNALDATE "17-Jul-1996 02:44:25 -0700"' in fetched
    assert "FLAGS (\\Flagged \\Recent Work)" in fetched
    assert "{6}\r\nbody\r\n" in fetched


def test_expunge_is_held_back_during_fetch(world):
    """RFC 3501 §7.4.1: EXPUNGE must wait until a command that may carry it."""
    ann, bob = world.selected("Shared Folders/Team", "ann", "bob")
    for _ in range(3):
        ann.append('"Shared Folders/Team"')
    bob.ok("NOOP")

    ann.ok("STORE 1 +FLAGS (\\Deleted)")
    ann.ok("EXPUNGE")

    assert not any("EXPUNGE" in line for line in bob.cmd("FETCH 2:3 FLAGS").untagged)
    assert "* 1 EXPUNGE" in bob.ok("NOOP").untagged
    assert "* 2 FETCH" in bob.ok("FETCH 1:* (FLAGS)")


def test_fetch_of_an_expunged_message_is_no(world):
    """RFC 5530 §3 EXPUNGEISSUED: the client is told why there is no answer for it."""
    ann, bob = world.selected("Shared Folders/Team", "ann", "bob")
    ann.append('"Shared Folders/Team"')
    bob.ok("NOOP")
    ann.ok("STORE 1 +FLAGS (\\Deleted)")
    ann.ok("EXPUNGE")

    assert bob.cmd("FETCH 1 FLAGS").tagged.startswith("NO [EXPUNGEISSUED]")


def test_flags_of_others_are_told(world):
    ann, bob = world.selected("Shared Folders/Team", "ann", "bob")
    ann.append('"Shared Folders/Team"')
    bob.ok("NOOP")

    ann.ok("STORE 1 +FLAGS.SILENT (\\Flagged Todo)")

    told = bob.ok("NOOP")
    assert "* 1 FETCH (FLAGS (\\Flagged Todo))" in told
    assert "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft Todo)" in told


def test_silent_store_still_tells_what_others_did(world):
    """RFC 3501 §6.4.6: .SILENT hides the client's own change, not somebody else's."""
    ann, bob = world.selected("Shared Folders/Team", "ann", "bob")
    ann.append('"Shared Folders/Team"')
    bob.ok("NOOP")
    ann.ok("STORE 1 +FLAGS (\\Flagged)")

    assert "* 1 FETCH (FLAGS (\\Answered \\Flagged))" in bob.ok("STORE 1 +FLAGS.SILENT (\\Answered)")
    assert bob.ok("STORE 1 -FLAGS.SILENT (\\Answered)").untagged == []


def test_seen_is_each_users_own_in_shared_folders(world):
    """Statements 31 to 35: and survives a new session."""
    ann, bob = world.selected("Shared Folders/Team", "ann", "bob")
    ann.append('"Shared Folders/Team"')
    bob.ok("NOOP")

    assert "FLAGS (\\Seen)" in bob.ok("STORE 1 +FLAGS (\\Seen)")

    assert "\\Seen" not in ann.ok("FETCH 1 FLAGS")
    (again,) = world.selected("Shared Folders/Team", "bob")
    assert "FLAGS (\\Seen)" in again.ok("FETCH 1 FLAGS")
    assert "UNSEEN 0" in again.ok('STATUS "Shared Folders/Team" (UNSEEN)')
    assert "UNSEEN 1" in ann.ok('STATUS "Shared Folders/Team" (UNSEEN)')


def test_shared_seen_is_what_all_see(world):
    from acl_imapd.storage import mailboxes
    from tests.conftest import ACTOR

    (ann,) = world.selected("Shared Folders/Team", "ann")
    ann.append('"Shared Folders/Team"')
    ann.ok("STORE 1 +FLAGS (\\Seen)")
    world.database.write_now(mailboxes.set_seen_mode, ACTOR, world.mailbox("Shared Folders/Team").id, shared=True)

    (bob,) = world.selected("Shared Folders/Team", "bob")

    assert "\\Seen" in bob.ok("FETCH 1 FLAGS")
    bob.ok("STORE 1 -FLAGS (\\Seen)")
    assert "* 1 FETCH (FLAGS (\\Recent))" in ann.ok("NOOP")


def test_recent_is_given_once(world):
    """RFC 3501 §2.3.2, statement 39."""
    world.client("ann").append('"Shared Folders/Team"')
    ann, bob = world.client("ann"), world.client("bob")

    assert "* 0 RECENT" not in ann.ok('SELECT "Shared Folders/Team"')

    assert "* 0 RECENT" in bob.ok('SELECT "Shared Folders/Team"')
    assert "* 0 RECENT" in ann.ok('SELECT "Shared Folders/Team"')


def test_examine_leaves_recent_and_changes_nothing(world):
    world.client("bob").append("INBOX")
    bob = world.client("bob")

    assert "* 1 RECENT" in bob.ok("EXAMINE INBOX")
    assert bob.cmd("STORE 1 +FLAGS (\\Seen)").tagged.startswith("NO [READ-ONLY]")
    assert "FLAGS" not in bob.ok("FETCH 1 BODY[]").split("BODY[]")[0]
    assert "* 1 RECENT" in bob.ok("SELECT INBOX")


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("ALL", "1 2 3"),
        ('SUBJECT "grö"', "2"),
        ("FROM ann", "1"),
        ("BODY zwei", "2"),
        ("TEXT zwei", "2"),
        ("NOT SUBJECT one", "2 3"),
        ("OR SUBJECT one 3", "1 3"),
        ("FLAGGED", "3"),
        ("UNFLAGGED UNSEEN", "1 2"),
        ("KEYWORD todo", "3"),
        ("LARGER 100", ""),
        ("SENTBEFORE 1-Jan-2001", "1"),
        ("ON 17-Jul-1996", "3"),
        ("UID 2:*", "2 3"),
        ("HEADER X-Test {0+}\r\n", "3"),
        ("(1:2 2:3)", "2"),
    ],
)
def test_search(world, key, found):
    bob = world.client("bob")
    bob.append("INBOX", "From: ann@b.c\r\nSubject: one\r\nDate: Mon, 1 May 2000 10:00:00 +0000\r\n\r\neins\r\n")
    bob.append("INBOX", "Subject: =?utf-8?q?Gr=C3=B6=C3=9Fe?=\r\n\r\nzwei\r\n")
    bob.append("INBOX", "Subject: x\r\nX-Test: y\r\n\r\n\r\n", '(\\Flagged Todo) "17-Jul-1996 23:44:25 -0700" ')
    bob.ok("SELECT INBOX")

    assert bob.ok(f"SEARCH {key}").untagged == [f"* SEARCH {found}".rstrip()]


def test_move_and_copy_keep_flags_and_share_bodies(world):
    (bob,) = world.selected("INBOX", "bob")
    bob.append("INBOX", flags="(\\Flagged \\Seen Todo) ")

    assert "[COPYUID" in bob.ok("COPY 1 Trash").tagged
    moved = bob.ok('MOVE 1 "Shared Folders/Team"')

    assert moved.untagged[0].startswith("* OK [COPYUID")
    assert "* 1 EXPUNGE" in moved.untagged
    for name in ("Trash", '"Shared Folders/Team"'):
        bob.ok(f"SELECT {name}")
        flags = bob.ok("FETCH 1 FLAGS")
        assert all(flag in flags for flag in ("\\Flagged", "\\Seen", "Todo"))


def test_listing_by_percent_shows_invisible_parents_and_star_does_not(world):
    """Statements 45 to 52."""
    world.create("Top/Deep/Folder")
    world.give("Shared Folders/Top/Deep/Folder", "bob", "lr")
    bob = world.client("bob")

    assert bob.ok('LIST "" "Shared Folders/%"').untagged == [
        '* LIST (\\HasNoChildren) "/" "Shared Folders/Team"',
        '* LIST (\\Noselect \\HasChildren) "/" "Shared Folders/Top"',
    ]
    star = bob.ok('LIST "" "*"').untagged
    assert '* LIST (\\HasNoChildren) "/" "Shared Folders/Top/Deep/Folder"' in star
    assert not any("Noselect" in line for line in star)
    assert bob.ok('LIST "" "Shared Folders"').untagged == ['* LIST (\\Noselect \\HasChildren) "/" "Shared Folders"']


def test_has_children_counts_what_one_sees(world):
    """Statement 57, RFC 5258 §4."""
    world.create("Team/Secret")
    world.give("Shared Folders/Team/Secret", "group:crew", "")
    world.give("Shared Folders/Team/Secret", "ann", "lr")

    assert "\\HasNoChildren" in world.client("bob").ok('LIST "" "Shared Folders/Team"')
    assert "\\HasChildren" in world.client("ann").ok('LIST "" "Shared Folders/Team"')


def test_subscription_follows_a_rename_and_keeps_the_name_of_what_is_gone(world):
    bob = world.client("bob")
    for line in ("CREATE Work", "SUBSCRIBE Work", "RENAME Work Play"):
        bob.ok(line)

    assert '* LIST (\\Subscribed \\HasNoChildren) "/" Play' in bob.ok('LIST (SUBSCRIBED) "" *').untagged

    bob.ok("DELETE Play")
    assert '* LIST (\\NonExistent \\Subscribed) "/" Play' in bob.ok('LIST (SUBSCRIBED) "" *').untagged
    assert "Play" not in bob.ok('LSUB "" *')


def test_rename_of_inbox_moves_the_messages(world):
    """RFC 3501 §6.3.5, statements 95 and 96."""
    bob = world.client("bob")
    bob.append("INBOX")

    bob.ok("RENAME INBOX Old")

    assert "MESSAGES 1" in bob.ok("STATUS Old (MESSAGES)")
    assert "MESSAGES 0" in bob.ok("STATUS INBOX (MESSAGES)")


def test_idle_tells_at_once(world):
    (bob,) = world.selected("Shared Folders/Team", "bob")
    bob.idle()

    world.client("ann").append('"Shared Folders/Team"')

    assert "* 1 EXISTS" in bob.take()
    bob.send(b"DONE\r\n")
    assert "OK" in bob.take()


def test_plain_and_login_mechanisms(world):
    nobody = world.client()

    assert nobody.cmd("AUTHENTICATE PLAIN AGJvYgBwYXNz").tagged.startswith("OK [CAPABILITY")
    other = world.client()
    other.number += 1
    other.send(b"x AUTHENTICATE LOGIN\r\n")
    other.send(b"Ym9i\r\n")
    world.reactor.turn(lambda: b"UGFzc3dvcmQ6" in other.transport.value())
    other.send(b"cGFzcw==\r\n")
    world.reactor.turn(lambda: b"x OK" in other.transport.value())


def test_password_is_refused_in_clear_from_afar(world):
    far = world.client(peer="192.0.2.7")

    assert "LOGINDISABLED" in far.greeting
    assert far.cmd("LOGIN bob pass").tagged.startswith("NO [PRIVACYREQUIRED]")


def test_failed_logins_are_held_back(world):
    client = world.client()
    client.send(b"x LOGIN bob wrong\r\n")
    world.reactor.turn(lambda: len(world.reactor.getDelayedCalls()) > 1)

    assert b"x NO" not in client.transport.value()
    world.reactor.advance(1)
    assert b"x NO [AUTHENTICATIONFAILED]" in client.transport.value()


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"FROB", "BAD"),
        (b"NOOP x", "BAD"),
        (b"SELECT", "BAD"),
        (b"FETCH 1 FLAGS", "BAD"),
        (b"LOGIN bob pass", "BAD"),
        (b"SELECT \xff\xfe", "BAD"),
        (b'SELECT "a\x00b"', "BAD"),
        (b"CREATE a//b", "NO [CANNOT]"),
        (b"CREATE INBOX", "NO [ALREADYEXISTS]"),
        (b"DELETE INBOX", "NO [CANNOT]"),
        (b"RENAME Nope Other", "NO [NONEXISTENT]"),
        (b"APPEND Nope {3+}\r\nabc", "NO [TRYCREATE]"),
        (b"APPEND INBOX {99999999+}\r\n", None),
        (b"SEARCH CHARSET KOI8 ALL", "BAD"),
        (b"SETACL INBOX ann lq", "BAD"),
        (b"SETACL INBOX nobody lr", "NO"),
        (b'SETACL INBOX "" lr', "NO"),
        (b"ENABLE", "BAD"),
    ],
)
def test_bad_input_is_answered_and_the_connection_stays_in_step(world, line, status):
    """Promise 7."""
    bob = world.client("bob")
    before = world.snapshot()

    if status is None:  # a literal that is refused is swallowed, RFC 7888 §4
        bob.send(b"b1 " + line)
        bob.send(b"x" * 99999999 + b"\r\n")
        world.reactor.turn(lambda: b"b1 " in bob.transport.value())
        assert b"[TOOBIG]" in bob.transport.value()
        bob.take()
    else:
        assert bob.cmd(line).tagged.startswith(status)

    assert bob.ok("NOOP").tagged == "OK NOOP done"
    assert world.snapshot() == before
