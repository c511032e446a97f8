"""SORT.  RFC 5256, RFC 5957 (SORT=DISPLAY), RFC 5267 §3 (ESORT)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from acl_imapd.access.view import MailboxView
from acl_imapd.commands.registry import Done, State, command
from acl_imapd.commands.search import carry_out
from acl_imapd.commands.select import opened
from acl_imapd.commands.session import Session
from acl_imapd.errors import BadCommand
from acl_imapd.mail.collation import COLLATIONS, Collation
from acl_imapd.mailbox.index import UNKNOWN_DATE
from acl_imapd.mailbox.selected import Selected
from acl_imapd.proto.arguments import Arguments, ParseError
from acl_imapd.proto.search_keys import Fuzzy, SearchCommand, asks, names_numbers, parse_criteria, parse_returns
from acl_imapd.ranges import RangeSet

# Which column of a message's sort keys each criterion compares; the others are in the index.
_TEXTS = {
    b"SUBJECT": "subject", b"FROM": "from_mailbox", b"TO": "to_mailbox", b"CC": "cc_mailbox",
    b"DISPLAYFROM": "from_display", b"DISPLAYTO": "to_display",
}  # fmt: skip
_NUMBERS = (b"ARRIVAL", b"DATE", b"SIZE")
SCORES: set[bytes] = set()  # criteria that are the score of a fuzzy search, the best first


class Criterion(NamedTuple):
    name: bytes
    reverse: bool


@dataclass(frozen=True, slots=True)
class Sort:
    criteria: tuple[Criterion, ...]
    search: SearchCommand
    uid: bool


def parse_sort(arguments: Arguments, *, uid: bool) -> Sort:
    """``SP [RETURN opts SP] "(" criterion *(SP criterion) ")" SP charset 1*(SP search-key)``."""
    arguments.sp()
    returns, partial_ = parse_returns(arguments)
    criteria = tuple(dict.fromkeys(arguments.parenthesised(_criterion)))
    if not criteria:
        raise ParseError("A SORT needs something to sort by")
    arguments.sp()
    return Sort(criteria, parse_criteria(arguments, returns, partial_), uid)


def _criterion(arguments: Arguments) -> Criterion:
    # sort-criterion = ["REVERSE" SP] sort-key
    reverse = arguments.try_keyword(b"REVERSE") is not None
    if reverse:
        arguments.sp()
    return Criterion(arguments.keyword(*_NUMBERS, *_TEXTS, *SCORES), reverse)


@command(b"SORT", args=partial(parse_sort, uid=False), states=State.SELECTED, expunge_ok=False,
         capability=(b"SORT", b"SORT=DISPLAY", b"ESORT"), rfc="RFC 5256, RFC 5957, RFC 5267 §3")  # fmt: skip
async def sort(session: Session, cmd: Sort) -> Done:
    """Finds messages and puts them in order, told by sequence number."""
    return await _sort(session, cmd)


@command(b"UID SORT", args=partial(parse_sort, uid=True), states=State.SELECTED,
         capability=(b"SORT", b"SORT=DISPLAY", b"ESORT"), rfc="RFC 5256, RFC 5957, RFC 5267 §3")  # fmt: skip
async def uid_sort(session: Session, cmd: Sort) -> Done:
    """Finds messages and puts them in order, told by UID."""
    return await _sort(session, cmd)


async def _sort(session: Session, cmd: Sort) -> Done:
    view, selected = opened(session)
    if not keys_of(cmd.criteria).isdisjoint(SCORES) and not asks(cmd.search.key, Fuzzy):
        raise BadCommand("RELEVANCY goes with a FUZZY key")
    fold = COLLATIONS[session.comparator]
    answer = await carry_out(
        session, cmd.search, uid=cmd.uid, arrange=partial(in_order, view, selected, cmd.criteria, fold)
    )
    if answer is None:
        return Done()
    if cmd.search.returns is None:
        session.tell(b"SORT" + b"".join(b" %d" % number for number in answer.numbers) + answer.modseq_text)
    else:
        answer.tell_esearch(session, cmd.search, uid=cmd.uid)
    return Done("Sorted", hold_expunge=names_numbers(cmd.search.key))


def keys_of(criteria: Sequence[Criterion]) -> set[bytes]:
    """The names of the criteria."""
    return {one.name for one in criteria}


async def in_order(
    view: MailboxView,
    selected: Selected,
    criteria: Sequence[Criterion],
    fold: Collation,
    found: list[int],
    scores: list[int],
) -> list[int]:
    """The positions *found*, which rise, in the order of *criteria*; equals stay as they are."""
    names = keys_of(criteria)
    known = selected.known
    if b"DATE" in names and UNKNOWN_DATE in selected.index.sent:
        await learn_sent(view, selected, [known[at] for at in found])
    columns = _numbers(selected, known, found, names)
    columns.update((name, [-score for score in scores]) for name in names & SCORES)
    texts = tuple(sorted(_TEXTS[name] for name in names if name in _TEXTS))
    if not texts:
        return _order(criteria, found, columns)
    uids = [known[at] for at in found]
    return await view.sort_keys(
        RangeSet.from_numbers(uids), texts, partial(_order_by_texts, criteria, found, uids, columns, fold)
    )


async def learn_sent(view: MailboxView, selected: Selected, uids: Sequence[int]) -> None:
    """After this the index knows the sent dates of those messages.  Usually it does before."""
    index = selected.index
    if UNKNOWN_DATE not in index.sent:
        return
    unknown = [uid for uid in uids if (place := index.position(uid)) >= 0 and index.sent[place] == UNKNOWN_DATE]
    if unknown:
        index.learn_sent(await view.sort_keys(RangeSet.from_numbers(unknown), ("sent",), _dates))


def _dates(rows: list[Any]) -> list[tuple[int, int | None]]:
    return [(row.uid, row.sent) for row in rows]


def _numbers(
    selected: Selected, known: Sequence[int], found: list[int], names: set[bytes]
) -> dict[bytes, Sequence[int]]:
    """What the index tells of the messages at those positions of *known*, whichever of *names* that is; 0 of one that
    is gone meanwhile."""
    index = selected.index
    arrays = {b"ARRIVAL": index.dates, b"DATE": index.sent, b"SIZE": index.sizes}
    wanted = {name: array for name, array in arrays.items() if name in names}
    if known is index.uids:  # nothing has been expunged since: positions are places
        return {name: [array[at] for at in found] for name, array in wanted.items()}
    places = [index.position(known[at]) for at in found]
    return {name: [array[place] if place >= 0 else 0 for place in places] for name, array in wanted.items()}


def _order(criteria: Sequence[Criterion], found: list[int], columns: dict[bytes, Any]) -> list[int]:
    order = list(range(len(found)))
    # Each sort keeps the order of what is equal to it, reversed ones too: so the last criterion goes first.
    for criterion in reversed(criteria):
        order.sort(key=columns[criterion.name].__getitem__, reverse=criterion.reverse)
    return [found[at] for at in order]


def _order_by_texts(
    criteria: Sequence[Criterion],
    found: list[int],
    uids: Sequence[int],
    columns: dict[bytes, Any],
    fold: Callable[[str], str],
    rows: list[Any],
) -> list[int]:
    by_uid = {row.uid: row for row in rows}
    columns = dict(columns)
    for criterion in criteria:
        if criterion.name in _TEXTS:
            column = _TEXTS[criterion.name]
            columns[criterion.name] = [
                fold(getattr(by_uid[uid], column)) if uid in by_uid else "" for uid in uids
            ]  # fmt: skip
    return _order(criteria, found, columns)
