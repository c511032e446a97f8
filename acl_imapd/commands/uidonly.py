"""UIDONLY (RFC 9586): no sequence numbers; and UIDBATCHES (RFC 10022): the mailbox in parts, by UID.

What UIDONLY changes is done where numbers are read and told: dispatch, fetch, store, search, select, session.
"""

from __future__ import annotations

from dataclasses import dataclass

from acl_imapd.commands.registry import Done, State, capability, command, enables
from acl_imapd.commands.search import quoted
from acl_imapd.commands.select import opened
from acl_imapd.commands.session import Session
from acl_imapd.errors import ClientBug, ImapError, Limit
from acl_imapd.mailbox.selected import Selected
from acl_imapd.proto.arguments import Arguments

capability(b"UIDONLY", "RFC 9586")
MIN_BATCH = 500  # what every server must allow


@enables(b"UIDONLY")
def enable_uidonly(session: Session) -> None:
    """From now on UIDs only."""
    session.uidonly = True


@dataclass(frozen=True, slots=True)
class UidBatches:
    """*batches*: from which to which, counted from the newest."""

    size: int
    batches: tuple[int, int] | None


def parse_uid_batches(arguments: Arguments) -> UidBatches:
    """``SP nz-number [SP nz-number ":" nz-number]``."""
    arguments.sp()
    size = arguments.nz_number()
    if not arguments.try_sp():
        return UidBatches(size, None)
    low = arguments.nz_number()
    if not arguments.try_char(b":"):
        raise ClientBug("Batches are a range, like 1:10")
    high = arguments.nz_number()
    if high < low:
        raise ClientBug("The range of batches begins with the smaller number")
    return UidBatches(size, (low, high))


@command(b"UIDBATCHES", args=parse_uid_batches, states=State.SELECTED, capability=(b"UIDBATCHES",), rfc="RFC 10022")
async def uid_batches(session: Session, cmd: UidBatches) -> Done:
    """Tells ranges of UIDs that have so many messages each, the newest first."""
    _, selected = opened(session)
    if cmd.size < MIN_BATCH:
        raise ImapError(f"A batch has at least {MIN_BATCH} messages", code=b"TOOFEW")
    now = (selected.count, selected.index.uidnext)
    if selected.batched is not None and selected.batched[0] == cmd and not _much_changed(selected.batched[1], now):
        raise Limit("You have just asked that, and not much has changed since")
    selected.batched = (cmd, now)
    ranges = batches(selected, cmd)
    told = b" " + b",".join(b"%d:%d" % pair for pair in ranges) if ranges else b""
    session.tell(b"UIDBATCHES (TAG %b)%b" % (quoted(session.tag), told))
    return Done("Told")


def _much_changed(before: tuple[int, int], now: tuple[int, int]) -> bool:
    """More than half as many messages came or went as there were."""
    came = now[1] - before[1]
    return came + (before[0] + came - now[0]) > before[0] // 2


def batches(selected: Selected, cmd: UidBatches) -> list[tuple[int, int]]:
    """(highest, lowest) UID of each batch asked for; together they leave no gap, and the last ends with 1."""
    known, count = selected.known, selected.count
    first, last = cmd.batches or (1, count)
    ranges: list[tuple[int, int]] = []
    for number in range(first, last + 1):
        top = count - (number - 1) * cmd.size  # how many messages are in this batch and below
        if top <= 0:
            break
        below = top - cmd.size
        ranges.append((known[top - 1], known[below - 1] + 1 if below > 0 else 1))
    return ranges
