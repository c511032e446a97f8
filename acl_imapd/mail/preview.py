"""A message in 200 characters, for lists of messages.  RFC 8970 §3.3.

The first text that is no attachment, plain rather than HTML where both say the same; without what it quotes.  Only the
beginning of a long part is looked at.
"""

from __future__ import annotations

import codecs
import html
import re
from collections.abc import Iterable, Iterator

from acl_imapd.mail.mime import Part, first, header_fields, parse_parameters
from acl_imapd.mail.transfer import decoded, encoding_of

MAX_CHARS = 200
MAX_BYTES = 64 * 1024
# Python takes these for charsets too; some need quadratic time, and no mail is written in them.
_NO_CHARSETS = frozenset({"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "mbcs", "oem"})

_HIDDEN = re.compile(r"<!--|<(head|style|script|title)\b", re.IGNORECASE)
_TAG = re.compile(r"<[^>]*>|<[^>]*\Z")
_BLOCK = re.compile(r"<(?:br|/?p|/?div|/?tr|/?td|/?li|/?h[1-6]|/?blockquote)\b", re.IGNORECASE)
_SPACES = re.compile(r"[\s\x00-\x1f\x7f\u200b-\u200f\u2028\u2029\ufeff\u00ad\u034f]+")


def preview(message: bytes, root: Part) -> str:
    """At most 200 characters on one line; ``""`` where there is no text to show."""
    part = _text(message, root)
    if part is None:
        return ""
    body = message[part.body : min(part.end, part.body + MAX_BYTES)]
    raw = decoded(body, encoding_of(message, part))
    if raw is None:
        return ""
    text = _characters(raw, part.parameter(b"charset"))
    if part.subtype == b"html":
        text = html.unescape(_TAG.sub(_space_of, _shown(text)))
    text = text.encode("utf-8", "replace").decode()  # some charsets make halves of characters
    lines = text.split("\n")
    return _beginning(_own(lines)) or _beginning(lines)


def _own(lines: Iterable[str]) -> Iterator[str]:
    """The lines that are the writer's own: before the signature, and not quoted."""
    for line in lines:
        if line.rstrip("\r") in ("--", "-- "):
            return
        if not line.lstrip(" \t").startswith(">"):
            yield line


def _beginning(lines: Iterable[str]) -> str:
    """As much of the *lines* as is shown, on one line; what comes after is not looked at."""
    words: list[str] = []
    chars = 0
    for line in lines:
        shown = _SPACES.sub(" ", line).strip()
        if shown:
            words.append(shown)
            chars += len(shown) + 1
        if chars > MAX_CHARS:
            break
    return " ".join(words)[:MAX_CHARS].rstrip()


def _text(message: bytes, part: Part) -> Part | None:
    if part.type == b"multipart":
        if part.subtype == b"encrypted":
            return None
        found = [text for text in (_text(message, child) for child in part.children) if text is not None]
        if part.subtype == b"alternative":
            found.sort(key=lambda text: text.subtype == b"html")
        return found[0] if found else None
    if part.type != b"text" or part.subtype not in (b"plain", b"html", b"enriched"):
        return None
    disposition = first(header_fields(message[part.start : part.body]), b"content-disposition")
    if disposition is not None and parse_parameters(disposition)[0].lower() == b"attachment":
        return None
    return part if message[part.body : part.end].strip() else None


def _shown(text: str) -> str:
    """HTML without its comments, head, styles and scripts; each is looked for once, so it takes linear time."""
    pieces: list[str] = []
    place = 0
    while hidden := _HIDDEN.search(text, place):
        pieces.append(text[place : hidden.start()])
        ending = "-->" if hidden[1] is None else f"</{hidden[1]}"
        found = re.compile(ending, re.IGNORECASE).search(text, hidden.end())
        if found is None:
            return "".join(pieces)
        place = found.end()
        if hidden[1] is not None:
            place = text.find(">", place) + 1 or len(text)
    return "".join([*pieces, text[place:]])


def _space_of(tag: re.Match[str]) -> str:
    return "\n" if _BLOCK.match(tag[0]) else ""


def _characters(data: bytes, charset: bytes | None) -> str:
    for name in ((charset or b"").decode("latin-1"), "utf-8"):
        try:
            if codecs.lookup(name).name in _NO_CHARSETS:
                continue
            return data.decode(name, "ignore" if name == "utf-8" and len(data) >= MAX_BYTES // 2 else "strict")
        except (LookupError, ValueError):
            continue
    return data.decode("latin-1")
