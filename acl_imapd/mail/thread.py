"""Threads of messages: ORDEREDSUBJECT and REFERENCES, exactly as RFC 5256 §3 has them.

Pure, without recursion, and bounded on whatever headers say: see MAX_STEPS_PER_MESSAGE.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

# Before a link is made the ancestors are looked through for a loop.  Only threads made to be costly are deep where
# they are linked together; once they have used this up, links that would have to be looked at are not made.
MAX_STEPS_PER_MESSAGE = 50


class Threaded(NamedTuple):
    """A message to be threaded; *subject*: the base subject, prepared by the collation."""

    sent: int
    subject: str
    is_reply: bool
    message_id: str
    refs: Sequence[str]


@dataclass(slots=True, eq=False)
class Node:
    """*message*: its place among those given; None for a dummy, which only the root has as children."""

    message: int | None
    children: list[Node] = field(default_factory=list)


def ordered_subject(messages: Sequence[tuple[int, str]]) -> list[Node]:
    """The threads of messages given as (sent, prepared base subject) in the order of the mailbox."""
    by_subject: dict[str, list[int]] = {}
    for place in sorted(range(len(messages)), key=lambda place: (messages[place][0], place)):
        by_subject.setdefault(messages[place][1], []).append(place)
    # Each begins with its earliest, and they were begun in the order of those.
    return [Node(first, [Node(child) for child in rest]) for first, *rest in by_subject.values()]


def references(messages: Sequence[Threaded]) -> list[Node]:
    """The threads of *messages*, given in the order of the mailbox."""
    parents = _link(messages)
    roots = _prune(len(messages), parents)

    def when(node: Node) -> tuple[int, int]:
        message = node.message if node.message is not None else node.children[0].message
        assert message is not None
        return messages[message].sent, message

    # (4)
    for root in roots:
        if root.message is None:
            root.children.sort(key=when)
    roots.sort(key=when)
    # (5), (6)
    roots = _merge(roots, messages)
    pending = list(roots)
    while pending:
        node = pending.pop()
        node.children.sort(key=when)
        pending += node.children
    roots.sort(key=when)
    return roots


# -- (1): links ---------------------------------------------------------------------------------------------------


def _link(messages: Sequence[Threaded]) -> list[int]:
    """The parent of each message and then of each dummy, as places in this same list; -1 where there is none."""
    known: dict[str, int] = {}
    for place, one in enumerate(messages):
        if one.message_id:
            known.setdefault(one.message_id, place)  # a later one of the same id has, so to say, one of its own
    parents = [-1] * len(messages)
    offspring = [0] * len(messages)
    steps = MAX_STEPS_PER_MESSAGE * (len(messages) + 100)

    def would_loop(parent: int, child: int) -> bool:
        nonlocal steps
        if parent == child:
            return True
        if not offspring[child]:
            return False
        while parent >= 0:
            if parent == child or steps <= 0:
                return True
            steps -= 1
            parent = parents[parent]
        return False

    for place, one in enumerate(messages):
        # (A)
        previous = -1
        for ref in one.refs:
            current = known.get(ref, -1)
            if current < 0:
                current = known[ref] = len(parents)
                parents.append(-1)
                offspring.append(0)
            if previous >= 0 and parents[current] < 0 and not would_loop(previous, current):
                parents[current] = previous
                offspring[previous] += 1
            previous = current
        # (B)
        if parents[place] >= 0:
            offspring[parents[place]] -= 1
            parents[place] = -1
        if previous >= 0 and not would_loop(previous, place):
            parents[place] = previous
            offspring[previous] += 1
    return parents


# -- (2), (3): the root, and what is not there ----------------------------------------------------------------------


def _prune(count: int, parents: list[int]) -> list[Node]:
    """The children of the root.  Dummies are gone but for those at the top that hold several children together."""
    nodes = [Node(place) for place in range(count)]
    above = list(parents)  # of a dummy: what its children are promoted to
    tops: dict[int, Node] = {}
    roots: list[Node] = []
    for place in range(count):
        parent = parents[place]
        path = []
        while parent >= count and above[parent] >= 0:
            path.append(parent)
            parent = above[parent]
        for dummy in path:
            above[dummy] = parent
        if parent < 0:
            roots.append(nodes[place])
        elif parent < count:
            nodes[parent].children.append(nodes[place])
        else:
            top = tops.get(parent)
            if top is None:
                top = tops[parent] = Node(None)
                roots.append(top)
            top.children.append(nodes[place])
    return [root.children[0] if root.message is None and len(root.children) == 1 else root for root in roots]


# -- (5): the same subject --------------------------------------------------------------------------------------------


def _merge(roots: list[Node], messages: Sequence[Threaded]) -> list[Node]:
    def told_by(node: Node) -> Threaded:
        message = node.message if node.message is not None else node.children[0].message
        assert message is not None
        return messages[message]

    # (B)
    table: dict[str, Node] = {}
    for node in roots:
        subject = told_by(node).subject
        if not subject:
            continue
        there = table.get(subject)
        if there is None or (
            there.message is not None
            and (node.message is None or (messages[there.message].is_reply and not messages[node.message].is_reply))
        ):
            table[subject] = node
    # (C)
    gone: set[int] = set()
    made: list[Node] = []
    for node in roots:
        subject = told_by(node).subject
        there = table.get(subject) if subject else None
        if there is None or there is node:
            continue
        gone.add(id(node))
        if there.message is None:
            if node.message is None:
                there.children += node.children
            else:
                there.children.append(node)
        elif node.message is not None and messages[node.message].is_reply and not messages[there.message].is_reply:
            there.children.append(node)
        else:
            gone.add(id(there))
            table[subject] = dummy = Node(None, [there, node])
            made.append(dummy)
    return [node for node in [*roots, *made] if id(node) not in gone]


# -- the answer -----------------------------------------------------------------------------------------------------


def encode_threads(threads: Sequence[Node], numbers: Sequence[int]) -> bytes:
    """``(2)(3 6 (4 23)(44 7 96))``; *numbers*: what each message is called.  RFC 5256 §4."""
    said: list[bytes] = []
    pending: list[Node | bytes] = []
    for thread in threads:
        pending += [b")", thread, b"("]
        while pending:
            item = pending.pop()
            if isinstance(item, bytes):
                said.append(item)
                continue
            if item.message is not None:
                said.append(b"%d" % numbers[item.message])
                if item.children:
                    said.append(b" ")
            if len(item.children) == 1:
                pending.append(item.children[0])
            else:
                for child in reversed(item.children):
                    pending += [b")", child, b"("]
    return b"".join(said)
