"""What is asked by modseq: CONDSTORE and QRESYNC.  RFC 7162.

The modseqs themselves are told where messages are (fetch, store, search, session); here is how a client says that it
knows of them, and how it catches up with what it missed.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

from acl_imapd.commands.fetch import MODIFIERS, Fetch, Modifier
from acl_imapd.commands.numbers import sequence_numbers, uids_named
from acl_imapd.commands.registry import capability, enables
from acl_imapd.commands.select import PARAMETERS, Parameter, opened
from acl_imapd.commands.session import Session
from acl_imapd.errors import BadCommand, UidRequired
from acl_imapd.mailbox.selected import Selected
from acl_imapd.proto.arguments import Arguments, ParseError
from acl_imapd.proto.fetch_items import Item
from acl_imapd.proto.sequence import SequenceSet
from acl_imapd.ranges import EMPTY, Range, RangeSet

capability(b"CONDSTORE", "RFC 7162")
capability(b"QRESYNC", "RFC 7162")
LINES_PER_CHUNK = 1000


@enables(b"CONDSTORE")
def enable_condstore(session: Session) -> None:
    """Modseqs are told from now on."""
    session.enable_condstore()


@enables(b"QRESYNC")
def enable_qresync(session: Session) -> None:
    """And VANISHED takes the place of EXPUNGE.  §3.2.3."""
    session.qresync = True
    session.enable_condstore()


def _refuse_without_qresync(session: Session) -> None:
    if not session.qresync:
        raise BadCommand("Say ENABLE QRESYNC first")


# -- SELECT (CONDSTORE), SELECT (QRESYNC (…)) ---------------------------------------------------------------------

PARAMETERS[b"CONDSTORE"] = Parameter(lambda _arguments: None, lambda session, _: session.enable_condstore())


@dataclass(frozen=True, slots=True)
class Known:
    """What a client knows of a mailbox.  *pairs*: ranges of sequence numbers and those of their UIDs, as long."""

    uidvalidity: int
    modseq: int
    uids: RangeSet | None
    pairs: tuple[tuple[Range, Range], ...]


def parse_known(arguments: Arguments) -> Known:
    """``SP "(" uidvalidity SP mod-sequence-value [SP known-uids] [SP seq-match-data] ")"``.  §7."""
    arguments.sp()
    arguments.open_paren()
    uidvalidity = arguments.nz_number()
    arguments.sp()
    modseq = arguments.number64()
    uids, pairs = None, tuple[tuple[Range, Range], ...]()
    more = arguments.try_sp()
    if more and arguments.peek() != b"(":
        uids = RangeSet.of(_rising(arguments.sequence_set()))
        more = arguments.try_sp()
    if more:
        arguments.open_paren()
        seqs = _rising(arguments.sequence_set())
        arguments.sp()
        pairs = tuple(_matched(seqs, _rising(arguments.sequence_set())))
        arguments.close_paren()
    arguments.close_paren()
    return Known(uidvalidity, modseq, uids, pairs)


def _rising(numbers: SequenceSet) -> list[Range]:
    """The ranges of a set that must be in order and without ``*``.  §3.2.5.2, §7."""
    ranges: list[Range] = []
    if numbers.saved:
        raise ParseError("Known numbers are numbers")
    for low, high in numbers.pairs:
        if not low or not high or high < low or (ranges and low <= ranges[-1][1]):
            raise ParseError("Known numbers are in ascending order, and * is none")
        ranges.append((low, high))
    return ranges


def _matched(seqs: list[Range], uids: list[Range]) -> list[tuple[Range, Range]]:
    """The two sets cut into ranges of equal length, number by number."""
    pairs: list[tuple[Range, Range]] = []
    left, right = seqs[::-1], uids[::-1]
    while left and right:
        (seq, last_seq), (uid, last_uid) = left.pop(), right.pop()
        length = min(last_seq - seq, last_uid - uid)
        pairs.append(((seq, seq + length), (uid, uid + length)))
        if seq + length < last_seq:
            left.append((seq + length + 1, last_seq))
        if uid + length < last_uid:
            right.append((uid + length + 1, last_uid))
    if left or right:
        raise ParseError("As many known UIDs as known sequence numbers are wanted")
    return pairs


async def _resynchronize(session: Session, known: Known) -> None:
    """Tell what went and what changed since.  §3.2.5.1."""
    _, selected = opened(session)
    if known.uidvalidity != selected.index.uidvalidity:
        return
    uids = known.uids if known.uids is not None else RangeSet(((1, max(1, selected.index.uidnext - 1)),))
    matched = last_match(selected, known.pairs)
    await _tell_vanished(session, known.modseq, uids - RangeSet(((1, matched),)) if matched else uids)
    if session.closed:
        return
    for low, high in selected.changed_since(selected.seqs_of(uids), known.modseq).ranges:
        for start in range(low - 1, high, LINES_PER_CHUNK):
            session.write(b"".join(session.flag_lines(selected, start, min(start + LINES_PER_CHUNK, high), uid=True)))
            await session.channel.drain()
            await session.site.gate.directory.refresh()
            if session.closed:
                return


def last_match(selected: Selected, pairs: tuple[tuple[Range, Range], ...]) -> int:
    """The greatest UID that has the sequence number the client knows; 0 for none.

    Up to there it knows of every expunge: what is left below that message is as many as it knows.  §3.2.5.2.
    """
    for (seq, last_seq), (uid, _) in reversed(pairs):
        # A message's UID less the one the client knows never falls from one number to the next.
        stop = min(last_seq, selected.count)
        at = bisect_left(range(seq, stop + 1), 1, key=lambda one: selected.known[one - 1] - (uid + one - seq))
        if at and selected.known[seq + at - 2] == uid + at - 1:
            return uid + at - 1
    return 0


async def _tell_vanished(session: Session, since: int, uids: RangeSet) -> None:
    """``* VANISHED (EARLIER) …``.  What the client takes for there, it is told of by VANISHED alone, later."""
    view, selected = opened(session)
    gone = await view.vanished(since) & uids
    gone -= selected.uids_of(selected.seqs_of(gone))
    if gone and not session.closed:
        session.tell(b"VANISHED (EARLIER) " + gone.encode().encode())


def _before_resync(session: Session, known: Known) -> None:
    _refuse_without_qresync(session)
    if known.pairs and session.uidonly:
        raise UidRequired("You have enabled UIDONLY: known sequence numbers cannot be told")


PARAMETERS[b"QRESYNC"] = Parameter(parse_known, _before_resync, _resynchronize)


# -- FETCH (CHANGEDSINCE n VANISHED) -------------------------------------------------------------------------------


def _parse_changed_since(arguments: Arguments) -> int:
    arguments.sp()
    return arguments.number64()


async def _changed_since(session: Session, cmd: Fetch, seqs: RangeSet) -> RangeSet:
    _, selected = opened(session)
    return selected.changed_since(seqs, cmd.modifiers[b"CHANGEDSINCE"])


async def _vanished(session: Session, cmd: Fetch, seqs: RangeSet) -> RangeSet:
    """§3.2.6: with UID FETCH and CHANGEDSINCE only, and told before any FETCH response."""
    _refuse_without_qresync(session)
    if not cmd.uid or b"CHANGEDSINCE" not in cmd.modifiers:
        raise BadCommand("VANISHED goes with UID FETCH and CHANGEDSINCE")
    _, selected = opened(session)
    await _tell_vanished(session, cmd.modifiers[b"CHANGEDSINCE"], uids_named(selected, cmd.numbers))
    if session.closed or session.selected is not selected:
        return EMPTY
    return sequence_numbers(selected, cmd.numbers, uid=True)


MODIFIERS[b"VANISHED"] = Modifier(lambda _arguments: None, _vanished, order=-1)
MODIFIERS[b"CHANGEDSINCE"] = Modifier(_parse_changed_since, _changed_since, order=1, items=(Item(b"MODSEQ"),))
