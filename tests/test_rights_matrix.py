"""Two matrices, made from the command table: every command without each right it needs, and every command that
names a mailbox on one that is hidden and on one that is not there."""

from __future__ import annotations

import re
from typing import NamedTuple

import pytest

from acl_imapd.access.rights import ANY_FOR_MYRIGHTS, ORDER, format_rights
from acl_imapd.commands import dispatch  # noqa: F401  # fills the table
from acl_imapd.commands.registry import TABLE, State

from .conftest import ADMIN_LETTERS

APPENDED = "{3+}\r\nabc"


class Scene(NamedTuple):
    """One way to use a command.  Of *box* and *target* each right is dropped in turn; with just these it works."""

    command: bytes
    line: str
    box: str = ""
    target: str = ""
    tells: str = ""  # what the answer has when the command works; empty: it changes the database
    refused: str = "NO [NOPERM]"  # or OK, where the RFC wants silence


def _stores(command: bytes) -> list[Scene]:
    """Flags of each right, set, cleared, and as what replaces the others; message 1 has all, 2 and 3 have none."""
    flags = [("\\Seen", "s"), ("\\Deleted", "t"), ("\\Flagged", "w"), ("\\Draft", "w"), ("Work", "w")]
    return [
        Scene(command, f"{command.decode()} {number} {how}FLAGS ({flag})", box=right)
        for flag, right in flags
        for how, number in (("+", 2), ("-", 1), ("", 3))
    ]


SCENES = [
    Scene(b"SELECT", "SELECT {box}", box="r", tells="3 EXISTS"),
    Scene(b"EXAMINE", "EXAMINE {box}", box="r", tells="3 EXISTS"),
    Scene(b"STATUS", "STATUS {box} (MESSAGES)", box="r", tells="MESSAGES 3"),
    Scene(b"LIST", 'LIST "" {box}', box="l", tells="* LIST", refused="OK"),
    Scene(b"LIST", 'LIST "" "*"', box="l", tells="{box}", refused="OK"),
    Scene(b"LIST", 'LIST "" {box} RETURN (SUBSCRIBED MYRIGHTS)', box="l", tells="* MYRIGHTS", refused="OK"),
    Scene(b"LIST", 'LIST "" {box} RETURN (STATUS (MESSAGES))', box="lr", tells="* STATUS", refused="OK"),
    Scene(b"LIST", 'LIST (SUBSCRIBED) "" {box}', box="l", tells="* LIST", refused="OK"),
    Scene(b"LSUB", 'LSUB "" {box}', box="l", tells="* LSUB", refused="OK"),
    Scene(b"LSUB", 'LSUB "" "*"', box="l", tells="{box}", refused="OK"),
    Scene(b"SUBSCRIBE", "SUBSCRIBE {target}", target="l", refused="NO [NONEXISTENT]"),
    Scene(b"CREATE", "CREATE {target}/new", target="k"),
    Scene(b"CREATE", "CREATE {target}/a/b", target="k"),
    Scene(b"DELETE", "DELETE {box}", box="x"),
    Scene(b"RENAME", "RENAME {box} {target}/new", box="x", target="k"),
    Scene(b"SETACL", "SETACL {box} cat lr", box="a"),
    Scene(b"SETACL", "SETACL {box} -cat l", box="a"),
    Scene(b"DELETEACL", "DELETEACL {box} cat", box="a"),
    Scene(b"GETACL", "GETACL {box}", box="a", tells="* ACL"),
    Scene(b"LISTRIGHTS", "LISTRIGHTS {box} cat", box="a", tells="* LISTRIGHTS"),
    Scene(b"APPEND", "APPEND {target} " + APPENDED, target="i"),
    Scene(b"APPEND", "APPEND {target} " + APPENDED + " " + APPENDED, target="i"),
    Scene(b"COPY", "COPY 1 {target}", target="i"),
    Scene(b"UID COPY", "UID COPY 1 {target}", target="i"),
    Scene(b"MOVE", "MOVE 1 {target}", box="te", target="i"),
    Scene(b"UID MOVE", "UID MOVE 1 {target}", box="te", target="i"),
    Scene(b"REPLACE", "REPLACE 1 {target} " + APPENDED, box="te", target="i"),
    Scene(b"UID REPLACE", "UID REPLACE 1 {target} " + APPENDED, box="te", target="i"),
    Scene(b"EXPUNGE", "EXPUNGE", box="e"),
    Scene(b"UID EXPUNGE", "UID EXPUNGE 1", box="e"),
    Scene(b"CLOSE", "CLOSE", box="e", refused="OK"),
    Scene(b"FETCH", "FETCH 2 BODY[]", box="s", refused="OK"),
    Scene(b"FETCH", "FETCH 3 (RFC822 FLAGS)", box="s", refused="OK"),
    Scene(b"UID FETCH", "UID FETCH 2 BODY[TEXT]", box="s", refused="OK"),
    *_stores(b"STORE"),
    *_stores(b"UID STORE"),
]  # fmt: skip
# One needs r alone, to have the mailbox selected: how these are said.
READING = {b"SEARCH": "SEARCH ALL", b"UID SEARCH": "UID SEARCH ALL", b"CHECK": "CHECK", b"UNSELECT": "UNSELECT",
           b"UIDBATCHES": "UIDBATCHES 500", b"SORT": "SORT (SUBJECT) UTF-8 ALL",
           b"UID SORT": "UID SORT (DATE) UTF-8 ALL", b"THREAD": "THREAD REFERENCES UTF-8 ALL",
           b"UID THREAD": "UID THREAD ORDEREDSUBJECT UTF-8 ALL", b"CANCELUPDATE": 'CANCELUPDATE "x"'}  # fmt: skip
# These look at no mailbox, or like UNSUBSCRIBE need no right, or like MYRIGHTS have a test of their own.
NO_RIGHT = {
    b"CAPABILITY", b"NOOP", b"LOGOUT", b"ID", b"STARTTLS", b"LOGIN", b"AUTHENTICATE", b"ENABLE", b"NAMESPACE", b"IDLE",
    b"UNSUBSCRIBE", b"MYRIGHTS", b"COMPARATOR", b"LANGUAGE", b"ESEARCH",
}  # fmt: skip
# RFC 4314 §4, the table: what is marked + or ? (DELETE's r, t and e are for servers that keep what is not empty).
RFC_4314 = {
    "LIST": "l", "SUBSCRIBE": "l", "LSUB": "l", "CREATE": "k", "DELETE": "x", "RENAME": "kx", "SELECT": "r",
    "EXAMINE": "r", "STATUS": "r", "SETACL": "a", "DELETEACL": "a", "GETACL": "a", "LISTRIGHTS": "a", "APPEND": "i",
    "COPY": "i", "EXPUNGE": "e", "CLOSE": "e", "FETCH": "s", "STORE": "swt", "MOVE": "ite",
}  # fmt: skip
PLACES = {"shared": "Shared Folders", "other": "Other Users/ann"}
SELECTED = [name for name, command in TABLE.commands.items() if command.states is State.SELECTED]


def test_every_command_of_the_table_is_in_the_matrix():
    assert {scene.command for scene in SCENES} | set(READING) | NO_RIGHT == set(TABLE.commands)


def test_every_right_a_command_declares_or_the_rfc_names_is_dropped_once():
    dropped: dict[bytes, set[str]] = {}
    for scene in SCENES:
        dropped.setdefault(scene.command, set()).update(scene.box + scene.target)

    for name, command in TABLE.commands.items():
        for needs in command.opens.values():
            assert needs.any_of or set(format_rights(needs.rights)) <= dropped[name]
    for name, letters in RFC_4314.items():
        for one in {name.encode(), b"UID " + name.encode()} & set(TABLE.commands):
            assert set(letters) <= dropped[one]


def _quoted(line, word, name):
    """*line* with *word*, and what is written to it, as one quoted name."""
    return re.sub(re.escape(word) + r'([^ ")]*)', lambda match: f'"{name}{match[1]}"', line)


@pytest.fixture
def world(make_world):
    """A server that does not announce folders: the answers are to be those of the commands alone."""
    return make_world(imap={"announce_folders": False})


class Stage:
    """A box with three messages and a target, in both of PLACES; bob's rights on them are set as a scene wants."""

    def __init__(self, world):
        self.world = world
        ann, self.bob = world.client("ann"), world.client("bob")
        for path in ("Box", "Target"):
            world.create(path, ann=ADMIN_LETTERS)
            ann.ok(f"CREATE {path}")
        for place in PLACES:
            for path in ("Box", "Target"):
                self.give(place, path, ADMIN_LETTERS)
            name = self.name(place, "Box")
            world.give(name, "cat", "p")
            for _ in range(3):
                self.bob.append(f'"{name}"')
            self.bob.ok(f'SELECT "{name}"')
            self.bob.ok("STORE 1 FLAGS (\\Seen \\Deleted \\Flagged \\Draft Work)")
            self.bob.ok("UNSELECT")
            self.bob.ok(f'SUBSCRIBE "{name}"')

    @staticmethod
    def name(place, path):
        return f"{PLACES[place]}/{path}"

    def give(self, place, path, letters):
        self.world.give(self.name(place, path), "bob", letters)

    def enter(self, scene, place):
        """With all rights; in the state that the command needs."""
        for path in ("Box", "Target"):
            self.give(place, path, ADMIN_LETTERS)
        if TABLE.commands[scene.command].states is State.SELECTED:
            self.bob.ok(f'SELECT "{self.name(place, "Box")}"')

    def named(self, line, place):
        for path in ("Box", "Target"):
            line = _quoted(line, "{" + path.lower() + "}", self.name(place, path))
        return line

    def say(self, line, place):
        return self.bob.cmd(self.named(line, place))


@pytest.mark.parametrize("command", {scene.command: None for scene in SCENES}, ids=bytes.decode)
def test_without_any_one_of_its_rights_a_command_is_refused_and_changes_nothing(world, command):
    """RFC 4314 §4: all rights but one do not do, and those it needs, alone, do."""
    stage = Stage(world)
    for scene in (one for one in SCENES if one.command == command):
        for place in PLACES:
            for path, letters in (("Box", scene.box), ("Target", scene.target)):
                for right in letters:
                    _refused(stage, scene, place, path, right)
            _done_with_these_rights_alone(stage, scene, place)


def _refused(stage, scene, place, path, right):
    stage.enter(scene, place)
    stage.give(place, path, ADMIN_LETTERS.replace(right, ""))
    before = stage.world.snapshot()

    answer = stage.say(scene.line, place)

    assert answer.tagged.startswith(scene.refused), (scene.line, place, path, right)
    assert not scene.tells or stage.named(scene.tells, place) not in "".join(answer.untagged)
    assert stage.world.snapshot() == before


def _done_with_these_rights_alone(stage, scene, place):
    stage.enter(scene, place)
    selected = TABLE.commands[scene.command].states is State.SELECTED
    stage.give(place, "Box", scene.box + ("r" if selected else ""))
    stage.give(place, "Target", scene.target)
    before = stage.world.snapshot()

    answer = stage.say(scene.line, place)

    assert answer.tagged.startswith("OK"), (scene.line, place)
    assert stage.named(scene.tells, place) in answer if scene.tells else stage.world.snapshot() != before


def test_without_r_the_session_is_closed_whatever_it_says_next(world):
    """RFC 4314 §5.1.1 lets us choose; nothing that begins after the revocation is carried out."""
    lines = READING | {scene.command: scene.line for scene in SCENES} | {b"NOOP": "NOOP"}
    stage = Stage(world)
    for command in [*SELECTED, b"NOOP"]:
        stage.bob = world.client("bob")
        stage.give("shared", "Box", ADMIN_LETTERS)
        stage.bob.ok('SELECT "Shared Folders/Box"')
        stage.give("shared", "Box", ADMIN_LETTERS.replace("r", ""))
        before = world.snapshot()

        answer = stage.say(lines[command], "shared")

        assert answer.untagged == ["* BYE You may no longer read this folder"], command
        assert answer.lines == answer.untagged
        assert stage.bob.transport.lost
        assert world.snapshot() == before


def test_myrights_needs_any_right_that_lets_one_do_something(world):
    """RFC 4314 §4: one of l, r, i, k, x and a."""
    stage = Stage(world)
    for right in ORDER:
        stage.give("shared", "Box", right)

        answer = stage.say("MYRIGHTS {box}", "shared")

        if right in format_rights(ANY_FOR_MYRIGHTS):
            assert f'* MYRIGHTS "Shared Folders/Box" {right}' in answer
        else:
            assert answer.tagged.startswith("NO [NONEXISTENT]")


KEPT = {"": "\\Seen \\Deleted \\Flagged \\Draft Work", "s": "\\Deleted \\Flagged \\Draft Work",
        "t": "\\Seen \\Flagged \\Draft Work", "w": "\\Seen \\Deleted", "swt": ""}  # fmt: skip


@pytest.mark.parametrize("line", ["APPEND", "COPY * {target}", "UID COPY * {target}", "MOVE * {target}"])
def test_a_new_message_keeps_the_flags_the_rights_there_allow(world, line):
    """RFC 4314 §4: APPEND and COPY do not fail for a flag; a fault seen elsewhere: \\Seen kept without s."""
    stage = Stage(world)
    bob = stage.bob
    for place in PLACES:
        for number, (dropped, kept) in enumerate(KEPT.items(), 1):
            stage.give(place, "Target", "".join(right for right in ADMIN_LETTERS if right not in dropped))
            if line == "APPEND":
                bob.append(f'"{stage.name(place, "Target")}"', flags=f"({KEPT['']}) ")
            else:
                box = stage.name(place, "Box")
                bob.append(f'"{box}"', flags=f"({KEPT['']}) ")
                bob.ok(f'SELECT "{box}"')
                assert stage.say(line, place).tagged.startswith("OK")
            bob.ok(f'EXAMINE "{stage.name(place, "Target")}"')

            told = bob.ok(f"FETCH {number} FLAGS").untagged[0]

            flags = set(told.partition("FLAGS (")[2].rstrip(")").split()) - {"\\Recent"}
            assert flags == set(kept.split()), (place, dropped)


# Of every command that names a mailbox, each way to name one.
_OF_SCENES = [
    scene.line.replace("{target}", "{box}")
    for scene in SCENES
    if "{" in scene.line.replace("{3+}", "") and scene.command != b"RENAME"
]
NAMING = [
    *dict.fromkeys(_OF_SCENES),
    "RENAME Own {box}/new",
    "MYRIGHTS {box}", "UNSUBSCRIBE {box}", "CREATE {box}", "CREATE {box}/", "CREATE {box} (USE (\\Sent))",
    "RENAME {box} Renamed", "RENAME {box} {box}x", "RENAME {box} {box}", "RENAME {box}/sub Renamed", "RENAME Own {box}",
    "RENAME INBOX {box}", "RENAME INBOX {box}/sub", "RENAME {box}/sub {box}/other",
    "DELETE {box}/sub", "SELECT {box}/sub", "SELECT {box}/", "SETACL {box}/sub cat lr", "SETACL {box} nobody lr",
    "LISTRIGHTS {box} nobody", 'LISTRIGHTS {box} ""', "STATUS {box} (RECENT)", "GETACL {box}/sub", "MYRIGHTS {box}/sub",
    "APPEND {box}/sub " + APPENDED, "COPY 9 {box}", "COPY 1:* {box}/sub", "MOVE 1 {box}/sub", "UID COPY 99 {box}",
    'LIST {box} "*"', 'LIST {box} "%"', 'LIST {box}/ "*"', 'LIST "" {box}/%', 'LIST "" ({box} {box}/%)',
    'LIST (SUBSCRIBED) "" {box}', 'LIST (SUBSCRIBED RECURSIVEMATCH) "" {box}',
    'LIST "" {box} RETURN (SUBSCRIBED CHILDREN SPECIAL-USE MYRIGHTS STATUS (MESSAGES UNSEEN))',
    'LIST (SPECIAL-USE) "" {box}',
    'LSUB "" {box}', 'LSUB {box} "%"', 'LSUB {box} "*"', "SUBSCRIBE {box}/sub", "UNSUBSCRIBE {box}/sub",
]  # fmt: skip
HIDDEN_AND_MISSING = {
    "shared": ("Shared Folders/Hide", "Shared Folders/None"),
    "other's folder": ("Other Users/ann/Hide", "Other Users/ann/None"),
    "other's inbox": ("Other Users/ann", "Other Users/eve"),
    "other's folder, nobody's folder": ("Other Users/ann/Hide", "Other Users/eve/Hide"),
}


def test_every_command_that_opens_a_mailbox_is_asked_of_a_hidden_one():
    said = {line.split()[0].encode() for line in NAMING}

    for name, command in TABLE.commands.items():
        assert not command.opens or name in said or name.removeprefix(b"UID ") in said


@pytest.mark.parametrize("names", HIDDEN_AND_MISSING.values(), ids=HIDDEN_AND_MISSING)
def test_a_hidden_mailbox_answers_as_a_missing_one(world, names):
    """Promise 3: byte for byte, on every command that names one, and nothing is changed.  Faults seen elsewhere:
    GETMETADATA told of hidden mailboxes, DELETE of what users there are."""
    world.create("Hide", ann=ADMIN_LETTERS)
    world.create("Hide/sub")
    ann, bob = world.client("ann"), world.client("bob")
    for line in ("CREATE Hide/sub", "DELETEACL INBOX bob"):
        ann.ok(line)
    bob.ok("CREATE Own")
    bob.append("INBOX")
    bob.ok("SELECT INBOX")
    before = world.snapshot()

    for line in NAMING:
        answers = []
        for name in names:
            bob.number = 70
            answers.append(bob.cmd(_quoted(line, "{box}", name)))
            bob.ok("SELECT INBOX")

        assert answers[0] == answers[1], line
        assert not answers[0].tagged.startswith("BAD")
    assert world.snapshot() == before


def test_without_l_and_the_right_a_mailbox_answers_as_a_missing_one(world):
    """Whatever other rights there are: a drop box (``i`` alone) does not tell that it is there to one who SELECTs."""
    stage = Stage(world)
    for scene in SCENES:
        for place in PLACES:
            for path, letters in (("Box", scene.box), ("Target", scene.target)):
                word = f"{{{path.lower()}}}"
                for right in letters if word in scene.line else ():
                    stage.enter(scene, place)
                    stage.give(place, path, "".join(one for one in ADMIN_LETTERS if one not in "l" + right))
                    before = world.snapshot()

                    answers = []
                    for line in (scene.line, _quoted(scene.line, word, f"{PLACES[place]}/None")):
                        stage.bob.number = 70
                        answers.append(stage.say(line, place))

                    assert answers[0] == answers[1], (scene.line, place, path, right)
                    assert world.snapshot() == before
