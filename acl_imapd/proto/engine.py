"""Bytes from a client become events: whole commands, lines, refusals.  RFC 3501 §2.2, §4.3; RFC 7888.

The engine only frames: it finds where a command ends, counts, and never looks into arguments, so that a
command whose arguments are wrong cannot bring the connection out of step.  It is pulled one event at a
time because the answer to one command (LOGIN, STARTTLS, ENABLE) changes how the next is read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum, auto
from io import BytesIO

from acl_imapd.errors import BadCommand, ImapError, TooBig
from acl_imapd.proto.arguments import Arguments, Literal
from acl_imapd.proto.syntax import ATOM_CHARS, TAG_CHARS

# A refused literal that the client sends unasked is read and thrown away up to this size.
MAX_SWALLOWED_BYTES = 256 << 20
# A line that has no end by then is no line.
MAX_ENDLESS_LINE_BYTES = 1 << 20
MAX_TAG_BYTES = 256
# What each literal costs beside its octets, so that many empty ones are not free.
LITERAL_COST_BYTES = 64

_HEAD_BYTES = MAX_TAG_BYTES + 64
_TAIL_BYTES = 32
_TAG = re.compile(rb"[%b]{1,%d}(?= |\Z)" % (TAG_CHARS, MAX_TAG_BYTES))
_NAME = re.compile(rb" ([%b]{1,64})(?= |\Z)" % ATOM_CHARS)
# literal = "{" number ["+"] "}" CRLF *CHAR8; literal8 = "~" literal.
_MARK = re.compile(rb"(~?)\{([0-9]{1,20})(\+?)\}\Z")
# A browser or a TLS client that knocks on the wrong door: the rest would be read as commands.
_FOREIGN = (b"\x16", b"GET ", b"POST ", b"PUT ", b"HEAD ", b"OPTIONS ", b"CONNECT ", b"PRI ")
_WITH_MESSAGES = frozenset({b"APPEND", b"REPLACE", b"UID REPLACE"})
MAX_LITERAL_MINUS_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one client may send; the prelogin limits hold until :attr:`Engine.authenticated` is set."""

    max_line_bytes: int = 65536
    max_literal_bytes: int = 65536
    max_append_bytes: int = 50 * 2**20
    max_command_bytes: int = 2**20
    max_multiappend_bytes: int = 100 * 2**20
    prelogin_line_bytes: int = 8192
    prelogin_literal_bytes: int = 1024
    max_bad_in_a_row: int = 20
    literal_minus: bool = False  # RFC 7888 §5: what is not waited for is small


@dataclass(frozen=True, slots=True)
class CommandReceived:
    """A whole command; *name* in capitals, ``b"UID FETCH"`` for the two-word ones."""

    tag: bytes
    name: bytes
    arguments: Arguments


@dataclass(frozen=True, slots=True)
class ContinuationNeeded:
    """The client waits for ``+`` before it sends a literal."""


@dataclass(frozen=True, slots=True)
class CommandRejected:
    """A command that could not be read, wholly consumed; *tag* is ``b"*"`` if none was usable."""

    tag: bytes
    error: ImapError


@dataclass(frozen=True, slots=True)
class LineReceived:
    """The line asked for with :meth:`Engine.expect_line`, without its end."""

    line: bytes


@dataclass(frozen=True, slots=True)
class ConnectionFatal:
    """Say BYE and close; the engine reads nothing more."""

    text: bytes
    code: bytes | None = None


Event = CommandReceived | ContinuationNeeded | CommandRejected | LineReceived | ConnectionFatal


class _Phase(Enum):
    LINE = auto()
    LONG_LINE = auto()  # throwing away the rest of a line
    LITERAL = auto()
    SWALLOW = auto()  # throwing away a literal
    DEAD = auto()


@dataclass(slots=True)
class _Frame:
    """The command being read; *refusal* is its answer once it can no longer be carried out."""

    tag: bytes = b""
    name: bytes = b""
    pieces: list[bytes | Literal] = field(default_factory=list)
    command_bytes: int = 0
    message_bytes: int = 0
    swallowed_bytes: int = 0
    refusal: ImapError | None = None

    def begin(self, text: bytes) -> None:
        """Reads ``tag SP command-name`` at the front of *text*, its first line."""
        tag = _TAG.match(text)
        self.tag = tag[0] if tag else b"*"
        if tag is None:
            self.refuse(BadCommand("Expected a tag and a command" if text else "Empty command line"))
            return
        name = _NAME.match(text, tag.end())
        if name is None:
            self.refuse(BadCommand("Expected a command after the tag"))
            return
        self.name, at = name[1].upper(), name.end()
        if self.name == b"UID":
            second = _NAME.match(text, at)
            if second is not None:
                self.name, at = b"UID " + second[1].upper(), second.end()
        self.add(text[at:])

    def add(self, text: bytes) -> None:
        if self.refusal is None:
            self.pieces.append(text)

    def refuse(self, error: ImapError) -> None:
        """Keeps the first reason and lets go of what was read so far."""
        if self.refusal is None:
            self.refusal = error
            self.pieces.clear()


class Engine:
    """The receiving half of a connection.  Memory: one line, one command's limits, and what is unread."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.authenticated = False
        self._buffer = bytearray()
        self._searched = 0  # no line end before this offset
        self._phase = _Phase.LINE
        self._frame = _Frame()
        self._fresh = True  # nothing understood yet on this connection
        self._expecting_line = False
        self._farewell: ConnectionFatal | None = None
        self._bad_in_a_row = 0
        self._literal_left = 0
        self._literal_binary = False
        self._literal = BytesIO()
        self._long_head = b""
        self._long_tail = b""
        self._long_bytes = 0

    @property
    def buffered_bytes(self) -> int:
        """Received and not yet looked at: stop reading from the socket while this is large."""
        return len(self._buffer)

    def receive(self, data: bytes) -> None:
        """Takes what came from the socket."""
        if self._phase is not _Phase.DEAD:
            self._buffer += data

    def expect_line(self) -> None:
        """Makes the next line a LineReceived instead of a command: AUTHENTICATE, IDLE."""
        self._expecting_line = True

    def drop_buffered(self) -> None:
        """Forgets what came behind a command: STARTTLS, lest plain text be read as if protected."""
        self._buffer.clear()
        self._searched = 0

    def next_event(self) -> Event | None:
        """The next thing to answer, None if more bytes are needed for it."""
        if self._farewell is not None:
            return self._die(self._farewell)
        while True:
            match self._phase:
                case _Phase.LINE:
                    outcome = self._read_line()
                case _Phase.LONG_LINE:
                    outcome = self._skip_line()
                case _Phase.LITERAL:
                    outcome = self._read_literal()
                case _Phase.SWALLOW:
                    outcome = self._swallow_literal()
                case _Phase.DEAD:
                    return None
            if outcome is False:
                return None
            if outcome is not True:
                return outcome

    # Each of these returns an event, True if something was done, or False if bytes are lacking.

    def _read_line(self) -> Event | bool:
        if self._fresh and not self.authenticated and self._buffer.startswith(_FOREIGN):
            return self._die(ConnectionFatal(b"This is an IMAP server"))
        limit = self.limits.max_line_bytes if self.authenticated else self.limits.prelogin_line_bytes
        found = self._buffer.find(b"\n", self._searched)
        if found < 0:
            self._searched = len(self._buffer)
            # One more than the limit may be the CR of the line end.
            return self._start_long_line() if self._searched > limit + 1 else False
        line = self._cut(found + 1)[:found]
        line = line.removesuffix(b"\r")
        self._fresh = False
        if len(line) > limit:
            if self._expecting_line or found > self._endless_bytes():
                return self._line_too_long()
            return self._take_line(line[:_HEAD_BYTES], line[-_TAIL_BYTES:], self._long_line_error())
        if self._expecting_line:
            self._expecting_line = False
            return LineReceived(line)
        return self._take_line(line, line[-_TAIL_BYTES:], None)

    def _start_long_line(self) -> Event | bool:
        if self._expecting_line:
            return self._line_too_long()
        self._fresh = False
        self._long_head = self._long_tail = b""
        self._long_bytes = 0
        self._searched = 0
        self._phase = _Phase.LONG_LINE
        return True

    def _skip_line(self) -> Event | bool:
        found = self._buffer.find(b"\n")
        part = self._cut(found + 1)[:-1] if found >= 0 else self._cut(len(self._buffer))
        self._long_bytes += len(part)
        self._long_head += part[: _HEAD_BYTES - len(self._long_head)]
        self._long_tail = (self._long_tail + part[-_TAIL_BYTES - 1 :])[-_TAIL_BYTES - 1 :]
        if self._long_bytes > self._endless_bytes():
            return self._line_too_long()
        if found < 0:
            return False
        head, tail = self._long_head, self._long_tail.removesuffix(b"\r")[-_TAIL_BYTES:]
        if self._long_bytes == len(head):
            head = head.removesuffix(b"\r")
        self._phase = _Phase.LINE
        return self._take_line(head, tail, self._long_line_error())

    def _read_literal(self) -> Event | bool:
        part = self._cut(min(self._literal_left, len(self._buffer)))
        self._literal_left -= len(part)
        self._literal.write(part)
        if self._literal_left:
            return False
        self._frame.pieces.append(Literal(self._literal.getvalue(), self._literal_binary))
        self._literal = BytesIO()
        self._phase = _Phase.LINE
        return True

    def _swallow_literal(self) -> Event | bool:
        gone = min(self._literal_left, len(self._buffer))
        self._literal_left -= gone
        del self._buffer[:gone]
        if self._literal_left:
            return False
        self._phase = _Phase.LINE
        return True

    def _cut(self, size: int) -> bytes:
        part = bytes(memoryview(self._buffer)[:size])
        del self._buffer[:size]
        self._searched = 0
        return part

    def _endless_bytes(self) -> int:
        return max(MAX_ENDLESS_LINE_BYTES, self.limits.max_line_bytes, self.limits.prelogin_line_bytes)

    def _long_line_error(self) -> ImapError:
        return BadCommand("The command line is too long", code=b"TOOBIG")

    def _line_too_long(self) -> ConnectionFatal:
        return self._die(ConnectionFatal(b"The line is too long", b"TOOBIG"))

    def _take_line(self, text: bytes, tail: bytes, error: ImapError | None) -> Event | bool:
        """One line of a command; *text* is only its head and *tail* its end if it was too long."""
        frame = self._frame
        mark = _MARK.search(tail)
        if mark is not None and error is None:
            text = text[: len(text) - len(mark[0])]
        if error is None and (b"\r" in text or b"\0" in text):
            error = BadCommand("A command line may not hold CR or NUL")
        frame.command_bytes += len(text)
        if frame.tag:
            frame.add(text)
        else:
            frame.begin(text)
        if error is not None:
            frame.refuse(error)
        elif frame.command_bytes > self.limits.max_command_bytes:
            frame.refuse(BadCommand("The command is too long", code=b"TOOBIG"))
        if mark is None:
            return self._finish()
        return self._start_literal(int(mark[2]), waits=not mark[3], binary=bool(mark[1]))

    def _start_literal(self, size: int, *, waits: bool, binary: bool) -> Event | bool:
        frame = self._frame
        if self.limits.literal_minus and not waits and size > MAX_LITERAL_MINUS_BYTES:
            text = f"Without waiting a literal has at most {MAX_LITERAL_MINUS_BYTES} bytes here"
            frame.refuse(BadCommand(text, code=b"TOOBIG"))
        if frame.refusal is None:
            self._account_literal(size)
        if frame.refusal is None:
            self._literal_left, self._literal_binary = size, binary
            self._phase = _Phase.LITERAL
            return ContinuationNeeded() if waits else True
        if waits:
            # RFC 3501 §7.5: without a continuation the client does not send it; the command ends here.
            return self._finish()
        # RFC 7888 §4: it is on its way already, so the whole of it is read, and the rest of the command.
        frame.swallowed_bytes += size + LITERAL_COST_BYTES
        if frame.swallowed_bytes > MAX_SWALLOWED_BYTES:
            return self._die(ConnectionFatal(b"The literal is far too large", b"TOOBIG"))
        self._literal_left = size
        self._phase = _Phase.SWALLOW
        return True

    def _account_literal(self, size: int) -> None:
        """Adds a literal of *size* to what the command has cost, or refuses the command."""
        frame, limits = self._frame, self.limits
        frame.command_bytes += LITERAL_COST_BYTES
        with_message = frame.name in _WITH_MESSAGES
        if with_message:
            frame.message_bytes += size
        else:
            frame.command_bytes += size
        if not self.authenticated:
            largest = limits.prelogin_literal_bytes
        else:
            largest = limits.max_append_bytes if with_message else limits.max_literal_bytes
        if size > largest:
            text = f"is too large, at most {largest} bytes are allowed"
            too_big = (
                TooBig(f"The message {text}") if with_message else BadCommand(f"The literal {text}", code=b"TOOBIG")
            )
            frame.refuse(too_big)
        elif frame.message_bytes > limits.max_multiappend_bytes:
            frame.refuse(TooBig("The messages of this command are too large together"))
        elif frame.command_bytes > limits.max_command_bytes:
            frame.refuse(BadCommand("The command is too long", code=b"TOOBIG"))

    def _finish(self) -> Event:
        frame, self._frame = self._frame, _Frame()
        if frame.refusal is None:
            self._bad_in_a_row = 0
            return CommandReceived(frame.tag, frame.name, Arguments(frame.pieces))
        self._bad_in_a_row += 1
        if self._bad_in_a_row >= self.limits.max_bad_in_a_row:
            self._farewell = ConnectionFatal(b"Too many invalid commands", None)
        return CommandRejected(frame.tag, frame.refusal)

    def _die(self, last: ConnectionFatal) -> ConnectionFatal:
        self._phase = _Phase.DEAD
        self._farewell = None
        self._frame = _Frame()
        self._literal = BytesIO()
        self._buffer.clear()
        return last
