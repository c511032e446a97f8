"""Where the parts of a message are, and what FETCH tells of them.  Offsets are found once; bytes are never changed.

Any bytes are a message.  Depth and number of parts are bounded; time is linear in size times depth.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from acl_imapd.mail.address import Address, parse_address_list

MAX_DEPTH = 50
MAX_PARTS = 1000


@dataclass(slots=True)
class Part:
    """A part: ``header … body … end`` are offsets; *inner* is the message in a message/rfc822."""

    start: int
    body: int
    end: int
    type: bytes = b"text"
    subtype: bytes = b"plain"
    parameters: list[tuple[bytes, bytes]] = field(default_factory=list)
    children: list[Part] = field(default_factory=list)
    inner: Part | None = None

    def parameter(self, name: bytes) -> bytes | None:
        """The Content-Type parameter of that name, given in lower case."""
        return next((value for key, value in self.parameters if key.lower() == name), None)


@dataclass(frozen=True, slots=True)
class Parsed:
    """What is kept of a message ready-made: its header with the blank line, and four answers of FETCH."""

    header: bytes
    envelope: bytes
    structure: bytes
    structure_ext: bytes
    preview: str


def header_end(message: bytes, start: int = 0, end: int | None = None) -> int:
    """Where the header that begins at *start* ends, after its blank line; *end* where there is none."""
    stop = len(message) if end is None else end
    if message.startswith((b"\r\n", b"\n"), start) and start < stop:
        return start + (2 if message[start : start + 1] == b"\r" else 1)
    place = start
    while True:
        place = message.find(b"\n", place, stop)
        if place < 0:
            return stop
        place += 1
        if message.startswith(b"\n", place) and place < stop:
            return place + 1
        if message.startswith(b"\r\n", place) and place + 1 < stop:
            return place + 2


def header_fields(header: bytes) -> list[tuple[bytes, bytes, bytes]]:
    """The fields in order: name in lower case, value as written, the whole lines with their ends.  Not to change."""
    return _few_fields(header) if len(header) <= MAX_REMEMBERED_BYTES else _fields(header)


def _fields(header: bytes) -> list[tuple[bytes, bytes, bytes]]:
    fields: list[tuple[bytes, list[bytes]]] = []
    for line in header.splitlines(keepends=True) if b"\x0b" not in header else _lines(header):
        if line in (b"\r\n", b"\n"):
            break
        if line[:1] in b" \t" and fields:
            fields[-1][1].append(line)
            continue
        name, colon, _ = line.partition(b":")
        fields.append((name.strip().lower() if colon else b"", [line]))
    found = []
    for name, lines in fields:
        whole = b"".join(lines)
        found.append((name, whole.partition(b":")[2], whole))
    return found


# Envelope, structure, preview and scan ask for the fields of the same header one after the other.
MAX_REMEMBERED_BYTES = 16 * 1024
_few_fields = lru_cache(32)(_fields)


def _lines(data: bytes) -> list[bytes]:
    return [line for line in re.split(rb"(?<=\n)", data) if line]


def unfold(value: bytes) -> bytes:
    """The value on one line, without spaces around it."""
    return re.sub(rb"\r?\n(?=[ \t])", b"", value).replace(b"\r", b"").replace(b"\n", b" ").replace(b"\0", b"").strip()


def first(fields: list[tuple[bytes, bytes, bytes]], name: bytes) -> bytes | None:
    """The unfolded value of the first field of that name."""
    for key, value, _ in fields:
        if key == name:
            return unfold(value)
    return None


# -- scanning -------------------------------------------------------------------------------------------------


def scan(message: bytes) -> Part:
    """The tree of parts."""
    return _scan(message, 0, len(message), 0, [MAX_PARTS], b"text/plain")


def _scan(message: bytes, start: int, end: int, depth: int, budget: list[int], default: bytes) -> Part:
    budget[0] -= 1
    body = header_end(message, start, end)
    fields = header_fields(message[start:body])
    part = Part(start, body, end)
    value = first(fields, b"content-type")
    kind, part.parameters = parse_parameters(value if value is not None else default)
    main, slash, sub = kind.partition(b"/")
    main, sub = main.strip(), sub.strip()
    if not slash or not main or not sub or re.search(rb"[^\x21-\x7e]", main + sub):
        main, sub, part.parameters = b"text", b"plain", []
    part.type, part.subtype = main.lower(), sub.lower()
    if depth >= MAX_DEPTH:
        return part
    if part.type == b"multipart":
        boundary = part.parameter(b"boundary")
        if boundary:
            inner = b"message/rfc822" if part.subtype == b"digest" else b"text/plain"
            for child_start, child_end in _split(message, body, end, boundary):
                if budget[0] <= 0:
                    break
                part.children.append(_scan(message, child_start, child_end, depth + 1, budget, inner))
    elif part.type == b"message" and part.subtype in (b"rfc822", b"global") and budget[0] > 0:
        encoding = (first(fields, b"content-transfer-encoding") or b"").lower()
        if encoding not in (b"base64", b"quoted-printable"):
            part.inner = _scan(message, body, end, depth + 1, budget, b"text/plain")
    return part


def _split(message: bytes, start: int, end: int, boundary: bytes) -> list[tuple[int, int]]:
    """The (start, end) of the parts between the delimiter lines; the line end before one belongs to it."""
    mark = b"--" + boundary
    found: list[tuple[int, int]] = []
    opened = -1
    place = start
    while place <= end:
        place = message.find(mark, place, end)
        if place < 0:
            break
        if place != start and message[place - 1 : place] != b"\n":
            place += len(mark)
            continue
        after = place + len(mark)
        closing = message.startswith(b"--", after)
        line_end = message.find(b"\n", after, end)
        line_stop = end if line_end < 0 else line_end
        if message[after + 2 * closing : line_stop].strip(b" \t\r"):
            place = after
            continue
        if opened >= 0:
            stop = place - 1
            if stop > opened and message[stop - 1 : stop] == b"\r":
                stop -= 1
            found.append((opened, max(opened, stop)))
            opened = -1
        if closing or len(found) >= MAX_PARTS:
            return found
        opened = line_stop + 1 if line_end >= 0 else end
        place = opened
    if 0 <= opened <= end:
        found.append((opened, end))
    return found


_PARAMETER = re.compile(rb';\s*([^\s=;"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"?|([^\s;]*))', re.DOTALL)


def parse_parameters(value: bytes) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """The value before the first ``;`` and the parameters after it, as written.  RFC 2045 §5.1."""
    head, _, _ = value.partition(b";")
    found = []
    for name, quoted, plain in _PARAMETER.findall(value[len(head) :][:65536]):
        found.append((name, re.sub(rb"\\(.)", rb"\1", quoted, flags=re.DOTALL) if quoted else plain))
    return head.strip(), found[:100]


# -- answers --------------------------------------------------------------------------------------------------


def _nstring(value: bytes | None) -> bytes:
    if value is None:
        return b"NIL"
    if len(value) < 1000 and not _UNQUOTABLE.search(value):
        return b'"' + value.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    return b"{%d}\r\n%b" % (len(value), value)


_UNQUOTABLE = re.compile(rb"[^\x01-\x09\x0b\x0c\x0e-\x7f]")


def envelope(header: bytes) -> bytes:
    """ENVELOPE, ``(date subject from sender reply-to to cc bcc in-reply-to message-id)``.  RFC 3501 §7.4.2."""
    return _envelope(header_fields(header))


def _envelope(fields: list[tuple[bytes, bytes, bytes]]) -> bytes:
    lists = {name: _addresses(fields, name) for name in (b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc")}
    # "If the Sender or Reply-To lines are absent … or are present but empty, the server sets … from."
    for name in (b"sender", b"reply-to"):
        if lists[name] == b"NIL":
            lists[name] = lists[b"from"]
    items = [_nstring(first(fields, b"date")), _nstring(first(fields, b"subject")), *lists.values()]
    items += [_nstring(first(fields, b"in-reply-to")), _nstring(first(fields, b"message-id"))]
    return b"(" + b" ".join(items) + b")"


def _addresses(fields: list[tuple[bytes, bytes, bytes]], name: bytes) -> bytes:
    found: list[Address] = []
    for key, value, _ in fields:
        if key == name:
            found += parse_address_list(unfold(value))
    if not found:
        return b"NIL"
    parts = (b" ".join(map(_nstring, (one.name, one.adl, one.mailbox, one.host))) for one in found)
    return b"(" + b"".join(b"(%b)" % part for part in parts) + b")"


def structure(message: bytes, part: Part, *, extended: bool) -> bytes:
    """BODYSTRUCTURE, or BODY without *extended*.  RFC 3501 §7.4.2."""
    fields = header_fields(message[part.start : part.body])
    if part.type == b"multipart" and part.children:
        text = b"".join(structure(message, child, extended=extended) for child in part.children)
        text += b" " + _nstring(part.subtype)
        if extended:
            text += b" " + _parameters(part.parameters) + b" " + _extension(fields)
        return b"(" + text + b")"
    kind, subtype, parameters = part.type, part.subtype, part.parameters
    if kind == b"multipart":  # without parts it is what it looks like: text
        kind, subtype, parameters = b"text", b"plain", []
    if kind == b"text" and not any(key.lower() == b"charset" for key, _ in parameters):
        parameters = [*parameters, (b"charset", b"us-ascii")]
    body = message[part.body : part.end]
    items = [
        _nstring(kind),
        _nstring(subtype),
        _parameters(parameters),
        _nstring(first(fields, b"content-id")),
        _nstring(first(fields, b"content-description")),
        _nstring((first(fields, b"content-transfer-encoding") or b"7bit").split(b";")[0].strip().lower() or b"7bit"),
        b"%d" % len(body),
    ]
    if part.inner is not None:
        inner = part.inner
        items.append(envelope(message[inner.start : inner.body]))
        items.append(structure(message, inner, extended=extended))
        items.append(b"%d" % _line_count(body))
    elif kind == b"text":
        items.append(b"%d" % _line_count(body))
    elif kind == b"message" and subtype in (b"rfc822", b"global"):
        # Too deep, or encoded against RFC 2046 §5.2.1: no structure can be told, so it is no message.
        items[0], items[1] = b'"application"', b'"octet-stream"'
    if extended:
        md5 = first(fields, b"content-md5")
        items += [_nstring(md5), _extension(fields)]
    return b"(" + b" ".join(items) + b")"


def _line_count(body: bytes) -> int:
    return body.count(b"\n") + (1 if body and not body.endswith(b"\n") else 0)


def _parameters(parameters: list[tuple[bytes, bytes]]) -> bytes:
    if not parameters:
        return b"NIL"
    return b"(" + b" ".join(b"%b %b" % (_nstring(key), _nstring(value)) for key, value in parameters) + b")"


def _extension(fields: list[tuple[bytes, bytes, bytes]]) -> bytes:
    disposition = first(fields, b"content-disposition")
    if disposition:
        kind, parameters = parse_parameters(disposition)
        told = b"(%b %b)" % (_nstring(kind.lower()), _parameters(parameters))
    else:
        told = b"NIL"
    languages = [word.strip() for word in (first(fields, b"content-language") or b"").split(b",") if word.strip()]
    language = b"(" + b" ".join(map(_nstring, languages)) + b")" if languages else b"NIL"
    return b" ".join((told, language, _nstring(first(fields, b"content-location"))))


def section(message: bytes, part: Part, numbers: tuple[int, ...], what: bytes, fields: Sequence[bytes]) -> bytes | None:
    """The bytes of a section: *numbers* lead to a part, *what* is ``""``, HEADER, HEADER.FIELDS[.NOT], TEXT or MIME.

    None where there is no such part.  RFC 3501 §6.4.5: of what is no multipart, part 1 is its body.
    """
    at: Part | None = part
    is_message = True
    for number in numbers:
        assert at is not None
        holder = at if is_message or at.inner is None else at.inner
        if holder.children:
            if not 1 <= number <= len(holder.children):
                return None
            at, is_message = holder.children[number - 1], False
        elif number == 1 and (is_message or at.inner is not None):
            # BODY[1] of a message that is no multipart, or 2.1 where part 2 is such a message.
            if what == b"MIME":
                return message[holder.start : holder.body]
            at = Part(holder.body, holder.body, holder.end, inner=holder.inner)
            is_message = False
        else:
            return None
    assert at is not None
    if what == b"":
        return message[at.start if is_message else at.body : at.end]
    if what == b"MIME":
        return message[at.start : at.body]
    of = at if is_message else at.inner
    if of is None:
        return None
    if what == b"TEXT":
        return message[of.body : of.end]
    header = message[of.start : of.body]
    if what == b"HEADER":
        return header
    wanted = {name.lower() for name in fields}
    keep = what == b"HEADER.FIELDS"
    return b"".join(whole for name, _, whole in header_fields(header) if (name in wanted) == keep) + b"\r\n"


def parsed(message: bytes) -> Parsed:
    """All that is kept ready-made, from one scan."""
    from acl_imapd.mail.preview import preview  # which knows of parts

    part = scan(message)
    header = message[: part.body]
    return Parsed(
        header,
        envelope(header),
        structure(message, part, extended=False),
        structure(message, part, extended=True),
        preview(message, part),
    )
