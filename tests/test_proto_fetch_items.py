"""What FETCH may ask for.  RFC 3501 §6.4.5."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acl_imapd.proto.arguments import Arguments, Literal, ParseError
from acl_imapd.proto.fetch_items import Item, Section, parse_fetch


def parse(*pieces: bytes | Literal) -> tuple[Item | Section, ...]:
    arguments = Arguments(pieces)
    items = parse_fetch(arguments)
    arguments.end()
    return items


def section(text: bytes) -> Section:
    (found,) = parse(text)
    assert isinstance(found, Section)
    return found


def names(items: tuple[Item | Section, ...]) -> list[bytes]:
    return [item.name if isinstance(item, Item) else item.label for item in items]


def test_one_item_needs_no_parentheses() -> None:
    assert (Item(b"FLAGS"),) == parse(b"flags")


def test_a_list_keeps_its_order_and_each_item_once() -> None:
    assert names(parse(b"(UID RFC822.SIZE BODY.PEEK[] BODY UID BODY.PEEK[])")) == [
        b"UID",
        b"RFC822.SIZE",
        b"BODY[]",
        b"BODY",
    ]


def test_macros_stand_for_their_items() -> None:
    assert names(parse(b"fast")) == [b"FLAGS", b"INTERNALDATE", b"RFC822.SIZE"]
    assert names(parse(b"ALL")) == [b"FLAGS", b"INTERNALDATE", b"RFC822.SIZE", b"ENVELOPE"]
    assert names(parse(b"FULL")) == [b"FLAGS", b"INTERNALDATE", b"RFC822.SIZE", b"ENVELOPE", b"BODY"]


@pytest.mark.parametrize("name", [b"RFC822", b"RFC822.HEADER", b"RFC822.TEXT", b"BODYSTRUCTURE", b"ENVELOPE"])
def test_old_names_stay_items(name: bytes) -> None:
    assert (Item(name),) == parse(name)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"BODY[]", Section(b"BODY[]")),
        (b"body.peek[]", Section(b"BODY[]", peek=True)),
        (b"BODY[1.2]", Section(b"BODY[1.2]", (1, 2))),
        (b"BODY[text]", Section(b"BODY[TEXT]", what=b"TEXT")),
        (b"BODY[2.mime]", Section(b"BODY[2.MIME]", (2,), b"MIME")),
        (b"BODY[3.header]", Section(b"BODY[3.HEADER]", (3,), b"HEADER")),
        (b"BODY[]<0.2048>", Section(b"BODY[]<0>", partial=(0, 2048))),
        (
            b"BODY.PEEK[HEADER.FIELDS (From to)]<5.1>",
            Section(b"BODY[HEADER.FIELDS (From to)]<5>", (), b"HEADER.FIELDS", (b"From", b"to"), (5, 1), True),
        ),
        (
            b'BODY[4.header.fields.not ("DATE")]',
            Section(b"BODY[4.HEADER.FIELDS.NOT (DATE)]", (4,), b"HEADER.FIELDS.NOT", (b"DATE",)),
        ),
    ],
)
def test_sections_are_read_and_labelled_as_the_answer_repeats_them(text: bytes, expected: Section) -> None:
    assert expected == section(text)


def test_field_names_may_be_literals() -> None:
    (found,) = parse(b"BODY[HEADER.FIELDS (", Literal(b"X-Spam"), b" Subject)]")

    assert isinstance(found, Section)
    assert found.fields == (b"X-Spam", b"Subject")
    assert found.label == b"BODY[HEADER.FIELDS (X-Spam Subject)]"


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"()",
        b"(FLAGS",
        b"(FLAGS  UID)",
        b"(ALL)",
        b"FOO",
        b"BODY.PEEK",
        b"BODY [TEXT]",
        b"BODY[",
        b"BODY[MIME]",
        b"BODY[0]",
        b"BODY[1.]",
        b"BODY[.1]",
        b"BODY[1TEXT]",
        b"BODY[TEXT.1]",
        b"BODY[HEADER.FIELDS]",
        b"BODY[HEADER.FIELDS ()]",
        b'BODY[HEADER.FIELDS ("a:b")]',
        b"BODY[]<0>",
        b"BODY[]<0.0>",
        b"BODY[]<0.5",
        b"BODY[" + b"1." * 200 + b"1]",
        b"(" + b" ".join([b"FLAGS"] * 201) + b")",
    ],
)
def test_what_is_no_item_is_refused(text: bytes) -> None:
    with pytest.raises(ParseError):
        parse(text)


def test_a_field_name_cannot_break_the_answer() -> None:
    with pytest.raises(ParseError):
        parse(b"BODY[HEADER.FIELDS (", Literal(b"x\r\n* BYE"), b")]")


WORDS = st.sampled_from(
    [
        b"BODY",
        b"BODY.PEEK",
        b"[",
        b"]",
        b"HEADER",
        b".FIELDS",
        b" ",
        b"(",
        b")",
        b"<",
        b">",
        b"0.1",
        b"1.",
        b"FLAGS",
        b"\xe9",
    ]
)


@given(words=st.lists(WORDS, max_size=12))
def test_bad_items_raise_parse_errors_only(words: list[bytes]) -> None:
    try:
        items = parse(b"".join(words))
    except ParseError:
        return
    # What was accepted can be repeated: the label is itself an item.
    for item in items:
        if isinstance(item, Section) and item.partial is None:
            assert item.label == section(item.label).label
