"""Values on their way to the client.  RFC 3501 §4, §5.1.3, §7.1."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acl_imapd.proto import responses
from acl_imapd.proto.arguments import Arguments
from acl_imapd.proto.arguments import Literal as LiteralPiece

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@pytest.mark.parametrize(
    ("name", "wire"),
    [
        ("INBOX", b"INBOX"),
        ("Entwürfe", b"Entw&APw-rfe"),
        ("R&D", b"R&-D"),
        ("~peter/mail/台北/日本語", b"~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
        ("😀", b"&2D3eAA-"),
        ("é&é", b"&AOk-&-&AOk-"),
    ],
)
def test_names_are_spelled_in_modified_utf7(name: str, wire: bytes) -> None:
    assert wire == responses.encode_mutf7(name)
    assert name == responses.decode_mutf7(wire)


@given(name=NAMES)
def test_every_name_survives_modified_utf7(name: str) -> None:
    assert name == responses.decode_mutf7(responses.encode_mutf7(name))


@given(data=st.binary(max_size=20) | st.from_regex(rb"[&A-Za-z+,-]{0,12}", fullmatch=True))
def test_a_name_has_one_spelling_only(data: bytes) -> None:
    """RFC 3501 §5.1.3: else two clients could make two mailboxes of the same look."""
    try:
        name = responses.decode_mutf7(data)
    except ValueError:
        return
    assert data == responses.encode_mutf7(name)


@pytest.mark.parametrize(
    "data", [b"R&D", b"&", b"&AOk", b"&AGE-", b"&AOk-&AOk-", b"\xc3\xa9", b"&2AA-", b"&A-", b"a\tb", b"&AOl=-"]
)
def test_wrong_modified_utf7_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - UnicodeDecodeError and binascii.Error are such
        responses.decode_mutf7(data)


@pytest.mark.parametrize(
    ("data", "wire"),
    [
        (b"INBOX", b"INBOX"),
        (b"", b'""'),
        (b"nil", b'"nil"'),
        (b"Other Users/bob", b'"Other Users/bob"'),
        (b'a"b\\c', b'"a\\"b\\\\c"'),
        (b"a]", b'"a]"'),
        (b"x%", b'"x%"'),
        (b"a\r\nb", b"{4}\r\na\r\nb"),
        (b"\xe9", b"{1}\r\n\xe9"),
        (b"x" * 1001, b"{1001}\r\n" + b"x" * 1001),
    ],
)
def test_an_astring_is_as_short_as_its_octets_allow(data: bytes, wire: bytes) -> None:
    assert wire == responses.astring(data)


def test_strings_are_always_marked_as_such() -> None:
    assert responses.string(b"abc") == b'"abc"'
    assert responses.nstring(None) == b"NIL"
    assert responses.nstring(b"") == b'""'
    assert responses.literal(b"abc") == b"{3}\r\nabc"


def test_mailbox_names_are_utf8_only_for_clients_that_asked() -> None:
    """RFC 6855 §3."""
    assert responses.mailbox_name("Entwürfe") == b"Entw&APw-rfe"
    assert '"Entwürfe"'.encode() == responses.mailbox_name("Entwürfe", utf8=True)
    assert responses.mailbox_name("R&D x", utf8=True) == b'"R&D x"'


@given(name=NAMES, utf8=st.booleans())
def test_a_name_sent_can_be_sent_back(name: str, utf8: bool) -> None:
    """Clients repeat what LIST gave them."""
    name = name.replace("\0", "").lower()
    if name.startswith("inbox"):
        return
    wire = responses.mailbox_name(name, utf8)
    head, end, body = wire.partition(b"}\r\n")
    pieces = [LiteralPiece(body)] if end and head.startswith(b"{") else [wire]

    arguments = Arguments(pieces, utf8=utf8)

    assert name == arguments.mailbox()
    arguments.end()


@given(data=st.binary(max_size=50).filter(lambda data: b"\0" not in data))
def test_a_string_sent_can_be_read(data: bytes) -> None:
    wire = responses.string(data)
    pieces = [LiteralPiece(data)] if wire.startswith(b"{") else [wire]

    assert data == Arguments(pieces).string()


def test_flags_come_in_parentheses() -> None:
    assert responses.flag_list([b"\\Seen", b"$Forwarded"]) == b"(\\Seen $Forwarded)"
    assert responses.flag_list([]) == b"()"


@pytest.mark.parametrize(
    ("seconds", "zone", "wire"),
    [
        (837596665, -420, b'"17-Jul-1996 02:44:25 -0700"'),
        (0, 0, b'" 1-Jan-1970 00:00:00 +0000"'),
        (-1, 330, b'" 1-Jan-1970 05:29:59 +0530"'),
    ],
)
def test_dates_are_shown_in_their_own_zone(seconds: int, zone: int, wire: bytes) -> None:
    assert wire == responses.date_time(seconds, zone)


@given(seconds=st.integers(-62135596800 + 86400, 253402300799 - 86400), zone=st.integers(-1439, 1439))
def test_a_date_sent_can_be_read(seconds: int, zone: int) -> None:
    assert (seconds, zone) == Arguments([responses.date_time(seconds, zone)]).date_time()


@given(seconds=st.integers(-(2**63), 2**63 - 1))
def test_an_impossible_date_in_the_store_does_not_break_fetch(seconds: int) -> None:
    assert len(responses.date_time(seconds, 0)) == 28


def test_status_lines_hold_tag_status_code_and_text() -> None:
    assert responses.tagged(b"a", b"OK", "Done") == b"a OK Done\r\n"
    assert responses.tagged(b"a", b"NO", "Not yours", b"NOPERM") == b"a NO [NOPERM] Not yours\r\n"
    assert responses.untagged(b"3 EXISTS") == b"* 3 EXISTS\r\n"


def test_a_text_cannot_start_a_line_or_a_response_code() -> None:
    assert responses.tagged(b"a", b"NO", "x\r\n* BYE") == b"a NO x??* BYE\r\n"
    assert responses.tagged(b"a", b"NO", "[ALERT] x") == b"a NO ([ALERT] x)\r\n"
    assert responses.tagged(b"a", b"NO", "No mailbox Büro") == b"a NO No mailbox B?ro\r\n"
