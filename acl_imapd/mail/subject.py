"""The base subject, exactly as RFC 5256 §2.1 has it.  Pure; linear in the length of the subject."""

from __future__ import annotations

import re
from typing import NamedTuple

MAX_SUBJECT_CHARS = 2_000

_BLANK = re.compile(r"[\t\r\n ]+")
# subj-trailer = "(fwd)" / WSP
_FWD_TRAILER = re.compile(r"\(fwd\)$", re.IGNORECASE)
# subj-refwd = ("re" / ("fw" ["d"])) *WSP [subj-blob] ":"      subj-blob = "[" *BLOBCHAR "]" *WSP
# subj-leader = (*subj-blob subj-refwd) / WSP
_BLOB = re.compile(r"\[[^\[\]]*\] *")
_REFWD = re.compile(r"(?:re|fwd?) *(?:\[[^\[\]]*\] *)?:", re.IGNORECASE)


class BaseSubject(NamedTuple):
    """*is_reply*: what was taken away says that it is a reply or has been forwarded (RFC 5256 §3, REFERENCES)."""

    text: str
    is_reply: bool


def base_subject(subject: str) -> BaseSubject:
    """The base of a subject whose encoded words are decoded already; at most its first 2 000 characters count."""
    # (1)
    text = _BLANK.sub(" ", subject[:MAX_SUBJECT_CHARS])
    start, end = 0, len(text)
    is_reply = False
    while True:
        # (2)
        while end > start:
            if text[end - 1] == " ":
                end -= 1
            elif end - start >= 5 and _FWD_TRAILER.match(text, end - 5, end):
                end -= 5
                is_reply = True
            else:
                break
        # (3) to (5)
        start, found = _strip_leaders(text, start, end)
        is_reply |= found
        # (6)
        if end - start >= 6 and text[start : start + 5].lower() == "[fwd:" and text[end - 1] == "]":
            start, end = start + 5, end - 1
            is_reply = True
            continue
        return BaseSubject(text[start:end], is_reply)


def _strip_leaders(text: str, start: int, end: int) -> tuple[int, bool]:
    """Where the text begins without subj-leaders and without blobs before something, and if there was a subj-refwd."""
    is_reply = False
    while True:
        while start < end and text[start] == " ":
            start += 1
        # A run of blobs belongs to the subj-refwd that follows it; otherwise each goes that leaves something.
        place, last = start, start
        while (blob := _BLOB.match(text, place, end)) is not None:
            last, place = place, blob.end()
        refwd = _REFWD.match(text, place, end)
        if refwd is not None:
            start, is_reply = refwd.end(), True
            continue
        return (place if place < end else last), is_reply
