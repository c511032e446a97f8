"""SAVEDATE: when a message came into this mailbox.  RFC 8514.

It is told and searched by in UTC: the server has no zone of its own.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from acl_imapd.access.view import MailboxView
from acl_imapd.commands.fetch import Loaded, loaded_item
from acl_imapd.commands.registry import capability
from acl_imapd.commands.search import COMPARE, EPOCH_DAY, EXTENSIONS, ExtensionKey, Finder
from acl_imapd.mailbox.selected import Selected
from acl_imapd.proto import search_keys
from acl_imapd.proto.arguments import Arguments
from acl_imapd.proto.fetch_items import Item
from acl_imapd.proto.responses import date_time
from acl_imapd.ranges import RangeSet

capability(b"SAVEDATE", "RFC 8514")
DAY_S = 86400


async def _load(view: MailboxView, selected: Selected, start: int, stop: int, _item: Item) -> dict[int, int]:
    return await view.save_dates(RangeSet.from_numbers(selected.uids(start, stop)))


loaded_item(b"SAVEDATE", Loaded(_load, lambda seconds: date_time(seconds, 0)))


@dataclass(frozen=True, slots=True)
class Saved(search_keys.Extension):
    """The day of the save date is before, on, or since *day*."""

    op: search_keys.DateOp
    day: datetime.date


@dataclass(frozen=True, slots=True)
class Supported(search_keys.Extension):
    """Every message: each has a save date."""


def _read(arguments: Arguments, op: search_keys.DateOp) -> Saved:
    arguments.sp()
    return Saved(op, arguments.date())


async def _find(finder: Finder, key: Saved, among: list[int]) -> list[int]:
    known = finder.selected.known
    dates = await finder.view.save_dates(RangeSet.from_numbers(known[at] for at in among))
    day, compare = key.day.toordinal(), COMPARE[key.op]
    return [at for at in among if known[at] in dates and compare(dates[known[at]] // DAY_S + EPOCH_DAY, day)]


async def _all(_finder: Finder, _key: Supported, among: list[int]) -> list[int]:
    return among


search_keys.declare(b"SAVEDBEFORE", lambda arguments: _read(arguments, "before"))
search_keys.declare(b"SAVEDON", lambda arguments: _read(arguments, "on"))
search_keys.declare(b"SAVEDSINCE", lambda arguments: _read(arguments, "since"))
search_keys.declare(b"SAVEDATESUPPORTED", lambda _arguments: Supported())
EXTENSIONS[Saved] = ExtensionKey(_find, cost=1)
EXTENSIONS[Supported] = ExtensionKey(_all)
