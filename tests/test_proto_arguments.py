"""Reading arguments: what is accepted, and that errors tell a person where to look.  RFC 3501 §9."""

from __future__ import annotations

import datetime
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acl_imapd.proto.arguments import Arguments, Literal, ParseError


def read(text: bytes, *, utf8: bool = False) -> Arguments:
    return Arguments([text], utf8=utf8)


def test_arguments_are_read_from_left_to_right() -> None:
    arguments = Arguments([b' atom "quo\\"ted" ', Literal(b"lit\r\neral"), b" 17"])

    arguments.sp()
    assert arguments.astring() == b"atom"
    arguments.sp()
    assert arguments.string() == b'quo"ted'
    arguments.sp()
    assert arguments.peek() == b"{"
    assert arguments.astring() == b"lit\r\neral"
    arguments.sp()
    assert arguments.number() == 17
    assert arguments.at_end()
    arguments.end()


def test_a_space_at_the_end_of_a_line_is_forgiven() -> None:
    arguments = read(b" ")

    arguments.end()

    assert arguments.at_end()


@pytest.mark.parametrize(
    ("text", "parse", "message"),
    [
        (b"FLAGS(x)", lambda a: (a.keyword(b"FLAGS"), a.sp()), "Expected a space after FLAGS"),
        (b"", lambda a: a.sp(), "Expected a space after the command name"),
        (b"x y", lambda a: (a.mailbox(), a.end()), "Unexpected text after the mailbox name"),
        (b"FOO", lambda a: a.keyword(b"MIN", b"MAX"), "Expected MIN or MAX after the command name"),
        (b"x", lambda a: a.nz_number(), "Expected a number after the command name"),
        (b'"a\\b"', lambda a: a.string(), 'A quoted string must end with " and have a backslash before each '),
        (b"30-Feb-2024", lambda a: a.date(), "There is no day 30-Feb-2024"),
    ],
)
def test_errors_tell_a_person_where_to_look(text: bytes, parse: Callable[[Arguments], object], message: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse(read(text))

    assert caught.value.text.startswith(message)


def test_errors_do_not_repeat_a_password() -> None:
    arguments = read(b"bob hunter2 x")
    arguments.astring()
    arguments.sp()
    arguments.astring()

    with pytest.raises(ParseError) as caught:
        arguments.end()

    assert "hunter2" not in caught.value.text


@pytest.mark.parametrize(
    ("wire", "name"),
    [
        (b"inbox", "INBOX"),
        (b'"InBox/Sub"', "INBOX/Sub"),
        (b"inboxes", "inboxes"),
        (b"Entw&APw-rfe", "Entwürfe"),
        (b"&ATE-nbox", "\u0131nbox"),
        (b'"Other Users/bob/"', "Other Users/bob/"),
        (b"a]", "a]"),
    ],
)
def test_mailbox_names_are_decoded(wire: bytes, name: str) -> None:
    assert name == read(wire).mailbox()


def test_mailbox_names_are_utf8_once_enabled() -> None:
    """RFC 6855 §3: then & is an ordinary character."""
    assert read('"Entwürfe"'.encode(), utf8=True).mailbox() == "Entwürfe"
    assert read(b"R&D", utf8=True).mailbox() == "R&D"


@pytest.mark.parametrize("wire", [b"R&D", b'"\xc3\xa9"', b"", b"(", b"a&AAA-", b"%"])
def test_wrong_mailbox_names_are_refused(wire: bytes) -> None:
    with pytest.raises(ParseError):
        read(wire).mailbox()


def test_patterns_may_hold_wildcards() -> None:
    assert read(b"inbox/%").list_mailbox() == "INBOX/%"
    assert read(b'"*"').list_mailbox() == "*"
    assert read(b"Entw&APw-*").list_mailbox() == "Entwü*"
    assert read(b'""').list_mailbox() == ""


@pytest.mark.parametrize(("text", "value"), [(b"0", 0), (b"4294967295", 4294967295), (b"007", 7)])
def test_numbers_are_read(text: bytes, value: int) -> None:
    assert value == read(text).number()


@pytest.mark.parametrize("text", [b"4294967296", b"9" * 6000, b"-1", b"x", b""])
def test_numbers_beyond_32_bits_are_refused(text: bytes) -> None:
    with pytest.raises(ParseError):
        read(text).number()


def test_number64_goes_to_63_bits_and_nz_number_not_to_zero() -> None:
    assert read(b"9223372036854775807").number64() == 2**63 - 1
    with pytest.raises(ParseError):
        read(b"9223372036854775808").number64()
    with pytest.raises(ParseError):
        read(b"0").nz_number()


def test_system_flags_get_their_usual_spelling_and_keywords_keep_theirs() -> None:
    assert read(b"(\\SEEN $mdnsent \\X-Odd)").flag_list() == (b"\\Seen", b"$mdnsent", b"\\X-Odd")
    assert read(b"()").flag_list() == ()


def test_store_takes_flags_with_and_without_parentheses() -> None:
    """RFC 3501 §9 store-att-flags."""
    assert read(b"(\\Seen a)").store_flags() == (b"\\Seen", b"a")
    assert read(b"\\Seen a").store_flags() == (b"\\Seen", b"a")


@pytest.mark.parametrize("text", [b"(a", b"(a b c", b"(a  b)", b"((a))", b"(\\)", b"(a]b)"])
def test_wrong_flag_lists_are_refused(text: bytes) -> None:
    with pytest.raises(ParseError):
        read(text).flag_list()


def test_a_date_and_time_is_utc_seconds_and_a_zone() -> None:
    assert read(b'"17-Jul-1996 02:44:25 -0700"').date_time() == (837596665, -420)
    assert read(b'" 1-jan-1970 00:00:00 +0000"').date_time() == (0, 0)
    assert read(b'"01-Jan-0001 00:00:00 +2359"').date_time() == (-62135596800 - 23 * 3600 - 59 * 60, 1439)


@pytest.mark.parametrize(
    "text",
    [
        b'"31-Feb-2020 00:00:00 +0000"',
        b'" 1-Foo-2020 00:00:00 +0000"',
        b'" 1-Jan-0000 00:00:00 +0000"',
        b'" 1-Jan-2020 24:00:00 +0000"',
        b'" 1-Jan-2020 00:00:00 +2400"',
        b'" 1-Jan-2020 00:00:00 +0060"',
        b"1-Jan-2020",
    ],
)
def test_impossible_dates_are_refused(text: bytes) -> None:
    with pytest.raises(ParseError):
        read(text).date_time()


def test_a_day_may_be_quoted() -> None:
    assert datetime.date(1994, 2, 1) == read(b"1-Feb-1994").date() == read(b'"01-feb-1994"').date()


def test_keywords_are_read_in_any_case_and_left_where_they_are_if_others() -> None:
    arguments = read(b"charset x")

    assert None is arguments.try_keyword(b"RETURN")
    assert arguments.try_keyword(b"RETURN", b"CHARSET") == b"CHARSET"
    assert arguments.peek() == b" "


def test_nstring_tells_nil_from_a_string() -> None:
    assert None is read(b"nil").nstring()
    assert read(b'"nil"').nstring() == b"nil"


def test_binary_data_is_a_literal_but_no_string() -> None:
    """RFC 3516 §4.4: literal8 is for APPEND."""
    assert Arguments([Literal(b"\0", True)]).literal().data == b"\0"
    for literal in (Literal(b"x", True), Literal(b"\0")):
        with pytest.raises(ParseError):
            Arguments([literal]).string()


def test_lists_nest_to_a_limit() -> None:
    def item(arguments: Arguments) -> object:
        return arguments.parenthesised(item) if arguments.peek() == b"(" else arguments.atom()

    assert read(b"((a) b)").parenthesised(item) == [[b"a"], b"b"]
    with pytest.raises(ParseError):
        read(b"(" * 5000).parenthesised(item)


def test_rest_is_everything_in_its_place() -> None:
    arguments = Arguments([b"a b ", Literal(b"c"), b" d"])
    arguments.atom()

    assert arguments.rest() == b" b c d"
    assert arguments.at_end()


PARSERS: list[Callable[[Arguments], object]] = [
    Arguments.atom,
    Arguments.astring,
    Arguments.string,
    Arguments.nstring,
    Arguments.mailbox,
    Arguments.list_mailbox,
    Arguments.number,
    Arguments.nz_number,
    Arguments.number64,
    Arguments.sequence_set,
    Arguments.flag,
    Arguments.flag_list,
    Arguments.store_flags,
    Arguments.date_time,
    Arguments.date,
    Arguments.keyword,
    Arguments.literal,
    Arguments.sp,
    Arguments.open_paren,
    Arguments.close_paren,
    Arguments.end,
    lambda arguments: arguments.parenthesised(Arguments.astring),
]
TEXTS = st.binary(max_size=40) | st.text('()"\\ &-%*19:,-+JanFeb{}\r\0é', max_size=40).map(str.encode)


@given(
    pieces=st.lists(TEXTS | st.builds(Literal, TEXTS, st.booleans()), max_size=4),
    parsers=st.lists(st.sampled_from(PARSERS), min_size=1, max_size=8),
    utf8=st.booleans(),
)
def test_nothing_but_a_parse_error_comes_of_bad_arguments(
    pieces: list[bytes | Literal], parsers: list[Callable[[Arguments], object]], utf8: bool
) -> None:
    arguments = Arguments(pieces, utf8=utf8)
    texts: list[str] = []

    for parse in parsers:
        try:
            parse(arguments)
        except ParseError as error:
            texts.append(error.text)

    assert all(text.isascii() and text.isprintable() for text in texts)


@pytest.mark.parametrize("parse", PARSERS)
@pytest.mark.parametrize("text", [b'"' + b"\\" * 60000, b'"' + b"a" * 60000, b"(" + b"a " * 30000, b"1," * 30000])
def test_long_broken_arguments_are_refused_without_delay(parse: Callable[[Arguments], object], text: bytes) -> None:
    """Backtracking would take minutes here."""
    arguments = read(text)
    try:
        parse(arguments)
    except ParseError:
        return
