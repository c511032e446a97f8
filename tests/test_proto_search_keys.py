"""What SEARCH may ask for.  RFC 3501 §6.4.4, RFC 4731."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acl_imapd.errors import BadCharset
from acl_imapd.proto.arguments import Arguments, Literal, ParseError
from acl_imapd.proto.search_keys import (
    All,
    And,
    Body,
    Date,
    Flag,
    Header,
    Key,
    Larger,
    New,
    Not,
    Old,
    Or,
    Recent,
    SearchCommand,
    Seq,
    Smaller,
    Text,
    UidSet,
    parse_search,
)
from acl_imapd.proto.sequence import parse_sequence_set

DAY = datetime.date(1994, 2, 1)


def parse(*pieces: bytes | Literal) -> SearchCommand:
    return parse_search(Arguments(pieces))


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (b"ALL", All()),
        (b"new", New()),
        (b"OLD", Old()),
        (b"RECENT", Recent()),
        (b"SEEN", Flag(b"\\Seen", True)),
        (b"UNDELETED", Flag(b"\\Deleted", False)),
        (b"UNDRAFT", Flag(b"\\Draft", False)),
        (b"KEYWORD $Forwarded", Flag(b"$Forwarded", True)),
        (b"UNKEYWORD x", Flag(b"x", False)),
        (b"1:3,*", Seq(parse_sequence_set(b"1:3,*"))),
        (b"UID 7:*", UidSet(parse_sequence_set(b"7:*"))),
        (b'FROM "bob smith"', Header(b"FROM", "bob smith")),
        (b'HEADER Message-ID ""', Header(b"Message-ID", "")),
        (b"BODY x", Body("x")),
        (b"TEXT x", Text("x")),
        (b"BEFORE 1-Feb-1994", Date("internal", "before", DAY)),
        (b'SENTSINCE "1-Feb-1994"', Date("sent", "since", DAY)),
        (b"LARGER 10", Larger(10)),
        (b"SMALLER 10", Smaller(10)),
        (b"NOT NOT SEEN", Not(Not(Flag(b"\\Seen", True)))),
        (b"OR NEW OLD", Or(New(), Old())),
        (b"(NEW)", New()),
        (b"NEW (OLD ALL)", And((New(), And((Old(), All()))))),
        (b"OR (NEW OLD) NOT ALL", Or(And((New(), Old())), Not(All()))),
    ],
)
def test_keys_become_values(text: bytes, key: Key) -> None:
    assert SearchCommand(key) == parse(text)


def test_strings_are_decoded_by_the_charset() -> None:
    assert Text("Köln") == parse(b"CHARSET UTF-8 TEXT ", Literal("Köln".encode())).key
    assert Text("Koln") == parse(b'CHARSET "us-ascii" TEXT Koln').key


def test_without_charset_utf8_is_understood() -> None:
    """RFC 9051 §6.4.4; and what clients send in earnest."""
    assert Text("Köln") == parse('TEXT "Köln"'.encode()).key


@pytest.mark.parametrize("charset", [b"ISO-8859-1", b"KOI8-R", b'"\xff"'])
def test_other_charsets_are_refused_by_their_own_code(charset: bytes) -> None:
    with pytest.raises(BadCharset):
        parse(b"CHARSET " + charset + b" ALL")


@pytest.mark.parametrize("charset", [b"", b"CHARSET UTF-8 ", b"CHARSET US-ASCII "])
def test_a_string_in_another_coding_is_refused(charset: bytes) -> None:
    with pytest.raises(ParseError):
        parse(charset + b"TEXT ", Literal(b"K\xf6ln"))


@pytest.mark.parametrize(
    ("text", "returns"),
    [
        (b"ALL", None),
        (b"RETURN () ALL", {b"ALL"}),
        (b"return (min COUNT) ALL", {b"MIN", b"COUNT"}),
        (b"RETURN (ALL MAX) CHARSET UTF-8 ALL", {b"ALL", b"MAX"}),
    ],
)
def test_return_options_are_read(text: bytes, returns: set[bytes] | None) -> None:
    """RFC 4731 §3.1."""
    assert returns == parse(text).returns


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"()",
        b"FOO",
        b"NOT",
        b"OR NEW",
        b"(NEW",
        b"NEW)",
        b"NEW  OLD",
        b"UID x",
        b"0",
        b"LARGER -1",
        b"LARGER 99999999999999999999",
        b"ON 31-Feb-2020",
        b"HEADER x",
        b"RETURN (FROB) ALL",
        b"RETURN (ALL PARTIAL 1:2) ALL",
        b"RETURN (PARTIAL 1:-2) ALL",
        b"RETURN (PARTIAL 0:2) ALL",
        b"RETURN (PARTIAL 1) ALL",
        b"RETURN ()",
        b"CHARSET UTF-8",
        b'TEXT "x',
    ],
)
def test_what_is_no_search_is_refused(text: bytes) -> None:
    with pytest.raises(ParseError):
        parse(text)


@pytest.mark.parametrize("prefix", [b"NOT ", b"(", b"OR "])
def test_deep_searches_are_refused(prefix: bytes) -> None:
    with pytest.raises(ParseError):
        parse(prefix * 5000 + b"ALL")


def test_nesting_that_people_use_is_accepted() -> None:
    """Clients join a list of senders by OR."""
    text = b"".join(b"OR FROM %d " % number for number in range(40)) + b"FROM x"

    assert isinstance(parse(text).key, Or)


def test_the_number_of_keys_is_limited() -> None:
    parse(b" ".join([b"ALL"] * 2000))
    with pytest.raises(ParseError):
        parse(b" ".join([b"ALL"] * 2001))


WORDS = st.sampled_from(
    [
        b"ALL",
        b"NOT",
        b"OR",
        b"(",
        b")",
        b" ",
        b" ",
        b" ",
        b"UID",
        b"1:*",
        b"CHARSET",
        b"utf-8",
        b"RETURN",
        b"FROM",
        b'"x"',
    ]
)


@given(words=st.lists(WORDS | st.binary(max_size=4), max_size=20), literal=st.binary(max_size=4))
def test_bad_searches_raise_parse_errors_only(words: list[bytes], literal: bytes) -> None:
    try:
        parse(b"".join(words))
        parse(b"".join(words), Literal(literal), b"".join(words))
    except (ParseError, BadCharset):
        return
