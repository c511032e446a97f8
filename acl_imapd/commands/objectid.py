"""OBJECTID: names of mailboxes and messages that stay.  RFC 8474.

MAILBOXID is made with the mailbox and goes with it through every RENAME.  EMAILID is made from the octets of the
message, so that a copy has it, and nothing can be learnt from it but what is in the message.  THREADID is NIL: threads
are worked out within a mailbox (RFC 5256), for whom may read it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from acl_imapd.access.view import MailboxView
from acl_imapd.commands.fetch import Loaded, loaded_item
from acl_imapd.commands.mailboxes import STATUS_ITEMS
from acl_imapd.commands.registry import capability
from acl_imapd.commands.search import EXTENSIONS, ExtensionKey, Finder
from acl_imapd.commands.select import TELLS
from acl_imapd.commands.session import Session
from acl_imapd.mailbox.selected import Selected
from acl_imapd.proto import search_keys
from acl_imapd.proto.arguments import Arguments, ParseError
from acl_imapd.proto.fetch_items import Item
from acl_imapd.types import BodyId

capability(b"OBJECTID", "RFC 8474")
EMAILID_BYTES = 16
# objectid = 1*255(ALPHA / DIGIT / "_" / "-")
_OBJECTID = re.compile(rb"[A-Za-z0-9_-]{1,255}")
_EMAILID = re.compile(rb"M([0-9a-f]{%d})" % (2 * EMAILID_BYTES))

STATUS_ITEMS[b"MAILBOXID"] = lambda _session, status: b"(%b)" % status.objectid.encode()


def _tell_mailboxid(session: Session) -> None:
    assert session.view is not None
    session.tell(b"OK [MAILBOXID (%b)] This one" % session.view.mailbox.objectid.encode())


TELLS.append(_tell_mailboxid)


async def _load(view: MailboxView, selected: Selected, start: int, stop: int, _item: Item) -> dict[int, bytes]:
    index = selected.index
    ids = {
        uid: BodyId(index.bodies[place])
        for uid, place in zip(selected.uids(start, stop), selected.places(start, stop), strict=True)
        if place >= 0
    }
    found = await view.read_bodies(sorted(set(ids.values())), frozenset({"sha256"}))
    return {uid: found[ident].sha256 for uid, ident in ids.items() if ident in found}


async def _nothing(_view: MailboxView, selected: Selected, start: int, stop: int, _item: Item) -> dict[int, None]:
    return dict.fromkeys(selected.uids(start, stop))


loaded_item(b"EMAILID", Loaded(_load, lambda digest: b"(M%b)" % digest[:EMAILID_BYTES].hex().encode()))
loaded_item(b"THREADID", Loaded(_nothing, lambda _: b"NIL"))


@dataclass(frozen=True, slots=True)
class ById(search_keys.Extension):
    """Messages of that EMAILID, or THREADID, of which there is none."""

    objectid: bytes
    thread: bool


def _read(arguments: Arguments, *, thread: bool) -> ById:
    arguments.sp()
    objectid = arguments.astring()
    if not _OBJECTID.fullmatch(objectid):
        raise ParseError("An object's name has up to 255 letters, digits, _ and -")
    return ById(objectid, thread)


async def _find(finder: Finder, key: ById, among: list[int]) -> list[int]:
    match = _EMAILID.fullmatch(key.objectid)
    if key.thread or match is None:
        return []
    ids = await finder.view.bodies_digested(bytes.fromhex(match[1].decode()))
    bodies, places = finder.selected.index.bodies, finder.places
    return [at for at in among if places[at] >= 0 and bodies[places[at]] in ids] if ids else []


search_keys.declare(b"EMAILID", lambda arguments: _read(arguments, thread=False))
search_keys.declare(b"THREADID", lambda arguments: _read(arguments, thread=True))
EXTENSIONS[ById] = ExtensionKey(_find, cost=1)
