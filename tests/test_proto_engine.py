"""Framing: commands in, events out, always in step.  RFC 3501 §2.2, §4.3; RFC 7888."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from acl_imapd.proto.arguments import Arguments
from acl_imapd.proto.engine import (
    CommandReceived,
    CommandRejected,
    ConnectionFatal,
    ContinuationNeeded,
    Engine,
    Event,
    Limits,
    LineReceived,
)

SMALL = Limits(
    max_line_bytes=60,
    max_literal_bytes=20,
    max_append_bytes=40,
    max_command_bytes=400,
    max_multiappend_bytes=70,
    prelogin_line_bytes=30,
    prelogin_literal_bytes=10,
)


def events(engine: Engine) -> list[Event]:
    return list(iter(engine.next_event, None))


def engine(*, authenticated: bool = True, limits: Limits | None = None) -> Engine:
    made = Engine(limits)
    made.authenticated = authenticated
    return made


def answers(data: bytes, *, authenticated: bool = True, limits: Limits | None = None) -> list[tuple[object, ...]]:
    """The events of *data* as plain values."""
    made = engine(authenticated=authenticated, limits=limits)
    made.receive(data)
    return [plain(event) for event in events(made)]


def plain(event: Event) -> tuple[object, ...]:
    match event:
        case CommandReceived(tag, name, arguments):
            return tag, name, arguments.rest()
        case CommandRejected(tag, error):
            return tag, error.status, error.code, error.text
        case LineReceived(line):
            return "line", line
        case ContinuationNeeded():
            return ("+",)
        case ConnectionFatal(_, code):
            return "bye", code


def statuses(data: bytes, *, authenticated: bool = True, limits: Limits | None = None) -> list[tuple[object, ...]]:
    """As :func:`answers`, without texts."""
    return [answer[:3] for answer in answers(data, authenticated=authenticated, limits=limits)]


def test_a_command_comes_with_tag_name_in_capitals_and_arguments() -> None:
    assert answers(b"a1 select INBOX\r\n") == [(b"a1", b"SELECT", b" INBOX")]


def test_uid_commands_have_two_words_as_their_name() -> None:
    assert answers(b"a uid fetch 1:* FLAGS\r\nb UID\r\n") == [(b"a", b"UID FETCH", b" 1:* FLAGS"), (b"b", b"UID", b"")]


def test_pipelined_commands_come_one_at_a_time() -> None:
    made = engine()
    made.receive(b"a NOOP\r\nb NOOP\r\n")

    first = made.next_event()

    assert isinstance(first, CommandReceived)
    assert first.tag == b"a"
    assert len(b"b NOOP\r\n") == made.buffered_bytes


def test_a_synchronising_literal_is_asked_for_once_and_then_read() -> None:
    made = engine()

    made.receive(b"a LOGIN {3}\r\n")
    assert [ContinuationNeeded()] == events(made)
    made.receive(b"bo")
    assert events(made) == []
    made.receive(b'b "x"\r\n')

    (command,) = events(made)
    assert isinstance(command, CommandReceived)
    command.arguments.sp()
    assert command.arguments.astring() == b"bob"
    command.arguments.sp()
    assert command.arguments.astring() == b"x"
    command.arguments.end()


def test_a_non_synchronising_literal_needs_no_continuation() -> None:
    """RFC 7888 §3."""
    assert answers(b"a LOGIN {3+}\r\nbob {1+}\r\nx\r\n") == [(b"a", b"LOGIN", b" bob x")]


def test_a_literal_may_hold_what_looks_like_commands() -> None:
    data = b"a APPEND x {13+}\r\nb NOOP\r\nx {9}\r\nc NOOP\r\n"

    assert answers(data) == [(b"a", b"APPEND", b" x b NOOP\r\nx {9}"), (b"c", b"NOOP", b"")]


def test_literal8_is_marked_as_binary() -> None:
    """RFC 3516 §4.4."""
    made = engine()
    made.receive(b"a APPEND x ~{2+}\r\n\0\0\r\n")

    (command,) = events(made)

    assert isinstance(command, CommandReceived)
    command.arguments.sp()
    command.arguments.mailbox()
    command.arguments.sp()
    found = command.arguments.literal()
    assert (found.data, found.binary) == (b"\0\0", True)


def test_an_empty_literal_is_a_literal() -> None:
    assert answers(b"a SEARCH TEXT {0}\r\n ALL\r\n") == [("+",), (b"a", b"SEARCH", b" TEXT  ALL")]


def test_a_too_large_synchronising_literal_is_refused_without_continuation() -> None:
    """RFC 3501 §7.5: the client then does not send it, and the next line is a new command."""
    assert statuses(b"a APPEND x {41}\r\nb NOOP\r\n", limits=SMALL) == [(b"a", b"NO", b"TOOBIG"), (b"b", b"NOOP", b"")]
    assert statuses(b"a SEARCH TEXT {21}\r\nb NOOP\r\n", limits=SMALL) == [
        (b"a", b"BAD", b"TOOBIG"),
        (b"b", b"NOOP", b""),
    ]


def test_a_too_large_literal_sent_unasked_is_swallowed_with_the_rest_of_its_command() -> None:
    """RFC 7888 §4: the refused octets must not be read as commands."""
    data = b"a APPEND x {50+}\r\n" + b"z DELETE INBOX\r\n".ljust(50) + b" {30+}\r\n" + b"y" * 30 + b"\r\nb NOOP\r\n"

    assert statuses(data, limits=SMALL) == [(b"a", b"NO", b"TOOBIG"), (b"b", b"NOOP", b"")]


def test_a_swallowed_literal_takes_no_memory() -> None:
    made = engine()
    made.receive(b"a SEARCH TEXT {100000000+}\r\n")
    events(made)

    for _ in range(100):
        made.receive(b"y" * 1_000_000)
        assert None is made.next_event()
        assert made.buffered_bytes == 0
    made.receive(b"\r\n")

    assert [plain(event)[:3] for event in events(made)] == [(b"a", b"BAD", b"TOOBIG")]


def test_a_literal_nobody_could_mean_ends_the_connection() -> None:
    assert answers(b"a APPEND x {99999999999+}\r\nb NOOP\r\n") == [("bye", b"TOOBIG")]


def test_the_messages_of_one_append_are_limited_together() -> None:
    """RFC 3502 §4: a multiple APPEND is one command."""
    message = b" {40+}\r\n" + b"m" * 40

    assert statuses(b"a APPEND x" + message + message + b"\r\nb NOOP\r\n", limits=SMALL) == [
        (b"a", b"NO", b"TOOBIG"),
        (b"b", b"NOOP", b""),
    ]


def test_many_small_literals_are_limited_too() -> None:
    assert statuses(b"a X" + b" {0+}\r\n" * 7 + b"\r\n", limits=SMALL) == [(b"a", b"BAD", b"TOOBIG")]


def test_literals_are_small_before_login() -> None:
    assert statuses(b"a LOGIN {11}\r\n", authenticated=False, limits=SMALL) == [(b"a", b"BAD", b"TOOBIG")]
    assert answers(b"a LOGIN {11}\r\n", limits=SMALL) == [("+",)]


@pytest.mark.parametrize("authenticated", [False, True])
def test_a_long_line_is_refused_as_a_whole(authenticated: bool) -> None:
    limit = 60 if authenticated else 30
    fits = b"a NOOP".ljust(limit) + b"\r\n"
    long = b"b NOOP".ljust(limit + 1) + b"\r\n"

    assert [
        answer[:2] for answer in answers(fits + long + b"c NOOP\r\n", authenticated=authenticated, limits=SMALL)
    ] == [(b"a", b"NOOP"), (b"b", b"BAD"), (b"c", b"NOOP")]


def test_a_literal_at_the_end_of_a_long_line_is_swallowed() -> None:
    data = b"a SEARCH " + b"x" * 200 + b" {8+}\r\nz NOOP\r\n\r\nb NOOP\r\n"

    assert statuses(data, limits=SMALL) == [(b"a", b"BAD", b"TOOBIG"), (b"b", b"NOOP", b"")]


def test_a_line_without_end_ends_the_connection() -> None:
    made = engine()
    found: list[Event] = []

    for _ in range(20):
        made.receive(b"x" * 60_000)
        found += events(made)
        assert made.buffered_bytes < 70_000

    assert [plain(event) for event in found] == [("bye", b"TOOBIG")]
    assert answers(b"x" * 1_200_000) == [("bye", b"TOOBIG")]
    assert answers(b"x" * 1_200_000 + b"\r\n") == [("bye", b"TOOBIG")]


@pytest.mark.parametrize("line", [b"a NOOP\0\r\n", b"a NO\rOP\r\n", b"a NOOP\r\r\n"])
def test_nul_and_bare_cr_are_refused(line: bytes) -> None:
    assert [answer[1:3] for answer in answers(line)] == [(b"BAD", None)]


def test_a_bare_lf_ends_a_line() -> None:
    assert answers(b"a NOOP\nb NOOP\r\n") == [(b"a", b"NOOP", b""), (b"b", b"NOOP", b"")]


@pytest.mark.parametrize("line", [b"", b" ", b"*", b"+ x", b'"a" NOOP', b"a(b NOOP", b"\xe9 NOOP", b"x" * 300])
def test_without_a_usable_tag_the_answer_is_untagged(line: bytes) -> None:
    assert statuses(line + b"\r\n") == [(b"*", b"BAD", None)]


@pytest.mark.parametrize("line", [b"a", b"a ", b"a  NOOP", b"a (x)", b"a FOO\xe9"])
def test_a_tag_without_a_command_is_answered_with_that_tag(line: bytes) -> None:
    assert statuses(line + b"\r\n") == [(b"a", b"BAD", None)]


def test_a_refused_line_with_a_literal_stays_in_step() -> None:
    assert statuses(b"( x {8+}\r\nz NOOP\r\n\r\nb NOOP\r\n") == [(b"*", b"BAD", None), (b"b", b"NOOP", b"")]
    assert statuses(b"( x {8}\r\nb NOOP\r\n") == [(b"*", b"BAD", None), (b"b", b"NOOP", b"")]


def test_an_expected_line_is_no_command() -> None:
    made = engine()
    made.receive(b"a IDLE\r\n")
    events(made)

    made.expect_line()
    made.receive(b"DONE\r\nb NOOP\r\n")

    assert [plain(event) for event in events(made)] == [("line", b"DONE"), (b"b", b"NOOP", b"")]


def test_an_expected_line_that_looks_like_a_literal_is_only_a_line() -> None:
    made = engine()
    made.expect_line()
    made.receive(b"x {5}\r\nb NOOP\r\n")

    assert [plain(event) for event in events(made)] == [("line", b"x {5}"), (b"b", b"NOOP", b"")]


def test_an_expected_line_that_is_too_long_ends_the_connection() -> None:
    made = engine(limits=SMALL)
    made.expect_line()
    made.receive(b"x" * 100)

    assert [plain(event) for event in events(made)] == [("bye", b"TOOBIG")]


def test_what_came_behind_starttls_is_dropped() -> None:
    """CVE-2011-0411: plain text injected before the handshake must not be read as if it was protected."""
    made = engine(authenticated=False)
    made.receive(b"a STARTTLS\r\nb LOGIN mallory x\r\n")

    made.next_event()
    made.drop_buffered()
    made.receive(b"c NOOP\r\n")

    assert [plain(event) for event in events(made)] == [(b"c", b"NOOP", b"")]


def test_a_stream_of_invalid_commands_ends_the_connection() -> None:
    found = statuses(b"(\r\n" * 30)

    assert found.count((b"*", b"BAD", None)) == 20
    assert found[-1] == ("bye", None)
    assert len(found) == 21


def test_a_valid_command_starts_the_count_of_invalid_ones_anew() -> None:
    assert ("bye", None) not in statuses((b"(\r\n" * 19 + b"a NOOP\r\n") * 3)


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n", b"POST /", b"\x16\x03\x01\x02"])
def test_another_protocol_is_turned_away_at_once(data: bytes) -> None:
    """A browser made to POST to us must not have its body read as commands."""
    made = engine(authenticated=False)
    made.receive(data)

    assert isinstance(made.next_event(), ConnectionFatal)
    made.receive(b"a LOGIN bob x\r\n")
    assert None is made.next_event()


def test_a_later_tag_may_be_any_word() -> None:
    assert answers(b"a NOOP\r\nGET NOOP\r\n", authenticated=False) == [(b"a", b"NOOP", b""), (b"GET", b"NOOP", b"")]


# Pieces that meet the engine's edges far more often than random bytes do.
PIECES = st.one_of(
    st.binary(max_size=8),
    st.sampled_from(
        [
            b"\r\n",
            b"\n",
            b"\r",
            b"a NOOP\r\n",
            b"a APPEND x ",
            b"b SEARCH ",
            b"{5}\r\n",
            b"{5+}\r\n",
            b"~{5+}\r\n",
            b"{0}\r\n",
            b"{45}\r\n",
            b"{45+}\r\n",
            b"{300000000+}\r\n",
            b"12345",
            b"GET ",
            b"x" * 31,
            b"x" * 70,
            b'"q"',
            b"\0",
        ]
    ),
)


@given(
    pieces=st.lists(PIECES, max_size=40), cuts=st.lists(st.integers(0, 400), max_size=40), authenticated=st.booleans()
)
@example(pieces=[b"x" * 31, b"\r\n"], cuts=[32], authenticated=False)
def test_events_do_not_depend_on_how_the_bytes_arrive(
    pieces: list[bytes], cuts: list[int], authenticated: bool
) -> None:
    data = b"".join(pieces)
    whole = answers(data, authenticated=authenticated, limits=SMALL)

    made = engine(authenticated=authenticated, limits=SMALL)
    found: list[tuple[object, ...]] = []
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for start, stop in pairwise(places):
        made.receive(data[start:stop])
        found += [plain(event) for event in events(made)]
        # Nothing but the beginning of one line waits for more.
        assert made.buffered_bytes <= SMALL.max_line_bytes + 1

    assert whole == found


@given(data=st.binary(max_size=300))
def test_arbitrary_bytes_never_raise(data: bytes) -> None:
    for event in events_of(data):
        if isinstance(event, CommandReceived):
            assert isinstance(event.arguments, Arguments)


def events_of(data: bytes) -> list[Event]:
    made = engine(authenticated=False)
    made.receive(data)
    return events(made)
