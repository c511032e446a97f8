"""COMPARATOR and LANGUAGE.  RFC 5255."""

from __future__ import annotations

from dataclasses import dataclass

from acl_imapd.commands.registry import ANY_STATE, LOGGED_IN, command
from acl_imapd.commands.session import Session
from acl_imapd.errors import ImapError
from acl_imapd.mail.collation import matching
from acl_imapd.proto.arguments import Arguments, ParseError
from acl_imapd.proto.responses import string

MAX_WORDS = 50
MAX_WORD_CHARS = 254
# What people are told is English, which is what i-default is (RFC 2277 §4.5).
LANGUAGES = (b"EN", b"i-default")


@dataclass(frozen=True, slots=True)
class Words:
    words: tuple[str, ...]


def parse_words(arguments: Arguments) -> Words:
    """``*(SP astring)``."""
    words: list[str] = []
    while not arguments.at_end():
        arguments.sp()
        word = arguments.astring().decode("utf-8", "replace")
        if len(words) >= MAX_WORDS or len(word) > MAX_WORD_CHARS:
            raise ParseError("That is too long a list")
        words.append(word)
    return Words(tuple(words))


@command(b"COMPARATOR", args=parse_words, states=LOGGED_IN, capability=(b"I18NLEVEL=2",), rfc="RFC 5255 §4.7")
async def comparator(session: Session, cmd: Words) -> None:
    """Tells or chooses how SEARCH, SORT and THREAD compare texts."""
    found: list[str] = []
    for word in cmd.words:
        # RFC 4790 §3.3: + changes nothing; - would turn the order round, which none of ours does.
        found += [name for name in matching(word.removeprefix("+")) if name not in found]
    if cmd.words and not found:
        raise ImapError("There is no such comparator", code=b"BADCOMPARATOR")
    if found:
        session.comparator = found[0]
    others = b" (" + b" ".join(string(name.encode()) for name in found) + b")" if len(found) > 1 else b""
    session.tell(b"COMPARATOR " + string(session.comparator.encode()) + others)


@command(b"LANGUAGE", args=parse_words, states=ANY_STATE, capability=(b"LANGUAGE",), rfc="RFC 5255 §3.2")
async def language(session: Session, cmd: Words) -> None:
    """Tells the languages there are, or chooses one: English."""
    if not cmd.words:
        session.tell(b"LANGUAGE (" + b" ".join(LANGUAGES) + b")")
        return
    for word in cmd.words:
        # RFC 4647 §3.4, lookup: the range is cut off from its end until it is one of ours.
        wanted = word.lower()
        for known in LANGUAGES:
            name = known.decode().lower()
            if wanted in (name, "default", "*") or wanted.startswith(name + "-"):
                session.tell(b"LANGUAGE (" + known + b")")
                return
    raise ImapError(
        f"Unsupported language {cmd.words[0]}; there is English"
        if cmd.words[0].isascii() and cmd.words[0].isprintable()
        else "Unsupported language; there is English"
    )
