"""CATENATE.  RFC 4469, with the URLs of RFC 5092."""

from __future__ import annotations

import re

import pytest

from tests.conftest import ADMIN_LETTERS

HEADER = "Subject: draft\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
TEXT = "Content-Type: text/plain\r\n\r\nhello\r\n"
PHOTO = "Content-Type: image/jpeg\r\nContent-Transfer-Encoding: base64\r\n\r\n/9j/4AAQSkZJRg==\r\n"
DRAFT = f"{HEADER}--b\r\n{TEXT}\r\n--b\r\n{PHOTO}\r\n--b--\r\n"


def text(data):
    return f"TEXT {{{len(data)}+}}\r\n{data}"


@pytest.fixture
def bob(world):
    client = world.client("bob")
    client.append("Drafts", DRAFT)
    client.ok("SELECT Drafts")
    return client


def validity(client):
    return re.search(r"UIDVALIDITY (\d+)", client.ok("STATUS Drafts (UIDVALIDITY)"))[1]


def last(client, name="Drafts"):
    client.ok(f"SELECT {name}")
    answer = client.ok("FETCH * BODY.PEEK[]")
    return answer.partition("}\r\n")[2].rpartition(")\r\n")[0]


def test_an_attachment_is_kept_and_the_text_replaced(bob):
    """Examples 1 and 2: header, boundaries and a part from here, the rest sent; \\Seen stays unset."""
    url = f"/Drafts;UIDVALIDITY={validity(bob)}/;UID=1/;section="

    answer = bob.ok(
        f'APPEND Drafts (\\Seen \\Draft $MDNSent) CATENATE (URL "{url}HEADER" {text("--b")} {text(chr(13) + chr(10))}'
        f" {text(TEXT.replace('hello', 'changed'))} {text(chr(13) + chr(10) + '--b' + chr(13) + chr(10))}"
        f' URL "{url}2.MIME" URL "{url}2" {text(chr(13) + chr(10) + "--b--" + chr(13) + chr(10))})'
    )

    assert re.match(r"OK \[APPENDUID \d+ 2\]", answer.tagged)
    assert last(bob) == DRAFT.replace("hello", "changed")
    assert "\\Seen" not in bob.ok("FETCH 1 FLAGS")


def test_whole_messages_parts_of_parts_and_pieces(bob):
    for url, found in (
        ("/Drafts/;UID=1", DRAFT),
        (";UID=1", DRAFT),
        ("/;UID=1/;SECTION=TEXT", DRAFT.partition("\r\n\r\n")[2]),
        ("/Drafts/;UID=1/;section=1", "hello\r\n"),
        ("/Drafts/;UID=1/;section=1/;PARTIAL=1.3", "ell"),
        ("/Drafts/;UID=1/;section=1/;PARTIAL=2", "llo\r\n"),
        ("/Drafts/;UID=1/;section=HEADER.FIELDS%20(Subject)", "Subject: draft\r\n\r\n"),
        ("/%44rafts/;uid=1/;Section=1", "hello\r\n"),
    ):
        bob.ok(f'APPEND Drafts CATENATE (URL "{url}" {text("|")})')

        assert last(bob) == found + "|", url


def test_a_part_of_a_shared_folder(world, bob):
    world.client("ann").append('"Shared Folders/Team"', DRAFT)

    bob.ok('APPEND Drafts CATENATE (URL "/Shared%20Folders/Team/;UID=1/;SECTION=1")')

    assert last(bob) == "hello\r\n"


@pytest.mark.parametrize(
    "url",
    [
        "/Drafts/;UID=99",
        "/Drafts;UIDVALIDITY=1/;UID=1",
        "/Nope/;UID=1",
        "/Shared%20Folders/Hidden/;UID=1",
        "/Drafts/;UID=1/;SECTION=9",
        "/Drafts/;UID=1/;SECTION=FROB",
        "/Drafts/;UID=1/;SECTION=1]",
        "imap://else.where/Drafts/;UID=1",
        "/Drafts",
        "http:",
        "/%ff/;UID=1",
        "",
    ],
)
def test_a_url_that_leads_nowhere_is_named_and_nothing_is_kept(world, bob, url):
    """Example 4; and one that leads to what the user may not read."""
    world.create("Hidden", ann=ADMIN_LETTERS)
    world.client("ann").append('"Shared Folders/Hidden"', DRAFT)
    before = world.snapshot()

    answer = bob.cmd(f'APPEND Drafts CATENATE ({text("x")} URL "{url}")')

    assert answer.tagged.startswith("NO [BADURL " + url.replace("]", "?"))
    assert world.snapshot() == before


def test_a_hidden_message_answers_as_a_missing_one(world, bob):
    world.create("Hidden", ann=ADMIN_LETTERS)
    world.create("Listed", bob="l")
    for name in ("Hidden", "Listed"):
        world.client("ann").append(f'"Shared Folders/{name}"', DRAFT)
    answers = {
        bob.cmd(f'APPEND Drafts CATENATE (URL "/Shared%20Folders/{name}/;UID=1")').tagged.replace(name, "X")
        for name in ("Hidden", "None", "Listed")
    }

    assert len(answers) == 1


def test_what_is_selected_must_be_named_where_nothing_is(world):
    bob = world.client("bob")

    assert bob.cmd('APPEND INBOX CATENATE (URL ";UID=1")').tagged.startswith("NO [BADURL ;UID=1]")


def test_a_message_that_becomes_too_large_is_refused(make_world):
    """§4.2."""
    world = make_world(limits={"max_append_bytes": 1000})
    bob = world.client("bob")
    bob.append("INBOX", "x" * 600)

    assert bob.cmd('APPEND INBOX CATENATE (URL "/INBOX/;UID=1" URL "/INBOX/;UID=1")').tagged.startswith("NO [TOOBIG]")
    bob.ok('APPEND INBOX CATENATE (URL "/INBOX/;UID=1")')


@pytest.mark.parametrize(
    "parts",
    ["CATENATE ()", "CATENATE", "CATENATE (TEXT)", "CATENATE (URL)", "CATENATE (FROB x)",
     "CATENATE (TEXT {1+}\r\nx", "CATENATE (" + " ".join(['URL "x"'] * 201) + ")"],
)  # fmt: skip
def test_what_the_grammar_does_not_know_is_bad(world, bob, parts):
    before = world.snapshot()

    assert bob.cmd(f"APPEND Drafts {parts}").tagged.startswith("BAD")
    assert world.snapshot() == before


def test_replace_and_multiappend_take_it_too(bob):
    """RFC 8508 §4.2: a photo is not sent again."""
    answer = bob.ok(f'UID REPLACE 1 Drafts CATENATE ({text("To: x" + chr(13) + chr(10))} URL "/Drafts/;UID=1")')
    assert "* 1 EXPUNGE" in answer.untagged
    assert last(bob) == "To: x\r\n" + DRAFT

    bob.ok(f'APPEND Drafts CATENATE ({text("one")}) (\\Seen) {{3+}}\r\ntwo CATENATE (URL "/Drafts/;UID=2")')
    assert last(bob) == "To: x\r\n" + DRAFT
