"""SEARCH=FUZZY: what nearly matches, and how well.  RFC 6203.  The matching itself is in mail/fuzzy.py.

String keys match fuzzily, the others as they are (§5); so does what is under a NOT.  A message that several fuzzy keys
find is as relevant as they say on the average.
"""

from __future__ import annotations

from acl_imapd.commands.registry import capability
from acl_imapd.commands.search import RETURN_OPTIONS, ReturnOption
from acl_imapd.commands.session import Session
from acl_imapd.commands.sort import SCORES
from acl_imapd.errors import BadCommand
from acl_imapd.proto import search_keys as keys

capability(b"SEARCH=FUZZY", "RFC 6203")


def _asks_fuzzily(_session: Session, search: keys.SearchCommand) -> None:
    """RFC 6203 §4, §6: there is relevancy only where there is a FUZZY key."""
    if not keys.asks(search.key, keys.Fuzzy):
        raise BadCommand("RELEVANCY goes with a FUZZY key")


RETURN_OPTIONS[b"RELEVANCY"] = ReturnOption(before=_asks_fuzzily)
keys.declare_return(b"RELEVANCY")
SCORES.add(b"RELEVANCY")
