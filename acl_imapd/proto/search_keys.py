"""What SEARCH can be asked for.  RFC 3501 §6.4.4, RFC 4731 (RETURN)."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from acl_imapd.errors import BadCharset
from acl_imapd.proto.arguments import Arguments, ParseError
from acl_imapd.proto.sequence import SequenceSet

MAX_DEPTH = 50
MAX_KEYS = 2000


@dataclass(frozen=True, slots=True)
class All:
    pass


@dataclass(frozen=True, slots=True)
class Flag:
    """A system flag or keyword, set or, not *wanted*, unset."""

    name: bytes
    wanted: bool


@dataclass(frozen=True, slots=True)
class New:
    pass


@dataclass(frozen=True, slots=True)
class Old:
    pass


@dataclass(frozen=True, slots=True)
class Recent:
    pass


@dataclass(frozen=True, slots=True)
class Seq:
    numbers: SequenceSet


@dataclass(frozen=True, slots=True)
class UidSet:
    numbers: SequenceSet


@dataclass(frozen=True, slots=True)
class Header:
    field: bytes
    value: str


@dataclass(frozen=True, slots=True)
class Text:
    value: str


@dataclass(frozen=True, slots=True)
class Body:
    value: str


@dataclass(frozen=True, slots=True)
class Date:
    """*kind* internal or sent; *op* before, on or since."""

    kind: str
    op: str
    day: datetime.date


@dataclass(frozen=True, slots=True)
class Larger:
    octets: int


@dataclass(frozen=True, slots=True)
class Smaller:
    octets: int


@dataclass(frozen=True, slots=True)
class Not:
    key: Key


@dataclass(frozen=True, slots=True)
class Or:
    first: Key
    second: Key


@dataclass(frozen=True, slots=True)
class And:
    keys: tuple[Key, ...]


Key = (
    All | Flag | New | Old | Recent | Seq | UidSet | Header | Text | Body | Date | Larger | Smaller | Not | Or | And
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SearchCommand:
    """*returns* None: plain SEARCH; else of MIN, MAX, ALL, COUNT."""

    key: Key
    returns: frozenset[bytes] | None


_FLAGS = {
    b"ANSWERED": Flag(b"\\Answered", True),
    b"DELETED": Flag(b"\\Deleted", True),
    b"DRAFT": Flag(b"\\Draft", True),
    b"FLAGGED": Flag(b"\\Flagged", True),
    b"SEEN": Flag(b"\\Seen", True),
    b"UNANSWERED": Flag(b"\\Answered", False),
    b"UNDELETED": Flag(b"\\Deleted", False),
    b"UNDRAFT": Flag(b"\\Draft", False),
    b"UNFLAGGED": Flag(b"\\Flagged", False),
    b"UNSEEN": Flag(b"\\Seen", False),
    b"ALL": All(),
    b"NEW": New(),
    b"OLD": Old(),
    b"RECENT": Recent(),
}
_FIELDS = (b"BCC", b"CC", b"FROM", b"SUBJECT", b"TO")
_DATES = {
    b"BEFORE": ("internal", "before"),
    b"ON": ("internal", "on"),
    b"SINCE": ("internal", "since"),
    b"SENTBEFORE": ("sent", "before"),
    b"SENTON": ("sent", "on"),
    b"SENTSINCE": ("sent", "since"),
}
_RETURNS = (b"MIN", b"MAX", b"ALL", b"COUNT")


class _Parser:
    def __init__(self, arguments: Arguments) -> None:
        self.arguments = arguments
        self.keys = 0

    def text(self) -> str:
        self.arguments.sp()
        data = self.arguments.astring()
        try:
            # Clients send UTF-8 without saying so; what is no UTF-8 cannot be meant.
            return data.decode("utf-8")
        except UnicodeDecodeError:
            raise ParseError("The text to search for is no UTF-8") from None

    def key(self, depth: int) -> Key:
        self.keys += 1
        if depth > MAX_DEPTH or self.keys > MAX_KEYS:
            raise ParseError("That search has too many keys")
        arguments = self.arguments
        if arguments.try_open():
            keys = self.several(depth + 1)
            arguments.close_paren()
            return keys
        if arguments.peek() in b"*0123456789" and arguments.peek():
            return Seq(arguments.sequence_set())
        word = arguments.keyword()
        if word in _FLAGS:
            return _FLAGS[word]
        if word in _FIELDS:
            return Header(word, self.text())
        if word in _DATES:
            arguments.sp()
            return Date(*_DATES[word], arguments.date())
        if word == b"NOT":
            arguments.sp()
            return Not(self.key(depth + 1))
        if word == b"OR":
            arguments.sp()
            first = self.key(depth + 1)
            arguments.sp()
            return Or(first, self.key(depth + 1))
        if word == b"HEADER":
            arguments.sp()
            field = arguments.astring()
            return Header(field, self.text())
        if word == b"TEXT":
            return Text(self.text())
        if word == b"BODY":
            return Body(self.text())
        if word in (b"KEYWORD", b"UNKEYWORD"):
            arguments.sp()
            return Flag(arguments.atom(), word == b"KEYWORD")
        if word in (b"LARGER", b"SMALLER"):
            arguments.sp()
            return Larger(arguments.number64()) if word == b"LARGER" else Smaller(arguments.number64())
        if word == b"UID":
            arguments.sp()
            return UidSet(arguments.sequence_set())
        raise ParseError(f"There is no search key {word.decode('latin-1')}")

    def several(self, depth: int) -> Key:
        keys = [self.key(depth)]
        while self.arguments.try_sp():
            keys.append(self.key(depth))
        return keys[0] if len(keys) == 1 else And(tuple(keys))


def parse_search(arguments: Arguments) -> SearchCommand:
    """``["RETURN" SP "(" … ")" SP] ["CHARSET" SP astring SP] search-key *(SP search-key)``."""
    returns = None
    if arguments.try_keyword(b"RETURN"):
        arguments.sp()
        options = frozenset(arguments.parenthesised(lambda one: one.keyword(*_RETURNS)))
        returns = options or frozenset({b"ALL"})  # RFC 4731 §3.1
        arguments.sp()
    if arguments.try_keyword(b"CHARSET"):
        arguments.sp()
        if arguments.astring().upper() not in (b"US-ASCII", b"UTF-8"):
            raise BadCharset()
        arguments.sp()
    return SearchCommand(_Parser(arguments).several(0), returns)
