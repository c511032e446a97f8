"""What SORT and THREAD look at, worked out of a header once.  RFC 5256, RFC 5957.  Pure, and bounded on any bytes."""

from __future__ import annotations

import calendar
import email.utils
import re
from typing import NamedTuple

from acl_imapd.mail.address import Address, parse_address_list
from acl_imapd.mail.match import decode_header
from acl_imapd.mail.mime import header_fields, unfold
from acl_imapd.mail.subject import base_subject

MAX_REFERENCES = 256
MAX_ID_CHARS = 998
MAX_DATE_CHARS = 200
MAX_ADDRESS_BYTES = 4096
MAX_FIELD_BYTES = 65_536
MAX_KEY_CHARS = 2000


class SortKeys(NamedTuple):
    """*sent*: seconds since 1970, None where the header does not tell; *refs*: message ids, the oldest first."""

    sent: int | None
    subject: str
    is_reply: bool
    from_mailbox: str
    to_mailbox: str
    cc_mailbox: str
    from_display: str
    to_display: str
    message_id: str
    refs: tuple[str, ...]


def sort_keys(header: bytes) -> SortKeys:
    """The keys of the message with that header."""
    values: dict[bytes, bytes] = {}
    for name, value, _ in header_fields(header):
        if name in _WANTED and name not in values:
            values[name] = unfold(value[:MAX_FIELD_BYTES])
    subject = base_subject(decode_header(values.get(b"subject", b"")))
    sender, to, cc = (_first_address(values.get(name, b"")) for name in (b"from", b"to", b"cc"))
    ids = message_ids(values.get(b"message-id", b""))
    refs = message_ids(values.get(b"references", b"")) or message_ids(values.get(b"in-reply-to", b""))[:1]
    if len(refs) > MAX_REFERENCES:  # the beginning of a thread and the near end say most
        refs = refs[:1] + refs[1 - MAX_REFERENCES :]
    return SortKeys(
        sent_time(values.get(b"date", b"")),
        _clean(subject.text),
        subject.is_reply,
        _mailbox(sender),
        _mailbox(to),
        _mailbox(cc),
        _display(sender),
        _display(to),
        ids[0] if ids else "",
        tuple(refs),
    )


_WANTED = frozenset({b"subject", b"from", b"to", b"cc", b"date", b"message-id", b"references", b"in-reply-to"})


def _clean(text: str) -> str:
    """*text* as any database takes it: without NUL and without half characters."""
    return text.replace("\0", "")[:MAX_KEY_CHARS].encode("utf-8", "replace").decode()


def sent_time(value: bytes) -> int | None:
    """The moment that a Date field tells, in seconds since 1970.  RFC 5256 §2.2.

    An impossible zone counts as UTC, an impossible time as midnight; None without a day.
    """
    try:
        parts = email.utils.parsedate_tz(value[:MAX_DATE_CHARS].decode("latin-1"))
        if parts is None:
            return None
        year, month, day, hour, minute, second = parts[:6]
        zone = parts[9] or 0
        if not (0 <= hour < 24 and 0 <= minute < 60 and 0 <= second <= 60):
            hour = minute = second = 0
        if not 1 <= day <= calendar.monthrange(year, month)[1]:
            return None
        return calendar.timegm((year, month, day, hour, minute, second)) - (zone if abs(zone) < 86_400 else 0)
    except (ValueError, IndexError, TypeError, OverflowError):
        return None


def _first_address(value: bytes) -> Address | None:
    found = parse_address_list(value[:MAX_ADDRESS_BYTES])
    return found[0] if found else None


def _mailbox(address: Address | None) -> str:
    return _clean(decode_header(address.mailbox)) if address is not None and address.mailbox else ""


def _display(address: Address | None) -> str:
    # RFC 5957 §3
    if address is None:
        return ""
    name = _clean(decode_header(address.name)).strip() if address.name is not None else ""
    if name:
        return name
    host = _clean(decode_header(address.host)) if address.host else ""
    return f"{_mailbox(address)}@{host}" if host and address.mailbox else _mailbox(address)


# msg-id = [CFWS] "<" id-left "@" id-right ">" [CFWS]; what has blanks or brackets in it is none, but for a quoted left.
_ID = re.compile(rb'<[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s<>@"]+))@([^\s<>@]+)[ \t]*>', re.DOTALL)


def message_ids(value: bytes) -> list[str]:
    """The message ids in a field, without brackets and needless quotes.  RFC 5256 §3, REFERENCES."""
    found = []
    for quoted, plain, right in _ID.findall(value):
        left = plain or re.sub(rb"\\(.)", rb"\1", quoted, flags=re.DOTALL)
        # Blanks can be in a quoted left side alone; they are what ids are kept apart by.
        text = re.sub(r"\s", "_", _clean((left + b"@" + right).decode("utf-8", "replace")))
        if len(text) <= MAX_ID_CHARS:
            found.append(text)
    return found
