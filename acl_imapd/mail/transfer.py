"""Content transfer encodings: taken off a part, and put on what has none and needs one.  RFC 2045 §6."""

from __future__ import annotations

import binascii
import quopri
import re

from acl_imapd.errors import UnknownCte
from acl_imapd.mail.mime import Part, first, header_fields, parse_parameters, scan, section

_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]")
_PLAIN = frozenset({b"", b"7bit", b"8bit", b"binary"})
LINE_OCTETS = 57  # 76 characters of base64


def encoding_of(message: bytes, part: Part) -> bytes:
    """The part's encoding, in lower case; of a multipart or a message none, whatever it says (§6.4)."""
    if part.children or part.inner is not None:
        return b""
    value = first(header_fields(message[part.start : part.body]), b"content-transfer-encoding") or b""
    return value.split(b";")[0].strip().lower()


def decoded(body: bytes, encoding: bytes) -> bytes | None:
    """*body* without its encoding; None where that is not known.  What is damaged is decoded as far as it goes."""
    if encoding in _PLAIN:
        return body
    if encoding == b"quoted-printable":
        return quopri.decodestring(body)
    if encoding == b"base64":
        digits = _NOT_BASE64.sub(b"", body.partition(b"=")[0] if b"=" in body else body)
        return binascii.a2b_base64(digits[: len(digits) - (len(digits) % 4 == 1)] + b"==")
    return None


def decoded_section(message: bytes, part: Part, numbers: tuple[int, ...]) -> bytes | None:
    """The part *numbers* lead to, without its encoding; None where there is none.  UnknownCte.  RFC 3516 §4.2.

    A message or a multipart has none to take off (RFC 2045 §6.4), so it is told as it is.
    """
    body = section(message, part, numbers, b"", ())
    if body is None or not numbers:
        return body
    fields = header_fields(section(message, part, numbers, b"MIME", ()) or b"")
    kind = parse_parameters(first(fields, b"content-type") or b"")[0].lower()
    if kind.startswith(b"multipart/") or kind in (b"message/rfc822", b"message/global"):
        return body
    encoding = (first(fields, b"content-transfer-encoding") or b"").split(b";")[0].strip().lower()
    found = decoded(body, encoding)
    if found is None:
        raise UnknownCte("The encoding of this part is not known here")
    return found


def encode_binary(message: bytes) -> bytes | None:
    """*message* with each part that holds NUL in base64; None where NUL is elsewhere, or in an encoded part.

    RFC 3516 §4.4: an encoding may be changed where nothing is lost; §6: only where it must be.
    """
    changes: list[tuple[int, int, bytes]] = []
    pending = [scan(message)]
    while pending:
        part = pending.pop()
        if part.inner is not None:
            pending.append(part.inner)
        elif part.children:
            pending += part.children
        elif b"\0" in message[part.body : part.end]:
            if encoding_of(message, part) not in _PLAIN:
                return None
            changes.append((part.start, part.end, _in_base64(message, part)))
    pieces: list[bytes] = []
    place = 0
    for start, end, text in sorted(changes):
        pieces += [message[place:start], text]
        place = end
    whole = b"".join([*pieces, message[place:]])
    return None if b"\0" in whole else whole


def _in_base64(message: bytes, part: Part) -> bytes:
    header, body = message[part.start : part.body], message[part.body : part.end]
    fields = [whole for name, _, whole in header_fields(header) if name != b"content-transfer-encoding"]
    if part.start == 0 and not any(whole[:13].lower() == b"mime-version:" for whole in fields):
        fields.append(b"MIME-Version: 1.0\r\n")
    fields.append(b"Content-Transfer-Encoding: base64\r\n")
    lines = [
        binascii.b2a_base64(body[start : start + LINE_OCTETS], newline=False)
        for start in range(0, len(body), LINE_OCTETS)
    ]
    return b"".join(fields) + b"\r\n" + b"\r\n".join(lines) + b"\r\n"
