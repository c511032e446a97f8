"""What FETCH can be asked for.  RFC 3501 §6.4.5, §9 (fetch-att)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from acl_imapd.proto.arguments import Arguments, ParseError

MAX_ITEMS = 200
MAX_FIELDS = 200


@dataclass(frozen=True, slots=True)
class Item:
    """A data item by its name alone: FLAGS, UID, ENVELOPE, RFC822.SIZE …"""

    name: bytes


@dataclass(frozen=True, slots=True)
class Section:
    """``BODY[section]<partial>``; *label* is how the answer names it."""

    label: bytes
    part: tuple[int, ...]
    what: bytes
    fields: tuple[bytes, ...]
    partial: tuple[int, int] | None
    peek: bool


_NAMES = frozenset(
    {
        b"FLAGS", b"UID", b"INTERNALDATE", b"RFC822.SIZE", b"ENVELOPE", b"BODY", b"BODYSTRUCTURE",
        b"RFC822", b"RFC822.HEADER", b"RFC822.TEXT",
    }
)  # fmt: skip
_FAST = (Item(b"FLAGS"), Item(b"INTERNALDATE"), Item(b"RFC822.SIZE"))
_ALL = (*_FAST, Item(b"ENVELOPE"))
_MACROS = {b"FAST": _FAST, b"ALL": _ALL, b"FULL": (*_ALL, Item(b"BODY"))}
_WORD = re.compile(rb"[A-Za-z0-9.]+")
_SECTION = re.compile(
    rb"((?:[1-9][0-9]{0,3})(?:\.[1-9][0-9]{0,3}){0,49})?(?:(?(1)\.)(HEADER\.FIELDS\.NOT|HEADER\.FIELDS|HEADER|TEXT|MIME))?",
    re.IGNORECASE,
)
_PARTIAL = re.compile(rb"<([0-9]{1,10})\.([1-9][0-9]{0,9})>")


def parse_fetch(arguments: Arguments) -> tuple[Item | Section, ...]:
    """``"ALL" / "FULL" / "FAST" / fetch-att / "(" fetch-att *(SP fetch-att) ")"``."""
    if arguments.peek() == b"(":
        items = arguments.parenthesised(_item)
        if not items or len(items) > MAX_ITEMS:
            raise ParseError(f"FETCH takes from one to {MAX_ITEMS} items")
        return tuple(dict.fromkeys(items))
    macro = arguments.try_keyword(*_MACROS)
    return _MACROS[macro] if macro else (_item(arguments),)


def _item(arguments: Arguments) -> Item | Section:
    word = arguments.take(_WORD)
    name = word[0].upper() if word else b""
    if name in (b"BODY", b"BODY.PEEK") and arguments.peek() == b"[":
        return _section(arguments, peek=name == b"BODY.PEEK")
    if name not in _NAMES:
        raise ParseError(f"There is no data item {name.decode('latin-1') or 'here'}")
    return Item(name)


def _section(arguments: Arguments, *, peek: bool) -> Section:
    arguments.try_char(b"[")
    found = arguments.take(_SECTION)
    assert found is not None  # it may be empty
    part = tuple(int(number) for number in found[1].split(b".")) if found[1] else ()
    what = (found[2] or b"").upper()
    if what == b"MIME" and not part:
        raise ParseError("MIME wants the number of a part before it")
    fields: tuple[bytes, ...] = ()
    spec = b".".join(text for text in (found[1] or b"", what) if text)
    if what.startswith(b"HEADER.FIELDS"):
        arguments.sp()
        fields = tuple(arguments.parenthesised(Arguments.astring))
        if not fields or len(fields) > MAX_FIELDS:
            raise ParseError(f"HEADER.FIELDS takes from one to {MAX_FIELDS} names")
        spec += b" (" + b" ".join(_field_name(name) for name in fields) + b")"
    if not arguments.try_char(b"]"):
        raise ParseError("That is no section: ], a part number, HEADER, HEADER.FIELDS, TEXT or MIME was expected")
    label = b"BODY[" + spec + b"]"
    partial = None
    if arguments.peek() == b"<":
        limits = arguments.take(_PARTIAL)
        if limits is None:
            raise ParseError("A partial fetch is written <first octet.number of octets>")
        partial = (int(limits[1]), int(limits[2]))
        label += b"<%d>" % partial[0]
    return Section(label, part, what, fields, partial, peek)


_PLAIN_NAME = re.compile(rb"[!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]+\Z")


def _field_name(name: bytes) -> bytes:
    if _PLAIN_NAME.match(name):
        return name
    return b'"' + re.sub(rb'(["\\])', rb"\\\1", re.sub(rb"[\r\n\0\x80-\xff]", b"?", name)) + b'"'
