"""THREAD: ORDEREDSUBJECT and REFERENCES.  RFC 5256 §3."""

from __future__ import annotations

import random
import time

from hypothesis import given, settings
from hypothesis import strategies as st

from acl_imapd.mail.thread import Node, Threaded, encode_threads, ordered_subject, references

from .test_sort import fill, mail


def numbered(messages, algorithm=references):
    return encode_threads(algorithm(messages), range(1, len(messages) + 1)).decode()


def message(sent, subject, ident="", *refs, is_reply=None):
    base = subject.removeprefix("Re: ")
    return Threaded(sent, base.upper(), subject != base if is_reply is None else is_reply, ident, refs)


def test_the_answers_of_rfc_5256_section_4():
    tree = [Node(2), Node(3, [Node(6, [Node(4, [Node(23)]), Node(44, [Node(7, [Node(96)])])])])]
    assert encode_threads(tree, range(100)) == b"(2)(3 6 (4 23)(44 7 96))"
    assert encode_threads([Node(None, [Node(3), Node(5)])], range(100)) == b"((3)(5))"


def test_ordered_subject():
    """The form of the example: the first of a thread is the parent of the others, who are siblings."""
    found = [(5, "A"), (1, "B"), (2, "A"), (4, "C"), (3, "B"), (6, "A"), (7, "")]

    assert encode_threads(ordered_subject(found), range(1, 8)) == b"(2 5)(3 (1)(6))(4)(7)"


def test_replies_hang_on_what_they_refer_to():
    found = [
        message(1, "Plan", "a"),
        message(2, "Re: Plan", "b", "a"),
        message(3, "Re: Plan", "c", "a", "b"),
        message(4, "Re: Plan", "d", "a"),
        message(5, "Other", "e"),
    ]
    assert numbered(found) == "(1 (2 3)(4))(5)"


def test_a_missing_ancestor_holds_its_replies_together_and_alone_it_goes():
    siblings = [message(1, "Re: X", "b", "a"), message(2, "Re: X", "c", "a")]
    assert numbered(siblings) == "((1)(2))"
    assert numbered([message(1, "Re: X", "b", "a"), message(2, "Re: X", "c", "b")]) == "(1 2)"
    # Dummies in the middle go, and their children are promoted.
    assert numbered([message(1, "X", "a"), message(2, "Y", "d", "a", "b", "c"), message(3, "Z", "e", "a", "b")]) == (
        "(1 (2)(3))"
    )


def test_threads_of_one_subject_become_one():
    # a reply without references below the original
    assert numbered([message(1, "Plan", "a"), message(2, "Re: Plan", "b")]) == "(1 2)"
    assert numbered([message(1, "Re: Plan", "b"), message(2, "Plan", "a")]) == "(2 1)"
    # two originals, or two replies: beside each other
    assert numbered([message(1, "Plan", "a"), message(2, "Plan", "b")]) == "((1)(2))"
    assert numbered([message(1, "Re: Plan", "a"), message(2, "Re: Plan", "b"), message(3, "Re: Plan", "c")]) == (
        "((1)(2)(3))"
    )
    # two dummies join their children; one message joins a dummy's
    assert numbered([message(n, "Re: P", f"m{n}", "x" if n < 3 else "y") for n in range(1, 5)]) == "((1)(2)(3)(4))"
    assert numbered([message(1, "P", "q"), *(message(n, "Re: P", f"m{n}", "x") for n in (2, 3))]) == "((1)(2)(3))"
    # no subject is nobody's
    assert numbered([message(1, "", "a"), message(2, "", "b")]) == "(1)(2)"


def test_loops_doubles_and_truncated_references():
    assert numbered([message(1, "A", "a", "b"), message(2, "B", "b", "a")]) in ("(2 1)", "(1 2)")
    assert numbered([message(1, "A", "a", "a")]) == "(1)"
    # the same id twice: the first has it
    assert numbered([message(1, "A", "a"), message(2, "B", "a"), message(3, "C", "c", "a")]) == "(1 3)(2)"
    # what the message itself says of its parent goes before what others say
    assert numbered(
        [message(1, "A", "a"), message(2, "C", "c", "a", "b"), message(3, "B", "b"), message(4, "R", "r")]
    ) == ("(1)(3 2)(4)")
    # siblings by date, not by place; the mailbox's order where dates are one
    assert numbered([message(1, "A", "a"), message(9, "B", "b", "a"), message(3, "C", "c", "a")]) == "(1 (3)(2))"
    assert numbered([message(5, "A", "a"), message(5, "B", "b"), message(4, "C", "c")]) == "(3)(1)(2)"


@settings(max_examples=120, deadline=None)
@given(
    st.lists(
        st.builds(
            Threaded,
            st.integers(0, 5),
            st.sampled_from(["", "A", "B"]),
            st.booleans(),
            st.sampled_from(["", *"abcdef"]),
            st.lists(st.sampled_from("abcdefgh"), max_size=4),
        ),
        max_size=12,
    )
)
def test_every_message_is_in_one_thread_and_siblings_are_in_order(messages):
    found = []

    def when(node):
        place = node.message if node.message is not None else node.children[0].message
        return messages[place].sent, place

    pending = [(references(messages), True)]
    while pending:
        nodes, top = pending.pop()
        assert [when(one) for one in nodes] == sorted(when(one) for one in nodes)
        for node in nodes:
            if node.message is None:
                assert top
                assert len(node.children) > 1
            else:
                found.append(node.message)
            pending.append((node.children, False))
    assert sorted(found) == list(range(len(messages)))
    assert numbered(messages).count("(") == numbered(messages).count(")")


def test_hostile_references_cost_little():
    """Chains as deep as there are messages, forward and backward, linked together at their ends; loops throughout."""
    size = 5000
    rng = random.Random(1)
    deep = [message(n, "", f"m{n}", f"m{n - 1}") for n in range(size)]
    joined = [message(n, "", f"x{n}", f"m{size - 1}", f"y{n}", f"x{n}") for n in range(size)]
    everywhere = [message(n, "", f"m{n}", *(f"m{rng.randrange(size)}" for _ in range(30))) for n in range(size)]
    for messages in (deep, deep[::-1], [*joined, *deep], [*deep, *joined], everywhere):
        begun = time.process_time()
        text = numbered(messages)
        assert time.process_time() - begun < 2
        assert len(text) > size


def test_thread_by_sequence_number_and_uid(world):
    client = fill(
        world,
        mail("gone"),
        mail("Plan", date="1 Jan 2025 00:00:00 +0000", more="Message-ID: <a@x>\r\n"),
        mail("Re: Plan", date="2 Jan 2025 00:00:00 +0000", more="Message-ID: <b@x>\r\nIn-Reply-To: <a@x>\r\n"),
        mail("Other", date="3 Jan 2025 00:00:00 +0000", more='Message-ID: <"c"@x>\r\nReferences: <z@x>\r\n'),
        mail("Re: Other", date="4 Jan 2025 00:00:00 +0000", more="Message-ID: <d@x>\r\nReferences: <z@x> <c@x>\r\n"),
        mail("[list] PLAN (fwd)", date="5 Jan 2025 00:00:00 +0000", more="Message-ID: <e@x>\r\n"),
    )
    client.ok("STORE 1 +FLAGS (\\Deleted)")
    client.ok("EXPUNGE")

    assert client.ok("THREAD REFERENCES UTF-8 ALL").untagged == ["* THREAD (1 (2)(5))(3 4)"]
    assert client.ok("UID THREAD REFERENCES UTF-8 ALL").untagged == ["* THREAD (2 (3)(6))(4 5)"]
    assert client.ok("THREAD ORDEREDSUBJECT UTF-8 ALL").untagged == ["* THREAD (1 (2)(5))(3 4)"]
    assert client.ok("UID THREAD REFERENCES US-ASCII NOT SUBJECT Re").untagged == ["* THREAD (2 6)(4)"]
    assert client.ok('THREAD ORDEREDSUBJECT US-ASCII TEXT "gewp"').untagged == ["* THREAD"]
