"""Bytes from outside never raise, never lose step, never grow without bound."""

from __future__ import annotations

import contextlib
import itertools

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acl_imapd.commands import dispatch  # noqa: F401  # fills the table
from acl_imapd.commands.registry import TABLE
from acl_imapd.errors import ImapError
from acl_imapd.mail.match import decode_header, sent_date, text_contains
from acl_imapd.mail.mime import parsed, scan, section
from acl_imapd.proto.engine import CommandReceived, ConnectionFatal, Engine, Limits
from acl_imapd.proto.responses import decode_mutf7, encode_mutf7

SMALL = Limits(max_line_bytes=200, max_literal_bytes=50, max_append_bytes=100, max_command_bytes=300)
PIECES = st.sampled_from(
    [b"a ", b"APPEND ", b"LOGIN ", b"FETCH ", b"{3}", b"{3+}", b"{999999}", b"~{2}", b"\r\n", b"\n", b"\0", b'"', b"\\",
     b"(",b")", b"[", b"]", b"*", b"%", b"1:*", b"1,2:3", b"BODY", b"HEADER.FIELDS", b"&AAA-", b"\xff", b"x" * 60, b" "]
)  # fmt: skip
STREAM = st.lists(PIECES | st.binary(max_size=20), max_size=40).map(b"".join)


def events(chunks: list[bytes]) -> list[object]:
    engine = Engine(SMALL)
    engine.authenticated = True
    found: list[object] = []
    for chunk in chunks:
        engine.receive(chunk)
        while (event := engine.next_event()) is not None:
            found.append((type(event).__name__, getattr(event, "tag", b""), getattr(event, "name", b"")))
            if isinstance(event, ConnectionFatal):
                return found
        assert engine.buffered_bytes <= 4096 + len(chunk)
    return found


@given(STREAM, st.lists(st.integers(0, 400), max_size=8))
def test_events_do_not_depend_on_how_the_bytes_arrive(stream, cuts):
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]

    assert events([stream]) == events([stream[a:b] for a, b in itertools.pairwise(places)])


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=300)
@given(st.sampled_from(sorted(TABLE.commands)), STREAM)
def test_every_parser_refuses_junk_with_an_error_of_ours(name, junk):
    engine = Engine(Limits())
    engine.authenticated = True
    engine.receive(b"a " + name + b" " + junk.replace(b"\n", b"") + b"\r\n")

    event = engine.next_event()

    if isinstance(event, CommandReceived) and event.name in TABLE.commands:
        with contextlib.suppress(ImapError):
            TABLE.commands[event.name].parse(event.arguments)
            event.arguments.end()


HEADERS = st.sampled_from(
    [b"Content-Type: multipart/mixed; boundary=x\r\n", b"Content-Type: message/rfc822\r\n", b"\r\n", b"--x\r\n",
     b"--x--",
     b"From: a@b, (c) <d@e>, g: h@i;\r\n", b"Subject: =?utf-8?q?=C3=A9?=\r\n",
     b"Content-Type: text/plain; charset=k\r\n",
     b"Date: Mon, 1 May 2000 10:00:00 +0000\r\n", b"Content-Transfer-Encoding: base64\r\n", b"\n", b"\xff\x00"]
)  # fmt: skip


@given(st.lists(HEADERS | st.binary(max_size=30), max_size=30).map(b"".join), st.lists(st.integers(1, 3), max_size=4))
def test_any_bytes_are_a_message(message, numbers):
    found = parsed(message)

    assert message.startswith(found.header)
    assert found.envelope.startswith(b"(")
    assert found.structure.startswith(b"(")
    part = scan(message)
    for what in (b"", b"TEXT", b"HEADER", b"MIME"):
        section(message, part, tuple(numbers), what, ())
    assert section(message, part, (), b"", ()) == message
    text_contains(message, part, "x")
    sent_date(found.header)
    decode_header(message)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_modified_utf7_goes_both_ways(name):
    assert decode_mutf7(encode_mutf7(name)) == name
