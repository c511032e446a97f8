"""PARTIAL: some of the results, by their places.  RFC 9394.  SEARCH RETURN (PARTIAL) is in search."""

from __future__ import annotations

from acl_imapd.commands.fetch import MODIFIERS, Fetch, Modifier
from acl_imapd.commands.registry import capability
from acl_imapd.commands.session import Session
from acl_imapd.errors import BadCommand
from acl_imapd.proto.search_keys import parse_partial
from acl_imapd.ranges import RangeSet

capability(b"PARTIAL", "RFC 9394")


async def _narrow(_session: Session, cmd: Fetch, seqs: RangeSet) -> RangeSet:
    """§3.3: those of the messages named that have the places; what changed among them is asked after (§3.4)."""
    if not cmd.uid:
        raise BadCommand("PARTIAL goes with UID FETCH")
    first, last = cmd.modifiers[b"PARTIAL"]
    low, high = sorted((abs(first), abs(last)))
    if first < 0:
        low, high = len(seqs) - high + 1, len(seqs) - low + 1
    return seqs.places(max(1, low), high)


MODIFIERS[b"PARTIAL"] = Modifier(parse_partial, _narrow)
