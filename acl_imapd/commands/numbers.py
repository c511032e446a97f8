"""Message numbers of commands, by sequence number or UID."""

from __future__ import annotations

from acl_imapd.errors import BadCommand
from acl_imapd.mailbox.selected import Selected
from acl_imapd.proto.sequence import SequenceSet
from acl_imapd.ranges import EMPTY, RangeSet


def sequence_numbers(selected: Selected, numbers: SequenceSet, *, uid: bool) -> RangeSet:
    """The sequence numbers of what is named.  UIDs that are not there are passed over (RFC 3501 §6.4.8); a sequence
    number over the last is BAD, but in an empty mailbox ``1:*`` names nothing."""
    if numbers.saved:
        return selected.seqs_of(selected.searched)
    if uid:
        highest = selected.known[selected.count - 1] if selected.count else 0
        if not highest:
            return EMPTY
        return selected.seqs_of(numbers.resolve(highest))
    found = numbers.resolve(selected.count)
    if not selected.count and numbers.has_star:
        return EMPTY
    if found and found.ranges[-1][1] > selected.count:
        raise BadCommand(f"There is no message {found.ranges[-1][1]} here; the last is {selected.count}")
    return found


def uids_named(selected: Selected, numbers: SequenceSet) -> RangeSet:
    """The UIDs that are named, there or not."""
    return selected.searched if numbers.saved else numbers.resolve(max(1, selected.index.uidnext - 1))
