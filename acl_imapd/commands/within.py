"""WITHIN: messages by their age.  RFC 5032."""

from __future__ import annotations

from dataclasses import dataclass

from acl_imapd.commands.registry import capability
from acl_imapd.commands.search import EXTENSIONS, ExtensionKey, Finder
from acl_imapd.proto import search_keys
from acl_imapd.proto.arguments import Arguments

capability(b"WITHIN", "RFC 5032")


@dataclass(frozen=True, slots=True)
class Within(search_keys.Extension):
    """The internal date is at most (*younger*) or at least *seconds* ago."""

    seconds: int
    younger: bool


def _read(arguments: Arguments, *, younger: bool) -> Within:
    arguments.sp()
    return Within(arguments.nz_number(), younger)


async def _find(finder: Finder, key: Within, among: list[int]) -> list[int]:
    # Dates are kept to the second: so is now.
    then = int(finder.session.site.gate.directory.now()) - key.seconds
    dates, places = finder.selected.index.dates, finder.places
    if key.younger:
        return [at for at in among if places[at] >= 0 and dates[places[at]] >= then]
    return [at for at in among if places[at] >= 0 and dates[places[at]] <= then]


search_keys.declare(b"YOUNGER", lambda arguments: _read(arguments, younger=True))
search_keys.declare(b"OLDER", lambda arguments: _read(arguments, younger=False))
EXTENSIONS[Within] = ExtensionKey(_find)
