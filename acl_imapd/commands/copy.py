"""COPY and MOVE.  RFC 3501 §6.4.7, RFC 6851, RFC 4315 (COPYUID)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from acl_imapd.access.gate import to_write_into
from acl_imapd.access.rights import Rights
from acl_imapd.access.view import Copied, MailboxView
from acl_imapd.commands.numbers import sequence_numbers
from acl_imapd.commands.registry import Done, State, command
from acl_imapd.commands.select import opened, writable
from acl_imapd.commands.session import Session
from acl_imapd.commands.store import expunged
from acl_imapd.proto.arguments import Arguments
from acl_imapd.proto.sequence import SequenceSet
from acl_imapd.ranges import RangeSet


@dataclass(frozen=True, slots=True)
class Transfer:
    numbers: SequenceSet
    target: str
    uid: bool


def parse_transfer(arguments: Arguments, *, uid: bool) -> Transfer:
    """``SP sequence-set SP mailbox``."""
    arguments.sp()
    numbers = arguments.sequence_set()
    arguments.sp()
    return Transfer(numbers, arguments.mailbox(), uid)


_INTO = {"target": to_write_into(Rights.i)}


@command(b"COPY", args=partial(parse_transfer, uid=False), states=State.SELECTED, opens=_INTO, rfc="RFC 3501 §6.4.7")
async def copy(session: Session, cmd: Transfer, target: MailboxView) -> Done:
    """Copies messages to another folder, by sequence number."""
    return await _copy(session, cmd, target)


@command(b"UID COPY", args=partial(parse_transfer, uid=True), states=State.SELECTED, opens=_INTO,
         rfc="RFC 3501 §6.4.8")  # fmt: skip
async def uid_copy(session: Session, cmd: Transfer, target: MailboxView) -> Done:
    """Copies messages to another folder, by UID."""
    return await _copy(session, cmd, target)


@command(b"MOVE", args=partial(parse_transfer, uid=False), states=State.SELECTED, opens=_INTO,
         capability=(b"MOVE",), rfc="RFC 6851")  # fmt: skip
async def move(session: Session, cmd: Transfer, target: MailboxView) -> Done:
    """Moves messages to another folder, by sequence number."""
    return await _move(session, cmd, target)


@command(b"UID MOVE", args=partial(parse_transfer, uid=True), states=State.SELECTED, opens=_INTO,
         capability=(b"MOVE",), rfc="RFC 6851")  # fmt: skip
async def uid_move(session: Session, cmd: Transfer, target: MailboxView) -> Done:
    """Moves messages to another folder, by UID."""
    return await _move(session, cmd, target)


async def _copy(session: Session, cmd: Transfer, target: MailboxView) -> Done:
    view, selected = opened(session)
    seqs = sequence_numbers(selected, cmd.numbers, uid=cmd.uid)
    return Done("Copied", _copyuid(await view.copy(list(selected.uids_of(seqs)), target)))


async def _move(session: Session, cmd: Transfer, target: MailboxView) -> Done:
    view, selected = writable(session)
    seqs = sequence_numbers(selected, cmd.numbers, uid=cmd.uid)
    done = await view.move(list(selected.uids_of(seqs)), target)
    code = _copyuid(done)
    if code is not None:
        session.tell(b"OK [%b] Moved" % code)  # RFC 6851 §4.3: before the EXPUNGEs
    return expunged(session, selected, RangeSet.from_numbers(done.source_uids), "Moved") or Done("Moved")


def _copyuid(done: Copied) -> bytes | None:
    if not done.target_uids:
        return None
    source = RangeSet.from_numbers(done.source_uids).encode().encode()
    target = RangeSet.from_numbers(done.target_uids).encode().encode()
    return b"COPYUID %d %b %b" % (done.uidvalidity, source, target)
