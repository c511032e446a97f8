"""Putting messages in.  RFC 3501 §6.3.11, RFC 3502, RFC 4315 (APPENDUID)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from acl_imapd.access.gate import to_write_into
from acl_imapd.access.rights import SEEN, SYSTEM_FLAGS, Rights
from acl_imapd.access.view import Appended, MailboxView, NewMessage
from acl_imapd.commands.mailboxes import STATUS_ITEMS
from acl_imapd.commands.registry import LOGGED_IN, Done, capability, command
from acl_imapd.commands.session import Session
from acl_imapd.errors import BadCommand, ImapError, UnknownCte
from acl_imapd.mail.transfer import encode_binary
from acl_imapd.proto.arguments import Arguments
from acl_imapd.ranges import RangeSet

capability(b"MULTIAPPEND", "RFC 3502")
capability(b"UIDPLUS", "RFC 4315")
_SYSTEM = {name.encode(): bit for name, bit in SYSTEM_FLAGS.items()}
MAX_KEYWORD_BYTES = 100


class Source(Protocol):
    """Where the octets of a message come from."""

    async def octets(self, session: Session, most_bytes: int) -> bytes:
        """All of them; TooBig where there are more than *most_bytes*."""
        ...


@dataclass(frozen=True, slots=True)
class Given:
    """The client sends them."""

    data: bytes

    async def octets(self, _session: Session, _most_bytes: int) -> bytes:
        """They are here; how many was looked at when they came."""
        return self.data


# What may stand in place of the literal, by its first word.  RFC 4466 §2.7: append-data.
SOURCES: dict[bytes, Callable[[Arguments], Source]] = {}


@dataclass(frozen=True, slots=True)
class Message:
    flags: int
    keywords: tuple[str, ...]
    date: tuple[int, int] | None
    source: Source


@dataclass(frozen=True, slots=True)
class Append:
    mailbox: str
    messages: tuple[Message, ...]


def split_flags(flags: tuple[bytes, ...]) -> tuple[int, tuple[str, ...]]:
    r"""The bits of the system flags, and the keywords.  BAD for \Recent and flags that do not exist."""
    bits = 0
    keywords: dict[str, None] = {}
    for flag in flags:
        if flag.startswith(b"\\"):
            if flag not in _SYSTEM:
                raise BadCommand(f"The flag {flag.decode('latin-1')} cannot be changed")
            bits |= _SYSTEM[flag]
        elif len(flag) > MAX_KEYWORD_BYTES:
            raise BadCommand(f"A keyword has at most {MAX_KEYWORD_BYTES} characters")
        else:
            keywords[flag.decode("latin-1")] = None
    return bits, tuple(keywords)


def parse_message(arguments: Arguments) -> Message:
    """``SP [flag-list SP] [date-time SP] append-data``.  RFC 4466 §2.7."""
    arguments.sp()
    bits, keywords = 0, tuple[str, ...]()
    if arguments.peek() == b"(":
        bits, keywords = split_flags(arguments.flag_list())
        arguments.sp()
    date = None
    if arguments.peek() == b'"':
        date = arguments.date_time()
        arguments.sp()
    word = arguments.try_keyword(*SOURCES)
    source = SOURCES[word](arguments) if word is not None else Given(arguments.literal().data)
    return Message(bits, keywords, date, source)


def parse_append(arguments: Arguments) -> Append:
    """``SP mailbox 1*append-message``.  RFC 3502 §6.3.11."""
    arguments.sp()
    name = arguments.mailbox()
    messages: list[Message] = []
    while not messages or arguments.peek() == b" ":
        messages.append(parse_message(arguments))
    return Append(name, tuple(messages))


async def new_messages(session: Session, mailbox: MailboxView, messages: Sequence[Message]) -> list[NewMessage]:
    """The messages as they are kept.  ImapError where one is empty, too big, or holds what cannot be kept."""
    limits = session.site.limits
    left = limits.max_multiappend_bytes
    bodies: list[bytes] = []
    for one in messages:
        data = await one.source.octets(session, min(left, limits.max_append_bytes))
        if not data:
            raise ImapError("An empty message is not kept")  # RFC 3502 §6.3.11: a literal of no octets takes it back
        if b"\0" in data:
            encoded = await mailbox.work(encode_binary, data)
            if encoded is None:
                raise UnknownCte("There is NUL in a header, or in a part that is encoded already")  # RFC 3516 §4.4
            data = encoded
        bodies.append(data)
        left -= len(data)
    now = int(session.site.gate.directory.now())
    parsed = await mailbox.parse(bodies)
    return [
        NewMessage(
            body=body,
            parsed=of_it,
            flags=one.flags & ~SEEN,
            keywords=one.keywords,
            internal_date=one.date[0] if one.date else now,
            internal_zone=one.date[1] if one.date else 0,
            seen=bool(one.flags & SEEN),
        )
        for one, body, of_it in zip(messages, bodies, parsed, strict=True)
    ]


@command(
    b"APPEND", args=parse_append, states=LOGGED_IN, opens={"mailbox": to_write_into(Rights.i)}, rfc="RFC 3501 §6.3.11"
)
async def append(session: Session, cmd: Append, mailbox: MailboxView) -> Done:
    """Adds messages to a folder, all or none."""
    return Done("Appended", appenduid(await mailbox.append(await new_messages(session, mailbox, cmd.messages))))


def appenduid(done: Appended) -> bytes:
    """The response code of RFC 4315 §3; it tells nothing that ``i`` alone must not know."""
    return b"APPENDUID %d %b" % (done.uidvalidity, RangeSet.from_numbers(done.uids).encode().encode())


def _append_limit(session: Session) -> int:
    return session.site.limits.max_append_bytes


# RFC 7889 §2: one limit for all mailboxes.
capability(b"APPENDLIMIT", "RFC 7889", lambda session: b"APPENDLIMIT=%d" % _append_limit(session))
STATUS_ITEMS[b"APPENDLIMIT"] = lambda session, _status: b"%d" % _append_limit(session)
