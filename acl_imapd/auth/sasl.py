"""The clients' messages of SASL, decoded.  Pure: PLAIN (RFC 4616), LOGIN, OAUTHBEARER (RFC 7628), XOAUTH2; SCRAM has a
module of its own."""

from __future__ import annotations

import binascii
import json
import re
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Bearer:
    """A token, and the user it is presented for; ``""`` leaves that to the token."""

    user: str
    token: str


# client-resp = (gs2-header kvsep *kvpair kvsep) / kvsep      kvpair = key "=" value kvsep      kvsep = %x01
_OAUTHBEARER = re.compile(rb"(?:n|y),(?:a=([^,\0\x01]*))?,\x01((?:[A-Za-z]+=[\x09\x0a\x0d\x20-\x7e]*\x01)*)\x01")
_XOAUTH2 = re.compile(rb"user=([^\0\x01]*)\x01((?:[A-Za-z]+=[\x09\x0a\x0d\x20-\x7e]*\x01)*)\x01")
# RFC 6750 §2.1: b64token = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="
_TOKEN = re.compile(rb"bearer +([A-Za-z0-9._~+/-]+=*)", re.IGNORECASE)


def decode_oauthbearer(data: bytes) -> Bearer:
    """What a client says in OAUTHBEARER.  RFC 7628 §3.1; BadCommand for what is none, channel binding included."""
    found = _OAUTHBEARER.fullmatch(data)
    if found is None:
        raise BadCommand("That is no message of OAUTHBEARER")
    user = (found[1] or b"").replace(b"=2C", b",").replace(b"=3D", b"=")
    return Bearer(decode_text(user), _token(found[2]))


def decode_xoauth2(data: bytes) -> Bearer:
    """What a client says in XOAUTH2: ``user=name ^A auth=Bearer token ^A ^A``."""
    found = _XOAUTH2.fullmatch(data)
    if found is None:
        raise BadCommand("That is no message of XOAUTH2")
    return Bearer(decode_text(found[1]), _token(found[2]))


def _token(pairs: bytes) -> str:
    values = [pair[5:] for pair in pairs.split(b"\x01") if pair.lower().startswith(b"auth=")]
    found = _TOKEN.fullmatch(values[0]) if len(values) == 1 else None
    if found is None:
        raise BadCommand("The message has no bearer token")
    return found[1].decode("ascii")


def encode_bearer_error(scope: str, configuration: str, *, status: str) -> bytes:
    """What the server says of a token it does not take.  RFC 7628 §3.2.2."""
    values = {"status": status}
    if scope:
        values["scope"] = scope
    if configuration:
        values["openid-configuration"] = configuration
    return json.dumps(values, separators=(",", ":")).encode()
