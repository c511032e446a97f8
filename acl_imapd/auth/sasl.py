"""SASL PLAIN (RFC 4616) and LOGIN, the client's side decoded."""

from __future__ import annotations

import binascii

from acl_imapd.errors import AuthenticationFailed, BadCommand


def decode_base64(line: bytes) -> bytes:
    """A line of a SASL exchange; ``=`` is the empty response (RFC 4959 §3).  BadCommand for ``*`` and junk."""
    if line == b"*":
        raise BadCommand("Cancelled")
    if line == b"=":
        return b""
    try:
        return binascii.a2b_base64(line, strict_mode=True) if line else b""
    except binascii.Error:
        raise BadCommand("That is not base64") from None


def decode_text(data: bytes) -> str:
    """A user name or password; AuthenticationFailed where it is no UTF-8."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise AuthenticationFailed("The user name or the password is wrong") from None


def decode_plain(data: bytes) -> tuple[str, str, str]:
    """(authzid, authcid, password) of ``[authzid] NUL authcid NUL passwd``."""
    parts = data.split(b"\0")
    if len(parts) != 3:
        raise BadCommand("PLAIN wants authorization NUL user NUL password")
    authzid, authcid, password = parts
    return decode_text(authzid), decode_text(authcid), decode_text(password)
