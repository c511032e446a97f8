"""What is wrong is answered clearly, leaves the connection in step, and does nothing by halves.  RFC 3501 §7.1.3."""

from __future__ import annotations

import pytest

from acl_imapd.commands import dispatch  # noqa: F401  # fills the table
from acl_imapd.commands.registry import TABLE, State

# What is refused before it is understood does not reach the database, whichever it is.
pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
# Behind a literal that is not taken for one this would log out.
HIDDEN = b"LOGOUT"


def in_step(client):
    """The next command is the next command."""
    return client.cmd("NOOP").lines[-1].endswith("OK NOOP done") and not client.transport.lost


def without_literals(client, line):
    """The tagged answer to raw *line*."""
    client.send(b"x " + line + b"\r\n")
    client.world.reactor.turn(lambda: b"x " in client.transport.value() or client.transport.lost)
    return client.take().tagged


@pytest.mark.parametrize("state", [State.NOT_AUTHENTICATED, State.AUTHENTICATED, State.SELECTED])
def test_a_command_of_another_state_is_bad_and_does_nothing(world, state):
    """Every command of the table, whatever its arguments."""
    client = world.client(None if state is State.NOT_AUTHENTICATED else "bob")
    if state is State.SELECTED:
        client.ok("SELECT INBOX")
    before = world.snapshot()

    for name, command in TABLE.commands.items():
        if not command.states & state:
            answer = client.cmd(name + b' INBOX "x" {6+}\r\n' + HIDDEN)

            assert answer.tagged.startswith("BAD"), name
            assert answer.untagged == []
    assert in_step(client)
    assert world.snapshot() == before


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (b"FROB {6+}\r\n" + HIDDEN, "BAD"),
        (b"NOOP {6+}\r\n" + HIDDEN, "BAD"),
        (b"SELECT {6+}\r\n" + HIDDEN, "NO [NONEXISTENT]"),
        (b"SELECT Nope {6+}\r\n" + HIDDEN, "BAD"),
        (b"CREATE {6+}\r\n\0LOGOU", "BAD"),
        (b"LOGIN bob {6+}\r\n" + HIDDEN, "BAD"),
        (b"DELETE INBOX {6+}\r\n" + HIDDEN, "BAD"),
        (b"APPEND Nope {6+}\r\n" + HIDDEN, "NO [TRYCREATE]"),
        (b"APPEND INBOX (\\Nope) {6+}\r\n" + HIDDEN, "BAD"),
        (b'APPEND INBOX "no date" {6+}\r\n' + HIDDEN, "BAD"),
        (b"APPEND INBOX {6+}\r\n" + HIDDEN + b" junk", "BAD"),
        (b"SETACL INBOX {6+}\r\n" + HIDDEN + b" q", "BAD"),
        (b"SETACL INBOX {6+}\r\n" + HIDDEN + b" lr", "NO"),
        (b"SEARCH {6+}\r\n" + HIDDEN, "BAD"),
        (b"STATUS {6+}\r\n" + HIDDEN + b" (NOPE)", "BAD"),
        (b"SELECT {70000+}\r\n" + HIDDEN + b"\r\ny LOGOUT\r\n".ljust(69994), "BAD [TOOBIG]"),
        (b"SELECT " + b"x" * 70000 + b" {6+}\r\n" + HIDDEN, "BAD [TOOBIG]"),
        (b'SELECT "' + b"\\x" + b'" {6+}\r\n' + HIDDEN, "BAD"),
        (b"SELECT \0 {6+}\r\n" + HIDDEN, "BAD"),
        (b"\xff\xfe {6+}\r\n" + HIDDEN, "BAD"),
    ],
)
def test_a_literal_of_a_refused_command_is_read_and_not_executed(world, line, answer):
    """RFC 7888 §4; a fault seen elsewhere: what was in it came next as a command."""
    bob = world.client("bob")
    before = world.snapshot()

    assert without_literals(bob, line).startswith(answer)
    assert in_step(bob)
    assert world.snapshot() == before


@pytest.mark.parametrize("line", [b"FROB {6}", b"SELECT {70000}", b"SELECT \0 {6}", b"APPEND INBOX {99999999}"])
def test_a_literal_that_is_refused_is_not_asked_for(world, line):
    """RFC 3501 §7.5: the client that waits for + does not send it; for an unknown command it may be asked for."""
    bob = world.client("bob")
    bob.send(b"x " + line + b"\r\n")
    told = bob.take()

    if told.startswith("+"):
        bob.send(HIDDEN + b"\r\n")
        told = bob.take()
    assert told.startswith(("x BAD", "x NO [TOOBIG]"))
    assert in_step(bob)


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (b"LOGIN " + b"x" * 9000 + b" y", "BAD [TOOBIG]"),
        (b"LOGIN bob {2000+}\r\n" + b"p" * 2000, "BAD [TOOBIG]"),
        (b"LOGIN bob {2000}", "BAD [TOOBIG]"),
        (b"LOGIN bob {999999999999999999999+}", "BAD"),
        (b'LOGIN "bob" "pa\0ss"', "BAD"),
        (b"LOGIN bob {4+}\r\npa\0s", "BAD"),
        (b"LOGIN \xff\xfe pass", "BAD"),
        (b"LOGIN bob", "BAD"),
        (b"AUTHENTICATE", "BAD"),
        (b"AUTHENTICATE PLAIN !!!", "BAD"),
        (b"AUTHENTICATE PLAIN AGJvYg==", "BAD"),
        (b"AUTHENTICATE FROB", "NO"),
    ],
)
def test_before_login_less_is_taken_and_bad_input_is_answered_the_same(world, line, answer):
    client = world.client()

    assert without_literals(client, line).startswith(answer)
    assert in_step(client)
    assert client.cmd("LOGIN bob pass").tagged.startswith("OK")


def test_a_line_without_end_ends_the_connection(world):
    """Before login and after; nothing of it is kept."""
    for client in (world.client(), world.client("bob")):
        for _ in range(30):
            client.send(b"x" * 100_000)

        assert "* BYE [TOOBIG]" in client.take()
        assert client.transport.lost


def test_whoever_sends_only_junk_is_sent_away(world):
    for client in (world.client(), world.client("bob")):
        client.send(b"\0\r\n" * 30)

        assert "* BYE Too many" in client.take()
        assert client.transport.lost


@pytest.mark.parametrize(
    "second",
    [
        b" {0+}\r\n",
        b" (\\Nope) {3+}\r\nabc",
        b" (\\Recent) {3+}\r\nabc",
        b' "32-Jan-2020 00:00:00 +0000" {3+}\r\nabc',
        b" {3+}\r\nabc junk",
        b" junk",
        b" {99999999+}\r\n" + b"x" * 99999999,
        b" (" + b" ".join(b"k%d" % number for number in range(100)) + b") {3+}\r\nabc",
    ],
    ids=lambda second: second[:20].decode(),
)
def test_of_several_messages_all_or_none_are_kept(world, second):
    """RFC 3502 §6.3.11: with a second one that is refused the first is not there either."""
    bob = world.client("bob")
    before = world.snapshot()

    assert without_literals(bob, b"APPEND INBOX (\\Seen) {3+}\r\nabc" + second).startswith(("BAD", "NO"))
    assert in_step(bob)
    assert world.snapshot() == before


@pytest.mark.parametrize(
    "name",
    [
        b"\xff",
        b'"\xff"',
        b"&",
        b"&AGE",
        b"&!!!-",
        b"&2AA-",
        b'"a&AGE-b"',
        b"a\x7f",
        b'"\x01"',
        b"{1+}\r\n\n",
        b"x" * 300,
    ],
)
def test_what_is_no_name_makes_no_folder(world, name):
    """Not UTF-8, no modified UTF-7, control characters, too long."""
    bob = world.client("bob")
    before = world.snapshot()

    assert without_literals(bob, b"CREATE " + name).startswith(("BAD", "NO [CANNOT]"))
    assert in_step(bob)
    assert world.snapshot() == before


def test_no_answer_has_a_traceback_or_what_is_inside(world):
    """NO [SERVERBUG] is logged, not told."""
    bob = world.client("bob")

    for line in (b"FETCH", b"UID", b"UID FROB", b"SELECT INBOX x", b"LIST", b'LIST "" (', b"SORT x", b"STORE 1 FLAGS"):
        told = without_literals(bob, line)
        assert told.startswith("BAD")
        assert not any(word in told for word in ("Traceback", "Error", "acl_imapd", "0x"))
