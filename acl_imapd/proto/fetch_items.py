"""What a FETCH asks for.  RFC 3501 §6.4.5 and the ABNF of fetch-att and section in §9."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from acl_imapd.proto.arguments import Arguments, ParseError
from acl_imapd.proto.responses import astring
from acl_imapd.proto.syntax import show

MAX_ITEMS = 200
MAX_FIELDS = 1000
MAX_PART_NUMBERS = 100

_WORD = re.compile(rb"[A-Za-z0-9.]+")
_SECTION_WORD = re.compile(rb"[A-Za-z.]+")
_FIELD = re.compile(rb"[!-9;-~]+")  # RFC 5322 §2.2: printable US-ASCII save ":"

_NAMES = (
    b"BODY", b"BODYSTRUCTURE", b"ENVELOPE", b"FLAGS", b"INTERNALDATE", b"MODSEQ", b"RFC822", b"RFC822.HEADER",
    b"RFC822.SIZE", b"RFC822.TEXT", b"UID",
)  # fmt: skip
_WITH_FIELDS = frozenset({b"HEADER.FIELDS", b"HEADER.FIELDS.NOT"})
_SECTIONS = frozenset({b"HEADER", b"TEXT", b"MIME"}) | _WITH_FIELDS


@dataclass(frozen=True, slots=True)
class Item:
    """A fetch-att without a section; *name* in capitals, *option* a word some take."""

    name: bytes
    option: bytes = b""


@dataclass(frozen=True, slots=True)
class Section:
    """``BODY[...]``: a part of the message.

    *label* is what the response repeats, ``<origin>`` included and without PEEK; *what* is ``b""`` for
    the whole part, else a section-text; *fields* as the client wrote them; *partial* is (origin, length).
    """

    label: bytes
    part: tuple[int, ...] = ()
    what: bytes = b""
    fields: tuple[bytes, ...] = ()
    partial: tuple[int, int] | None = None
    peek: bool = False


@dataclass(frozen=True, slots=True)
class Binary:
    """``BINARY[...]``: a part without its encoding, or with *size* how long that is.  RFC 3516 §4.2."""

    label: bytes
    part: tuple[int, ...] = ()
    partial: tuple[int, int] | None = None
    peek: bool = False
    size: bool = False


Fetchable = Item | Section | Binary

_FAST = (Item(b"FLAGS"), Item(b"INTERNALDATE"), Item(b"RFC822.SIZE"))
_MACROS: dict[bytes, tuple[Item, ...]] = {
    b"FAST": _FAST,
    b"ALL": (*_FAST, Item(b"ENVELOPE")),
    b"FULL": (*_FAST, Item(b"ENVELOPE"), Item(b"BODY")),
}


def parse_fetch(arguments: Arguments) -> tuple[Fetchable, ...]:
    """The items at the cursor, each once, at most 200.  Raises ParseError.

    Reads neither the message numbers before them nor modifiers behind them, and does not call ``end()``.

    "ALL" / "FULL" / "FAST" / fetch-att / "(" fetch-att *(SP fetch-att) ")"
    """
    arguments.try_sp()
    macro = arguments.try_keyword(*_MACROS)
    if macro is not None:
        return _MACROS[macro]
    if arguments.peek() != b"(":
        return (_item(arguments),)
    count = 0

    def counted(arguments: Arguments) -> Fetchable:
        nonlocal count
        count += 1
        if count > MAX_ITEMS:
            raise ParseError(f"At most {MAX_ITEMS} items may be fetched in one command")
        return _item(arguments)

    items = tuple(dict.fromkeys(arguments.parenthesised(counted)))
    if not items:
        raise ParseError("The list of items to fetch is empty")
    return items


def _item(arguments: Arguments) -> Fetchable:
    match = arguments.take(_WORD)
    if match is None:
        raise ParseError("Expected an item to fetch, like FLAGS or BODY.PEEK[HEADER]")
    name = match[0].upper()
    arguments.after(show(name))
    if name in (b"BODY", b"BODY.PEEK") and arguments.try_char(b"["):
        return _section(arguments, peek=name == b"BODY.PEEK")
    read = _ITEMS.get(name)
    if read is None:
        raise ParseError(f"{show(name)} cannot be fetched here")
    return read(arguments)


def declare(name: bytes, read: Callable[[Arguments], Fetchable] | None = None) -> None:
    """Let *name*, which an extension brings, be an item; *read* reads what follows it."""
    _ITEMS[name] = read if read is not None else lambda _: Item(name)


_ITEMS: dict[bytes, Callable[[Arguments], Fetchable]] = {}
for _name in _NAMES:
    declare(_name)


def read_binary(arguments: Arguments, *, peek: bool = False, size: bool = False) -> Binary:
    """section-binary [partial], after the name.  RFC 3516 §7."""
    if not arguments.try_char(b"["):
        raise ParseError('BINARY wants a part in "[" and "]"')
    part, more = _part(arguments)
    if more or not arguments.try_char(b"]"):
        raise ParseError("BINARY takes part numbers alone")
    arguments.after("the part")
    partial = None if size else _partial(arguments)
    spec = b".".join(b"%d" % number for number in part)
    label = b"BINARY%b[%b]" % (b".SIZE" if size else b"", spec) + (b"<%d>" % partial[0] if partial else b"")
    return Binary(label, part, partial, peek, size)


declare(b"BINARY", read_binary)
declare(b"BINARY.PEEK", lambda arguments: read_binary(arguments, peek=True))
declare(b"BINARY.SIZE", lambda arguments: read_binary(arguments, peek=True, size=True))


def _section(arguments: Arguments, *, peek: bool) -> Section:
    """The section whose ``[`` has been read.

    section = "[" [section-msgtext / (section-part ["." section-text])] "]" ["<" number "." nz-number ">"]
    """
    part, more = _part(arguments)
    spec = b".".join(b"%d" % number for number in part)
    what = b""
    fields: tuple[bytes, ...] = ()
    if more:
        what = _section_text(arguments, part)
        spec = spec + b"." + what if spec else what
        if what in _WITH_FIELDS:
            fields = _fields(arguments)
            spec += b" (%b)" % b" ".join(astring(name) for name in fields)
    if not arguments.try_char(b"]"):
        raise ParseError('Expected "]" at the end of a section')
    arguments.after("the section")
    partial = _partial(arguments)
    label = b"BODY[%b]" % spec + (b"<%d>" % partial[0] if partial else b"")
    return Section(label, part, what, fields, partial, peek)


def _part(arguments: Arguments) -> tuple[tuple[int, ...], bool]:
    """section-part = nz-number *("." nz-number), and whether a section text must follow."""
    numbers: list[int] = []
    while arguments.peek().isdigit():
        if len(numbers) >= MAX_PART_NUMBERS:
            raise ParseError("The part number is nested too deeply")
        numbers.append(arguments.nz_number())
        if not arguments.try_char(b"."):
            return tuple(numbers), False
    return tuple(numbers), bool(numbers) or arguments.peek() != b"]"


def _section_text(arguments: Arguments, part: tuple[int, ...]) -> bytes:
    match = arguments.take(_SECTION_WORD)
    what = match[0].upper() if match else b""
    # RFC 3501 §6.4.5: the MIME part specifier must be prefixed by part numbers.
    if what not in _SECTIONS or (what == b"MIME" and not part):
        raise ParseError("A section is a part number, HEADER, HEADER.FIELDS, HEADER.FIELDS.NOT, TEXT or n.MIME")
    arguments.after(show(what))
    return what


def _fields(arguments: Arguments) -> tuple[bytes, ...]:
    """header-list = "(" header-fld-name *(SP header-fld-name) ")", after its space."""
    arguments.sp()
    names = tuple(arguments.parenthesised(_field_name))
    if not names or len(names) > MAX_FIELDS:
        raise ParseError(f"Name from 1 to {MAX_FIELDS} header fields")
    return names


def _field_name(arguments: Arguments) -> bytes:
    name = arguments.astring()
    if not _FIELD.fullmatch(name):
        raise ParseError(f'"{show(name)}" is not the name of a header field')
    return name


def _partial(arguments: Arguments) -> tuple[int, int] | None:
    if not arguments.try_char(b"<"):
        return None
    origin = arguments.number()
    dot = arguments.try_char(b".")
    length = arguments.nz_number() if dot else 0
    if not dot or not arguments.try_char(b">"):
        raise ParseError("A partial fetch is written <first octet.number of octets>")
    return origin, length
