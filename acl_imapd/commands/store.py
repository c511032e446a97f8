"""STORE and EXPUNGE.  RFC 3501 §6.4.3, §6.4.6; RFC 4315."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from acl_imapd.commands.append import split_flags
from acl_imapd.commands.numbers import sequence_numbers
from acl_imapd.commands.registry import Done, State, command
from acl_imapd.commands.select import writable
from acl_imapd.commands.session import Session
from acl_imapd.errors import ExpungeIssued
from acl_imapd.mailbox.selected import Selected
from acl_imapd.proto.arguments import Arguments, ParseError
from acl_imapd.proto.sequence import SequenceSet
from acl_imapd.ranges import EMPTY, RangeSet


@dataclass(frozen=True, slots=True)
class Store:
    """*how*: ``+``, ``-`` or, replacing, empty; *unchanged_since*: a modseq, of RFC 7162."""

    numbers: SequenceSet
    how: str
    silent: bool
    flags: int
    keywords: tuple[str, ...]
    uid: bool
    unchanged_since: int | None


_NAMES = tuple(sign + name for sign in (b"", b"+", b"-") for name in (b"FLAGS", b"FLAGS.SILENT"))


def parse_store(arguments: Arguments, *, uid: bool) -> Store:
    """``SP sequence-set [SP "(" store-modifiers ")"] SP ["+" / "-"] "FLAGS" [".SILENT"] SP flags``."""
    arguments.sp()
    numbers = arguments.sequence_set()
    arguments.sp()
    unchanged_since = None
    if arguments.peek() == b"(":
        unchanged_since = _modifiers(arguments)
        arguments.sp()
    name = arguments.keyword(*_NAMES)
    arguments.sp()
    bits, keywords = split_flags(arguments.store_flags())
    how = name[:1].decode() if name[:1] in (b"+", b"-") else ""
    return Store(numbers, how, name.endswith(b".SILENT"), bits, keywords, uid, unchanged_since)


def _modifiers(arguments: Arguments) -> int | None:
    """``"(" "UNCHANGEDSINCE" SP mod-sequence-valzer ")"``.  RFC 7162 §7."""

    def modifier(one: Arguments) -> int:
        one.keyword(b"UNCHANGEDSINCE")
        one.sp()
        return one.number64()

    found = arguments.parenthesised(modifier)
    if len(found) != 1:
        raise ParseError("STORE takes UNCHANGEDSINCE once")
    return found[0]


@command(b"STORE", args=partial(parse_store, uid=False), states=State.SELECTED, expunge_ok=False,
         rfc="RFC 3501 §6.4.6")  # fmt: skip
async def store(session: Session, cmd: Store) -> Done | None:
    """Changes flags, by sequence number."""
    return await _store(session, cmd)


@command(b"UID STORE", args=partial(parse_store, uid=True), states=State.SELECTED, rfc="RFC 3501 §6.4.8")
async def uid_store(session: Session, cmd: Store) -> Done | None:
    """Changes flags, by UID."""
    return await _store(session, cmd)


async def _store(session: Session, cmd: Store) -> Done | None:
    view, selected = writable(session)
    if cmd.unchanged_since is not None:
        session.enable_condstore()
    seqs = sequence_numbers(selected, cmd.numbers, uid=cmd.uid)
    uids = selected.uids_of(seqs)
    owed = selected.owed() if cmd.silent else EMPTY
    before = {low: selected.flags(low - 1, high) for low, high in seqs.ranges} if cmd.silent else {}
    old = {low: selected.modseqs(low - 1, high) for low, high in seqs.ranges} if session.condstore else {}
    done = await view.store_flags(uids, cmd.how, cmd.flags, cmd.keywords, unchanged_since=cmd.unchanged_since)
    if session.selected is not selected:
        return None
    failed = selected.seqs_of(done.modified)
    gone = await _tell_failed(session, selected, failed, uid=cmd.uid)
    if cmd.silent:
        # RFC 3501 §6.4.6: nothing is told of what the client asked for; what others did is.
        told = owed | done.modified
        for low, high in seqs.ranges:
            expected = [bits & ~done.remove | done.add if bits >= 0 else bits for bits in before[low]]
            if cmd.keywords or not cmd.how:
                expected = selected.flags(low - 1, high)
            pairs = [pair for pair in zip(selected.uids(low - 1, high), expected, strict=True) if pair[0] not in told]
            selected.expect([uid for uid, _ in pairs], [bits for _, bits in pairs])
        if session.condstore:
            gone |= await _tell_modseqs(session, selected, seqs - failed, old, every=cmd.unchanged_since is not None)
    else:
        gone |= await _tell(session, selected, seqs - failed, uid=cmd.uid)
    code = None
    if failed:
        code = b"MODIFIED " + (done.modified if cmd.uid else failed).encode().encode()  # RFC 7162 §3.1.3
    if gone:
        raise ExpungeIssued("Some of these messages have been removed meanwhile", code=code)
    return Done("Some of these messages had changed" if failed else "", code)


def _chunks(seqs: RangeSet) -> Iterator[tuple[int, int]]:
    for low, high in seqs.ranges:
        for start in range(low - 1, high, 1000):
            yield start, min(start + 1000, high)


async def _tell(session: Session, selected: Selected, seqs: RangeSet, *, uid: bool) -> bool:
    """Send the flags as they are now; True where a message is gone."""
    gone = False
    keywords = selected.index.keywords
    if len(keywords) != selected.told_keywords:
        selected.told_keywords = len(keywords)
        session.tell_flags()
    for start, stop in _chunks(seqs):
        lines = session.flag_lines(selected, start, stop, uid=uid)
        selected.expect(selected.uids(start, stop), selected.flags(start, stop))
        gone |= len(lines) < stop - start
        session.write(b"".join(lines))
        await session.channel.drain()
        if session.closed:
            return False
    return gone


async def _tell_failed(session: Session, selected: Selected, failed: RangeSet, *, uid: bool) -> bool:
    """RFC 7162 §3.1.3 recommends to tell why it failed: how those messages are now."""
    return bool(failed) and await _tell(session, selected, failed, uid=uid)


async def _tell_modseqs(
    session: Session, selected: Selected, seqs: RangeSet, old: dict[int, list[int]], *, every: bool
) -> bool:
    """The modseqs of what was changed silently, or of *every* message; True where one is gone.  RFC 7162 §3.1.3."""
    before = {start + at: modseq for start, modseqs in old.items() for at, modseq in enumerate(modseqs)}
    gone = False
    for start, stop in _chunks(seqs):
        numbers = zip(
            range(start + 1, stop + 1), selected.uids(start, stop), selected.modseqs(start, stop), strict=True
        )
        lines = [
            b"%bMODSEQ (%d))\r\n" % (session.fetch_head(seq, uid, uid_item=True), modseq)
            for seq, uid, modseq in numbers
            if modseq and (every or modseq != before[seq])
        ]
        gone |= any(not modseq for modseq in selected.modseqs(start, stop))
        session.write(b"".join(lines))
        await session.channel.drain()
        if session.closed:
            return False
    return gone


@command(b"EXPUNGE", states=State.SELECTED, rfc="RFC 3501 §6.4.3")
async def expunge(session: Session, _cmd: object) -> Done | None:
    r"""Removes what is marked \Deleted."""
    view, selected = writable(session)
    return expunged(session, selected, await view.expunge(None))


def expunged(session: Session, selected: Selected, gone: RangeSet, text: str = "Expunged") -> Done | None:
    """The answer after *gone* went: RFC 7162 §3.2.7 wants the modseq up to which all is told."""
    if not session.qresync or not gone or session.selected is not selected:
        return None
    session.sync(expunge_ok=True, uid=True)
    return Done(text, b"HIGHESTMODSEQ %d" % selected.told_highest)


@dataclass(frozen=True, slots=True)
class UidExpunge:
    numbers: SequenceSet


def parse_uid_expunge(arguments: Arguments) -> UidExpunge:
    """``SP sequence-set``."""
    arguments.sp()
    return UidExpunge(arguments.sequence_set())


@command(b"UID EXPUNGE", args=parse_uid_expunge, states=State.SELECTED, capability=(b"UIDPLUS",), rfc="RFC 4315 §2.1")
async def uid_expunge(session: Session, cmd: UidExpunge) -> Done | None:
    r"""Removes what is marked \Deleted among these UIDs."""
    view, selected = writable(session)
    seqs = sequence_numbers(selected, cmd.numbers, uid=True)
    return expunged(session, selected, await view.expunge(selected.uids_of(seqs)))
