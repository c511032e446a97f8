"""What SEARCH finds in a message: decoded, and compared by a collation.  RFC 3501 §6.4.4, RFC 5255 §4.6."""

from __future__ import annotations

import binascii
import contextlib
import datetime
import email.utils
import quopri
import re
from collections.abc import Iterator

from acl_imapd.mail.collation import Collation, unicode_casemap
from acl_imapd.mail.mime import Part, first, header_fields, unfold

_WORD = re.compile(rb"=\?([^?*\s]+)(?:\*[^?\s]*)?\?([bBqQ])\?([^?\s]*)\?=")
_BETWEEN = re.compile(rb"(\?=)[ \t\r\n]+(?==\?[^?\s]+\?[bBqQ]\?)")


def _decode(data: bytes, charset: bytes) -> str:
    try:
        return data.decode(charset.decode("ascii"), "replace")
    except (LookupError, ValueError):
        return data.decode("latin-1")


def decode_header(value: bytes) -> str:
    """The value with its encoded words decoded; what is raw is UTF-8, else Latin-1.  RFC 2047."""

    def word(found: re.Match[bytes]) -> str:
        charset, encoding, data = found.groups()
        if encoding in b"bB":
            try:
                raw = binascii.a2b_base64(data + b"=" * (-len(data) % 4))
            except binascii.Error:
                return found.group().decode("latin-1")
        else:
            raw = quopri.decodestring(data, header=True)
        return _decode(raw, charset)

    value = _BETWEEN.sub(rb"\1", value)
    parts: list[str] = []
    place = 0
    for found in _WORD.finditer(value):
        parts += [_raw(value[place : found.start()]), word(found)]
        place = found.end()
    return "".join([*parts, _raw(value[place:])])


def _raw(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def header_values(header: bytes, field: bytes) -> list[bytes]:
    """The unfolded values of all fields of that name."""
    wanted = field.lower()
    return [unfold(value) for name, value, _ in header_fields(header) if name == wanted]


def header_contains(header: bytes, field: bytes, needle: str, fold: Collation = unicode_casemap) -> bool:
    """True when a field of that name contains *needle*, which *fold* has prepared; ``""`` is in every field."""
    return any(needle in fold(decode_header(value)) for value in header_values(header, field))


def body_texts(message: bytes, part: Part) -> Iterator[str]:
    """The text parts, decoded; of an attached message its header too."""
    if part.children:
        for child in part.children:
            yield from body_texts(message, child)
        return
    if part.inner is not None:
        yield decode_header(message[part.inner.start : part.inner.body])
        yield from body_texts(message, part.inner)
        return
    if part.type not in (b"text", b"multipart"):
        return
    body = message[part.body : part.end]
    encoding = (first(header_fields(message[part.start : part.body]), b"content-transfer-encoding") or b"").lower()
    if encoding == b"base64":
        with contextlib.suppress(binascii.Error):
            body = binascii.a2b_base64(re.sub(rb"[^A-Za-z0-9+/]", b"", body) + b"==")
    elif encoding == b"quoted-printable":
        body = quopri.decodestring(body)
    charset = part.parameter(b"charset")
    yield _decode(body, charset) if charset else _raw(body)


def body_contains(message: bytes, part: Part, needle: str, fold: Collation = unicode_casemap) -> bool:
    """True when a text part, decoded, contains *needle*, which *fold* has prepared."""
    return any(needle in fold(text) for text in body_texts(message, part))


def text_contains(message: bytes, part: Part, needle: str, fold: Collation = unicode_casemap) -> bool:
    """True when the header or a text part contains *needle*, which *fold* has prepared."""
    header = message[part.start : part.body]
    return needle in fold(decode_header(header)) or body_contains(message, part, needle, fold)


def sent_date(header: bytes) -> datetime.date | None:
    """The day of the Date field as it is written, whatever its zone; None where there is none.  RFC 3501 §6.4.4."""
    value = first(header_fields(header), b"date")
    if value is None:
        return None
    parts = email.utils.parsedate_tz(value.decode("latin-1"))
    if parts is None:
        return None
    try:
        return datetime.date(parts[0], parts[1], parts[2])
    except ValueError:
        return None
