"""The sessions that are logged in, and what they hear when somebody's folders change.

A client that has asked for a list is told what comes into it and what goes: while it idles at once, else before its
next command is answered.  What it knows is a reference to the listing it was told from, which all sessions of a user
share; what it is owed is the difference to the listing as it is now.  RFC 3501 §7: a client takes LIST at any time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol

import structlog

from acl_imapd.access.directory import Clock, Directory
from acl_imapd.access.listing import Changes, Listing, changes
from acl_imapd.errors import AuthorizationFailed
from acl_imapd.notify.coalesce import Passes, detached
from acl_imapd.types import UserId

if TYPE_CHECKING:
    from acl_imapd.access.gate import Access

Viewpoint = tuple[UserId, str | None]  # who, and the tree that is presented as an account of its own
# A session that works makes its listing anew at most so seldom that this takes a tenth of its time.
PATIENCE = 10.0


class Attendee(Protocol):
    """A session of somebody who has logged in."""

    told: Listing | None  # what its client knows; None where it never asked
    idling: bool
    telling: bool  # being told of more than one chunk

    @property
    def user(self) -> Access: ...
    def bye(self, text: str) -> None: ...
    async def tell_folders(self, changed: Changes, listing: Listing, subscribed: frozenset[str]) -> None: ...


class Audience:
    """Costs at most one listing per user who is logged in here, however much changes at once."""

    def __init__(self, directory: Directory, clock: Clock, *, announces: bool) -> None:
        self._directory = directory
        self._clock = clock
        self.announces = announces
        self._present: dict[Viewpoint, set[Attendee]] = {}
        self._passes = Passes(self._pass, failed=_failed, now=clock.now, call_later=clock.call_later)
        directory.moved = self._moved

    @property
    def busy(self) -> bool:
        """True while somebody may be about to hear something."""
        return self._passes.busy

    def enter(self, attendee: Attendee) -> None:
        """A session has logged in."""
        self._present.setdefault(attendee.user.viewpoint, set()).add(attendee)

    def leave(self, attendee: Attendee) -> None:
        """It has ended."""
        present = self._present.get(attendee.user.viewpoint)
        if present is not None:
            present.discard(attendee)
            if not present:
                del self._present[attendee.user.viewpoint]

    def close(self) -> None:
        """Tell nobody anything more."""
        self._present.clear()
        self._passes.close()

    def _moved(self) -> None:
        if self._present:
            self._passes.request()

    # -- whoever idles, at once -------------------------------------------------------------------------------

    def idles(self, attendee: Attendee) -> None:
        """From now on it hears at once."""
        told = attendee.told
        if told is None:
            return
        if self._directory.is_current(told):
            self._directory.wake_by(told.until)
        else:
            self._passes.request()

    async def _pass(self) -> None:
        for viewpoint in list(self._present):
            present = self._present.get(viewpoint, set())
            of_tree = viewpoint[1] is not None  # it ends with the right to see the tree, whatever it does
            if of_tree or any(one.idling and one.told is not None for one in present):
                await self._bring_up_to_date(viewpoint)

    async def _bring_up_to_date(self, viewpoint: Viewpoint) -> None:
        present = self._present.get(viewpoint)
        if not present:
            return
        try:
            listing = await next(iter(present)).user.listing()
        except AuthorizationFailed as error:
            for one in list(self._present.get(viewpoint, ())):
                one.bye(error.text)
            return
        self._directory.wake_by(listing.until)
        idle = [one for one in self._present.get(viewpoint, ()) if one.idling and not one.telling]
        for one, changed, subscribed in await self._news(idle, listing):
            if one.idling and not one.telling:
                one.told = listing
                detached(one.tell_folders(changed, listing, subscribed), _failed)

    # -- the others, with their next command --------------------------------------------------------------------

    async def catch_up(self, attendee: Attendee) -> None:
        """Tell it what it does not know yet, unless making its listing has just taken long."""
        told = attendee.told
        if told is None or self._directory.is_current(told):
            return
        if self._clock.now() >= told.made_at + PATIENCE * told.cost_s:
            await self.listed(attendee, await attendee.user.listing())

    async def listed(
        self, attendee: Attendee, listing: Listing, but: Callable[[str], bool] = lambda _name: False
    ) -> None:
        """The client knows *listing* from now on: tell it what was different, *but* for the names it has just heard."""
        if attendee.told is None:
            attendee.told = listing if self.announces else None
            return
        for one, changed, subscribed in await self._news([attendee], listing):
            one.told = listing
            gone = tuple(name for name in changed.gone if not but(name))
            come = tuple(listed for listed in changed.come if not but(listed.name))
            await one.tell_folders(Changes(gone, come), listing, subscribed)

    async def _news(
        self, attendees: Iterable[Attendee], listing: Listing
    ) -> list[tuple[Attendee, Changes, frozenset[str]]]:
        """What each of them, all of one viewpoint, does not know of *listing*; and what is subscribed of it."""
        compared: list[tuple[Listing, Changes]] = []
        news = []
        for one in attendees:
            if one.told is None or one.told is listing:
                continue
            changed = next((known for told, known in compared if told is one.told), None)
            if changed is None:
                changed = changes(one.told, listing)
                compared.append((one.told, changed))
            news.append((one, one.told, changed))
        subscribed: frozenset[str] = frozenset()
        if any(changed.come for _, _, changed in news):
            subscribed = frozenset(await news[0][0].user.subscribed(listing))
        return [(one, changed, subscribed) for one, told, changed in news if one.told is told]


def _failed(error: object) -> None:
    structlog.get_logger().error("folders could not be announced", reason=str(error))
