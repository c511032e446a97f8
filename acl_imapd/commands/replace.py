"""REPLACE: a message takes another's place.  RFC 8508."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from acl_imapd.access.gate import to_write_into
from acl_imapd.access.rights import Rights
from acl_imapd.access.view import MailboxView
from acl_imapd.commands.append import Message, appenduid, new_messages, parse_message
from acl_imapd.commands.numbers import sequence_numbers
from acl_imapd.commands.registry import Done, State, command
from acl_imapd.commands.select import writable
from acl_imapd.commands.session import Session
from acl_imapd.commands.store import expunged
from acl_imapd.errors import NonExistent
from acl_imapd.proto.arguments import Arguments, ParseError
from acl_imapd.proto.sequence import SequenceSet
from acl_imapd.ranges import RangeSet


@dataclass(frozen=True, slots=True)
class Replace:
    number: SequenceSet
    mailbox: str
    message: Message
    uid: bool


def parse_replace(arguments: Arguments, *, uid: bool) -> Replace:
    """``SP seq-number SP mailbox append-message``."""
    arguments.sp()
    number = arguments.sequence_set()
    if len(number.pairs) != 1 or number.pairs[0][0] != number.pairs[0][1]:
        raise ParseError("REPLACE wants the number of one message")
    arguments.sp()
    return Replace(number, arguments.mailbox(), parse_message(arguments), uid)


_INTO = {"mailbox": to_write_into(Rights.i)}


@command(b"REPLACE", args=partial(parse_replace, uid=False), states=State.SELECTED, opens=_INTO,
         capability=(b"REPLACE",), rfc="RFC 8508")  # fmt: skip
async def replace(session: Session, cmd: Replace, mailbox: MailboxView) -> Done:
    """Adds a message to a folder and removes one here, by sequence number."""
    return await _replace(session, cmd, mailbox)


@command(b"UID REPLACE", args=partial(parse_replace, uid=True), states=State.SELECTED, opens=_INTO,
         capability=(b"REPLACE",), rfc="RFC 8508")  # fmt: skip
async def uid_replace(session: Session, cmd: Replace, mailbox: MailboxView) -> Done:
    """Adds a message to a folder and removes one here, by UID."""
    return await _replace(session, cmd, mailbox)


async def _replace(session: Session, cmd: Replace, mailbox: MailboxView) -> Done:
    view, selected = writable(session)
    uids = list(selected.uids_of(sequence_numbers(selected, cmd.number, uid=cmd.uid)))
    if not uids:
        raise NonExistent("There is no such message here")
    await view.check(Rights.r | Rights.t | Rights.e)
    (new,) = await new_messages(session, mailbox, [cmd.message])
    done = await view.replace(uids[0], mailbox, new)
    session.tell(b"OK [%b] The replacement" % appenduid(done))  # RFC 8508 §4.3: before the EXPUNGE
    return expunged(session, selected, RangeSet.from_numbers(uids), "Replaced") or Done("Replaced")
