"""How well a text fits what somebody looks for, spelling, accents, endings and the order of words aside.  RFC 6203.

Pure.  Costs one pass over the text for its words, and a glance at each different word for each word looked for.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from acl_imapd.mail.collation import unicode_casemap

MAX_TEXT_CHARS = 1_000_000
MAX_QUERY_WORDS = 20
MAX_WORD_CHARS = 60

_WORD = re.compile(rf"\w{{1,{MAX_WORD_CHARS}}}")
# What a word of the text is worth that is not the word looked for itself.
INFLECTED, MISSPELT, RELATED = 80, 60, 40


def plain(text: str) -> str:
    """*text* without case and accents."""
    folded = unicode_casemap(text[:MAX_TEXT_CHARS])
    if folded.isascii():
        return folded
    return "".join(char for char in folded if not unicodedata.combining(char)).upper()


def words_of(query: str) -> tuple[str, ...]:
    """The different words that are looked for."""
    return tuple(dict.fromkeys(_WORD.findall(plain(query))))[:MAX_QUERY_WORDS]


def relevancy(query: str, words: tuple[str, ...], texts: Iterable[str]) -> int:
    """From 1 to 100 how well the texts together fit *query*, whose :func:`words_of` are *words*; 0 for not at all.

    100 is for the query as it is, somewhere.  Otherwise each of its words counts as much as its best likeness, and
    when more than a third of them have none nothing is found.  Without a word in it, the query must be there.
    """
    wanted = plain(query)
    best = dict.fromkeys(words, 0)
    for text in texts:
        there = plain(text)
        if wanted in there:
            return 100
        unlike = [word for word, score in best.items() if score < 100]
        if not unlike:
            continue
        different = set(_WORD.findall(there))
        for word in unlike:
            best[word] = max(best[word], _likeness(word, different))
    missing = sum(not score for score in best.values())
    if not best or missing * 3 > len(best):
        return 0
    # All the words, but not side by side, is a little less than the query itself.
    return max(1, sum(best.values()) * 95 // (100 * len(best)))


def _likeness(word: str, words: set[str]) -> int:
    if word in words:
        return 100
    best = 0
    for other in words:
        if other[0] != word[0] and other[-1] != word[-1]:
            continue
        if other.startswith(word) or (len(other) > 3 and word.startswith(other)):
            best = max(best, INFLECTED)
        elif len(word) > 3 and abs(len(other) - len(word)) < 2 and nearly(word, other):
            best = max(best, MISSPELT)
        elif best < RELATED and _stem(word, other):
            best = RELATED
    return best


def _stem(one: str, other: str) -> bool:
    """True when they begin the same, but for less than half of the shorter."""
    shorter = min(len(one), len(other))
    same = 0
    while same < shorter and one[same] == other[same]:
        same += 1
    return same >= 3 and same * 2 > shorter and max(len(one), len(other)) - same <= 4


def nearly(one: str, other: str) -> bool:
    """True when a letter that is wrong, missing, too much or changed with its neighbour makes one of the other."""
    if len(one) > len(other):
        one, other = other, one
    if len(other) - len(one) > 1:
        return False
    place = 0
    while place < len(one) and one[place] == other[place]:
        place += 1
    if len(one) < len(other):
        return one[place:] == other[place + 1 :]
    swapped = one[place : place + 2] == other[place : place + 2][::-1] and one[place + 2 :] == other[place + 2 :]
    return swapped or one[place + 1 :] == other[place + 1 :]
