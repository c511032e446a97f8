"""Rights as a value, and the one function that evaluates them.  RFC 4314 §2.

Pure: entries, an identity and an owner go in, rights come out.  LIST, access, GETACL, ``explain`` and
every report call :func:`effective_rights`; there is no second evaluator.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from functools import lru_cache
from math import inf
from typing import Protocol, TypeVar

from acl_imapd.errors import BadCommand
from acl_imapd.types import TeamId, UserId


class Rights(IntFlag):
    """RFC 4314 §2.1.  The names are the letters."""

    l = 1  # noqa: E741  # lookup
    r = 2  # read
    s = 4  # keep \Seen
    w = 8  # write other flags
    i = 16  # insert
    p = 32  # post
    k = 64  # create below
    x = 128  # delete mailbox
    t = 256  # delete messages (\Deleted)
    e = 512  # expunge
    a = 1024  # administer


NONE = Rights(0)
ALL = Rights(2047)
ORDER = "lrswipkxtea"
OWNER_KEEPS = Rights.l | Rights.a
ANY_FOR_MYRIGHTS = Rights.l | Rights.r | Rights.i | Rights.k | Rights.x | Rights.a  # RFC 4314 §4

# RFC 4314 §2.1.1, first reading: "create" is k and x, "delete" is e and t.
CREATE_MEMBERS = Rights.k | Rights.x
DELETE_MEMBERS = Rights.e | Rights.t
_LETTERS = {letter: Rights[letter] for letter in ORDER} | {"c": CREATE_MEMBERS, "d": DELETE_MEMBERS}

# What SELECT answers READ-WRITE for, besides the shared flag rights of the mailbox.  RFC 4314 §5.2.
CHANGES_MAILBOX = Rights.i | Rights.e


@lru_cache(4096)
def parse_rights(text: str) -> Rights:
    """The rights that the letters of *text* stand for; ``c`` and ``d`` stand for their members.

    RFC 4314 §3.1: a letter the server does not know makes the whole command BAD.
    """
    rights = NONE
    for letter in text:
        known = _LETTERS.get(letter)
        if known is None:
            raise BadCommand(f"There is no right {letter!r}; the rights are {ORDER}")
        rights |= known
    return rights


def format_rights(rights: Rights) -> str:
    """The letters of *rights* in the order of RFC 4314 §2.1, without the obsolete ones."""
    return _FORMATTED[rights]


def format_with_obsolete(rights: Rights) -> str:
    """The letters of *rights* with ``c`` and ``d`` where a member of theirs is set.  RFC 4314 §2.1.1."""
    text = _FORMATTED[rights]
    if rights & CREATE_MEMBERS:
        text += "c"
    if rights & DELETE_MEMBERS:
        text += "d"
    return text


_FORMATTED = {
    Rights(value): "".join(letter for bit, letter in enumerate(ORDER) if value >> bit & 1) for value in range(ALL + 1)
}


class IdentifierKind(IntEnum):
    """Whom an entry names; the numbers are stored."""

    USER = 1
    TEAM = 2
    OWNER = 3
    AUTHENTICATED = 4
    ANYONE = 5
    DOMAIN = 6


class IdentifierLike(Protocol):
    """An identifier as storage keeps it."""

    @property
    def kind(self) -> int: ...
    @property
    def id(self) -> int: ...
    @property
    def name(self) -> str: ...


class Limited(Protocol):
    """What holds from *since* on, and from *until* on no more; seconds since 1970, None: no such limit."""

    @property
    def since(self) -> float | None: ...
    @property
    def until(self) -> float | None: ...


def in_force(limited: Limited, now: float) -> bool:
    """True while it holds: *until* is the first moment at which it does not."""
    return (limited.since is None or limited.since <= now) and (limited.until is None or now < limited.until)


def next_change(limited: Iterable[Limited], now: float) -> float:
    """The moment after *now* at which the first of them begins or ends to hold; infinity where none will."""
    moments = (moment for one in limited for moment in (one.since, one.until) if moment is not None and moment > now)
    return min(moments, default=inf)


class EntryLike(Limited, Protocol):
    """An entry of an ACL as storage keeps it."""

    @property
    def identifier(self) -> IdentifierLike: ...
    @property
    def negative(self) -> bool: ...
    @property
    def rights(self) -> str: ...


class Subscribing(EntryLike, Protocol):
    """An entry that also says whether it subscribes whom it makes see the folder."""

    @property
    def subscribe(self) -> bool: ...


class IdentityLike(Protocol):
    """A user, and the teams that count for it (nested ones too)."""

    @property
    def user_id(self) -> UserId: ...
    @property
    def domain(self) -> str | None: ...
    @property
    def teams(self) -> frozenset[TeamId]: ...
    @property
    def managed(self) -> frozenset[TeamId]: ...


@dataclass(frozen=True, slots=True)
class Ownership:
    """Whose a mailbox is: the user of its home, or of a shared one the user or the team it was given to."""

    user_id: UserId | None = None
    team_id: TeamId | None = None

    def includes(self, identity: IdentityLike) -> bool:
        """True when *identity* is the owner; of a team's mailbox that is who manages the team."""
        if self.user_id is not None and self.user_id == identity.user_id:
            return True
        return self.team_id is not None and self.team_id in identity.managed


def matches(identifier: IdentifierLike, identity: IdentityLike, *, is_owner: bool) -> bool:
    """True when *identifier* names *identity* (who has logged in, so ``authenticated`` always does)."""
    kind = identifier.kind
    if kind == IdentifierKind.USER:
        return identifier.id == identity.user_id
    if kind == IdentifierKind.TEAM:
        return identifier.id in identity.teams
    if kind == IdentifierKind.OWNER:
        return is_owner
    if kind == IdentifierKind.DOMAIN:
        return identifier.name == f"domain:{identity.domain}"
    return kind in (IdentifierKind.AUTHENTICATED, IdentifierKind.ANYONE)


def effective_rights(
    entries: Iterable[EntryLike], identity: IdentityLike, *, is_owner: bool, allow_anyone: bool, now: float
) -> Rights:
    """What *identity* may do at *now* (seconds since 1970): the union of what matches and is in force, less the
    union of the negative entries that do, plus ``l`` and ``a`` for the owner.  RFC 4314 §2; the owner's part is
    ours: nobody can lock it out.

    ``anyone`` counts only where the setting allows it, also in entries made while it did.
    """
    granted = withheld = NONE
    for entry in _counting(entries, identity, is_owner=is_owner, allow_anyone=allow_anyone, now=now):
        if entry.negative:
            withheld |= parse_rights(entry.rights)
        else:
            granted |= parse_rights(entry.rights)
    rights = granted & ~withheld
    return rights | OWNER_KEEPS if is_owner else rights


def subscribed_by(
    entries: Iterable[Subscribing], identity: IdentityLike, *, is_owner: bool, allow_anyone: bool, now: float
) -> bool:
    """True when an entry that makes *identity* see the folder at *now* subscribes it as well."""
    return any(
        entry.subscribe and not entry.negative and parse_rights(entry.rights) & Rights.l
        for entry in _counting(entries, identity, is_owner=is_owner, allow_anyone=allow_anyone, now=now)
    )


Entry = TypeVar("Entry", bound=EntryLike)


def _counting(
    entries: Iterable[Entry], identity: IdentityLike, *, is_owner: bool, allow_anyone: bool, now: float
) -> Iterator[Entry]:
    """The entries that count for *identity* at *now*."""
    for entry in entries:
        if not in_force(entry, now) or not matches(entry.identifier, identity, is_owner=is_owner):
            continue
        if entry.identifier.kind == IdentifierKind.ANYONE and not allow_anyone and not entry.negative:
            continue
        yield entry


def listrights(*, is_owner: bool, negative: bool) -> tuple[Rights, tuple[str, ...]]:
    """What an identifier always has, and the groups of letters that can be given to it.  RFC 4314 §3.4.

    The owner always has ``l`` and ``a``, and no negative entry takes these away.  ``c`` and ``d`` stand by
    themselves, since their members are not tied to other rights (§2.1.1).
    """
    always = OWNER_KEEPS if is_owner and not negative else NONE
    free = ALL & ~OWNER_KEEPS if is_owner else ALL
    return always, (*format_rights(free), "c", "d")


def flag_rights(*, seen_shared: bool) -> Rights:
    """The "shared flag rights" of a mailbox: who holds one changes what others see.  RFC 4314 §5.2."""
    return Rights.w | Rights.t | (Rights.s if seen_shared else NONE)


def allowed_flags(rights: Rights, flags: int) -> int:
    r"""The bits of *flags* these *rights* may set or clear.  RFC 4314 §4.

    ``s`` for \Seen (bit 0), ``t`` for \Deleted (bit 3), ``w`` for every other flag and keyword.
    """
    allowed = 0
    if rights & Rights.s:
        allowed |= SEEN
    if rights & Rights.t:
        allowed |= DELETED
    if rights & Rights.w:
        allowed |= ~(SEEN | DELETED)
    return flags & allowed


SEEN, ANSWERED, FLAGGED, DELETED, DRAFT = (1 << bit for bit in range(5))
SYSTEM_FLAGS = {"\\Seen": SEEN, "\\Answered": ANSWERED, "\\Flagged": FLAGGED, "\\Deleted": DELETED, "\\Draft": DRAFT}
FIRST_KEYWORD_BIT = 5
