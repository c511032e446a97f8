"""A cursor over the arguments of one command.  Grammar of RFC 3501 §9, one method per production.

The cursor starts right behind the command's name, so a command with arguments begins with ``sp()``, as
its ABNF does.  Every method either consumes what it returns or raises ParseError, whose text never holds
argument text that might be secret.
"""

from __future__ import annotations

import re
from calendar import timegm
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TypeVar

from acl_imapd.proto.responses import MONTHS, decode_mutf7
from acl_imapd.proto.sequence import SequenceSet, parse_sequence_set
from acl_imapd.proto.syntax import ASTRING_CHARS, ATOM_CHARS, LIST_CHARS, MAX_NUMBER, MAX_NUMBER64, ParseError, show

__all__ = ["Arguments", "Literal", "ParseError"]

T = TypeVar("T")

MAX_DEPTH = 50
MAX_DIGITS = 20

_ATOM = re.compile(rb"[%b]+" % ATOM_CHARS)
_ASTRING = re.compile(rb"[%b]+" % ASTRING_CHARS)
_LIST_ATOM = re.compile(rb"[%b]+" % LIST_CHARS)
_FLAG = re.compile(rb"\\?[%b]+" % ATOM_CHARS)
_DIGITS = re.compile(rb"[0-9]+")
_SET = re.compile(rb"[0-9*:,]+|\$")
# quoted = DQUOTE *QUOTED-CHAR DQUOTE; 8-bit is let through, its decoding is the reader's matter.
_QUOTED = re.compile(rb'"((?:[^"\\\r\n\0]++|\\["\\])*+)"')
_ESCAPED = re.compile(rb"\\(.)")
# date = date-text / DQUOTE date-text DQUOTE
_DATE = re.compile(rb'("?)([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})\1')
# date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE
_DATE_TIME = re.compile(
    rb'"([ 0-9]?[0-9])-([A-Za-z]{3})-([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})"'
)
_MONTH_NUMBERS = {name.upper(): number for number, name in enumerate(MONTHS, 1)}
_SYSTEM_FLAGS = {
    flag.upper(): flag for flag in (b"\\Answered", b"\\Deleted", b"\\Draft", b"\\Flagged", b"\\Recent", b"\\Seen")
}


@dataclass(frozen=True, slots=True)
class Literal:
    """The octets of a literal; *binary* if it came as literal8, ``~{n}``.  RFC 3516 §4.4."""

    data: bytes
    binary: bool = False


class Arguments:
    """The line pieces and literals of a command, read from left to right.

    Set *utf8* when the client enabled UTF8=ACCEPT: mailbox names are then UTF-8 (RFC 6855 §3).
    """

    __slots__ = ("_at", "_depth", "_index", "_last", "_literals", "_text", "_texts", "utf8")

    def __init__(self, pieces: Sequence[bytes | Literal], *, utf8: bool = False) -> None:
        self.utf8 = utf8
        self._texts: list[bytes] = [b""]
        self._literals: list[Literal] = []
        for piece in pieces:
            if isinstance(piece, Literal):
                self._literals.append(piece)
                self._texts.append(b"")
            else:
                self._texts[-1] = self._texts[-1] + piece if self._texts[-1] else piece
        # Some clients end a line with a space; nothing of the grammar does.
        self._texts[-1] = self._texts[-1].rstrip(b" ")
        self._index = 0  # of the text, and of the literal that follows it
        self._text = self._texts[0]
        self._at = 0
        self._depth = 0
        self._last = "the command name"  # what was read last, for error texts

    def __repr__(self) -> str:
        return f"<Arguments at {self._index}:{self._at} of {len(self._texts)} pieces>"

    # Where the cursor is

    def _at_literal(self) -> bool:
        return self._at >= len(self._text) and self._index < len(self._literals)

    def at_end(self) -> bool:
        """Whether nothing is left; spaces at the very end do not count."""
        return self._at >= len(self._text) and self._index >= len(self._literals)

    def end(self) -> None:
        """Refuses anything that is left."""
        if not self.at_end():
            raise ParseError(f"Unexpected text after {self._last}")

    def peek(self) -> bytes:
        """The next octet without consuming it: ``b"{"`` before a literal, ``b""`` at the end."""
        if self._at < len(self._text):
            return self._text[self._at : self._at + 1]
        return b"{" if self._at_literal() else b""

    def take(self, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
        """The match of *pattern* at the cursor, consumed; None and nothing consumed without one."""
        match = pattern.match(self._text, self._at)
        if match is not None:
            self._at = match.end()
        return match

    def after(self, name: str) -> None:
        """Names what was just read, for the error that may follow."""
        self._last = name

    def _expected(self, what: str) -> ParseError:
        return ParseError(f"Expected {what} after {self._last}")

    # Single characters

    def try_char(self, char: bytes) -> bool:
        """Consumes *char* if it is next."""
        if self._text.startswith(char, self._at):
            self._at += len(char)
            return True
        return False

    def try_sp(self) -> bool:
        return self.try_char(b" ")

    def sp(self) -> None:
        if not self.try_char(b" "):
            raise self._expected("a space")

    def try_close(self) -> bool:
        return self.try_char(b")")

    def open_paren(self) -> None:
        if not self.try_char(b"("):
            raise self._expected('"("')

    def close_paren(self) -> None:
        if not self.try_char(b")"):
            raise self._expected('")"')

    def parenthesised(self, item: Callable[[Arguments], T]) -> list[T]:
        """The items of ``"(" [item *(SP item)] ")"``; lists in lists at most 50 deep."""
        self.open_paren()
        if self._depth >= MAX_DEPTH:
            raise ParseError("Lists are nested too deeply")
        self._depth += 1
        items: list[T] = []
        if not self.try_close():
            items.append(item(self))
            while not self.try_close():
                if not self.try_sp():
                    raise self._expected('a space or ")"')
                items.append(item(self))
        self._depth -= 1
        self._last = "the list"
        return items

    # Strings

    def atom(self) -> bytes:
        """1*ATOM-CHAR."""
        match = self.take(_ATOM)
        if match is None:
            raise self._expected("a word")
        self._last = "the word"
        return match[0]

    def literal(self) -> Literal:
        """A literal, of either kind; its octets are not looked at."""
        if not self._at_literal():
            raise self._expected("a literal")
        found = self._literals[self._index]
        self._index += 1
        self._text, self._at = self._texts[self._index], 0
        self._last = "the literal"
        return found

    def string(self) -> bytes:
        """quoted / literal; a literal8 or NUL is refused."""
        if self._at_literal():
            found = self.literal()
            if found.binary or b"\0" in found.data:
                raise ParseError("Binary data is not allowed here")
            return found.data
        match = self.take(_QUOTED)
        if match is None:
            raise self._no_string()
        self._last = "the string"
        return _ESCAPED.sub(rb"\1", match[1]) if b"\\" in match[1] else match[1]

    def _no_string(self) -> ParseError:
        if self.peek() != b'"':
            return self._expected("a string")
        return ParseError('A quoted string must end with " and have a backslash before each " and backslash in it')

    def astring(self) -> bytes:
        """1*ASTRING-CHAR / string."""
        return self._word_or_string(_ASTRING)

    def _word_or_string(self, word: re.Pattern[bytes]) -> bytes:
        match = self.take(word)
        if match is None:
            return self.string()
        self._last = "the word"
        return match[0]

    def nstring(self) -> bytes | None:
        """NIL / string."""
        if self.try_keyword(b"NIL") is not None:
            return None
        return self.string()

    def rest(self) -> bytes:
        """Everything left, the octets of literals in their places."""
        parts = [self._text[self._at :]]
        while self._index < len(self._literals):
            parts.append(self._literals[self._index].data)
            self._index += 1
            parts.append(self._texts[self._index])
        self._text, self._at = self._texts[-1], len(self._texts[-1])
        return b"".join(parts)

    # Mailbox names

    def mailbox(self) -> str:
        """mailbox = "INBOX" / astring, decoded; INBOX and its inferiors in capitals.  RFC 3501 §5.1."""
        name = self._decode_name(self.astring())
        self._last = "the mailbox name"
        return name

    def userid(self) -> bytes:
        """userid = astring, and ``bob%Support`` without quotes: some clients send whatever their user has typed."""
        name = self._word_or_string(_LIST_ATOM)
        self._last = "the user name"
        return name

    def list_mailbox(self) -> str:
        """list-mailbox = 1*list-char / string: a mailbox name that may hold ``%`` and ``*``."""
        name = self._decode_name(self._word_or_string(_LIST_ATOM))
        self._last = "the mailbox pattern"
        return name

    def _decode_name(self, data: bytes) -> str:
        try:
            name = data.decode("utf-8") if self.utf8 else decode_mutf7(data)
        except ValueError:
            coding = "UTF-8" if self.utf8 else "modified UTF-7 (write & as &-)"
            raise ParseError(f"The mailbox name is not valid {coding}") from None
        if "\0" in name:
            raise ParseError("A mailbox name cannot hold NUL")
        # Only ASCII letters: str.upper() would turn a dotless i into I.
        if name[:5].isascii() and name[:5].upper() == "INBOX" and name[5:6] in ("", "/"):
            return "INBOX" + name[5:]
        return name

    # Numbers

    def number(self) -> int:
        """number = 1*DIGIT, below 2**32."""
        return self._number(0, MAX_NUMBER)

    def nz_number(self) -> int:
        """A number that is not 0."""
        return self._number(1, MAX_NUMBER)

    def number64(self) -> int:
        """A number below 2**63.  RFC 7162 §7, RFC 9051 §9."""
        return self._number(0, MAX_NUMBER64)

    def _number(self, lowest: int, highest: int) -> int:
        match = self.take(_DIGITS)
        if match is None:
            raise self._expected("a number")
        number = int(match[0]) if len(match[0]) <= MAX_DIGITS else highest + 1
        if not lowest <= number <= highest:
            raise ParseError(f"Number must be from {lowest} to {highest}")
        self._last = "the number"
        return number

    def sequence_set(self) -> SequenceSet:
        """Message numbers or uids.  RFC 3501 §9."""
        match = self.take(_SET)
        if match is None:
            raise self._expected("message numbers")
        self._last = "the message numbers"
        return parse_sequence_set(match[0])

    # Flags

    def flag(self) -> bytes:
        """flag = "\\" atom / atom; the system flags come in the spelling of RFC 3501 §2.3.2."""
        match = self.take(_FLAG)
        if match is None:
            raise self._expected("a flag")
        self._last = "the flag"
        return _SYSTEM_FLAGS.get(match[0].upper(), match[0])

    def flag_list(self) -> tuple[bytes, ...]:
        """flag-list = "(" [flag *(SP flag)] ")"."""
        return tuple(self.parenthesised(Arguments.flag))

    def store_flags(self) -> tuple[bytes, ...]:
        """store-att-flags: flag-list / (flag *(SP flag))."""
        if self.peek() == b"(":
            return self.flag_list()
        flags = [self.flag()]
        while self.try_sp():
            flags.append(self.flag())
        return tuple(flags)

    # Dates

    def date(self) -> date:
        """A day; raises for one the calendar does not have."""
        match = self.take(_DATE)
        if match is None:
            raise self._expected("a date like 1-Feb-1994")
        self._last = "the date"
        try:
            return date(int(match[4]), _MONTH_NUMBERS.get(match[3].upper(), 0), int(match[2]))
        except ValueError:
            raise ParseError(f"There is no day {show(match[0])}") from None

    def date_time(self) -> tuple[int, int]:
        """(seconds since 1970 UTC, zone in minutes east)."""
        match = self.take(_DATE_TIME)
        if match is None:
            raise self._expected('a date and time like "17-Jul-1996 02:44:25 -0700"')
        self._last = "the date and time"
        day, month, year, hour, minute, second, sign, zone_hours, zone_minutes = match.groups()
        try:
            # A leap second counts as the second before it.
            when = datetime(
                int(year),
                _MONTH_NUMBERS.get(month.upper(), 0),
                int(day),
                int(hour),
                int(minute),
                59 if second == b"60" else int(second),
            )
        except ValueError:
            raise ParseError(f"There is no time {show(match[0])}") from None
        if int(zone_hours) > 23 or int(zone_minutes) > 59:
            raise ParseError(f"There is no time zone {show(sign + zone_hours + zone_minutes)}")
        zone = int(zone_hours) * 60 + int(zone_minutes)
        if sign == b"-":
            zone = -zone
        return timegm(when.timetuple()) - zone * 60, zone

    # Words of the protocol

    def keyword(self, *choices: bytes) -> bytes:
        """The atom in capitals, one of *choices* (any atom if none are given)."""
        start = self._at
        match = self.take(_ATOM)
        word = match[0].upper() if match else b""
        if not word or (choices and word not in choices):
            self._at = start
            raise self._expected(" or ".join(choice.decode("ascii") for choice in choices) or "a word")
        self._last = show(word)
        return word

    def try_keyword(self, *choices: bytes) -> bytes | None:
        """The atom in capitals if it is one of *choices*; else None and nothing consumed."""
        start = self._at
        match = self.take(_ATOM)
        if match is not None:
            word = match[0].upper()
            if word in choices:
                self._last = show(word)
                return word
        self._at = start
        return None
