"""SEARCH.  RFC 3501 §6.4.4, RFC 4731 (ESEARCH)."""

from __future__ import annotations

import datetime
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from acl_imapd.access.rights import SYSTEM_FLAGS
from acl_imapd.access.view import BodyData, MailboxView
from acl_imapd.commands.numbers import sequence_numbers
from acl_imapd.commands.registry import Done, State, capability, command
from acl_imapd.commands.select import opened
from acl_imapd.commands.session import Session
from acl_imapd.errors import BadCommand, UidRequired
from acl_imapd.mail.collation import COLLATIONS, Collation
from acl_imapd.mail.fuzzy import relevancy, words_of
from acl_imapd.mail.match import (
    body_contains,
    body_texts,
    decode_header,
    header_contains,
    header_values,
    sent_date,
    text_contains,
)
from acl_imapd.mail.mime import header_end, scan
from acl_imapd.mailbox.selected import RECENT, Selected
from acl_imapd.proto import search_keys as keys
from acl_imapd.proto.arguments import Arguments
from acl_imapd.proto.responses import mailbox_name
from acl_imapd.proto.sequence import SequenceSet
from acl_imapd.ranges import EMPTY, RangeSet
from acl_imapd.types import BodyId

capability(b"SEARCHRES", "RFC 5182")
_SYSTEM = {name.encode(): bit for name, bit in SYSTEM_FLAGS.items()}


@dataclass(frozen=True, slots=True)
class Search:
    search: keys.SearchCommand
    uid: bool


def parse_search_command(arguments: Arguments, *, uid: bool) -> Search:
    """``SP …``."""
    arguments.sp()
    return Search(keys.parse_search(arguments), uid)


@command(b"SEARCH", args=partial(parse_search_command, uid=False), states=State.SELECTED, expunge_ok=False,
         rfc="RFC 3501 §6.4.4")  # fmt: skip
async def search(session: Session, cmd: Search) -> Done:
    """Finds messages, told by sequence number."""
    return await _search(session, cmd)


@command(b"UID SEARCH", args=partial(parse_search_command, uid=True), states=State.SELECTED,
         capability=(b"ESEARCH",), rfc="RFC 4731")  # fmt: skip
async def uid_search(session: Session, cmd: Search) -> Done:
    """Finds messages, told by UID."""
    return await _search(session, cmd)


async def _search(session: Session, cmd: Search) -> Done:
    answer = await carry_out(session, cmd.search, uid=cmd.uid)
    if answer is None:
        return Done()
    if cmd.search.returns is None:
        numbers = b"".join(b" %d" % number for number in answer.numbers)
        session.tell(b"SEARCH" + numbers + answer.modseq_text)
    else:
        answer.tell_esearch(session, cmd.search, uid=cmd.uid)
    # RFC 7162 §3.2.10.2: no VANISHED in a UID SEARCH by message numbers.
    return Done("Searched", hold_expunge=keys.names_numbers(cmd.search.key))


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found, as numbers in the order in which they are told; *modseq*: 0 where none is told; *scores*:
    how relevant each is."""

    numbers: list[int]
    modseq: int
    scores: tuple[int, ...] = ()

    @property
    def modseq_text(self) -> bytes:
        """`` (MODSEQ n)``, as it ends SEARCH, SORT and THREAD.  RFC 7162 §3.1.6."""
        return b" (MODSEQ %d)" % self.modseq if self.modseq else b""

    def tell_esearch(
        self, session: Session, search: keys.SearchCommand, *, uid: bool, mailbox: tuple[str, int] | None = None
    ) -> None:
        """Send what RETURN asked for; nothing for SAVE alone.  *mailbox*: its name and UIDVALIDITY, where they are
        told (RFC 7377 §2.1)."""
        returns = search.returns or frozenset()
        if returns != {b"SAVE"}:
            session.tell(
                esearch(
                    session.tag, self.numbers, returns, uid=uid, modseq=self.modseq, partial=search.partial,
                    mailbox=mailbox, scores=self.scores,
                )
            )  # fmt: skip


# Positions, which rise, and how relevant each is, to the positions in the order wanted.
Arrange = Callable[[list[int], list[int]], Awaitable[list[int]]]


async def as_found(found: list[int], _scores: list[int]) -> list[int]:
    """In the order of the mailbox."""
    return found


@dataclass(frozen=True, slots=True)
class Found:
    """A search that has been carried out; *positions* are in the order that *arrange* gives.

    *saved*: what ``$`` stood for in it; *told_modseq*: up to where the client had been told of the mailbox;
    *mailbox*: see :func:`esearch`.
    """

    selected: Selected
    positions: list[int]
    arrange: Arrange
    uid: bool
    saved: RangeSet
    told_modseq: int
    mailbox: tuple[str, int] | None


def _nothing(*_: Any) -> None:
    """What most options of RETURN do."""


@dataclass(frozen=True, slots=True)
class ReturnOption:
    """What an extension's option of RETURN does before the search, and after it."""

    before: Callable[[Session, keys.SearchCommand], None] = _nothing
    after: Callable[[Session, keys.SearchCommand, Found], None] = _nothing


RETURN_OPTIONS: dict[bytes, ReturnOption] = {}


async def carry_out(
    session: Session,
    search: keys.SearchCommand,
    *,
    uid: bool,
    arrange: Arrange = as_found,
    mailbox: tuple[str, int] | None = None,
) -> Answer | None:
    """What *search* finds in the selected mailbox; saved, if it says so.  None once that is selected no more.

    *arrange* puts the 0-based positions, which rise, in the order wanted.
    """
    view, selected = opened(session)
    if session.uidonly and keys.names_numbers(search.key):
        raise UidRequired("Say UID before the numbers: you have enabled UIDONLY")
    options = [RETURN_OPTIONS[name] for name in sorted(search.returns or ()) if name in RETURN_OPTIONS]
    for option in options:
        option.before(session, search)
    saves = search.returns is not None and b"SAVE" in search.returns
    before = selected.searched
    if saves:
        selected.searched = EMPTY  # RFC 5182 §2.1: should it fail with NO, nothing is saved
    if search.refused is not None:
        raise search.refused
    by_modseq = keys.asks(search.key, keys.ModSeq)
    if by_modseq:
        session.enable_condstore()
    finder = Finder(session, view, selected, saved=before)
    told_modseq = selected.told_modseq
    try:
        rising = await finder.run(search.key)
        found = await arrange(rising, finder.scores(rising))
    except BadCommand:
        selected.searched = before
        raise
    if session.closed or session.selected is not selected:
        return None
    chosen = of_interest(found, search)
    if saves:
        selected.searched = RangeSet.from_numbers(selected.known[place] for place in chosen)
    for option in options:
        option.after(session, search, Found(selected, found, arrange, uid, before, told_modseq, mailbox))
    numbers = [selected.known[place] for place in found] if uid else [place + 1 for place in found]
    return Answer(numbers, finder.highest(chosen) if by_modseq and chosen else 0, tuple(finder.scores(found)))


def of_interest(found: list[int], search: keys.SearchCommand) -> list[int]:
    """Those that SAVE keeps and whose modseq is told.  RFC 5182 §2.4, RFC 9394 §3.2, RFC 4731 §3.2."""
    returns = search.returns or frozenset()
    if not found or returns & {b"ALL", b"COUNT"} or not returns & {b"MIN", b"MAX", b"PARTIAL"}:
        return found
    chosen = set(partial_of(found, search.partial)) if search.partial is not None else set()
    if b"MIN" in returns:
        chosen.add(found[0])
    if b"MAX" in returns:
        chosen.add(found[-1])
    return [at for at in found if at in chosen]


def partial_of(found: list[int], partial: tuple[int, int]) -> list[int]:
    """The results from which to which, counted from 1, or from the end by negative numbers.  RFC 9394 §3.1."""
    low, high = sorted(map(abs, partial))
    if partial[0] > 0:
        return found[low - 1 : high]
    return found[max(0, len(found) - high) : max(0, len(found) - low + 1)]


class Finder:
    """One SEARCH over what the client knows, place by place; the moment it began."""

    def __init__(self, session: Session, view: MailboxView, selected: Selected, *, saved: RangeSet) -> None:
        self.session = session
        self.saved = saved
        self.view = view
        self.selected = selected
        self.fold = COLLATIONS[session.comparator]
        self.flags = selected.flags(0, selected.count)
        self.places = selected.places(0, selected.count)
        self._modseqs: list[int] = []
        self._fuzzily = False  # what is being looked at is under a FUZZY
        self._fuzzy_keys = False  # something was
        self._scores: dict[int, list[int]] = {}

    def scores(self, found: list[int]) -> list[int]:
        """How relevant each of those positions is, from 1 to 100; empty without a fuzzy key.  RFC 6203 §4."""
        if not self._fuzzy_keys:
            return []
        given = (self._scores.get(at, [100]) for at in found)
        return [sum(some) // len(some) for some in given]

    @property
    def modseqs(self) -> list[int]:
        """By place, as this user sees them; of the moment they are first asked for."""
        if not self._modseqs:
            self._modseqs = self.selected.modseqs(0, len(self.flags))
        return self._modseqs

    async def run(self, key: keys.Key) -> list[int]:
        """The 0-based positions that *key* finds, rising."""
        return await self.find(key, [at for at, bits in enumerate(self.flags) if bits >= 0])

    def highest(self, found: list[int]) -> int:
        """The modseq that goes with the answer: RFC 7162 §3.1.6."""
        modseqs = self.modseqs
        return max(modseqs[at] for at in found)

    async def find(self, key: keys.Key, among: list[int]) -> list[int]:
        """Those *among* the 0-based positions that *key* finds."""
        if not among:
            return among
        if isinstance(key, keys.And):
            # What the index can tell first, so that few bodies are read.
            for part in sorted(key.keys, key=_cost):
                among = await self.find(part, among)
            return among
        if isinstance(key, keys.Or):
            first = set(await self.find(key.a, among))
            second = set(await self.find(key.b, [at for at in among if at not in first]))
            return [at for at in among if at in first or at in second]
        if isinstance(key, keys.Not):
            fuzzily, self._fuzzily = self._fuzzily, False
            found = set(await self.find(key.key, among))
            self._fuzzily = fuzzily
            return [at for at in among if at not in found]
        if isinstance(key, keys.Fuzzy):
            fuzzily, self._fuzzily, self._fuzzy_keys = self._fuzzily, True, True
            rising = await self.find(key.key, among)
            self._fuzzily = fuzzily
            return rising
        if isinstance(key, keys.Extension):
            return await EXTENSIONS[type(key)].find(self, key, among)
        test = self._cheap(key)
        if test is not None:
            return [at for at in among if test(at)]
        return await self._by_body(key, among)

    def _cheap(self, key: keys.Key) -> Callable[[int], bool] | None:
        flags, index, places = self.flags, self.selected.index, self.places
        if isinstance(key, keys.All):
            return lambda _at: True
        if isinstance(key, keys.Flag):
            bit, wanted = self._bit(key.name), key.wanted
            return lambda at: bool(flags[at] & bit) == wanted
        if isinstance(key, keys.Recent):
            return lambda at: bool(flags[at] & RECENT)
        if isinstance(key, keys.Old):
            return lambda at: not flags[at] & RECENT
        if isinstance(key, keys.New):
            return lambda at: bool(flags[at] & RECENT) and not flags[at] & 1
        if isinstance(key, keys.Seq | keys.UidSet):
            numbers = self._numbers(key.set, uid=isinstance(key, keys.UidSet))
            return lambda at: at + 1 in numbers
        if isinstance(key, keys.Larger):
            return lambda at: places[at] >= 0 and index.sizes[places[at]] > key.size_bytes
        if isinstance(key, keys.Smaller):
            return lambda at: places[at] >= 0 and index.sizes[places[at]] < key.size_bytes
        if isinstance(key, keys.ModSeq):
            modseqs = self.modseqs
            return lambda at: modseqs[at] >= key.modseq
        if isinstance(key, keys.Date) and key.kind == "internal":
            day, compare = key.day.toordinal(), COMPARE[key.op]
            # The day in the zone the date was given in: RFC 3501 §6.4.4 disregards time and zone.
            return lambda at: (
                places[at] >= 0
                and compare((index.dates[places[at]] + 60 * index.zones[places[at]]) // 86400 + EPOCH_DAY, day)
            )
        return None

    def _numbers(self, numbers: SequenceSet, *, uid: bool) -> RangeSet:
        if numbers.saved:
            return self.selected.seqs_of(self.saved)
        if uid:
            return sequence_numbers(self.selected, numbers, uid=True)
        # RFC 7377 §2: no error, here or in SEARCH, when a range extends or starts beyond the end of the mailbox.
        count = self.selected.count
        return numbers.resolve(count) & RangeSet(((1, count),)) if count else EMPTY

    def _bit(self, name: bytes) -> int:
        if name in _SYSTEM:
            return _SYSTEM[name]
        wanted = name.decode("latin-1").casefold()
        return next((1 << bit for bit, one in self.selected.index.keywords.items() if one.casefold() == wanted), 0)

    async def _by_body(self, key: keys.Key, among: list[int]) -> list[int]:
        fuzzily = self._fuzzily and isinstance(key, keys.Header | keys.Text | keys.Body)
        column, matches = _fuzzy_test(key) if fuzzily else _body_test(key, self.fold)
        index = self.selected.index
        ids = {at: BodyId(index.bodies[self.places[at]]) for at in among if self.places[at] >= 0}
        found = await self.view.match_bodies(sorted(set(ids.values())), frozenset({column}), matches)
        if fuzzily:
            for at in among:
                if at in ids and ids[at] in found:
                    self._scores.setdefault(at, []).append(found[ids[at]])
        return [at for at in among if at in ids and ids[at] in found]


@dataclass(frozen=True, slots=True)
class ExtensionKey:
    """How a key of an extension is answered: those *among* the positions that it finds.  *cost*: 1 or more where the
    database is asked, so that others come first."""

    find: Callable[[Finder, Any, list[int]], Awaitable[list[int]]]
    cost: int = 0


EXTENSIONS: dict[type, ExtensionKey] = {}

EPOCH_DAY = datetime.date(1970, 1, 1).toordinal()
COMPARE: dict[str, Callable[[int, int], bool]] = {
    "before": lambda have, want: have < want,
    "on": lambda have, want: have == want,
    "since": lambda have, want: have >= want,
}


def _cost(key: keys.Key) -> int:
    if isinstance(key, keys.And):
        return max(map(_cost, key.keys))
    if isinstance(key, keys.Or):
        return max(_cost(key.a), _cost(key.b))
    if isinstance(key, keys.Not | keys.Fuzzy):
        return _cost(key.key)
    if isinstance(key, keys.Text | keys.Body):
        return 2
    if isinstance(key, keys.Extension):
        return EXTENSIONS[type(key)].cost
    return int(isinstance(key, keys.Header) or (isinstance(key, keys.Date) and key.kind == "sent"))


def _fuzzy_test(key: keys.Key) -> tuple[str, Callable[[BodyData], int]]:
    """What of the body is wanted, and how well it fits."""
    assert isinstance(key, keys.Header | keys.Text | keys.Body)
    value, words = key.value, words_of(key.value)
    if isinstance(key, keys.Header):
        field = key.field
        return "header", lambda data: relevancy(value, words, map(decode_header, header_values(data.header, field)))
    whole = isinstance(key, keys.Text)

    def texts(data: BodyData) -> Iterator[str]:
        if whole:
            yield decode_header(data.message[: header_end(data.message)])
        yield from body_texts(data.message, scan(data.message))

    return "message", lambda data: relevancy(value, words, texts(data))


def _body_test(key: keys.Key, fold: Collation) -> tuple[str, Callable[[BodyData], int]]:
    """What of the body is wanted, and the test on it."""
    if isinstance(key, keys.Header):
        field, needle = key.field, fold(key.value)
        return "header", lambda data: header_contains(data.header, field, needle, fold)
    if isinstance(key, keys.Date):
        day, compare = key.day.toordinal(), COMPARE[key.op]

        def sent(data: BodyData) -> bool:
            date = sent_date(data.header)
            return date is not None and compare(date.toordinal(), day)

        return "header", sent
    if isinstance(key, keys.Text):
        needle = fold(key.value)
        return "message", lambda data: text_contains(data.message, scan(data.message), needle, fold)
    assert isinstance(key, keys.Body)
    needle = fold(key.value)
    return "message", lambda data: body_contains(data.message, scan(data.message), needle, fold)


def esearch(
    tag: bytes,
    numbers: list[int],
    returns: frozenset[bytes],
    *,
    uid: bool,
    modseq: int = 0,
    partial: tuple[int, int] | None = None,
    mailbox: tuple[str, int] | None = None,
    scores: Sequence[int] = (),
) -> bytes:
    """``ESEARCH (TAG "a1") [UID] …``.  RFC 4731 §3.1: MIN, MAX and ALL only where something was found."""
    parts = [esearch_head(tag, mailbox, uid=uid)]
    if b"MIN" in returns and numbers:
        parts.append(b"MIN %d" % numbers[0])
    if b"MAX" in returns and numbers:
        parts.append(b"MAX %d" % numbers[-1])
    if b"ALL" in returns and numbers:
        parts.append(b"ALL " + encode_in_order(numbers))
    if b"COUNT" in returns:
        parts.append(b"COUNT %d" % len(numbers))
    if partial is not None:
        some = partial_of(numbers, partial)
        shown = encode_in_order(some) if some else b"NIL"
        parts.append(b"PARTIAL (%d:%d %b)" % (*partial, shown))
    if b"RELEVANCY" in returns and (numbers or partial is None):
        told = scores if partial is None else partial_of(list(scores), partial)
        parts.append(b"RELEVANCY (" + b" ".join(b"%d" % score for score in told) + b")")  # RFC 6203 §4
    if modseq:
        parts.append(b"MODSEQ %d" % modseq)  # RFC 7162 §3.1.10
    return b" ".join(parts)


def esearch_head(tag: bytes, mailbox: tuple[str, int] | None, *, uid: bool) -> bytes:
    """``ESEARCH (TAG "a1" MAILBOX INBOX UIDVALIDITY 1) UID``; *mailbox*: its name and UIDVALIDITY (RFC 7377 §2.1)."""
    where = b" MAILBOX %b UIDVALIDITY %d" % (mailbox_name(mailbox[0]), mailbox[1]) if mailbox is not None else b""
    return b"ESEARCH (TAG %b%b)%b" % (quoted(tag), where, b" UID" if uid else b"")


def encode_in_order(numbers: Sequence[int]) -> bytes:
    """A sequence-set of *numbers* in their order, with ranges for those that count up.  RFC 5267 §3.2."""
    parts: list[bytes] = []
    start = 0
    for place, number in enumerate(numbers):
        if place + 1 == len(numbers) or numbers[place + 1] != number + 1:
            first = numbers[start]
            parts.append(b"%d:%d" % (first, number) if number != first else b"%d" % number)
            start = place + 1
    return b",".join(parts)


def quoted(tag: bytes) -> bytes:
    return b'"' + tag.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
