"""Address lists of header fields, as ENVELOPE needs them.  RFC 5322 §3.4, leniently."""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_ADDRESSES = 1000


@dataclass(frozen=True, slots=True)
class Address:
    """RFC 3501 §7.4.2: host None begins a group (mailbox its name) or, with mailbox None too, ends it."""

    name: bytes | None
    adl: bytes | None
    mailbox: bytes | None
    host: bytes | None


_TOKEN = re.compile(rb'"((?:[^"\\]|\\.)*)"?|([^\s"(),:;<>@]+)|([(),:;<>@])', re.DOTALL)


def parse_address_list(value: bytes) -> list[Address]:
    """The addresses of a header value; what cannot be understood becomes a name or a mailbox without host."""
    found: list[Address] = []
    words: list[tuple[bytes, bool]] = []  # what was read since the last separator; True for an @
    comment = b""
    place = 0
    angle: list[tuple[bytes, bool]] | None = None
    name: bytes | None = None

    def finish() -> None:
        nonlocal words, angle, name, comment
        if angle is not None:
            found.append(_mailbox(angle, name))
        elif words:
            found.append(_mailbox(words, comment or None))
        words, angle, name, comment = [], None, None, b""

    inside = False
    while place < len(value) and len(found) < MAX_ADDRESSES:
        token = _TOKEN.search(value, place)
        if token is None:
            break
        place = token.end()
        quoted, atom, special = token.groups()
        target = angle if inside and angle is not None else words
        if special is None:
            word = re.sub(rb"\\(.)", rb"\1", quoted, flags=re.DOTALL) if quoted is not None else atom
            target.append((word, False))
        elif special == b"@":
            target.append((b"@", True))
        elif special == b"(":
            place, comment = _comment(value, place)
        elif special == b"<":
            name = b" ".join(word for word, _ in words) or None
            angle, inside = [], True
        elif special == b">":
            inside = False
        elif special == b":" and not inside:
            group = b" ".join(word for word, _ in words)
            found.append(Address(None, None, group, None))
            words = []
        elif special == b",":
            if inside and angle and angle[0][1]:  # a source route: <@a,@b:c@d>
                target.append((b",", False))
            else:
                inside = False
                finish()
        elif special == b":" and angle is not None:
            angle.clear()  # the route ends here
        elif special == b";":
            inside = False
            finish()
            found.append(Address(None, None, None, None))
    finish()
    return found


def _comment(value: bytes, place: int) -> tuple[int, bytes]:
    depth, start = 1, place
    while place < len(value):
        char = value[place : place + 1]
        if char == b"\\":
            place += 1
        elif char == b"(":
            depth += 1
        elif char == b")":
            depth -= 1
            if not depth:
                return place + 1, value[start:place]
        place += 1
    return place, value[start:place]


def _mailbox(words: list[tuple[bytes, bool]], name: bytes | None) -> Address:
    at = next((place for place in range(len(words) - 1, -1, -1) if words[place][1]), None)
    if at is None:
        return Address(name, None, b" ".join(word for word, _ in words), b"")
    local = b"".join(word for word, _ in words[:at])
    return Address(name, None, local, b"".join(word for word, _ in words[at + 1 :]))
