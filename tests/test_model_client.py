"""A client that believes only what the protocol promises stays equal to the server.

Several such clients, with different extensions enabled, on two servers over one database, do random things; what each
believes of the folder is compared with what a new session is told.  They are cut off and come back with what they kept.
ACL_IMAPD_MODEL_RUNS (default 3) histories of ACL_IMAPD_MODEL_STEPS (default 60) steps on each database; a failure
names its seed, and ACL_IMAPD_MODEL_SEED begins there.
"""

from __future__ import annotations

import os
import random
import re
from dataclasses import dataclass, field

import pytest

from acl_imapd.ranges import RangeSet
from tests.conftest import Answer, Client, World

RUNS = int(os.environ.get("ACL_IMAPD_MODEL_RUNS", "3"))
STEPS = int(os.environ.get("ACL_IMAPD_MODEL_STEPS", "60"))
SEED = int(os.environ.get("ACL_IMAPD_MODEL_SEED", "0"))
FOLDERS = ('"Shared Folders/Team"', '"Shared Folders/Other"')
FLAGS = ("\\Seen", "\\Flagged", "\\Answered", "\\Deleted", "Work")
ENABLED = ("", "CONDSTORE", "QRESYNC", "UIDONLY", "QRESYNC UIDONLY")


@dataclass
class Message:
    """What a client knows of one; None: it was not told."""

    uid: int | None = None
    flags: frozenset[str] | None = None
    modseq: int = 0


@dataclass
class Model:
    """A folder as a client knows it, by sequence number, and the client's cached HIGHESTMODSEQ."""

    enabled: str
    messages: list[Message] = field(default_factory=list)
    highest: int = 0
    uidvalidity: int = 0

    @property
    def modseqs(self) -> bool:
        return "CONDSTORE" in self.enabled or self.qresync

    @property
    def qresync(self) -> bool:
        return "QRESYNC" in self.enabled

    @property
    def uidonly(self) -> bool:
        return "UIDONLY" in self.enabled

    def take(self, line: str, answer: Answer) -> None:
        """Believe an answer to the command *line*."""
        seqs_hold = line.startswith(("FETCH", "STORE", "SEARCH"))
        greatest = 0
        forced = None
        for told in answer.lines[:-1]:
            word = told[2:]
            if match := re.fullmatch(r"(\d+) EXISTS", word):
                self.exists(int(match[1]))
            elif match := re.fullmatch(r"(\d+) EXPUNGE", word):
                assert not self.qresync, "VANISHED takes the place of EXPUNGE"
                assert not self.uidonly
                assert not seqs_hold, "EXPUNGE while sequence numbers are in use"
                del self.messages[int(match[1]) - 1]
            elif match := re.fullmatch(r"VANISHED ([\d:,]+)", word):
                assert self.qresync or self.uidonly
                assert not seqs_hold
                for uid in RangeSet.parse(match[1]):
                    self.vanish(uid)
            elif match := re.fullmatch(r"VANISHED \(EARLIER\) ([\d:,]+)", word):
                gone = RangeSet.parse(match[1])
                assert not any(one.uid in gone for one in self.messages), "known to be there"
            elif match := re.fullmatch(r"(\d+) FETCH \((.*)\)", word):
                assert not self.uidonly, "a sequence number"
                one = self.messages[int(match[1]) - 1]
                greatest = max(greatest, self.fetched(one, match[2], asked="FETCH" in line))
            elif match := re.fullmatch(r"(\d+) UIDFETCH \((.*)\)", word):
                assert self.uidonly
                one = self.messages[self.place(int(match[1]))]
                items = f"UID {match[1]} {match[2]}"
                greatest = max(greatest, self.fetched(one, items, asked="FETCH" in line))
            elif match := re.match(r"OK \[HIGHESTMODSEQ (\d+)\]", word):
                forced = int(match[1])
        if match := re.match(r"OK \[HIGHESTMODSEQ (\d+)\]", answer.tagged):
            forced = int(match[1])
        # RFC 7162 §6.
        self.highest = forced if forced is not None else max(self.highest, greatest)

    def exists(self, count: int) -> None:
        assert count >= len(self.messages), "EXISTS takes nothing away"
        self.messages += [Message() for _ in range(count - len(self.messages))]

    def vanish(self, uid: int) -> None:
        del self.messages[self.place(uid)]

    def place(self, uid: int) -> int:
        at = [place for place, one in enumerate(self.messages) if one.uid == uid]
        if not at:  # one whose UID was never told: one of those between its neighbours
            before = max((place for place, one in enumerate(self.messages) if one.uid and one.uid < uid), default=-1)
            at = [place for place, one in enumerate(self.messages) if place > before and one.uid is None][:1]
        assert at, f"{uid} was not announced"
        return at[0]

    def fetched(self, one: Message, items: str, *, asked: bool) -> int:
        uid, flags, modseq = (
            re.search(what, items) for what in (r"UID (\d+)", r"FLAGS \(([^)]*)\)", r"MODSEQ \((\d+)\)")
        )
        if self.modseqs and not asked:
            assert uid, "RFC 7162 §3.2.4"
            assert modseq, "RFC 7162 §3.2.4"
        if uid:
            assert one.uid in (None, int(uid[1]))
            one.uid = int(uid[1])
        if flags:
            one.flags = frozenset(flags[1].split()) - {"\\Recent"}
        if modseq:
            assert int(modseq[1]) >= one.modseq, "a modseq only grows"
            one.modseq = int(modseq[1])
        return one.modseq if modseq else 0


class Device:
    """A user's program: does things, believes the answers, is cut off and comes back."""

    def __init__(self, worlds: list[World], user: str, enabled: str, chance: random.Random) -> None:
        self.worlds, self.user, self.chance = worlds, user, chance
        self.model = Model(enabled)
        self.folder = FOLDERS[0]
        self.world = worlds[0]
        self.client: Client
        self.connect()

    def connect(self) -> None:
        self.away = False
        self.world = self.chance.choice(self.worlds)
        self.client = self.world.client(self.user)
        if self.model.enabled:
            self.client.ok(f"ENABLE {self.model.enabled}")
        if self.model.qresync and self.model.highest:
            self.resynchronize()
            return
        kept, self.model = self.model, Model(self.model.enabled)
        self.select(f"SELECT {self.folder}")
        if kept.modseqs and kept.highest and kept.uidvalidity == self.model.uidvalidity:
            self.catch_up(kept)
        self.learn()

    def select(self, line: str) -> Answer:
        answer = self.client.ok(line)
        # Known messages that have vanished are gone before the rest is read.
        for match in re.finditer(r"VANISHED \(EARLIER\) ([\d:,]+)", answer):
            gone = RangeSet.parse(match[1])
            self.model.messages = [one for one in self.model.messages if one.uid not in gone]
        self.model.take(line, answer)
        self.model.uidvalidity = int(re.search(r"UIDVALIDITY (\d+)", answer)[1])
        return answer

    def resynchronize(self) -> None:
        """RFC 7162 §3.2.5: what was kept, brought up to date in one command."""
        model = self.model
        model.messages = [one for one in model.messages if one.uid is not None and one.flags is not None]
        known = [one.uid for one in model.messages]
        rest = ""
        if known and self.chance.random() < 0.7:
            rest = " " + RangeSet.from_numbers(known).encode()
            if not model.uidonly and self.chance.random() < 0.7:
                picked = sorted(self.chance.sample(range(len(known)), self.chance.randint(1, len(known))))
                seqs = ",".join(str(place + 1) for place in picked)
                rest += f" ({seqs} {','.join(str(known[place]) for place in picked)})"
        self.select(f"SELECT {self.folder} (QRESYNC ({model.uidvalidity} {model.highest}{rest}))")
        self.learn()

    def catch_up(self, kept: Model) -> None:
        """RFC 4549 with CONDSTORE: flags by CHANGEDSINCE, and which are left by their UIDs."""
        model = self.model
        before = model.highest
        self.say("UID FETCH 1:* (UID)")
        by_uid = {one.uid: one for one in kept.messages}
        for one in model.messages:
            old = by_uid.get(one.uid)
            if old is not None:
                one.flags, one.modseq = old.flags, old.modseq
        self.say(f"UID FETCH 1:* (FLAGS) (CHANGEDSINCE {kept.highest})")
        model.highest = max(before, model.highest)

    def say(self, line: str) -> Answer:
        answer = self.client.cmd(line)
        assert not answer.tagged.startswith("BAD"), (line, answer)
        self.model.take(line, answer)
        return answer

    def learn(self) -> None:
        """Ask for what was announced."""
        modseq = " MODSEQ" if self.model.modseqs else ""
        for seq, one in enumerate(self.model.messages, 1):
            if one.uid is None or one.flags is None:
                numbers = "UID FETCH 1:*" if self.model.uidonly else f"FETCH {seq}:*"
                self.say(f"{numbers} (UID FLAGS{modseq})")
                return

    # -- what it does ---------------------------------------------------------------------------------------------

    def step(self) -> str:
        choices = [
            self.store, self.store, self.store, self.expunge, self.append, self.noop, self.fetch, self.search,
            self.copy, self.move, self.cut_off,
        ]  # fmt: skip
        if self.away:
            if self.chance.random() < 0.3:
                self.check()
            return f"{self.user}/{self.model.enabled}: {'away' if self.away else 'back'}"
        action = self.chance.choice(choices)
        if not self.model.messages and action not in (self.append, self.noop, self.cut_off):
            action = self.append
        action()
        if not self.away:
            self.learn()
        return f"{self.user}/{self.model.enabled}: {action.__name__}"

    def some(self) -> list[int]:
        """Sequence numbers of messages whose UID is known."""
        known = [seq for seq, one in enumerate(self.model.messages, 1) if one.uid is not None]
        return sorted(self.chance.sample(known, min(len(known), self.chance.randint(1, 4)))) if known else []

    def by_uid(self) -> bool:
        return self.model.uidonly or self.chance.random() < 0.5

    def store(self) -> None:
        seqs = self.some()
        if not seqs:
            return
        messages = self.model.messages
        chosen = [messages[seq - 1] for seq in seqs]
        uid = self.by_uid()
        numbers = [one.uid for one in chosen] if uid else seqs
        how = self.chance.choice(("+", "-", ""))
        flags = frozenset(self.chance.sample(FLAGS, self.chance.randint(0 if not how else 1, 2)))
        if how and self.chance.random() < 0.3:
            flags = frozenset({"\\Seen"})
        silent = self.chance.random() < 0.5
        unless = ""
        if self.model.modseqs and self.chance.random() < 0.5:
            unless = f"(UNCHANGEDSINCE {max(one.modseq for one in chosen)}) "
        name, item = "UID STORE" if uid else "STORE", how + ("FLAGS.SILENT" if silent else "FLAGS")
        line = f"{name} {','.join(map(str, numbers))} {unless}{item} ({' '.join(sorted(flags))})"
        answer = self.client.cmd(line)
        assert answer.tagged.startswith(("OK", "NO [EXPUNGEISSUED]", "NO [MODIFIED")), (line, answer)
        modified: set[int] = set()
        if match := re.search(r"\[MODIFIED ([\d:,]+)\]", answer.tagged):
            assert unless
            modified = set(RangeSet.parse(match[1]))
        if silent:
            for one, number in zip(chosen, numbers, strict=True):
                if number not in modified and one.flags is not None:
                    one.flags = one.flags | flags if how == "+" else one.flags - flags if how == "-" else flags
        self.model.take(line, answer)

    def expunge(self) -> None:
        if self.chance.random() < 0.5:
            self.say("EXPUNGE")
        elif uids := [self.model.messages[seq - 1].uid for seq in self.some()]:
            self.say(f"UID EXPUNGE {','.join(map(str, uids))}")

    def append(self) -> None:
        flags = " ".join(self.chance.sample(FLAGS, self.chance.randint(0, 2)))
        number = self.chance.randint(0, 99)
        data = f"Subject: {number}\r\n\r\n{number}\r\n"
        self.say(f"APPEND {self.folder} ({flags}) {{{len(data)}+}}\r\n{data}")

    def noop(self) -> None:
        self.say("NOOP")

    def fetch(self) -> None:
        what = self.chance.choice(("FLAGS", "(UID FLAGS)", "BODY[TEXT]", "(FLAGS BODY.PEEK[TEXT])"))
        if what == "BODY[TEXT]":  # its literal would need a parser; \\Seen is set all the same
            what = "(RFC822.SIZE BODY[TEXT]<90.5>)"
        elif "PEEK" in what:
            what = "(FLAGS RFC822.SIZE)"
        seqs = self.some()
        if not seqs:
            return
        if self.by_uid():
            answer = self.client.cmd(f"UID FETCH {','.join(str(self.model.messages[n - 1].uid) for n in seqs)} {what}")
            self.model.take("UID FETCH", Answer(re.sub(r"BODY\[TEXT\]<90> \{0\}\r\n", "", answer)))
            return
        answer = self.client.cmd(f"FETCH {','.join(map(str, seqs))} {what}")
        text = re.sub(r"BODY\[TEXT\]<90> \{0\}\r\n", "", answer)
        self.model.take("FETCH", Answer(text))

    def search(self) -> None:
        lines = ("UID SEARCH UNSEEN", "UID SEARCH RETURN (SAVE) SEEN", "SEARCH DELETED", "UID SEARCH 1:* FLAGGED")
        self.say(self.chance.choice(lines[:2] if self.model.uidonly else lines))

    def copy(self) -> None:
        self.transfer("COPY")

    def move(self) -> None:
        self.transfer("MOVE")

    def transfer(self, name: str) -> None:
        seqs = self.some()
        if seqs:
            uid = self.by_uid()
            numbers = [self.model.messages[seq - 1].uid for seq in seqs] if uid else seqs
            target = self.chance.choice(FOLDERS)
            self.say(f"{'UID ' if uid else ''}{name} {','.join(map(str, numbers))} {target}")

    def cut_off(self) -> None:
        """The line breaks, with whatever was not told yet; it comes back when it next has something to do."""
        self.client.protocol.connectionLost()
        self.away = True

    # -- what is true ---------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Once all has been told, what it believes is so."""
        if self.away:
            self.connect()
        self.say("NOOP")
        self.learn()
        self.say("NOOP")
        witness = self.world.client(self.user)
        witness.ok(f"EXAMINE {self.folder}")
        truth = Model("")
        truth.messages = [Message() for _ in self.model.messages]
        answer = witness.ok("UID FETCH 1:* (FLAGS MODSEQ)")
        told = [line for line in answer.untagged if "FETCH" in line]
        assert len(told) == len(self.model.messages)
        truth.take("FETCH", answer)
        for mine, true in zip(self.model.messages, truth.messages, strict=True):
            assert (mine.uid, mine.flags) == (true.uid, true.flags)
            if self.model.modseqs:
                assert mine.modseq == true.modseq
        witness.protocol.connectionLost()


@pytest.mark.parametrize("run", range(SEED, SEED + RUNS))
def test_what_a_client_believes_is_so(database, run):
    chance = random.Random(run)
    worlds = [World(database), World(database)]
    worlds[0].create("Other", **{"group:crew": "lrswipkte"})
    users = ("bob", "bob", "cat", "cat")
    devices = [Device(worlds, user, chance.choice(ENABLED), chance) for user in users]
    history: list[str] = []
    try:
        for _ in range(STEPS):
            history.append(chance.choice(devices).step())
            for world in worlds:
                world.notice()
            if chance.random() < 0.2:
                chance.choice(devices).check()
        for device in devices:
            device.check()
    except AssertionError:
        print(f"seed {run}:", *history[-10:], sep="\n  ")
        raise
    finally:
        for world in worlds:
            world.close()
