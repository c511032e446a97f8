"""Values as they go to the client.  RFC 3501 §4 and §9; nothing here raises on odd content."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Iterable
from datetime import datetime, timedelta

from acl_imapd.proto.syntax import ATOM_CHARS

# Longer strings go as literals: some clients read quoted strings into a buffer of a line.
MAX_QUOTED_BYTES = 1000

_ATOM = re.compile(rb"[%b]+" % ATOM_CHARS)
_QUOTABLE = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-\x7f]*")
_QUOTABLE_UTF8 = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-\xff]*")
_QUOTED_SPECIALS = re.compile(rb'(["\\])')
_SHIFTED = re.compile(r"&|[^\x20-\x7e]+")
_UNSHIFTED = re.compile(r"&(?:([A-Za-z0-9+,]*)-)?")
_NOT_TEXT = re.compile(r"[^\x20-\x7e]")

_EPOCH = datetime(1970, 1, 1)
_FIRST_SECOND = (datetime.min - _EPOCH) // timedelta(seconds=1)
_LAST_SECOND = (datetime.max - _EPOCH) // timedelta(seconds=1)
MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")


def encode_mutf7(name: str) -> bytes:
    """*name* in modified UTF-7.  RFC 3501 §5.1.3."""
    return _SHIFTED.sub(_shift, name).encode("ascii")


def decode_mutf7(data: bytes) -> str:
    """The name spelled *data*; ValueError if that is not the one modified UTF-7 spelling of a name.

    RFC 3501 §5.1.3 allows one spelling only: no 8-bit, no shifted printable ASCII, no adjacent shifts.
    """
    text = data.decode("ascii")
    name = _UNSHIFTED.sub(_unshift, text)
    if encode_mutf7(name) != data:
        raise ValueError("not canonical modified UTF-7")
    return name


def _shift(match: re.Match[str]) -> str:
    run = match[0]
    if run == "&":
        return "&-"
    coded = b64encode(run.encode("utf-16-be", "surrogatepass")).rstrip(b"=").replace(b"/", b",")
    return f"&{coded.decode('ascii')}-"


def _unshift(match: re.Match[str]) -> str:
    coded = match[1]
    if coded is None:
        raise ValueError("shift without end")
    if not coded:
        return "&"
    padded = coded.replace(",", "/") + "=" * (-len(coded) % 4)
    return b64decode(padded, validate=True).decode("utf-16-be")


def mailbox_name(name: str, utf8: bool = False) -> bytes:
    """A mailbox name as an astring: modified UTF-7, or UTF-8 once the client enabled it.  RFC 6855 §3."""
    if not utf8:
        return astring(encode_mutf7(name))
    data = name.encode("utf-8", "replace")
    return astring(data) if data.isascii() else _quoted_or_literal(data, _QUOTABLE_UTF8)


def astring(data: bytes) -> bytes:
    """*data* as an atom if it is one (and not NIL), else as a string."""
    if len(data) <= MAX_QUOTED_BYTES and _ATOM.fullmatch(data) and data.upper() != b"NIL":
        return data
    return string(data)


def nstring(data: bytes | None) -> bytes:
    """*data* as a string, NIL for None."""
    return b"NIL" if data is None else string(data)


def string(data: bytes) -> bytes:
    """*data* quoted if it is short and 7-bit without line ends, else as a literal."""
    return _quoted_or_literal(data, _QUOTABLE)


def literal(data: bytes) -> bytes:
    """*data* as a literal, whatever is in it."""
    return b"{%d}\r\n%b" % (len(data), data)


def _quoted_or_literal(data: bytes, quotable: re.Pattern[bytes]) -> bytes:
    if len(data) <= MAX_QUOTED_BYTES and quotable.fullmatch(data):
        return b'"%b"' % _QUOTED_SPECIALS.sub(rb"\\\1", data)
    return literal(data)


def flag_list(flags: Iterable[bytes]) -> bytes:
    """``(a b)``; ``()`` for no flags."""
    return b"(%b)" % b" ".join(flags)


def date_time(seconds: int, zone_minutes: int) -> bytes:
    """The quoted date-time of *seconds* since 1970 UTC as seen in its zone; years 1 to 9999."""
    local = min(max(seconds + zone_minutes * 60, _FIRST_SECOND), _LAST_SECOND)
    when = _EPOCH + timedelta(seconds=local)
    hours, minutes = divmod(abs(zone_minutes), 60)
    return b'"%2d-%b-%04d %02d:%02d:%02d %c%02d%02d"' % (
        when.day,
        MONTHS[when.month - 1],
        when.year,
        when.hour,
        when.minute,
        when.second,
        b"-" if zone_minutes < 0 else b"+",
        hours,
        minutes,
    )


def tagged(tag: bytes, status: bytes, text: str | bytes, code: bytes | None = None) -> bytes:
    """A status response line, CRLF included; ``b"*"`` as *tag* makes it untagged.  RFC 3501 §7.1.

    Octets that may not stand in a response text become ``?``.
    """
    shown = _NOT_TEXT.sub("?", text.decode("latin-1") if isinstance(text, bytes) else text) or "Done"
    if code is None:
        # RFC 3501 §9: a text that starts with "[" would be read as a response code.
        shown = shown if shown[0] != "[" else f"({shown})"
        return b"%b %b %b\r\n" % (tag, status, shown.encode("ascii"))
    return b"%b %b [%b] %b\r\n" % (tag, status, code, shown.encode("ascii"))


def untagged(data: bytes) -> bytes:
    """``* data`` and CRLF."""
    return b"* %b\r\n" % data
