"""LIST's patterns match what RFC 3501 §6.3.8 says, and never take for ever."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acl_imapd.commands.pattern import matcher


@given(st.text("ab/*%", max_size=12), st.text("ab/", max_size=12))
def test_matches_as_the_plain_translation_does(pattern, name):
    plain = "".join({"*": ".*", "%": "[^/]*"}.get(char, re.escape(char)) for char in pattern)

    assert matcher(pattern)(name) == (re.fullmatch(plain, name) is not None)


@pytest.mark.parametrize("pattern", ["*a" * 30 + "b", "%a" * 30 + "b", "*%" * 500 + "b"])
def test_a_hostile_pattern_is_answered(pattern):
    """Going back and forth this would take longer than anybody lives."""
    assert not matcher(pattern)("a" * 1000)


def test_inbox_is_inbox_in_any_case():
    assert matcher("inbox")("INBOX")
    assert matcher("Inbox/%")("INBOX/x")
    assert not matcher("inboxes")("INBOXES")
