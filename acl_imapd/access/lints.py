"""What is probably not meant in an ACL.  Pure: entries go in, findings come out."""

from __future__ import annotations

from collections.abc import Sequence

from acl_imapd.access.rights import (
    NONE,
    EntryLike,
    IdentifierKind,
    Limited,
    parse_rights,
)

# The kinds of findings, and what each means to somebody who reads it for the first time.
KINDS: dict[str, str] = {
    "no-owner": "nobody owns the folder or holds a: only an administrator can change its rights",
    "empty-team": "a team without members has rights or stands idle",
    "disabled": "an entry names an account that is disabled: it would have the rights again when enabled",
    "anyone": "everybody is let in",
    "authenticated": "everybody who can log in is let in",
    "outsider": "somebody of another domain than the folder's owner is let in",
    "unused": "nobody of these has opened the folder for long",
    "many-admins": "many may change the rights (a)",
    "t-without-e": "may mark messages deleted but not expunge them: they stay, struck out",
    "e-without-t": "may expunge what others marked deleted but mark nothing",
    "i-without-r": "may put messages in but not read: a letter box",
    "l-without-r": "sees the folder's name but cannot open it",
    "r-without-l": "may read the folder but no list shows it",
    "without-r": "may change messages it cannot open: the rights do nothing",
    "p-without-address": "may only post, but no address leads to the folder: the right does nothing",
    "k-below-hidden": "may make folders here but does not see the folder above, so that clients may not show the way",
    "takes-nothing": "takes away rights that nobody it names is given",
    "covered": "gives nothing that another entry does not give already",
}


def letter_lints(letters: str) -> list[str]:
    """The kinds of findings that the letters of one entry make by themselves."""
    has = set(letters)
    found = []
    if "r" in has:
        found += ["r-without-l"] if "l" not in has else []
    elif "i" in has:
        found.append("i-without-r")
    elif has & set("swte"):
        found.append("without-r")
    elif "l" in has and not has & set("pkxa"):
        found.append("l-without-r")
    if "p" in has and "i" not in has:  # who may put messages in has p along with i, and needs no address
        found.append("p-without-address")
    if "t" in has and "e" not in has:
        found.append("t-without-e")
    if "e" in has and "t" not in has:
        found.append("e-without-t")
    return found


_EVERYBODY = (IdentifierKind.AUTHENTICATED, IdentifierKind.ANYONE)
_BROAD = (IdentifierKind.DOMAIN, *_EVERYBODY)


def covers(wide: EntryLike, narrow: EntryLike, *, wider: bool) -> bool:
    """True where *narrow* gives nothing that *wide*, which names everybody it names (*wider*), does not."""
    if wide is narrow or wide.negative or narrow.negative or not wider:
        return False
    return parse_rights(narrow.rights) & ~parse_rights(wide.rights) == NONE and _outlasts(wide, narrow)


def _outlasts(wide: Limited, narrow: Limited) -> bool:
    begins = wide.since is None or (narrow.since is not None and wide.since <= narrow.since)
    ends = wide.until is None or (narrow.until is not None and wide.until >= narrow.until)
    return begins and ends


def names_all_of(wide: EntryLike, narrow: EntryLike, *, domain: str | None, teams: frozenset[int]) -> bool:
    """True where *wide* names everybody that *narrow* names; *domain* and *teams*: of the user, or the teams that
    the team *narrow* names is in without a limit."""
    kind = wide.identifier.kind
    if kind in _EVERYBODY:
        # The two are as wide as each other here; only one of them is told as covered.
        return narrow.identifier.kind not in _EVERYBODY or kind < narrow.identifier.kind
    if kind == IdentifierKind.TEAM:
        return narrow.identifier.kind in (IdentifierKind.USER, IdentifierKind.TEAM) and wide.identifier.id in teams
    if kind == IdentifierKind.DOMAIN:
        return narrow.identifier.kind == IdentifierKind.USER and wide.identifier.name == f"domain:{domain}"
    return False


def may_take_from_many(negative: EntryLike, entries: Sequence[EntryLike]) -> bool:
    """True where both it and something that gives what it takes name a domain or everybody: then it takes."""
    if negative.identifier.kind not in _BROAD:
        return False
    taken = parse_rights(negative.rights)
    return any(
        not one.negative and one.identifier.kind in _BROAD and parse_rights(one.rights) & taken for one in entries
    )
