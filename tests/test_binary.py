"""BINARY: parts without their encoding, messages with NUL.  RFC 3516."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acl_imapd.mail.mime import scan
from acl_imapd.mail.transfer import decoded, decoded_section, encode_binary

PHOTO = bytes(range(256))
MIME = (
    b"Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nplain\r\n--b\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    b"Gr=C3=BC=\r\n\xc3\x9fe\r\n--b\r\n"
    b"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(PHOTO) + b"\r\n--b\r\n"
    b"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    b"aGVsbG8=\r\n--b\r\n"
    b"Content-Transfer-Encoding: x-own\r\n\r\n???\r\n--b--\r\n"
)  # fmt: skip
# As they come back through a client that reads text.
SHOWN = PHOTO.decode("utf-8", "replace")


@pytest.fixture
def bob(world):
    client = world.client("bob")
    assert client.cmd(b"APPEND INBOX {%d+}\r\n%b" % (len(MIME), MIME)).tagged.startswith("OK")
    client.ok("SELECT INBOX")
    return client


def raw(client, line):
    client.send(b"r " + line.encode() + b"\r\n")
    client.world.reactor.turn(lambda: b"\r\nr " in b"\r\n" + client.transport.value())
    value = client.transport.value()
    client.transport.clear()
    return value


def test_parts_are_told_without_their_encoding(bob):
    """§4.2, §4.3: with NUL as literal8, else as a string; positions are of what was decoded."""
    assert b"* 1 FETCH (BINARY[1] {5}\r\nplain)" in raw(bob, "FETCH 1 BINARY.PEEK[1]")
    assert b"BINARY[2] {%d}\r\n%b)" % (7, "Grüße".encode()) in raw(bob, "FETCH 1 BINARY.PEEK[2]")
    assert b"BINARY[3] ~{256}\r\n%b)" % PHOTO in raw(bob, "FETCH 1 BINARY.PEEK[3]")
    assert b"BINARY[3]<65> {3}\r\nABC)" in raw(bob, "FETCH 1 BINARY.PEEK[3]<65.3>")
    assert b"BINARY[3]<0> ~{2}\r\n\0\1)" in raw(bob, "FETCH 1 BINARY.PEEK[3]<0.2>")
    assert b"BINARY[3]<300> {0}\r\n)" in raw(bob, "FETCH 1 BINARY.PEEK[3]<300.5>")
    assert b"BINARY[4.1] {5}\r\nhello)" in raw(bob, "FETCH 1 BINARY.PEEK[4.1]")
    assert b"BINARY[4] {" in raw(bob, "FETCH 1 BINARY.PEEK[4]")
    assert b"BINARY[] {%d}\r\n%b)" % (len(MIME), MIME) in raw(bob, "FETCH 1 BINARY.PEEK[]")
    assert b"BINARY[9] NIL)" in raw(bob, "FETCH 1 BINARY.PEEK[9]")
    sizes = raw(bob, "FETCH 1 (BINARY.SIZE[1] BINARY.SIZE[3] BINARY.SIZE[])")
    assert b"BINARY.SIZE[1] 5 BINARY.SIZE[3] 256 BINARY.SIZE[] %d)" % len(MIME) in sizes


def test_reading_a_part_sets_seen_and_looking_does_not(bob):
    assert "\\Seen" not in bob.ok("FETCH 1 (FLAGS BINARY.PEEK[1] BINARY.SIZE[1])")
    assert "\\Seen" in bob.ok("FETCH 1 BINARY[1]")


def test_an_unknown_encoding_is_no_and_the_other_messages_are_told(bob):
    """§4.3."""
    bob.append("INBOX", MIME.decode("utf-8").replace("x-own", "7bit"))

    answer = bob.cmd("UID FETCH 1:* BINARY.PEEK[5]")

    assert answer.tagged.startswith("NO [UNKNOWN-CTE]")
    assert [line for line in answer.untagged if "FETCH" in line] == ["* 2 FETCH (UID 2 BINARY[5] {3}"]
    assert bob.cmd("FETCH 1 BINARY.SIZE[5]").tagged.startswith("NO [UNKNOWN-CTE]")


@pytest.mark.parametrize(
    "item",
    ["BINARY", "BINARY[HEADER]", "BINARY[1.MIME]", "BINARY[0]", "BINARY.SIZE[1]<0.1>", "BINARY[1]<0>", "BINARY.PEEK",
     "BINARY[1", "BINARY.FROB[1]"],
)  # fmt: skip
def test_what_the_grammar_does_not_know_is_bad(bob, item):
    assert bob.cmd(f"FETCH 1 {item}").tagged.startswith("BAD")


def test_a_message_with_nul_is_kept_whole(bob):
    """§4.4: its part comes back as it was, told as what IMAP can carry (§6)."""
    body = b"a\0b\r\n\xff"
    message = b"Content-Type: application/x\r\nContent-Transfer-Encoding: binary\r\nSubject: nul\r\n\r\n" + body
    assert bob.cmd(b"APPEND INBOX ~{%d+}\r\n%b" % (len(message), message)).tagged.startswith("OK [APPENDUID")

    assert b"BINARY[1] ~{6}\r\n" + body + b")" in raw(bob, "UID FETCH 2 BINARY.PEEK[1]")
    assert '"application" "x" NIL NIL NIL "base64"' in bob.ok("UID FETCH 2 BODYSTRUCTURE")
    assert b"\0" not in raw(bob, "UID FETCH 2 BODY[]")


@pytest.mark.parametrize(
    "message",
    [b"Subject: a\0b\r\n\r\nx", b"Content-Transfer-Encoding: base64\r\n\r\nAA\0==",
     b"Content-Type: multipart/mixed; boundary=b\r\n\r\nbefore\0\r\n--b\r\n\r\nx\r\n--b--\r\n"],
)  # fmt: skip
def test_nul_where_nothing_can_be_encoded_is_refused(bob, world, message):
    before = world.snapshot()

    assert bob.cmd(b"APPEND INBOX ~{%d+}\r\n%b" % (len(message), message)).tagged.startswith("NO [UNKNOWN-CTE]")
    assert world.snapshot() == before


@settings(max_examples=50)
@given(st.lists(st.binary(max_size=80).filter(lambda data: b"--b" not in data), min_size=1, max_size=4))
def test_what_is_encoded_for_its_nul_decodes_to_the_same(bodies):
    parts = b"".join(b"--b\r\nContent-Type: application/x\r\n\r\n%b\r\n" % data for data in bodies)
    message = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + parts + b"--b--\r\n"

    encoded = encode_binary(message)

    assert encoded is not None
    assert b"\0" not in encoded
    before, after = scan(message), scan(encoded)
    for number in range(1, len(before.children) + 1):
        assert decoded_section(encoded, after, (number,)) == decoded_section(message, before, (number,))


@settings(max_examples=50)
@given(st.binary(max_size=200))
def test_base64_is_decoded_however_it_is_broken(data):
    text = base64.encodebytes(data)

    assert decoded(text, b"base64") == data
    assert decoded(text.replace(b"\n", b" \r\n ").rstrip(b"=\r\n "), b"base64") == data
    assert isinstance(decoded(data, b"base64"), bytes)
    assert isinstance(decoded(data, b"quoted-printable"), bytes)
