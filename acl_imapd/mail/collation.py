"""How texts are compared: the collations of RFC 4790 and RFC 5051.  Pure.

A collation here is a function that prepares a string; prepared strings are equal, ordered and found in each other as
Python compares them, which is what i;octet does with their UTF-8.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping

Collation = Callable[[str], str]

MAX_REMEMBERED = 20_000


class _Titlecased(dict[int, str]):
    """By code point: its titlecase, and that decomposed as far as it goes (RFC 5051 §2, step 2)."""

    def __missing__(self, point: int) -> str:
        char = chr(point)
        title = char.title()
        # UnicodeData.txt maps one code point to one; longer ones are of SpecialCasing.txt, which RFC 5051 leaves out.
        mapped = unicodedata.normalize("NFKD", title if len(title) == 1 else char)
        if len(self) < MAX_REMEMBERED:
            self[point] = mapped
        return mapped


_TITLECASED = _Titlecased()
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")


def unicode_casemap(text: str) -> str:
    """i;unicode-casemap: case does not matter, nor how a character is composed.  RFC 5051."""
    if text.isascii():
        return text.upper()
    return _NOT_ASCII.sub(lambda run: run[0].translate(_TITLECASED), ascii_casemap(text))


def ascii_casemap(text: str) -> str:
    """i;ascii-casemap: the case of the letters a to z does not matter.  RFC 4790 §9.2."""
    return text.upper() if text.isascii() else text.translate(_ASCII_UPPER)


_ASCII_UPPER = {lower: lower - 32 for lower in range(ord("a"), ord("z") + 1)}


def octet(text: str) -> str:
    """i;octet: as it is.  RFC 4790 §9.3."""
    return text


DEFAULT = "i;unicode-casemap"
COLLATIONS: Mapping[str, Collation] = {
    DEFAULT: unicode_casemap,
    "i;ascii-casemap": ascii_casemap,
    "i;octet": octet,
}


def matching(pattern: str) -> list[str]:
    """The collations that *pattern* names, which may have ``*`` in it; ``default`` is the default."""
    if pattern.lower() == "default":
        return [DEFAULT]
    pieces = [re.escape(piece) for piece in re.sub(r"\*+", "*", pattern).lower().split("*")]
    wanted = re.compile(r"[^*]*".join(pieces))
    return [name for name in COLLATIONS if wanted.fullmatch(name)]
