"""Moments as people write them: ``2026-12-31``, ``2026-12-31T18:00``, ``30d``."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

_SPAN = re.compile(r"\+?(\d{1,6})([mhdwy])")
_SECONDS = {"m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400, "y": 365 * 86_400}


class When(click.ParamType[float]):
    """Seconds since 1970.  A day without a time means all of it: its end for ``--until``, else its beginning."""

    name = "WHEN"

    def __init__(self, *, day_ends: bool = False, back: bool = False) -> None:
        self._day_ends = day_ends
        self._back = back  # "30d" is thirty days ago

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The moment, in the time zone of this machine where none is given."""
        span = _SPAN.fullmatch(value)
        if span is not None:
            seconds = int(span[1]) * _SECONDS[span[2]]
            now: float = ctx.obj.now() if ctx is not None else time.time()
            return now + (-seconds if self._back else seconds)
        try:
            moment = datetime.fromisoformat(value).astimezone()
            if len(value) == len("2026-12-31") and self._day_ends:
                moment = (datetime.fromisoformat(value) + timedelta(days=1)).astimezone()
            return moment.timestamp()
        except (ValueError, OverflowError, OSError):
            self.fail(f"{value!r} is no moment; write 2026-12-31, 2026-12-31T18:00 or 30d (m h d w y).", param, ctx)


def limits(function: F) -> F:
    """``--since`` and ``--until``."""
    until = click.option(
        "--until",
        type=When(day_ends=True),
        help="When it ends, to the second: 2026-12-31 (that day still counts), 2026-12-31T18:00, 30d.",
    )
    since = click.option("--since", type=When(), help="When it begins; by default now.")
    return since(until(function))


def shown(moment: float | None) -> str | None:
    """The moment in ISO 8601, in local time."""
    return None if moment is None else time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(moment))
