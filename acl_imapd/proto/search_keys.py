"""What a SEARCH asks for, as a tree of values.  RFC 3501 §6.4.4, RFC 4731 for RETURN."""

from __future__ import annotations

import re
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date

from acl_imapd.errors import BadCharset
from acl_imapd.proto.arguments import Arguments, ParseError
from acl_imapd.proto.sequence import SequenceSet
from acl_imapd.proto.syntax import show

MAX_DEPTH = 50
MAX_KEYS = 2000

DateKind = typing.Literal["internal", "sent"]
DateOp = typing.Literal["before", "on", "since"]

_RETURNS = [b"MIN", b"MAX", b"ALL", b"COUNT", b"SAVE", b"PARTIAL"]
_CHARSETS = {b"US-ASCII": "ascii", b"ASCII": "ascii", b"UTF-8": "utf-8", b"UTF8": "utf-8"}
_SET_START = re.compile(rb"(?=[0-9*$])")


@dataclass(frozen=True, slots=True)
class All:
    """Every message."""


@dataclass(frozen=True, slots=True)
class Flag:
    """Messages with (or without) a system flag, ``b"\\\\Seen"``, or a keyword as the client spells it."""

    name: bytes
    wanted: bool


@dataclass(frozen=True, slots=True)
class New:
    """Recent and not seen."""


@dataclass(frozen=True, slots=True)
class Old:
    """Not recent."""


@dataclass(frozen=True, slots=True)
class Recent:
    """Recent in this session."""


@dataclass(frozen=True, slots=True)
class Seq:
    """Message sequence numbers."""

    set: SequenceSet


@dataclass(frozen=True, slots=True)
class UidSet:
    """Unique identifiers."""

    set: SequenceSet


@dataclass(frozen=True, slots=True)
class Header:
    """A header field that contains *value*; with ``""`` one that is there at all."""

    field: bytes
    value: str


@dataclass(frozen=True, slots=True)
class Text:
    """Header or body contain *value*."""

    value: str


@dataclass(frozen=True, slots=True)
class Body:
    """The body contains *value*."""

    value: str


@dataclass(frozen=True, slots=True)
class Date:
    """The day of the internal date or of the Date field, time and zone disregarded."""

    kind: DateKind
    op: DateOp
    day: date


@dataclass(frozen=True, slots=True)
class Larger:
    """More than *size_bytes*."""

    size_bytes: int


@dataclass(frozen=True, slots=True)
class Smaller:
    """Fewer than *size_bytes*."""

    size_bytes: int


@dataclass(frozen=True, slots=True)
class ModSeq:
    """Changed at *modseq* or after.  RFC 7162 §3.1.5."""

    modseq: int


@dataclass(frozen=True, slots=True)
class Not:
    """What *key* does not match."""

    key: Key


@dataclass(frozen=True, slots=True)
class Or:
    """What *a* or *b* match."""

    a: Key
    b: Key


@dataclass(frozen=True, slots=True)
class And:
    """What all *keys* match; never empty."""

    keys: tuple[Key, ...]


@dataclass(frozen=True, slots=True)
class Fuzzy:
    """What nearly matches *key*.  RFC 6203."""

    key: Key


class Extension:
    """A key that an extension brings: it declares how it is read, :func:`declare`, and how it is answered."""

    __slots__ = ()


Key = (
    All | Flag | New | Old | Recent | Seq | UidSet | Header | Text | Body | Date | Larger | Smaller | ModSeq | Not | Or
    | And | Fuzzy | Extension
)  # fmt: skip


def all_keys(key: Key) -> Iterator[Key]:
    """*key* and the keys it is made of."""
    yield key
    parts = key.keys if isinstance(key, And) else (key.a, key.b) if isinstance(key, Or) else ()
    for part in (key.key,) if isinstance(key, Not | Fuzzy) else parts:
        yield from all_keys(part)


def asks(key: Key, kind: type) -> bool:
    """True when one of the keys is of that kind."""
    return any(isinstance(one, kind) for one in all_keys(key))


def names_numbers(key: Key) -> bool:
    """True when one of the keys is a set of sequence numbers, ``$`` aside."""
    return any(isinstance(one, Seq) and not one.set.saved for one in all_keys(key))


@dataclass(frozen=True, slots=True)
class SearchCommand:
    """*returns* is None for a SEARCH without RETURN, which is answered the old way.  RFC 4731 §3.1.

    *partial*: from which result to which, counted from the end where they are negative (RFC 9394).  *refused*: why it
    cannot be carried out, of one that would have saved its result (RFC 5182 §2.1).
    """

    key: Key
    returns: frozenset[bytes] | None = None
    partial: tuple[int, int] | None = None
    refused: BadCharset | None = None


# Keys without arguments.
_PLAIN: dict[bytes, Key] = {b"ALL": All(), b"NEW": New(), b"OLD": Old(), b"RECENT": Recent()}
for _flag in (b"\\Answered", b"\\Deleted", b"\\Draft", b"\\Flagged", b"\\Seen"):
    _PLAIN[_flag[1:].upper()] = Flag(_flag, True)
    _PLAIN[b"UN" + _flag[1:].upper()] = Flag(_flag, False)
_ADDRESSED = frozenset({b"BCC", b"CC", b"FROM", b"SUBJECT", b"TO"})
_DATES: dict[bytes, tuple[DateKind, DateOp]] = {
    b"BEFORE": ("internal", "before"),
    b"ON": ("internal", "on"),
    b"SINCE": ("internal", "since"),
    b"SENTBEFORE": ("sent", "before"),
    b"SENTON": ("sent", "on"),
    b"SENTSINCE": ("sent", "since"),
}


def parse_search(arguments: Arguments) -> SearchCommand:
    """The whole of SEARCH's arguments up to their end.  Raises ParseError or BadCharset.

    [SP "RETURN" SP "(" [opt *(SP opt)] ")"] SP ["CHARSET" SP astring SP] search-key *(SP search-key)
    """
    arguments.try_sp()
    returns, partial = parse_returns(arguments)
    # RFC 3501 §6.4.4 has US-ASCII when no charset is named; UTF-8 is what clients then send all the same.
    if arguments.try_keyword(b"CHARSET") is not None:
        arguments.sp()
        return parse_criteria(arguments, returns, partial)
    return SearchCommand(_program(arguments, "utf-8"), returns, partial)


def parse_criteria(
    arguments: Arguments, returns: frozenset[bytes] | None = None, partial: tuple[int, int] | None = None
) -> SearchCommand:
    """What SORT and THREAD end with, up to the end: ``charset 1*(SP search-key)``.  RFC 5256 §5."""
    try:
        charset = _charset(arguments)
    except BadCharset as refused:
        if returns is None or b"SAVE" not in returns:
            raise
        arguments.rest()
        return SearchCommand(All(), returns, partial, refused)
    arguments.sp()
    return SearchCommand(_program(arguments, charset), returns, partial)


def _program(arguments: Arguments, charset: str) -> Key:
    reader = _Reader(arguments, charset)
    keys = [reader.key(1)]
    while arguments.try_sp():
        keys.append(reader.key(1))
    arguments.end()
    return keys[0] if len(keys) == 1 else And(tuple(keys))


def parse_returns(arguments: Arguments) -> tuple[frozenset[bytes] | None, tuple[int, int] | None]:
    """``["RETURN" SP "(" [opt *(SP opt)] ")" SP]``: the options, and the range of PARTIAL."""
    partial: list[tuple[int, int]] = []

    def option(each: Arguments) -> bytes:
        name = each.keyword(*_RETURNS)
        if name == b"PARTIAL":
            partial.append(parse_partial(each))
        return name

    if arguments.try_keyword(b"RETURN") is None:
        return None, None
    arguments.sp()
    options = frozenset(arguments.parenthesised(option))
    arguments.sp()
    if len(partial) > 1 or (partial and b"ALL" in options):
        raise ParseError("RETURN takes one of ALL and PARTIAL, once")  # RFC 9394 §3.1
    # RFC 4731 §3.1: an empty list is the same as (ALL).
    return options or frozenset({b"ALL"}), partial[0] if partial else None


def parse_partial(arguments: Arguments) -> tuple[int, int]:
    """``SP partial-range``: ``1:500``, or ``-1:-100`` from the end.  RFC 9394 §4."""
    arguments.sp()
    numbers = []
    for _ in range(2):
        negative = arguments.try_char(b"-")
        number = arguments.nz_number()
        numbers.append(-number if negative else number)
        if len(numbers) == 1 and not arguments.try_char(b":"):
            raise ParseError("PARTIAL wants a range like 1:500 or -1:-100")
    if (numbers[0] < 0) != (numbers[1] < 0):
        raise ParseError("Both ends of PARTIAL are counted from the same side")
    return numbers[0], numbers[1]


def _charset(arguments: Arguments) -> str:
    try:
        return _CHARSETS[arguments.astring().upper()]
    except KeyError:
        raise BadCharset from None


class _Reader:
    """Reads keys and counts them; recursion ends at 50 levels of NOT, OR and parentheses."""

    def __init__(self, arguments: Arguments, charset: str) -> None:
        self._arguments = arguments
        self._charset = charset
        self._keys = 0

    def key(self, depth: int) -> Key:
        arguments = self._arguments
        self._keys += 1
        if self._keys > MAX_KEYS:
            raise ParseError(f"A search may have at most {MAX_KEYS} keys")
        if depth > MAX_DEPTH:
            raise ParseError("The search is nested too deeply")
        if arguments.peek() == b"(":
            keys = arguments.parenthesised(lambda _: self.key(depth + 1))
            if not keys:
                raise ParseError("A search in parentheses is empty")
            return keys[0] if len(keys) == 1 else And(tuple(keys))
        if arguments.take(_SET_START) is not None:
            return Seq(arguments.sequence_set())
        word = arguments.keyword()
        plain = _PLAIN.get(word)
        return plain if plain is not None else self._with_arguments(word, depth)

    def _with_arguments(self, word: bytes, depth: int) -> Key:
        if word == b"NOT":
            return Not(self._next(depth))
        if word == b"FUZZY":
            return Fuzzy(self._next(depth))
        if word == b"OR":
            first = self._next(depth)
            return Or(first, self._next(depth))
        if word in _ADDRESSED:
            return Header(word, self._string())
        if word in _DATES:
            kind, op = _DATES[word]
            self._arguments.sp()
            return Date(kind, op, self._arguments.date())
        read = _OTHERS.get(word)
        if read is None:
            raise ParseError(f"{show(word)} is not a search key here")
        return read(self)

    def _next(self, depth: int) -> Key:
        self._arguments.sp()
        return self.key(depth + 1)

    def _string(self) -> str:
        self._arguments.sp()
        try:
            return self._arguments.astring().decode(self._charset)
        except UnicodeDecodeError:
            raise ParseError(f"A search string is not valid {self._charset.upper()}") from None

    def header(self) -> Key:
        self._arguments.sp()
        name = self._arguments.astring()
        return Header(name, self._string())

    def body(self) -> Key:
        return Body(self._string())

    def text(self) -> Key:
        return Text(self._string())

    def flag(self, wanted: bool) -> Key:
        self._arguments.sp()
        return Flag(self._arguments.flag(), wanted)

    def size(self, kind: type[Larger | Smaller]) -> Key:
        self._arguments.sp()
        return kind(self._arguments.number64())

    def modseq(self) -> Key:
        """``SP [entry-name SP entry-type-req SP] mod-sequence-valzer``.  The entry is not looked at: a message has one
        modseq for a user (RFC 7162 §3.1.5)."""
        self._arguments.sp()
        if self._arguments.peek() == b'"':
            self._arguments.string()
            self._arguments.sp()
            self._arguments.keyword(b"PRIV", b"SHARED", b"ALL")
            self._arguments.sp()
        return ModSeq(self._arguments.number64())

    def uid(self) -> Key:
        self._arguments.sp()
        return UidSet(self._arguments.sequence_set())


_OTHERS: dict[bytes, Callable[[_Reader], Key]] = {
    b"BODY": _Reader.body,
    b"HEADER": _Reader.header,
    b"KEYWORD": lambda reader: reader.flag(True),
    b"LARGER": lambda reader: reader.size(Larger),
    b"MODSEQ": _Reader.modseq,
    b"SMALLER": lambda reader: reader.size(Smaller),
    b"TEXT": _Reader.text,
    b"UID": _Reader.uid,
    b"UNKEYWORD": lambda reader: reader.flag(False),
}


def declare(word: bytes, read: Callable[[Arguments], Extension]) -> None:
    """Let *word* be a search key; *read* reads what follows it."""
    _OTHERS[word] = lambda reader: read(reader._arguments)


def declare_return(word: bytes) -> None:
    """Let *word* be an option of RETURN."""
    _RETURNS.append(word)
