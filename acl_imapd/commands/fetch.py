"""FETCH.  RFC 3501 §6.4.5, §7.4.2."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from acl_imapd.access.rights import SEEN, Rights
from acl_imapd.access.view import BodyData, MailboxView
from acl_imapd.commands.numbers import sequence_numbers
from acl_imapd.commands.registry import State, command
from acl_imapd.commands.render import flags_text
from acl_imapd.commands.select import opened
from acl_imapd.commands.session import Session
from acl_imapd.errors import ExpungeIssued, UnknownCte
from acl_imapd.mail.mime import Part, header_end, scan, section
from acl_imapd.mail.transfer import decoded_section
from acl_imapd.mailbox.selected import Selected
from acl_imapd.proto.arguments import Arguments, ParseError
from acl_imapd.proto.fetch_items import Binary, Fetchable, Item, Section, declare, parse_fetch
from acl_imapd.proto.responses import date_time
from acl_imapd.proto.sequence import SequenceSet
from acl_imapd.ranges import RangeSet
from acl_imapd.types import BodyId

_MODSEQ = Item(b"MODSEQ")
_UID = Item(b"UID")
LINES_PER_CHUNK = 1000
BODIES_PER_CHUNK = 200
CHUNK_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Modifier:
    """A way to ask FETCH for less.  RFC 4466 §2.4.

    *parse* reads what follows its name.  *narrow* gives the sequence numbers that are left of those asked for, and may
    refuse or tell more; those of greater *order* see what the others left.  *items* are told whether asked for or not.
    """

    parse: Callable[[Arguments], Any]
    narrow: Callable[[Session, Fetch, RangeSet], Awaitable[RangeSet]]
    order: int = 0
    items: tuple[Item, ...] = ()


MODIFIERS: dict[bytes, Modifier] = {}


@dataclass(frozen=True, slots=True)
class Fetch:
    numbers: SequenceSet
    items: tuple[Fetchable, ...]
    uid: bool
    modifiers: dict[bytes, Any]
    uid_asked: bool


def parse_fetch_command(arguments: Arguments, *, uid: bool) -> Fetch:
    """``SP sequence-set SP … [SP "(" fetch-modifier … ")"]``; UID FETCH tells the UID whether asked or not (RFC 3501
    §6.4.8)."""
    modifiers: dict[bytes, Any] = {}

    def modifier(one: Arguments) -> None:
        name = one.keyword(*MODIFIERS)
        if name in modifiers:
            raise ParseError("A modifier of FETCH is given twice")
        modifiers[name] = MODIFIERS[name].parse(one)

    arguments.sp()
    numbers = arguments.sequence_set()
    arguments.sp()
    items = parse_fetch(arguments)
    if arguments.try_sp():
        arguments.parenthesised(modifier)
        if not modifiers:
            raise ParseError("The list of modifiers is empty")
    more = [item for name in modifiers for item in MODIFIERS[name].items]
    if uid:
        more.insert(0, Item(b"UID"))
    uid_asked = Item(b"UID") in items
    items = (*(item for item in more if item not in items), *items)
    return Fetch(numbers, items, uid, modifiers, uid_asked)


@command(b"FETCH", args=partial(parse_fetch_command, uid=False), states=State.SELECTED, expunge_ok=False,
         rfc="RFC 3501 §6.4.5")  # fmt: skip
async def fetch(session: Session, cmd: Fetch) -> None:
    """Tells of messages what is asked, by sequence number."""
    await _fetch(session, cmd)


@command(b"UID FETCH", args=partial(parse_fetch_command, uid=True), states=State.SELECTED, rfc="RFC 3501 §6.4.8")
async def uid_fetch(session: Session, cmd: Fetch) -> None:
    """Tells of messages what is asked, by UID."""
    await _fetch(session, cmd)


@dataclass(frozen=True, slots=True)
class Loaded:
    """An item of an extension: *load* gives its values by UID for the positions start … stop - 1, *render* its text.

    *read* reads what follows its name.
    """

    load: Callable[[MailboxView, Selected, int, int, Item], Awaitable[Mapping[int, Any]]]
    render: Callable[[Any], bytes]
    read: Callable[[Arguments], Item] | None = None


LOADED: dict[bytes, Loaded] = {}


def loaded_item(name: bytes, loaded: Loaded) -> None:
    """Declare *name* as an item of FETCH."""
    LOADED[name] = loaded
    declare(name, loaded.read)


_COLUMNS = {
    b"ENVELOPE": "envelope",
    b"BODY": "structure",
    b"BODYSTRUCTURE": "structure_ext",
    b"RFC822.HEADER": "header",
    b"RFC822": "message",
    b"RFC822.TEXT": "message",
}


def _column(item: Fetchable) -> str | None:
    """What of the body the item is made from; None if the index has it."""
    if isinstance(item, Item):
        return _COLUMNS.get(item.name)
    if isinstance(item, Section) and not item.part and item.what.startswith(b"HEADER"):
        return "header"
    return "message"


def _marks_seen(item: Fetchable) -> bool:
    r"""RFC 3501 §6.4.5: BODY[…], RFC822 and RFC822.TEXT set \Seen; RFC822.HEADER does not."""
    if isinstance(item, Section | Binary):
        return not item.peek
    return item.name in (b"RFC822", b"RFC822.TEXT")


async def _fetch(session: Session, cmd: Fetch) -> None:
    view, selected = opened(session)
    items = cmd.items
    if session.uidonly and not cmd.uid_asked:
        items = tuple(item for item in items if item != _UID)  # RFC 9586: UIDFETCH has it in front
    if _MODSEQ in items:
        session.enable_condstore()
    seqs = sequence_numbers(selected, cmd.numbers, uid=cmd.uid)
    for name in sorted(cmd.modifiers, key=lambda name: MODIFIERS[name].order):
        seqs = await MODIFIERS[name].narrow(session, cmd, seqs)
        if session.closed or session.selected is not selected:
            return
    if not session.read_only and any(map(_marks_seen, items)):
        unseen = _unseen(selected, seqs)
        if unseen and await view.mark_seen(unseen):
            # RFC 7162 §3.2.4: who knows of modseqs is told UID and MODSEQ with the new flags.
            more = [Item(b"FLAGS")]
            if session.condstore:
                more += [_MODSEQ] if session.uidonly else [_UID, _MODSEQ]
            items = (*items, *(item for item in more if item not in items))
    columns = frozenset(column for column in map(_column, items) if column is not None)
    gone, failed = False, None
    for start, stop in _chunks(selected, seqs, bool(columns), "message" in columns):
        await view.check(Rights.r)
        if session.closed:
            return
        try:
            gone |= await _send(session, view, selected, items, columns, start, stop)
        except UnknownCte as error:  # the others are told all the same
            failed = error
        await session.channel.drain()
        await session.site.gate.directory.refresh()
        if session.closed or session.selected is not selected:
            return
    if failed is not None:
        raise failed
    if gone:
        raise ExpungeIssued("Some of these messages have been removed meanwhile")


def _unseen(selected: Selected, seqs: RangeSet) -> RangeSet:
    uids = []
    for low, high in seqs.ranges:
        flags = selected.flags(low - 1, high)
        uids += [uid for uid, bits in zip(selected.known[low - 1 : high], flags, strict=True) if not bits & SEEN]
    return RangeSet.from_numbers(uids)


def _chunks(selected: Selected, seqs: RangeSet, bodies: bool, whole: bool) -> Iterator[tuple[int, int]]:
    """Positions (start, stop), so many that an answer in the making stays small."""
    most = BODIES_PER_CHUNK if bodies else LINES_PER_CHUNK
    for low, high in seqs.ranges:
        start = low - 1
        while start < high:
            stop = min(start + most, high)
            if whole:
                size = 0
                for count, place in enumerate(selected.places(start, stop), 1):
                    size += selected.index.sizes[place] if place >= 0 else 0
                    if size >= CHUNK_BYTES:
                        stop = start + count
                        break
            yield start, stop
            start = stop


async def _send(
    session: Session,
    view: MailboxView,
    selected: Selected,
    items: tuple[Fetchable, ...],
    columns: frozenset[str],
    start: int,
    stop: int,
) -> bool:
    """Send the FETCH responses of those positions; True where a message is gone."""
    index = selected.index
    if items == _UID_FLAGS and not session.uidonly:
        return _send_flags(session, selected, start, stop)
    uids = selected.uids(start, stop).tolist()
    places = selected.places(start, stop)
    bodies: dict[BodyId, BodyData] = {}
    ids = {place: BodyId(index.bodies[place]) for place in places if place >= 0} if columns else {}
    details = {place: (index.dates[place], index.zones[place], index.sizes[place]) for place in places if place >= 0}
    if columns:
        bodies = await view.read_bodies(sorted(set(ids.values())), columns)
    loaded = {
        item: await LOADED[item.name].load(view, selected, start, stop, item)
        for item in items
        if isinstance(item, Item) and item.name in LOADED
    }
    # What the index tells is read after the last wait, so that it is of one moment.
    flags = selected.flags(start, stop)
    modseqs = selected.modseqs(start, stop) if _MODSEQ in items else [0] * len(flags)
    if Item(b"FLAGS") in items and selected.owes() and (_MODSEQ in items or not session.condstore):
        selected.expect(uids, flags)  # told here, not again
    keywords = index.keywords
    names = [item.name if isinstance(item, Item) else item.label for item in items]
    renders: list[Callable[[_Message], bytes]] = [_renderer(item) for item in items]
    out: list[bytes] = []
    gone = False
    failed: UnknownCte | None = None
    numbers = range(start + 1, stop + 1)
    for seq, uid, bits, place, modseq in zip(numbers, uids, flags, places, modseqs, strict=True):
        data = bodies.get(ids[place]) if columns and place >= 0 else None
        if place < 0 or bits < 0 or (columns and data is None) or any(uid not in one for one in loaded.values()):
            gone = True
            continue
        date, zone, size = details[place]
        message = _Message(uid, flags_text(bits, keywords), date, zone, size, data, modseq, loaded)
        try:
            parts = b" ".join([b"%b %b" % (name, render(message)) for name, render in zip(names, renders, strict=True)])
        except UnknownCte as error:
            failed = error
            continue
        out.append(b"%b%b)\r\n" % (session.fetch_head(seq, uid), parts))
    session.write(b"".join(out))
    if failed is not None:
        raise failed
    return gone


_UID_FLAGS = (Item(b"UID"), Item(b"FLAGS"))


def _send_flags(session: Session, selected: Selected, start: int, stop: int) -> bool:
    """What most clients ask of thousands of messages, in the way that costs least."""
    uids, flags = selected.uids(start, stop), selected.flags(start, stop)
    if selected.owes() and not session.condstore:
        selected.expect(uids, flags)
    keywords = selected.index.keywords
    texts = {bits: flags_text(bits, keywords).decode("latin-1") for bits in set(flags)}
    lines = [
        f"* {seq} FETCH (UID {uid} FLAGS {texts[bits]})\r\n"
        for seq, uid, bits in zip(range(start + 1, stop + 1), uids, flags, strict=True)
        if bits >= 0
    ]
    session.write("".join(lines).encode("latin-1"))
    return len(lines) < stop - start


class _Message:
    """What the items of one message are made from."""

    __slots__ = ("_part", "data", "date", "flags", "loaded", "modseq", "size", "uid", "zone")

    def __init__(
        self,
        uid: int,
        flags: bytes,
        date: int,
        zone: int,
        size: int,
        data: BodyData | None,
        modseq: int,
        loaded: Mapping[Item, Mapping[int, Any]],
    ) -> None:
        self.loaded = loaded
        self.uid, self.flags, self.date, self.zone, self.size, self.modseq = uid, flags, date, zone, size, modseq
        self.data = data if data is not None else BodyData()
        self._part: Part | None = None

    def decoded(self, numbers: tuple[int, ...]) -> bytes | None:
        """The part without its encoding; None where there is no such part."""
        if self._part is None:
            self._part = scan(self.data.message)
        return decoded_section(self.data.message, self._part, numbers)

    def section(self, item: Section) -> bytes | None:
        """The bytes of the section, cut where a partial fetch asks."""
        if _column(item) == "header":
            message, part = self.data.header, Part(0, header_end(self.data.header), len(self.data.header))
        else:
            if self._part is None:
                whole = not item.part and item.what in (b"", b"TEXT")
                message = self.data.message
                if whole:
                    part = Part(0, header_end(message) if item.what else 0, len(message))
                else:
                    part = self._part = scan(message)
            message = self.data.message
            if self._part is not None:
                part = self._part
        found = section(message, part, item.part, item.what, item.fields)
        if found is None or item.partial is None:
            return found
        first, count = item.partial
        return found[first : first + count]


def _binary(message: _Message, item: Binary) -> bytes:
    """RFC 3516 §4.3.  UnknownCte where the encoding is not known."""
    found = message.decoded(item.part)
    if item.size:
        return b"%d" % (len(found) if found is not None else 0)
    if found is not None and item.partial is not None:
        first, count = item.partial
        found = found[first : first + count]
    return b"~" + _nstring(found) if found is not None and b"\0" in found else _nstring(found)


def _nstring(data: bytes | None) -> bytes:
    return b"NIL" if data is None else b"{%d}\r\n%b" % (len(data), data)


_RENDERERS: dict[bytes, Callable[[_Message], bytes]] = {
    b"FLAGS": lambda message: message.flags,
    b"UID": lambda message: b"%d" % message.uid,
    b"MODSEQ": lambda message: b"(%d)" % message.modseq,
    b"INTERNALDATE": lambda message: date_time(message.date, message.zone),
    b"RFC822.SIZE": lambda message: b"%d" % message.size,
    b"ENVELOPE": lambda message: message.data.envelope,
    b"BODY": lambda message: message.data.structure,
    b"BODYSTRUCTURE": lambda message: message.data.structure_ext,
    b"RFC822.HEADER": lambda message: _nstring(message.data.header),
    b"RFC822": lambda message: _nstring(message.data.message),
    b"RFC822.TEXT": lambda message: _nstring(message.data.message[header_end(message.data.message) :]),
}


def _renderer(item: Fetchable) -> Callable[[_Message], bytes]:
    if isinstance(item, Item):
        name = item.name
        if name in LOADED:
            render = LOADED[name].render
            return lambda message: render(message.loaded[item][message.uid])
        return _RENDERERS[name]
    if isinstance(item, Binary):
        return lambda message: _binary(message, item)
    return lambda message: _nstring(message.section(item))
