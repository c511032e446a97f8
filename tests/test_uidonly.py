"""UIDONLY (RFC 9586) and UIDBATCHES (RFC 10022)."""

from __future__ import annotations

import re

import pytest

from acl_imapd.commands import dispatch  # noqa: F401  # fills the table
from acl_imapd.commands.registry import TABLE
from acl_imapd.commands.uidonly import UidBatches, batches

TEAM = '"Shared Folders/Team"'


@pytest.fixture
def bob(world):
    """UIDs 1, 3, 4 and 5 in the team's folder; bob has enabled UIDONLY."""
    filler = world.client("ann")
    for _ in range(5):
        filler.append(TEAM)
    filler.ok(f"SELECT {TEAM}")
    filler.ok("STORE 2 +FLAGS (\\Deleted)")
    filler.ok("EXPUNGE")
    client = world.client("bob")
    assert client.ok("ENABLE UIDONLY").untagged == ["* ENABLED UIDONLY"]
    answer = client.ok(f"SELECT {TEAM}")
    assert "* 4 EXISTS" in answer.untagged
    assert "UNSEEN" not in answer
    return client


ARGUMENTS = {
    b"FETCH": "1 FLAGS",
    b"STORE": "1 +FLAGS (\\Seen)",
    b"SEARCH": "ALL",
    b"COPY": "1 Trash",
    b"MOVE": "1 Trash",
    b"SORT": "(DATE) UTF-8 ALL",
    b"THREAD": "REFERENCES UTF-8 ALL",
    b"REPLACE": "1 Trash {1+}\r\nx",
}


@pytest.mark.parametrize("name", [name for name in TABLE.commands if TABLE.takes_sequence_numbers(name)])
def test_commands_with_sequence_numbers_are_bad(world, bob, name):
    """Each that has a form with UIDs; nothing is done, * is no UID there either."""
    before = world.snapshot()

    assert bob.cmd(f"{name.decode()} {ARGUMENTS[name]}").tagged.startswith("BAD [UIDREQUIRED]")
    assert bob.cmd(f"{name.decode()} {ARGUMENTS[name].replace('1', '*', 1)}").tagged.startswith("BAD [UIDREQUIRED]")
    assert world.snapshot() == before


@pytest.mark.parametrize("key", ["1", "*", "1:*", "NOT 1", "OR SEEN 2", "(SEEN 1)"])
def test_sequence_numbers_in_a_search_are_bad(bob, key):
    assert bob.cmd(f"UID SEARCH {key}").tagged.startswith("BAD [UIDREQUIRED]")


def test_what_is_told_has_uids_in_place_of_numbers(bob, world):
    """The UID is no item of it unless it is asked for."""
    assert bob.ok("UID SEARCH UID 2:4").untagged == ["* SEARCH 3 4"]
    assert bob.ok("UID SEARCH RETURN (SAVE) UID 3:4").untagged == []
    assert bob.ok("UID SEARCH $").untagged == ["* SEARCH 3 4"]
    assert bob.ok("UID FETCH $ FLAGS").untagged == ["* 3 UIDFETCH (FLAGS ())", "* 4 UIDFETCH (FLAGS ())"]
    assert bob.ok("UID FETCH 3 (UID FLAGS)").untagged == ["* 3 UIDFETCH (UID 3 FLAGS ())"]
    assert bob.ok("UID STORE 3 +FLAGS (\\Seen)").untagged == ["* 3 UIDFETCH (FLAGS (\\Seen))"]
    assert bob.ok("UID STORE 4 +FLAGS.SILENT (\\Deleted)").untagged == []
    assert re.match(r"\* 5 UIDFETCH \(BODY\[TEXT\]", bob.ok("UID FETCH 5 BODY[TEXT]"))
    assert bob.ok("UID EXPUNGE 4").untagged == ["* VANISHED 4"]
    assert bob.ok("UID MOVE 3 Trash").untagged[1:] == ["* VANISHED 3"]
    assert bob.ok("UID FETCH 1:3 FLAGS").untagged == ["* 1 UIDFETCH (FLAGS ())"]


def test_what_others_do_is_told_with_uids(bob, world):
    (cat,) = world.selected("Shared Folders/Team", "cat")
    bob.idle()
    cat.ok("UID STORE 3:4 +FLAGS (\\Deleted)")
    assert bob.take().lines == [f"* {uid} UIDFETCH (FLAGS (\\Deleted))" for uid in (3, 4)]
    cat.ok("EXPUNGE")
    assert bob.take().lines == ["* VANISHED 3:4"]
    cat.append(TEAM)
    assert "* 3 EXISTS" in bob.take().lines


def test_with_condstore_the_modseq_is_told_too(bob):
    """And the tagged answer to EXPUNGE has its modseq only for whoever enabled QRESYNC."""
    bob.ok("ENABLE CONDSTORE")

    assert re.fullmatch(r"\* 3 UIDFETCH \(MODSEQ \(\d+\)\)", bob.ok("UID STORE 3 +FLAGS.SILENT (\\Seen)").untagged[0])
    stored = bob.ok("UID STORE 4 +FLAGS (\\Deleted)").untagged[0]
    assert re.fullmatch(r"\* 4 UIDFETCH \(FLAGS \(\\Deleted\) MODSEQ \(\d+\)\)", stored)
    assert re.fullmatch(r"\* 5 UIDFETCH \(MODSEQ \(\d+\) FLAGS \(\)\)",
                        bob.ok("UID FETCH 5 FLAGS (CHANGEDSINCE 1)").untagged[0])  # fmt: skip
    assert "HIGHESTMODSEQ" not in bob.ok("EXPUNGE")


def test_known_sequence_numbers_cannot_be_told(bob):
    bob.ok("ENABLE QRESYNC")
    validity = re.search(r"UIDVALIDITY (\d+)", bob.ok(f"STATUS {TEAM} (UIDVALIDITY)"))[1]

    assert bob.cmd(f"SELECT {TEAM} (QRESYNC ({validity} 1 1:5 (1 1)))").tagged.startswith("BAD [UIDREQUIRED]")
    answer = bob.ok(f"SELECT {TEAM} (QRESYNC ({validity} 1 1:5))")
    assert "* VANISHED (EARLIER) 2" in answer.untagged
    assert len(re.findall(r"UIDFETCH \(FLAGS \(\) MODSEQ \(\d+\)\)", answer)) == 4


# -- UIDBATCHES ----------------------------------------------------------------------------------------------------


class Held:
    """A mailbox of these UIDs, as far as batches ask."""

    def __init__(self, uids):
        self.known, self.count = uids, len(uids)


@pytest.mark.parametrize("size", [500, 501, 999, 1000, 5000])
def test_batches_cover_the_mailbox_from_the_newest_with_no_gap(size):
    uids = [uid for uid in range(1, 4000) if uid % 3]
    ranges = batches(Held(uids), UidBatches(size, None))

    assert ranges[0][0] == uids[-1]
    assert ranges[-1][1] == 1
    assert all(low == above + 1 for (_, low), (above, _) in zip(ranges, ranges[1:], strict=False))
    sizes = [sum(1 for uid in uids if low <= uid <= high) for high, low in ranges]
    assert all(one == size for one in sizes[:-1])
    assert 0 < sizes[-1] <= size
    assert batches(Held(uids), UidBatches(size, (2, 3))) == ranges[1:3]
    assert batches(Held(uids), UidBatches(size, (100, 4_000_000_000))) == []


def test_batches_are_told_with_the_tag(bob):
    assert bob.ok("UIDBATCHES 500").untagged == [f'* UIDBATCHES (TAG "a{bob.number}") 5:1']
    assert bob.ok("UIDBATCHES 500 2:3").untagged == [f'* UIDBATCHES (TAG "a{bob.number}")']
    bob.ok("UID SEARCH RETURN (SAVE) ALL")
    bob.ok("UIDBATCHES 600")
    assert bob.ok("UID SEARCH $").untagged == ["* SEARCH 1 3 4 5"]
    bob.ok("SELECT Trash")
    assert bob.ok("UIDBATCHES 500").untagged == [f'* UIDBATCHES (TAG "a{bob.number}")']


def test_to_ask_again_while_little_has_changed_is_refused(bob):
    bob.ok("UIDBATCHES 500")

    assert bob.cmd("UIDBATCHES 500").tagged.startswith("NO [LIMIT]")
    for _ in range(3):
        bob.append(TEAM)
    bob.ok("UIDBATCHES 500")
    bob.ok(f"SELECT {TEAM}")
    bob.ok("UIDBATCHES 500")


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [("499", "NO [TOOFEW]"), ("500 3:2", "BAD [CLIENTBUG]"), ("500 2", "BAD [CLIENTBUG]"), ("0", "BAD"), ("", "BAD"),
     ("500 0:1", "BAD"), ("500 1:*", "BAD"), ("500 1:2 3", "BAD")],
)  # fmt: skip
def test_what_cannot_be_asked(bob, arguments, answer):
    assert bob.cmd(f"UIDBATCHES {arguments}".rstrip()).tagged.startswith(answer)
