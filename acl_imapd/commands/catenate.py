"""CATENATE: a message put together from what is here and what is sent.  RFC 4469."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from acl_imapd.access.gate import Needs
from acl_imapd.access.rights import Rights
from acl_imapd.access.view import MailboxView
from acl_imapd.commands.append import SOURCES
from acl_imapd.commands.registry import capability
from acl_imapd.commands.session import Session
from acl_imapd.errors import BadCommand, ImapError, NonExistent, NoPerm, TooBig
from acl_imapd.mail.mime import scan, section
from acl_imapd.proto.arguments import Arguments, ParseError
from acl_imapd.proto.fetch_items import Section, parse_fetch

capability(b"CATENATE", "RFC 4469")
MAX_PARTS = 200
# RFC 5092 §11: [/mailbox[;UIDVALIDITY=n]]/;UID=n[/;SECTION=…][/;PARTIAL=n[.n]], of this server and user.
_URL = re.compile(
    rb"/?(?P<mailbox>[^;]*?)(?:;UIDVALIDITY=(?P<validity>[0-9]{1,10}))?/?;UID=(?P<uid>[0-9]{1,10})"
    rb"(?:/;SECTION=(?P<section>[^;]+))?(?:/;PARTIAL=(?P<first>[0-9]{1,10})(?:\.(?P<count>[0-9]{1,10}))?)?",
    re.IGNORECASE,
)


class BadUrl(ImapError):
    """A URL that leads to no message this user may read."""

    def __init__(self, url: bytes) -> None:
        shown = bytes(octet if 0x20 < octet < 0x7F and octet != 0x5D else 0x3F for octet in url)
        super().__init__("There is no such part of a message", code=b"BADURL " + shown)


@dataclass(frozen=True, slots=True)
class Url:
    """A part of a message on this server."""

    text: bytes

    async def octets(self, session: Session, most_bytes: int) -> bytes:
        """As FETCH BODY.PEEK tells them (§3)."""
        match = _URL.fullmatch(self.text)
        if match is None:
            raise BadUrl(self.text)
        wanted = self._section(match)
        try:
            view = await self._open(session, match["mailbox"])
            if match["validity"] is not None and int(match["validity"]) != view.mailbox.uidvalidity:
                raise BadUrl(self.text)

            def use(message: bytes) -> bytes | None:
                return section(message, scan(message), wanted.part, wanted.what, wanted.fields)

            # The message may be larger than the part that is wanted, but not than any message here.
            found = await view.with_message(int(match["uid"]), session.site.limits.max_append_bytes, use)
        except (NoPerm, NonExistent) as error:
            raise BadUrl(self.text) from error
        if found is None:
            raise BadUrl(self.text)
        if match["first"] is not None:
            first = int(match["first"])
            found = found[first : first + int(match["count"])] if match["count"] else found[first:]
        if len(found) > most_bytes:
            raise TooBig("The message is too large")
        return found

    def _section(self, match: re.Match[bytes]) -> Section:
        text = unquote_to_bytes(match["section"] or b"")
        arguments = Arguments([b"BODY.PEEK[%b]" % text])
        try:
            (item,) = parse_fetch(arguments)
            arguments.end()
        except BadCommand as error:
            raise BadUrl(self.text) from error
        if not isinstance(item, Section) or item.partial is not None:
            raise BadUrl(self.text)
        return item

    async def _open(self, session: Session, mailbox: bytes) -> MailboxView:
        """The mailbox of that name; without one what is selected (§3)."""
        if not mailbox:
            if session.view is None:
                raise BadUrl(self.text)
            return session.view
        try:
            name = unquote_to_bytes(mailbox).decode("utf-8")
        except UnicodeDecodeError as error:
            raise BadUrl(self.text) from error
        return await session.user.open(name, Needs(Rights.r))


@dataclass(frozen=True, slots=True)
class Catenated:
    """Parts, one after the other."""

    parts: tuple[bytes | Url, ...]

    async def octets(self, session: Session, most_bytes: int) -> bytes:
        """All of them, with nothing between."""
        pieces: list[bytes] = []
        left = most_bytes
        for part in self.parts:
            piece = part if isinstance(part, bytes) else await part.octets(session, left)
            left -= len(piece)
            if left < 0:
                raise TooBig(f"The message is too large, at most {most_bytes} bytes are allowed")
            pieces.append(piece)
        return b"".join(pieces)


def parse_parts(arguments: Arguments) -> Catenated:
    """``SP "(" cat-part *(SP cat-part) ")"``.  §5."""
    count = 0

    def part(one: Arguments) -> bytes | Url:
        nonlocal count
        count += 1
        if count > MAX_PARTS:
            raise ParseError(f"A message is put together from at most {MAX_PARTS} parts")
        kind = one.keyword(b"TEXT", b"URL")
        one.sp()
        return one.literal().data if kind == b"TEXT" else Url(one.astring())

    arguments.sp()
    parts = arguments.parenthesised(part)
    if not parts:
        raise ParseError("CATENATE wants parts")
    return Catenated(tuple(parts))


SOURCES[b"CATENATE"] = parse_parts
