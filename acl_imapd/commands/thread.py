"""THREAD.  RFC 5256."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from acl_imapd.commands.registry import Done, State, capability, command
from acl_imapd.commands.search import carry_out
from acl_imapd.commands.select import opened
from acl_imapd.commands.session import Session
from acl_imapd.commands.sort import learn_sent
from acl_imapd.mail.collation import COLLATIONS, Collation
from acl_imapd.mail.thread import Threaded, encode_threads, ordered_subject, references
from acl_imapd.proto.arguments import Arguments
from acl_imapd.proto.search_keys import SearchCommand, names_numbers, parse_criteria
from acl_imapd.ranges import RangeSet

# The algorithms, and what of the sort keys each reads.
_ALGORITHMS = {
    b"ORDEREDSUBJECT": ("subject",),
    b"REFERENCES": ("subject", "is_reply", "message_id", "refs"),
}
for _name in _ALGORITHMS:
    capability(b"THREAD=" + _name, "RFC 5256")


@dataclass(frozen=True, slots=True)
class Thread:
    algorithm: bytes
    search: SearchCommand
    uid: bool


def parse_thread(arguments: Arguments, *, uid: bool) -> Thread:
    """``SP thread-alg SP charset 1*(SP search-key)``."""
    arguments.sp()
    algorithm = arguments.keyword(*_ALGORITHMS)
    arguments.sp()
    return Thread(algorithm, parse_criteria(arguments), uid)


@command(b"THREAD", args=partial(parse_thread, uid=False), states=State.SELECTED, expunge_ok=False,
         rfc="RFC 5256")  # fmt: skip
async def thread(session: Session, cmd: Thread) -> Done:
    """Finds messages and threads them, told by sequence number."""
    return await _thread(session, cmd)


@command(b"UID THREAD", args=partial(parse_thread, uid=True), states=State.SELECTED, rfc="RFC 5256")
async def uid_thread(session: Session, cmd: Thread) -> Done:
    """Finds messages and threads them, told by UID."""
    return await _thread(session, cmd)


async def _thread(session: Session, cmd: Thread) -> Done:
    view, selected = opened(session)
    answer = await carry_out(session, cmd.search, uid=True)
    if answer is None:
        return Done()
    uids, threads = answer.numbers, b""
    if uids:
        seqs = selected.seqs_of(RangeSet.from_numbers(uids))
        await learn_sent(view, selected, uids)
        index = selected.index
        sent = {uid: index.sent[place] for uid in uids if (place := index.position(uid)) >= 0}
        numbers = dict(zip(uids, uids if cmd.uid else seqs, strict=True))
        work = partial(_threads, cmd.algorithm, sent, numbers, COLLATIONS[session.comparator])
        threads = b" " + await view.sort_keys(RangeSet.from_numbers(uids), _ALGORITHMS[cmd.algorithm], work)
    if session.closed or session.selected is not selected:
        return Done()
    session.tell(b"THREAD" + threads)  # with no MODSEQ: RFC 7162 §3.1.6 speaks of SEARCH and SORT
    return Done("Threaded", hold_expunge=names_numbers(cmd.search.key))


def _threads(
    algorithm: bytes, sent: dict[int, int], numbers: dict[int, int], fold: Collation, rows: Sequence[Any]
) -> bytes:
    """The answer; a message that has been removed meanwhile is in no thread."""
    rows = [row for row in rows if row.uid in sent]
    called = [numbers[row.uid] for row in rows]
    if algorithm == b"ORDEREDSUBJECT":
        return encode_threads(ordered_subject([(sent[row.uid], fold(row.subject)) for row in rows]), called)
    messages = [
        Threaded(sent[row.uid], fold(row.subject), row.is_reply, row.message_id, row.refs.split()) for row in rows
    ]
    return encode_threads(references(messages), called)
