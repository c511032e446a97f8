"""Putting messages in.  RFC 3501 §6.3.11, RFC 3502, RFC 4315 (APPENDUID)."""

from __future__ import annotations

from dataclasses import dataclass

from acl_imapd.access.gate import to_write_into
from acl_imapd.access.rights import SEEN, SYSTEM_FLAGS, Rights
from acl_imapd.access.view import MailboxView, NewMessage
from acl_imapd.commands.registry import LOGGED_IN, Done, capability, command
from acl_imapd.commands.session import Session
from acl_imapd.errors import BadCommand, ImapError
from acl_imapd.proto.arguments import Arguments
from acl_imapd.ranges import RangeSet

capability(b"MULTIAPPEND", "RFC 3502")
capability(b"UIDPLUS", "RFC 4315")
_SYSTEM = {name.encode(): bit for name, bit in SYSTEM_FLAGS.items()}
MAX_KEYWORD_BYTES = 100


@dataclass(frozen=True, slots=True)
class Message:
    flags: int
    keywords: tuple[str, ...]
    date: tuple[int, int] | None
    data: bytes


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


def parse_append(arguments: Arguments) -> Append:
    """``SP mailbox 1*(SP [flag-list SP] [date-time SP] literal)``."""
    arguments.sp()
    name = arguments.mailbox()
    messages: list[Message] = []
    while not messages or arguments.try_sp():
        if not messages:
            arguments.sp()
        bits, keywords = 0, tuple[str, ...]()
        if arguments.peek() == b"(":
            bits, keywords = split_flags(arguments.flag_list())
            arguments.sp()
        date = None
        if arguments.peek() == b'"':
            date = arguments.date_time()
            arguments.sp()
        messages.append(Message(bits, keywords, date, arguments.literal().data))
    return Append(name, tuple(messages))


@command(
    b"APPEND", args=parse_append, states=LOGGED_IN, opens={"mailbox": to_write_into(Rights.i)}, rfc="RFC 3501 §6.3.11"
)
async def append(session: Session, cmd: Append, mailbox: MailboxView) -> Done:
    """Adds messages to a folder, all or none."""
    if any(not one.data for one in cmd.messages):
        raise ImapError("An empty message is not kept")  # RFC 3502 §6.3.11: a literal of no octets takes it back
    now = int(session.site.gate.directory.now())
    parsed = await mailbox.parse([one.data for one in cmd.messages])
    new = [
        NewMessage(
            body=one.data,
            parsed=of_it,
            flags=one.flags & ~SEEN,
            keywords=one.keywords,
            internal_date=one.date[0] if one.date else now,
            internal_zone=one.date[1] if one.date else 0,
            seen=bool(one.flags & SEEN),
        )
        for one, of_it in zip(cmd.messages, parsed, strict=True)
    ]
    done = await mailbox.append(new)
    # RFC 4315 §3: no APPENDUID to one who may not learn of it; it tells nothing that i alone must not know.
    uids = RangeSet.from_numbers(done.uids).encode().encode()
    return Done("Appended", b"APPENDUID %d %b" % (done.uidvalidity, uids))
