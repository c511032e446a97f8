"""PREVIEW: what a list of messages shows of each.  RFC 8970."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from acl_imapd.mail.mime import scan
from acl_imapd.mail.preview import MAX_CHARS, preview
from acl_imapd.storage.schema import body


def of(message: str | bytes) -> str:
    data = message if isinstance(message, bytes) else message.replace("\n", "\r\n").encode()
    return preview(data, scan(data))


def mixed(*parts: str, kind: str = "mixed") -> str:
    return f"Content-Type: multipart/{kind}; boundary=b\n\n" + "".join(f"--b\n{part}\n" for part in parts) + "--b--\n"


HTML = (
    "Content-Type: text/html\n\n<html><head><title>no</title><style>p {}</style></head><!-- no --><body>"
    "<script>no<b></script><p>Dear &amp; beloved</p><div>how<br>are you</div></body></html>"
)


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("Subject: x\n\nPreview  text!\n\nmore\n", "Preview text! more"),
        ("Subject: x\n\n", ""),
        (
            "Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\nGr=FC=DFe\n",
            "Grüße",
        ),
        ("Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\nR3LDvMOfZQ==\n", "Grüße"),
        ("Content-Type: text/plain; charset=idna\n\nxn--a\n", "xn--a"),
        (HTML, "Dear & beloved how are you"),
        (mixed("\nplain", HTML, kind="alternative"), "plain"),
        (mixed(HTML, "\nplain", kind="alternative"), "plain"),
        (mixed("Content-Type: image/png\n\nx", "\nbehind a picture"), "behind a picture"),
        (mixed("Content-Disposition: attachment\n\nno", "\nyes"), "yes"),
        (mixed("\nno", kind="encrypted"), ""),
        ("Content-Type: application/pdf\n\nx", ""),
        ("Content-Type: text/plain\nContent-Transfer-Encoding: x-own\n\nx", ""),
        ("\n> quoted\n> more\nown words\n-- \nsignature\n", "own words"),
        ("\n> all of it\n> is quoted\n", "> all of it > is quoted"),
        ("\n" + "word " * 100, ("word " * 40).rstrip()),
        ("Content-Type: text/html\n\n<style>never closed", ""),
        ("Content-Type: text/html\n\nfine <b", "fine"),
    ],
)
def test_the_beginning_of_the_text_is_shown(message, shown):
    """§3.3."""
    assert of(message) == shown


@settings(max_examples=60)
@given(
    st.binary(max_size=300),
    st.sampled_from([b"plain", b"html"]),
    st.sampled_from([b"utf-8", b"utf-7", b"koi8-r", b"hex"]),
)
def test_any_bytes_have_a_preview_that_can_be_told(data, kind, charset):
    shown = of(b"Content-Type: text/%b; charset=%b\r\n\r\n%b" % (kind, charset, data))

    assert len(shown) <= MAX_CHARS
    assert not re.search(r"[\x00-\x1f]", shown)
    shown.encode("utf-8")


@pytest.mark.parametrize("piece", ["<!--", "<style", "<", "&", "> ", "<br ", "-- ", " ", "<script></scrip"])
def test_what_repeats_does_not_keep_the_server_busy(piece):
    """With time that grows as the square of the text none of these would come to an end here."""
    assert len(of("Content-Type: text/html\n\n" + piece * 200_000)) <= MAX_CHARS


def test_fetch_tells_it(world):
    """Examples 1 and 2; with LAZY as well, since it was made with the message."""
    bob = world.client("bob")
    bob.append("INBOX", "Subject: a\r\n\r\nPreview text!\r\n")
    bob.append("INBOX", "Content-Type: image/png\r\n\r\nx")
    bob.append("INBOX", "Content-Type: text/plain; charset=utf-8\r\n\r\nGrüße\r\n")
    bob.ok("SELECT INBOX")

    assert bob.ok("FETCH 1 (PREVIEW)").untagged == ['* 1 FETCH (PREVIEW "Preview text!")']
    assert '* 1 FETCH (RFC822.SIZE 29 PREVIEW "Preview text!")' in bob.ok("FETCH 1:2 (RFC822.SIZE PREVIEW (LAZY))")
    assert bob.ok("UID FETCH 2 PREVIEW (lazy)").untagged == ['* 2 FETCH (UID 2 PREVIEW "")']
    assert "PREVIEW {7}\r\nGrüße)" in bob.ok("FETCH 3 PREVIEW")
    assert "FETCH (MODSEQ" in bob.ok("FETCH 1 PREVIEW (CHANGEDSINCE 1)")
    assert "\\Seen" not in bob.ok("FETCH 1 FLAGS")


def test_of_an_older_message_it_is_made_when_it_is_asked_for(world):
    """§4.1: with LAZY NIL until then."""
    bob = world.client("bob")
    bob.append("INBOX", "Subject: a\r\n\r\nhello\r\n")
    world.database.write_now(lambda conn: conn.execute(update(body).values(preview=None)) and None)
    bob.ok("SELECT INBOX")

    assert bob.ok("FETCH 1 PREVIEW (LAZY)").untagged == ["* 1 FETCH (PREVIEW NIL)"]
    assert bob.ok("FETCH 1 PREVIEW").untagged == ['* 1 FETCH (PREVIEW "hello")']
    assert bob.ok("FETCH 1 PREVIEW (LAZY)").untagged == ['* 1 FETCH (PREVIEW "hello")']


@pytest.mark.parametrize("item", ["PREVIEW (FROB)", "PREVIEW ()", "(PREVIEW (LAZY LAZY))", "(PREVIEW LAZY)"])
def test_what_the_grammar_does_not_know_is_bad(world, item):
    bob = world.client("bob")
    bob.append("INBOX")
    bob.ok("SELECT INBOX")

    assert bob.cmd(f"FETCH 1 {item}").tagged.startswith("BAD")
