"""Folders made, renamed, removed, subscribed, counted.  RFC 3501 §6.3.3–§6.3.7, §6.3.10."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from acl_imapd.access.rights import Rights
from acl_imapd.access.view import MailboxView
from acl_imapd.commands.registry import LOGGED_IN, Done, capability, command
from acl_imapd.commands.select import Name, parse_name
from acl_imapd.commands.session import Session
from acl_imapd.errors import UseAttr
from acl_imapd.proto.arguments import Arguments, ParseError
from acl_imapd.proto.responses import mailbox_name

# What STATUS can tell, and how it is written; extensions add to it.
STATUS_ITEMS: dict[bytes, Callable[[Session, Any], bytes]] = {
    name: lambda _session, status, attribute=attribute: b"%d" % getattr(status, attribute)  # type: ignore[misc]  # of a lambda
    for name, attribute in (
        (b"MESSAGES", "messages"),
        (b"RECENT", "recent"),
        (b"UIDNEXT", "uidnext"),
        (b"UIDVALIDITY", "uidvalidity"),
        (b"UNSEEN", "unseen"),
        (b"SIZE", "size_bytes"),
        (b"DELETED", "deleted"),
        (b"HIGHESTMODSEQ", "highest_modseq"),
    )
}
SPECIAL_USES = frozenset({b"\\ALL", b"\\ARCHIVE", b"\\DRAFTS", b"\\FLAGGED", b"\\JUNK", b"\\SENT", b"\\TRASH"})
capability(b"STATUS=SIZE", "RFC 8438")
capability(b"SPECIAL-USE", "RFC 6154")
capability(b"CREATE-SPECIAL-USE", "RFC 6154")


@dataclass(frozen=True, slots=True)
class Create:
    name: str
    special_use: str | None


def parse_create(arguments: Arguments) -> Create:
    """``SP mailbox [SP "(" "USE" SP "(" use-attr … ")" ")"]``.  RFC 6154 §6."""
    arguments.sp()
    name = arguments.mailbox()
    uses: list[bytes] = []
    if arguments.try_sp():
        arguments.open_paren()
        arguments.keyword(b"USE")
        arguments.sp()
        uses = [use.upper() for use in arguments.parenthesised(Arguments.flag)]
        arguments.close_paren()
    if any(use not in SPECIAL_USES for use in uses) or len(uses) > 1:
        raise UseAttr("A folder has one special use of RFC 6154")
    return Create(name, "\\" + uses[0][1:].decode("ascii").capitalize() if uses else None)


@command(b"CREATE", args=parse_create, states=LOGGED_IN, changes_access=True, rfc="RFC 3501 §6.3.3")
async def create(session: Session, cmd: Create) -> Done:
    """Makes a folder; below another it starts with that one's rights."""
    made = await session.user.create(cmd.name, special_use=cmd.special_use)
    session.did(cmd.name)
    return Done("Created", b"MAILBOXID (%b)" % made.objectid.encode())  # RFC 8474 §4.1


@command(
    b"DELETE", args=parse_name, states=LOGGED_IN, opens={"mailbox": Rights.x}, changes_access=True,
    rfc="RFC 3501 §6.3.4",
)  # fmt: skip
async def delete(session: Session, cmd: Name, mailbox: MailboxView) -> None:
    """Removes a folder that has none below."""
    await mailbox.delete()
    session.did(cmd.mailbox)


@dataclass(frozen=True, slots=True)
class Rename:
    old: str
    new: str


def parse_rename(arguments: Arguments) -> Rename:
    """``SP mailbox SP mailbox``."""
    arguments.sp()
    old = arguments.mailbox()
    arguments.sp()
    return Rename(old, arguments.mailbox())


@command(b"RENAME", args=parse_rename, states=LOGGED_IN, changes_access=True, rfc="RFC 3501 §6.3.5")
async def rename(session: Session, cmd: Rename) -> None:
    """Gives a folder and those below it another name; rights, subscriptions and UIDs stay."""
    await session.user.rename(cmd.old, cmd.new)
    session.did(cmd.old, cmd.new)


@command(b"SUBSCRIBE", args=parse_name, states=LOGGED_IN, opens={"mailbox": Rights.l}, rfc="RFC 3501 §6.3.6")
async def subscribe(session: Session, _cmd: Name, mailbox: MailboxView) -> None:
    """Subscribes to a folder."""
    await mailbox.subscribe()


@command(b"UNSUBSCRIBE", args=parse_name, states=LOGGED_IN, rfc="RFC 3501 §6.3.7")
async def unsubscribe(session: Session, cmd: Name) -> None:
    """Ends a subscription."""
    await session.user.unsubscribe(cmd.mailbox)


@dataclass(frozen=True, slots=True)
class StatusCommand:
    mailbox: str
    items: tuple[bytes, ...]


def parse_status_items(arguments: Arguments) -> tuple[bytes, ...]:
    """``"(" status-att *(SP status-att) ")"``."""
    items = tuple(arguments.parenthesised(lambda one: one.keyword(*STATUS_ITEMS)))
    if not items:
        raise ParseError("STATUS wants to know what to tell")
    return tuple(dict.fromkeys(items))


def parse_status(arguments: Arguments) -> StatusCommand:
    """``SP mailbox SP "(" … ")"``."""
    arguments.sp()
    name = arguments.mailbox()
    arguments.sp()
    return StatusCommand(name, parse_status_items(arguments))


@command(b"STATUS", args=parse_status, states=LOGGED_IN, opens={"mailbox": Rights.r}, rfc="RFC 3501 §6.3.10")
async def status(session: Session, cmd: StatusCommand, mailbox: MailboxView) -> Done | None:
    """Tells how many messages a folder has, and more, without opening it."""
    if b"HIGHESTMODSEQ" in cmd.items:
        session.enable_condstore()
    found = await mailbox.status(recent=b"RECENT" in cmd.items)
    session.tell(status_line(session, cmd.mailbox, cmd.items, found))
    return None


def status_line(session: Session, name: str, items: tuple[bytes, ...], status: object) -> bytes:
    """``STATUS name (MESSAGES 3 …)`` from the counters of storage."""
    told = b" ".join(b"%b %b" % (item, STATUS_ITEMS[item](session, status)) for item in items)
    return b"STATUS %b (%b)" % (mailbox_name(name), told)
