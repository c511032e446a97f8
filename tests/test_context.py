"""CONTEXT=SEARCH and CONTEXT=SORT: results that are kept up to date.  RFC 5267 §4."""

from __future__ import annotations

import random
import re

import pytest

from .test_sort import mail

TEAM = "Shared Folders/Team"
BOX = f'"{TEAM}"'


def updates(answer):
    return [line for line in answer.untagged if line.startswith("* ESEARCH") and re.search("ADDTO|REMOVEFROM", line)]


def expand(text):
    numbers = []
    for part in text.split(","):
        low, _, high = part.partition(":")
        numbers += range(int(low), int(high or low) + 1)
    return numbers


class Believer:
    """A client that keeps results up to date by what it is told, and by nothing else."""

    def __init__(self, results, *, ordered):
        self.results = list(results)
        self.ordered = ordered

    def hear(self, lines, tag):
        for line in lines:
            if (gone := re.fullmatch(r"\* (\d+) EXPUNGE", line)) and self.numbered:
                number = int(gone[1])
                assert number not in self.results, "REMOVEFROM comes before EXPUNGE"
                self.results = [one - (one > number) for one in self.results]
            if not line.startswith(f'* ESEARCH (TAG "{tag}")'):
                continue
            for what, pairs in re.findall(r"(ADDTO|REMOVEFROM) \(([^)]*)\)", line):
                words = pairs.split()
                for position, numbers in zip(map(int, words[::2]), map(expand, words[1::2]), strict=True):
                    assert (position > 0) == self.ordered
                    if what == "REMOVEFROM":
                        if position:
                            assert self.results[position - 1 : position - 1 + len(numbers)] == numbers
                        self.results = [one for one in self.results if one not in numbers]
                    elif position:
                        self.results[position - 1 : position - 1] = numbers
                    else:
                        self.results = sorted([*self.results, *numbers])


@pytest.fixture
def two(world):
    client = world.client("ann")
    for n in range(6):
        client.append(BOX, mail(f"{9 - n}", date=f"{n + 1} Jan 2025 00:00:00 +0000"))
    return world.selected(TEAM, "ann", "bob")


def test_what_comes_and_goes_is_told_with_its_cause(two):
    """The examples of §4.3: after FETCH and EXISTS, before EXPUNGE; UIDs or numbers as the search was."""
    ann, bob = two
    answer = bob.ok("UID SEARCH RETURN (UPDATE COUNT) DELETED KEYWORD $Junk")
    tag = f"a{bob.number}"
    assert answer.untagged == [f'* ESEARCH (TAG "{tag}") UID COUNT 0']
    bob.ok("SEARCH RETURN (UPDATE COUNT) UNFLAGGED")
    seqs = f"a{bob.number}"

    ann.ok("STORE 2:3 +FLAGS.SILENT (\\Deleted $Junk)")
    heard = bob.ok("NOOP").untagged
    assert heard[-1] == f'* ESEARCH (TAG "{tag}") UID ADDTO (0 2:3)'
    assert any("FETCH" in line for line in heard[:-1])
    ann.ok("STORE 3 -FLAGS.SILENT ($Junk)")
    assert updates(bob.ok("NOOP")) == [f'* ESEARCH (TAG "{tag}") UID REMOVEFROM (0 3)']
    ann.append(BOX, mail("new"))
    heard = bob.ok("NOOP").untagged
    assert heard.index("* 7 EXISTS") < heard.index(f'* ESEARCH (TAG "{seqs}") ADDTO (0 7)')
    ann.ok("EXPUNGE")
    assert updates(bob.ok("SEARCH ALL")) == []  # EXPUNGE waits, and what goes with it
    heard = bob.ok("NOOP").untagged
    assert heard.index(f'* ESEARCH (TAG "{seqs}") REMOVEFROM (0 2:3)') < heard.index("* 3 EXPUNGE")
    assert heard.index(f'* ESEARCH (TAG "{tag}") UID REMOVEFROM (0 2)') < heard.index("* 3 EXPUNGE")


def test_sorted_results_have_positions(two):
    """§4.3.3: what is added is put where it belongs, in the order of the SORT."""
    ann, bob = two
    answer = bob.ok("UID SORT RETURN (UPDATE ALL) (SUBJECT) UTF-8 UNDELETED")
    tag = f"a{bob.number}"
    assert answer.untagged == [f'* ESEARCH (TAG "{tag}") UID ALL 6,5,4,3,2,1']

    ann.append(BOX, mail("55"))
    assert updates(bob.ok("NOOP")) == [f'* ESEARCH (TAG "{tag}") UID ADDTO (3 7)']
    ann.ok("STORE 4,6 +FLAGS.SILENT (\\Deleted)")
    assert updates(bob.ok("NOOP")) == [f'* ESEARCH (TAG "{tag}") UID REMOVEFROM (4 4 1 6)']
    ann.ok("STORE 6 -FLAGS.SILENT (\\Deleted)")
    assert updates(bob.ok("NOOP")) == [f'* ESEARCH (TAG "{tag}") UID ADDTO (1 6)']


def test_an_idling_client_hears_at_once(world, two):
    ann, bob = two
    bob.ok("SEARCH RETURN (UPDATE) SUBJECT new")
    tag = f"a{bob.number}"
    bob.idle()

    ann.append(BOX, mail("new"))
    world.reactor.turn(lambda: b"ADDTO" in bob.received())
    assert f'* ESEARCH (TAG "{tag}") ADDTO (0 7)' in bob.take()


def test_one_hears_of_ones_own_changes_and_of_ones_own_seen(two):
    ann, bob = two
    bob.ok("SEARCH RETURN (UPDATE) UNSEEN")
    tag = f"a{bob.number}"

    assert updates(bob.ok("STORE 1:2 +FLAGS.SILENT (\\Seen)")) == [f'* ESEARCH (TAG "{tag}") REMOVEFROM (0 1:2)']
    ann.ok("STORE 3 +FLAGS (\\Seen)")
    assert updates(bob.ok("NOOP")) == []


def test_numbers_in_the_search_are_those_of_its_moment(two):
    """§4.3: messages that get these numbers later are others."""
    ann, bob = two
    bob.ok("UID SEARCH RETURN (UPDATE ALL) 2:3 UNFLAGGED")
    tag = f"a{bob.number}"

    ann.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    ann.ok("EXPUNGE")
    ann.ok("STORE 2:3 +FLAGS.SILENT (\\Flagged)")  # were 3 and 4
    assert updates(bob.ok("NOOP")) == [f'* ESEARCH (TAG "{tag}") UID REMOVEFROM (0 3)']


def test_tags_limits_and_the_end_of_updates(world, two):
    _, bob = two
    bob.send(b"B01 UID SEARCH RETURN (UPDATE COUNT) DELETED\r\n")
    world.reactor.turn(lambda: b"B01 OK" in bob.received())
    bob.take()
    bob.send(b"B01 SORT RETURN (UPDATE) (DATE) UTF-8 FLAGGED\r\n")
    world.reactor.turn(lambda: b"B01 BAD" in bob.received())
    bob.take()
    for _ in range(15):
        assert "NOUPDATE" not in bob.ok("SEARCH RETURN (UPDATE) FLAGGED")
    answer = bob.ok("SEARCH RETURN (UPDATE COUNT) FLAGGED").untagged
    assert sorted(answer) == [
        f'* ESEARCH (TAG "a{bob.number}") COUNT 0',
        f'* NO [NOUPDATE "a{bob.number}"] Too many contexts',
    ]
    bob.ok('CANCELUPDATE "B01" "a2"')
    assert "NOUPDATE" not in bob.ok("SEARCH RETURN (UPDATE CONTEXT) FLAGGED")
    last = f"a{bob.number}"
    assert last in str(updates(bob.ok("STORE 1 +FLAGS (\\Flagged)")))
    bob.ok(f'SELECT "{TEAM}"')
    assert updates(bob.ok("STORE 1 -FLAGS (\\Flagged)")) == []
    assert bob.cmd("CANCELUPDATE").tagged.startswith("BAD")


def test_a_client_that_believes_the_updates_has_the_results_of_the_moment(two):
    """A property over random histories: searches and sorts, by number and by UID."""
    rng = random.Random(11)
    ann, bob = two
    programs = ["UNFLAGGED", "UNDELETED SUBJECT 5", "OR FLAGGED LARGER 1", "NOT SUBJECT 7 UNSEEN"]
    watched = []
    for program in programs:
        for command in ("SEARCH RETURN ({}) {}", "UID SEARCH RETURN ({}) {}", "UID SORT RETURN ({}) (SUBJECT) UTF-8 {}",
                        "SORT RETURN ({}) (REVERSE DATE) UTF-8 {}"):  # fmt: skip
            answer = bob.ok(command.format("UPDATE ALL", program)).untagged[-1]
            told = re.search(r"ALL (\S+)", answer)
            believer = Believer(expand(told[1]) if told else [], ordered="SORT" in command)
            believer.numbered = not command.startswith("UID")
            watched.append((f"a{bob.number}", command, program, believer))

    for step in range(40):
        count = int(ann.ok(f'STATUS "{TEAM}" (MESSAGES)').untagged[0].rstrip(")").split()[-1])
        act = rng.randrange(6)
        if act == 0 or count < 3:
            ann.append(BOX, mail(str(rng.randrange(4, 9)), date=f"{rng.randrange(1, 28)} Jan 2025 00:00:00 +0000"))
        elif act == 1:
            ann.ok("EXPUNGE")
        else:
            who = rng.choice([ann, bob])
            flag = rng.choice(["\\Flagged", "\\Seen", "\\Deleted"])
            heard = who.cmd(f"UID STORE {rng.randrange(1, 12)} {rng.choice('+-')}FLAGS ({flag})").lines
            if who is bob:
                for tag, _, _, believer in watched:
                    believer.hear(heard, tag)
        heard = bob.ok(rng.choice(["NOOP", "SEARCH ALL", "UID SEARCH ALL"])).lines + bob.ok("NOOP").lines
        for tag, command, program, believer in watched:
            believer.hear(heard, tag)
            answer = bob.ok(command.format("ALL", program)).untagged[-1]
            told = re.search(r"ALL (\S+)", answer)
            assert believer.results == (expand(told[1]) if told else []), (step, command, program)
