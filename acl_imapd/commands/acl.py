"""Rights over IMAP.  RFC 4314."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from acl_imapd.access.gate import any_of
from acl_imapd.access.rights import ANY_FOR_MYRIGHTS, NONE, Rights, format_rights, format_with_obsolete, parse_rights
from acl_imapd.access.view import MailboxView
from acl_imapd.commands.registry import LOGGED_IN, command
from acl_imapd.commands.select import Name, parse_name
from acl_imapd.commands.session import Session
from acl_imapd.errors import BadCommand
from acl_imapd.proto.arguments import Arguments, ParseError
from acl_imapd.proto.responses import astring, mailbox_name

Operation = Literal["set", "add", "remove"]
# RFC 4314 §2.2: the rights beyond those of RFC 2086.
CAPABILITY = (b"ACL", b"RIGHTS=texk")


def _identifier(arguments: Arguments) -> str:
    try:
        return arguments.astring().decode("utf-8")
    except UnicodeDecodeError:
        raise ParseError("An identifier is written in UTF-8") from None


@dataclass(frozen=True, slots=True)
class SetAcl:
    mailbox: str
    identifier: str
    op: Operation
    rights: Rights


def parse_setacl(arguments: Arguments) -> SetAcl:
    """``SP mailbox SP identifier SP mod-rights``; a letter not known is BAD.  RFC 4314 §3.1."""
    arguments.sp()
    name = arguments.mailbox()
    arguments.sp()
    identifier = _identifier(arguments)
    arguments.sp()
    text = arguments.astring().decode("latin-1")
    op: Operation = "set"
    if text[:1] in ("+", "-"):
        op, text = ("add" if text[0] == "+" else "remove"), text[1:]
    return SetAcl(name, identifier, op, parse_rights(text))


@command(
    b"SETACL", args=parse_setacl, states=LOGGED_IN, opens={"mailbox": Rights.a}, capability=CAPABILITY,
    changes_access=True, rfc="RFC 4314 §3.1",
)  # fmt: skip
async def setacl(session: Session, cmd: SetAcl, mailbox: MailboxView) -> None:
    """Gives rights on a folder, or takes them away."""
    await mailbox.change_acl(cmd.identifier, cmd.op, cmd.rights)


@dataclass(frozen=True, slots=True)
class OfIdentifier:
    mailbox: str
    identifier: str


def parse_of_identifier(arguments: Arguments) -> OfIdentifier:
    """``SP mailbox SP identifier``."""
    arguments.sp()
    name = arguments.mailbox()
    arguments.sp()
    return OfIdentifier(name, _identifier(arguments))


@command(
    b"DELETEACL", args=parse_of_identifier, states=LOGGED_IN, opens={"mailbox": Rights.a}, capability=CAPABILITY,
    changes_access=True, rfc="RFC 4314 §3.2",
)  # fmt: skip
async def deleteacl(session: Session, cmd: OfIdentifier, mailbox: MailboxView) -> None:
    """Removes an identifier from a folder's ACL."""
    await mailbox.change_acl(cmd.identifier, "set", NONE)


@command(b"GETACL", args=parse_name, states=LOGGED_IN, opens={"mailbox": Rights.a}, capability=CAPABILITY,
         rfc="RFC 4314 §3.3")  # fmt: skip
async def getacl(session: Session, cmd: Name, mailbox: MailboxView) -> None:
    """Tells who has which rights on a folder."""
    pairs = b"".join(
        b" %b %b" % (astring(identifier.encode()), astring(rights.encode()))
        for identifier, rights in await mailbox.acl()
    )
    session.tell(b"ACL " + mailbox_name(cmd.mailbox) + pairs)


@command(
    b"LISTRIGHTS", args=parse_of_identifier, states=LOGGED_IN, opens={"mailbox": Rights.a}, capability=CAPABILITY,
    rfc="RFC 4314 §3.4",
)  # fmt: skip
async def listrights(session: Session, cmd: OfIdentifier, mailbox: MailboxView) -> None:
    """Tells which rights somebody can be given on a folder."""
    if not cmd.identifier:
        raise BadCommand("Say whose rights you want to know")
    always, free = await mailbox.listrights(cmd.identifier)
    words = [mailbox_name(cmd.mailbox), astring(cmd.identifier.encode()), astring(format_rights(always).encode())]
    session.tell(b"LISTRIGHTS " + b" ".join([*words, *(word.encode() for word in free)]))


@command(
    b"MYRIGHTS", args=parse_name, states=LOGGED_IN, opens={"mailbox": any_of(ANY_FOR_MYRIGHTS)},
    capability=CAPABILITY, rfc="RFC 4314 §3.5",
)  # fmt: skip
async def myrights(session: Session, cmd: Name, mailbox: MailboxView) -> None:
    """Tells which rights one has on a folder."""
    rights = format_with_obsolete(await mailbox.rights())
    session.tell(b"MYRIGHTS %b %b" % (mailbox_name(cmd.mailbox), rights.encode()))
