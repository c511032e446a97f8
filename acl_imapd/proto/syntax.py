"""What the parsers share: the one error they raise, and the character classes of RFC 3501 §9."""

from __future__ import annotations

from acl_imapd.errors import BadCommand

MAX_NUMBER = (1 << 32) - 1
MAX_NUMBER64 = (1 << 63) - 1

# atom-specials = "(" / ")" / "{" / SP / CTL / list-wildcards / quoted-specials / resp-specials
ATOM_CHARS = rb"!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~"
ASTRING_CHARS = ATOM_CHARS + rb"\]"
LIST_CHARS = ASTRING_CHARS + rb"%*"
# tag = 1*<any ASTRING-CHAR except "+">
TAG_CHARS = ASTRING_CHARS.replace(b"+", b"")


class ParseError(BadCommand):
    """The arguments of a command do not follow its grammar; the text says where."""


def show(token: bytes) -> str:
    """*token* as it may stand in a response text: printable ASCII, cut at 40 characters."""
    shown = "".join(chr(octet) if 0x20 <= octet < 0x7F else "?" for octet in token[:40])
    return shown + "..." if len(token) > 40 else shown
