"""LIST's patterns: ``*`` matches anything, ``%`` anything but the delimiter.  RFC 3501 §6.3.8."""

from __future__ import annotations

import re
from collections.abc import Callable

_SPLIT = re.compile(r"([*%])")
MAX_WILDCARDS_OF_RE = 2


def matcher(pattern: str) -> Callable[[str], bool]:
    """Tells whether a name matches; INBOX in any case.  The time is linear in the name whatever the pattern."""
    pattern = re.sub(r"[*%]*\*[*%]*", "*", pattern)
    pattern = re.sub(r"%+", "%", pattern)
    if pattern[:5].upper() == "INBOX" and pattern[5:6] in ("", "/"):
        pattern = "INBOX" + pattern[5:]
    tokens = _SPLIT.split(pattern)
    if len(tokens) // 2 > MAX_WILDCARDS_OF_RE:
        return _many_wildcards(pattern)
    parts = ("(?s:.*)" if one == "*" else "[^/]*" if one == "%" else re.escape(one) for one in tokens)
    expression = re.compile("".join(parts))
    return lambda name: expression.fullmatch(name) is not None


def _many_wildcards(pattern: str) -> Callable[[str], bool]:
    """Without going back: bit *i* says that the name so far may be what *i* characters of the pattern match."""
    literals: dict[str, int] = {}
    star = percent = 0
    for place, char in enumerate(pattern):
        if char == "*":
            star |= 1 << place
        elif char == "%":
            percent |= 1 << place
        else:
            literals[char] = literals.get(char, 0) | 1 << place
    wild = star | percent
    end = 1 << len(pattern)

    def matches(name: str) -> bool:
        states = 1 | (1 & wild) << 1  # a wildcard may match nothing; two never stand together
        for char in name:
            stay = star if char == "/" else wild
            states = (states & literals.get(char, 0)) << 1 | states & stay
            states |= (states & wild) << 1
            if not states:
                return False
        return bool(states & end)

    return matches
