"""PREVIEW: a message in 200 characters.  RFC 8970.

They are made with the message; of messages that were there before, when they are first asked for.
"""

from __future__ import annotations

import re

from acl_imapd.access.view import MailboxView
from acl_imapd.commands.fetch import Loaded, loaded_item
from acl_imapd.commands.registry import capability
from acl_imapd.mailbox.selected import Selected
from acl_imapd.proto.arguments import Arguments
from acl_imapd.proto.fetch_items import Item
from acl_imapd.proto.responses import nstring
from acl_imapd.types import BodyId

capability(b"PREVIEW", "RFC 8970")
AT_ONCE = 50
# Not any parenthesis: FETCH 1 PREVIEW (CHANGEDSINCE 1) has a modifier of FETCH there.
_LAZY = re.compile(rb" \(LAZY\)", re.IGNORECASE)


def _read(arguments: Arguments) -> Item:
    return Item(b"PREVIEW", b"LAZY" if arguments.take(_LAZY) is not None else b"")


async def _load(view: MailboxView, selected: Selected, start: int, stop: int, item: Item) -> dict[int, str | None]:
    index = selected.index
    ids = {
        uid: BodyId(index.bodies[place])
        for uid, place in zip(selected.uids(start, stop), selected.places(start, stop), strict=True)
        if place >= 0
    }
    wanted = sorted(set(ids.values()))
    found: dict[BodyId, str | None] = {}
    for first in range(0, len(wanted), AT_ONCE):  # so that making them holds up nobody for long
        found.update(await view.previews(wanted[first : first + AT_ONCE], lazy=item.option == b"LAZY"))
    return {uid: found[ident] for uid, ident in ids.items() if ident in found}


loaded_item(
    b"PREVIEW", Loaded(_load, lambda text: nstring(None if text is None else text.encode("utf-8", "replace")), _read)
)
