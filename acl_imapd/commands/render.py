"""Flags and attributes as the wire has them."""

from __future__ import annotations

from acl_imapd.access.listing import Listed, Listing
from acl_imapd.access.rights import SYSTEM_FLAGS
from acl_imapd.mailbox.selected import RECENT

LINES_PER_CHUNK = 500

_SYSTEM = tuple((bit, name.encode()) for name, bit in SYSTEM_FLAGS.items())
_SYSTEM_MASK = sum(bit for bit, _ in _SYSTEM)


def flags_text(bits: int, keywords: dict[int, str]) -> bytes:
    """``(\\Seen Work)``."""
    if not bits & ~(_SYSTEM_MASK | RECENT):
        text = _RENDERED.get(bits)
        if text is None:
            text = _RENDERED[bits] = _render(bits, {})
        return text
    return _render(bits, keywords)


def _render(bits: int, keywords: dict[int, str]) -> bytes:
    names = [name for bit, name in _SYSTEM if bits & bit]
    if bits & RECENT:
        names.append(b"\\Recent")
    names += [name.encode() for bit, name in keywords.items() if bits >> bit & 1]
    return b"(" + b" ".join(names) + b")"


_RENDERED: dict[int, bytes] = {}  # at most 64: the system flags and \Recent


def flag_names(keywords: dict[int, str]) -> list[bytes]:
    """What FLAGS tells: the system flags and the mailbox's keywords."""
    return [b"\\Answered", b"\\Flagged", b"\\Deleted", b"\\Seen", b"\\Draft"] + [
        name.encode() for name in keywords.values()
    ]


def list_attributes(one: Listed, listing: Listing, *, subscribed: bool) -> bytes:
    """The attributes of a folder in LIST, without the parentheses."""
    attributes = [b"\\Subscribed"] if subscribed else []
    if not one.selectable:
        attributes.append(b"\\Noselect")
    attributes.append(b"\\HasChildren" if one.name in listing.parents else b"\\HasNoChildren")
    if one.use is not None:
        attributes.append(one.use.encode())
    return b" ".join(attributes)
