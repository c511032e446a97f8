"""STORE and EXPUNGE.  RFC 3501 §6.4.3, §6.4.6; RFC 4315."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from acl_imapd.commands.append import split_flags
from acl_imapd.commands.numbers import sequence_numbers
from acl_imapd.commands.registry import State, command
from acl_imapd.commands.render import flags_text
from acl_imapd.commands.select import writable
from acl_imapd.commands.session import Session
from acl_imapd.errors import ExpungeIssued
from acl_imapd.mailbox.selected import Selected
from acl_imapd.proto.arguments import Arguments
from acl_imapd.proto.sequence import SequenceSet
from acl_imapd.ranges import EMPTY, RangeSet


@dataclass(frozen=True, slots=True)
class Store:
    """*how*: ``+``, ``-`` or, replacing, empty."""

    numbers: SequenceSet
    how: str
    silent: bool
    flags: int
    keywords: tuple[str, ...]
    uid: bool


_NAMES = tuple(sign + name for sign in (b"", b"+", b"-") for name in (b"FLAGS", b"FLAGS.SILENT"))


def parse_store(arguments: Arguments, *, uid: bool) -> Store:
    """``SP sequence-set SP ["+" / "-"] "FLAGS" [".SILENT"] SP flags``."""
    arguments.sp()
    numbers = arguments.sequence_set()
    arguments.sp()
    name = arguments.keyword(*_NAMES)
    arguments.sp()
    bits, keywords = split_flags(arguments.store_flags())
    how = name[:1].decode() if name[:1] in (b"+", b"-") else ""
    return Store(numbers, how, name.endswith(b".SILENT"), bits, keywords, uid)


@command(b"STORE", args=partial(parse_store, uid=False), states=State.SELECTED, expunge_ok=False,
         rfc="RFC 3501 §6.4.6")  # fmt: skip
async def store(session: Session, cmd: Store) -> None:
    """Changes flags, by sequence number."""
    await _store(session, cmd)


@command(b"UID STORE", args=partial(parse_store, uid=True), states=State.SELECTED, rfc="RFC 3501 §6.4.8")
async def uid_store(session: Session, cmd: Store) -> None:
    """Changes flags, by UID."""
    await _store(session, cmd)


async def _store(session: Session, cmd: Store) -> None:
    view, selected = writable(session)
    seqs = sequence_numbers(selected, cmd.numbers, uid=cmd.uid)
    uids = selected.uids_of(seqs)
    owed = selected.owed() if cmd.silent else EMPTY
    before = {low: selected.flags(low - 1, high) for low, high in seqs.ranges} if cmd.silent else {}
    add, remove, _ = await view.store_flags(uids, cmd.how, cmd.flags, cmd.keywords)
    if session.selected is not selected:
        return
    if cmd.silent:
        # RFC 3501 §6.4.6: nothing is told of what the client asked for; what others did is.
        for low, high in seqs.ranges:
            expected = [bits & ~remove | add if bits >= 0 else bits for bits in before[low]]
            if cmd.keywords or not cmd.how:
                expected = selected.flags(low - 1, high)
            pairs = [pair for pair in zip(selected.uids(low - 1, high), expected, strict=True) if pair[0] not in owed]
            selected.expect([uid for uid, _ in pairs], [bits for _, bits in pairs])
        return
    if await _tell(session, selected, seqs, uid=cmd.uid):
        raise ExpungeIssued("Some of these messages have been removed meanwhile")


async def _tell(session: Session, selected: Selected, seqs: RangeSet, *, uid: bool) -> bool:
    """Send the flags as they are now; True where a message is gone."""
    gone = False
    keywords = selected.index.keywords
    if len(keywords) != selected.told_keywords:
        selected.told_keywords = len(keywords)
        session.tell_flags()
    for low, high in seqs.ranges:
        for start in range(low - 1, high, 1000):
            stop = min(start + 1000, high)
            flags = selected.flags(start, stop)
            known = selected.uids(start, stop)
            selected.expect(known, flags)
            gone |= -1 in flags
            template = b"* %d FETCH (UID %d FLAGS %b)\r\n" if uid else b"* %d FETCH (FLAGS %b)\r\n"
            session.write(
                b"".join(
                    template % ((seq, one, flags_text(bits, keywords)) if uid else (seq, flags_text(bits, keywords)))
                    for seq, one, bits in zip(range(start + 1, stop + 1), known, flags, strict=True)
                    if bits >= 0
                )
            )
            await session.channel.drain()
            if session.closed:
                return False
    return gone


@command(b"EXPUNGE", states=State.SELECTED, rfc="RFC 3501 §6.4.3")
async def expunge(session: Session, _cmd: object) -> None:
    r"""Removes what is marked \Deleted."""
    view, _ = writable(session)
    await view.expunge(None)


@dataclass(frozen=True, slots=True)
class UidExpunge:
    numbers: SequenceSet


def parse_uid_expunge(arguments: Arguments) -> UidExpunge:
    """``SP sequence-set``."""
    arguments.sp()
    return UidExpunge(arguments.sequence_set())


@command(b"UID EXPUNGE", args=parse_uid_expunge, states=State.SELECTED, capability=(b"UIDPLUS",), rfc="RFC 4315 §2.1")
async def uid_expunge(session: Session, cmd: UidExpunge) -> None:
    r"""Removes what is marked \Deleted among these UIDs."""
    view, selected = writable(session)
    seqs = sequence_numbers(selected, cmd.numbers, uid=True)
    await view.expunge(selected.uids_of(seqs))
