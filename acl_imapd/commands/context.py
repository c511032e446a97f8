"""CONTEXT=SEARCH, CONTEXT=SORT: results that are kept up to date.  RFC 5267 §4.

What the client is told follows what it was told of the mailbox: a message counts as changed once its modseq is one
the client has heard of, so nothing is said of a message that the client does not know.  PARTIAL is in search.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from acl_imapd.commands.registry import State, capability, command
from acl_imapd.commands.search import (
    RETURN_OPTIONS,
    Arrange,
    Finder,
    Found,
    ReturnOption,
    as_found,
    encode_in_order,
    esearch_head,
    quoted,
)
from acl_imapd.commands.select import opened
from acl_imapd.commands.session import Session
from acl_imapd.errors import BadCommand
from acl_imapd.mailbox.selected import Selected
from acl_imapd.proto import search_keys as keys
from acl_imapd.proto.arguments import Arguments
from acl_imapd.proto.sequence import SequenceSet
from acl_imapd.ranges import EMPTY, RangeSet

capability(b"CONTEXT=SEARCH", "RFC 5267 §4")
capability(b"CONTEXT=SORT", "RFC 5267 §4")

MAX_CONTEXTS = 16


class Context:
    """One search whose result the client is told the changes of."""

    def __init__(self, session: Session, found: Found, key: keys.Key) -> None:
        self._session = session
        self._selected: Selected = found.selected
        self._tag = session.tag
        self._uid = found.uid
        self._mailbox = found.mailbox
        self._key = key
        self._arrange: Arrange | None = found.arrange if found.arrange is not as_found else None
        self._uids = [found.selected.known[at] for at in found.positions]  # the result, in its order
        self._told = found.told_modseq

    # -- what goes with an EXPUNGE ----------------------------------------------------------------------------------

    def vanish(self, seq_of: dict[int, int]) -> bytes | None:
        """What to tell before the EXPUNGE of the messages that are the keys of *seq_of*; their numbers are those of
        before.  RFC 5267 §4.3.4."""
        gone = [uid for uid in self._uids if uid in seq_of]
        if not gone:
            return None
        removal = self._removal(set(gone), seq_of)
        return self._esearch(removal)

    # -- what goes with FETCH and EXISTS --------------------------------------------------------------------------

    async def catch_up(self) -> None:
        """Tell how the result has changed by what the client has been told since."""
        session, selected = self._session, self._selected
        told = selected.told_modseq
        if told == self._told or (not selected.count and not self._uids):
            self._told = told
            return
        known = selected.known
        changed = selected.changed_since(RangeSet(((1, selected.count),)) if selected.count else EMPTY, self._told)
        self._told = told
        assert session.view is not None
        finder = Finder(session, session.view, selected, saved=EMPTY)
        there = [seq - 1 for seq in changed if finder.flags[seq - 1] >= 0]
        touched = {known[at] for at in there}
        matching = {known[at] for at in await finder.find(self._key, there)}
        if not self._current():
            return
        have = set(self._uids)
        gone, come = (have & touched) - matching, matching - have
        seqs = self._seqs(gone | come)
        come &= seqs.keys()
        parts = [self._removal(gone, seqs)] if gone else []
        if come:
            parts.append(await self._addition(come))
        if parts and self._current():
            session.write(self._esearch(b" ".join(part for part in parts if part)))

    def _current(self) -> bool:
        return self._session.selected is self._selected and not self._session.closed

    def _seqs(self, uids: Iterable[int]) -> dict[int, int]:
        """The sequence numbers of those *uids* that the client knows."""
        selected = self._selected
        return {selected.known[seq - 1]: seq for seq in selected.seqs_of(RangeSet.from_numbers(uids))}

    def _removal(self, gone: set[int], seq_of: dict[int, int]) -> bytes:
        pairs = []
        if self._arrange is None:
            numbers = sorted(uid if self._uid else seq_of[uid] for uid in gone)
            pairs.append(b"0 " + encode_in_order(numbers))
        else:
            # From the end, so that each position holds when it is said.
            for place in range(len(self._uids) - 1, -1, -1):
                if self._uids[place] in gone:
                    uid = self._uids[place]
                    pairs.append(b"%d %d" % (place + 1, uid if self._uid else seq_of[uid]))
        self._uids = [uid for uid in self._uids if uid not in gone]
        return b"REMOVEFROM (" + b" ".join(pairs) + b")"

    async def _addition(self, come: set[int]) -> bytes:
        """``ADDTO (position numbers …)``; without an order of its own a result is in the mailbox's."""
        if self._arrange is None:
            self._uids = sorted({*self._uids, *come})
            seq_of = self._seqs(come)
            numbers = sorted(uid if self._uid else seq_of[uid] for uid in come)
            return b"ADDTO (0 " + encode_in_order(numbers) + b")"
        positions = sorted(seq - 1 for seq in self._seqs({*self._uids, *come}).values())
        known = self._selected.known
        order = [known[at] for at in await self._arrange(positions, [])]
        # What was expunged meanwhile has been told of already.
        seq_of = self._seqs(order)
        have = set(self._uids)
        self._uids = [uid for uid in order if uid in seq_of and (uid in have or uid in come)]
        pairs: list[bytes] = []
        run: list[int] = []
        for place, uid in enumerate([*self._uids, 0]):
            if uid in come:
                run.append(uid if self._uid else seq_of[uid])
            elif run:
                pairs.append(b"%d %b" % (place - len(run) + 1, encode_in_order(run)))
                run = []
        return b"ADDTO (" + b" ".join(pairs) + b")" if pairs else b""

    def _esearch(self, data: bytes) -> bytes:
        return b"* %b %b\r\n" % (esearch_head(self._tag, self._mailbox, uid=self._uid), data)


def _frozen(key: keys.Key, selected: Selected, saved: RangeSet) -> keys.Key:
    """*key* with its message numbers as they are now: later ones are others' (RFC 5267 §4.3)."""
    if isinstance(key, keys.And):
        return keys.And(tuple(_frozen(part, selected, saved) for part in key.keys))
    if isinstance(key, keys.Or):
        return keys.Or(_frozen(key.a, selected, saved), _frozen(key.b, selected, saved))
    if isinstance(key, keys.Not):
        return keys.Not(_frozen(key.key, selected, saved))
    if isinstance(key, keys.Fuzzy):
        return keys.Fuzzy(_frozen(key.key, selected, saved))
    if isinstance(key, keys.Seq | keys.UidSet) and key.set.saved:
        uids = saved
    elif isinstance(key, keys.Seq):
        count = selected.count
        numbers = key.set.resolve(count) if count else EMPTY
        uids = selected.uids_of(numbers & RangeSet(((1, count),)) if count else EMPTY)
    else:
        return key
    return keys.UidSet(SequenceSet(uids.ranges)) if uids else keys.Not(keys.All())


# -- RETURN (UPDATE), RETURN (CONTEXT) ------------------------------------------------------------------------------


def _no_reuse(session: Session, _search: keys.SearchCommand) -> None:
    if session.tag in session.contexts:
        raise BadCommand("That tag is of a search that is still kept up to date")


def _keep(session: Session, search: keys.SearchCommand, found: Found) -> None:
    # How relevant each message is to a fuzzy search is worked out for all at once: such an order is not kept up.
    by_score = found.arrange is not as_found and keys.asks(search.key, keys.Fuzzy)
    if len(session.contexts) >= MAX_CONTEXTS or by_score:
        session.tell(b"NO [NOUPDATE %b] Too many contexts" % quoted(session.tag))
        return
    key = _frozen(search.key, found.selected, found.saved)
    session.contexts[session.tag] = Context(session, found, key)


RETURN_OPTIONS[b"UPDATE"] = ReturnOption(before=_no_reuse, after=_keep)
RETURN_OPTIONS[b"CONTEXT"] = ReturnOption()  # a hint that the client will ask again; every search is as quick
for _name in (b"UPDATE", b"CONTEXT"):
    keys.declare_return(_name)


@dataclass(frozen=True, slots=True)
class CancelUpdate:
    tags: tuple[bytes, ...]


def parse_cancel_update(arguments: Arguments) -> CancelUpdate:
    """``1*(SP quoted)``."""
    tags: list[bytes] = []
    while not tags or not arguments.at_end():
        arguments.sp()
        tags.append(arguments.string())
    return CancelUpdate(tuple(tags))


@command(b"CANCELUPDATE", args=parse_cancel_update, states=State.SELECTED,
         capability=(b"CONTEXT=SEARCH", b"CONTEXT=SORT"), rfc="RFC 5267 §4.3.5")  # fmt: skip
async def cancel_update(session: Session, cmd: CancelUpdate) -> None:
    """Ends the updates of searches, named by their tags; one that gets none is passed over."""
    opened(session)
    for tag in cmd.tags:
        session.contexts.pop(tag, None)
