"""Promise 3: by whatever road a right is taken away, it ends what it allowed, in every session there is."""

from __future__ import annotations

import contextlib
import io
import select
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from acl_imapd_admin.cli import main

from acl_imapd.access.rights import parse_rights
from acl_imapd.commands import fetch
from acl_imapd.storage import accounts, mailboxes, rights
from acl_imapd.storage.database import Connection
from acl_imapd.storage.rights import Terms
from tests.conftest import ACTOR, PASSWORD_HASH, Client, World, give

ENDS_IN_S = 100.0


@dataclass
class Case:
    """One road: *user* may read *path* by *team*, *sub* or *role*, until :func:`revoke`."""

    world: World
    user: str
    path: str
    team: str
    sub: str
    role: str
    directory: Path

    @property
    def name(self) -> str:
        return f"Shared Folders/{self.path}"

    def cli(self, *arguments: str) -> None:
        """The administrator's command: another process's database, its commit alone."""
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            main(["--database", self.world.database.url, *arguments], self.world.database.now)

    def imap(self, line: str) -> None:
        self.world.client("ann").ok(line)


Prepare = Callable[[Connection, Case], None]
Revoke = Callable[[Case], None]


def to_user(conn: Connection, case: Case) -> None:
    give_at(conn, case, case.user, "lrs")


def give_at(conn: Connection, case: Case, who: str, letters: str, path: str | None = None) -> None:
    mailbox = mailboxes.read_mailbox(conn, None, path or case.path)
    assert mailbox is not None
    give(conn, mailbox.id, who, letters)


def to_team(conn: Connection, case: Case) -> None:
    accounts.join_team(conn, ACTOR, case.team, case.user)
    give_at(conn, case, f"group:{case.team}", "lrs")


def to_nested_team(conn: Connection, case: Case) -> None:
    accounts.join_team(conn, ACTOR, case.sub, case.user)
    accounts.join_team(conn, ACTOR, case.team, f"group:{case.sub}")
    give_at(conn, case, f"group:{case.team}", "lrs")


def to_member_for_now(conn: Connection, case: Case) -> None:
    until = case.world.database.now() + ENDS_IN_S
    accounts.join_team(conn, ACTOR, case.team, case.user, until=until)
    give_at(conn, case, f"group:{case.team}", "lrs")


def to_user_for_now(conn: Connection, case: Case) -> None:
    change(conn, case, Terms(until=case.world.database.now() + ENDS_IN_S), "lrs")


def to_role(conn: Connection, case: Case) -> None:
    rights.set_role(conn, ACTOR, case.role, parse_rights("lrs"))
    change(conn, case, Terms(role_id=rights.read_role_id(conn, case.role)), "lrs")


def change(conn: Connection, case: Case, terms: Terms, letters: str) -> None:
    mailbox = mailboxes.read_mailbox(conn, None, case.path)
    assert mailbox is not None
    identifier = rights.resolve_identifier(conn, case.user, allow_anyone=False)
    rights.change_entry(
        conn, ACTOR, mailbox.id, identifier, negative=False, op="set", rights=parse_rights(letters), terms_=terms
    )


def to_parent(conn: Connection, case: Case) -> None:
    """The folder follows the one above."""
    give_at(conn, case, case.user, "lrs", case.path.rpartition("/")[0])


def to_owner(conn: Connection, case: Case) -> None:
    mailbox = mailboxes.read_mailbox(conn, None, case.path)
    assert mailbox is not None
    give_at(conn, case, "owner", "lrs")
    rights.set_owner(conn, ACTOR, mailbox.id, user_id=accounts.read_user(conn, case.user).id)  # type: ignore[union-attr]


def to_domain(conn: Connection, case: Case) -> None:
    give_at(conn, case, f"domain:{case.team}.example", "lrs")


def apply_policy(case: Case) -> None:
    """A file that leaves the user the folder's name."""
    policy = case.directory / "policy.yaml"
    policy.write_text(f"folders:\n  {case.name}:\n    grants:\n      {case.user}: l\n")
    case.cli("policy", "apply", str(policy), "--yes")


def pass_time(case: Case) -> None:
    case.world.reactor.advance(ENDS_IN_S)


ROADS: dict[str, tuple[Prepare, Revoke]] = {
    "deleteacl": (to_user, lambda case: case.imap(f'DELETEACL "{case.name}" {case.user}')),
    "setacl-minus-r": (to_user, lambda case: case.imap(f'SETACL "{case.name}" {case.user} -r')),
    "setacl-negative": (to_team, lambda case: case.imap(f'SETACL "{case.name}" -{case.user} r')),
    "acl-revoke": (to_user, lambda case: case.cli("acl", "revoke", case.name, case.user)),
    "acl-deny": (to_team, lambda case: case.cli("acl", "deny", case.name, case.user, "lr")),
    "same-process": (
        to_user,
        lambda case: case.world.database.write_now(give_at, case, case.user, "l"),
    ),
    "team-leave": (to_team, lambda case: case.cli("team", "leave", case.team, case.user)),
    "nested-team-leave": (to_nested_team, lambda case: case.cli("team", "leave", case.team, f"group:{case.sub}")),
    "inner-team-leave": (to_nested_team, lambda case: case.cli("team", "leave", case.sub, case.user)),
    "membership-ends": (to_member_for_now, pass_time),
    "entry-ends": (to_user_for_now, pass_time),
    "role-set": (to_role, lambda case: case.cli("role", "set", case.role, "l")),
    "parent-revoke": (
        to_parent,
        lambda case: case.cli("acl", "revoke", case.name.rpartition("/")[0], case.user),
    ),
    "acl-inherit": (to_user, lambda case: case.cli("acl", "inherit", case.name)),
    "owner": (to_owner, lambda case: case.cli("folder", "owner", case.name, "ann")),
    "user-rename-out-of-domain": (to_domain, lambda case: case.cli("user", "rename", case.user, f"r-{case.team}")),
    "policy-apply": (to_user, apply_policy),
    "user-offboard": (to_user, lambda case: case.cli("user", "offboard", case.user, "--transfer-to", "ann", "--yes")),
    "user-disable": (to_user, lambda case: case.cli("user", "disable", case.user)),
    "user-remove": (to_user, lambda case: case.cli("user", "remove", case.user, "--yes")),
    "team-remove": (to_team, lambda case: case.cli("team", "remove", case.team, "--yes")),
    "folder-remove": (to_user, lambda case: case.cli("folder", "remove", case.name, "--yes")),
}  # fmt: skip


@pytest.fixture
def cases(world: World, tmp_path: Path) -> dict[str, Case]:
    """For each road a user, a folder below one of ann's, with three messages, and teams and a role to go by."""
    made: dict[str, Case] = {}
    for number, road in enumerate(ROADS):
        user = f"u{number}@t{number}.example"
        made[road] = Case(world, user, f"Road {number}/box", f"t{number}", f"s{number}", f"role{number}", tmp_path)

    def fill(conn: Connection) -> None:
        for case in made.values():
            accounts.insert_user(conn, ACTOR, case.user, PASSWORD_HASH, special_folders={})
            for team in (case.team, case.sub):
                accounts.insert_team(conn, ACTOR, team)
            top = mailboxes.create_mailbox(conn, ACTOR, None, case.path.rpartition("/")[0])
            give(conn, top.id, "ann", "lrswipkxtea")
            mailboxes.create_mailbox(conn, ACTOR, None, case.path)

    world.database.write_now(fill)
    ann = world.client("ann")
    for case in made.values():
        messages = b" ".join(b"{10+}\r\n\r\nsecret %d" % number for number in range(3))
        ann.ok(b'APPEND "%b" %b' % (case.name.encode(), messages))
    return made


def opened(world: World, road: str, case: Case) -> Client:
    """A session of its user, who can read the folder by this road now, with the folder selected."""
    world.database.write_now(ROADS[road][0], case)
    (client,) = world.selected(case.name, case.user)
    return client


def hear(world: World, client: Client) -> None:
    """Let the wake-up come that the server would get, and wait for what it does."""
    if world.database.kind == "sqlite":
        world.service._look()
    else:
        watch = world.service._watch
        if select.select([watch], [], [], 0 if client.transport.lost else 5)[0]:
            watch.doRead()
    world.reactor.turn(lambda: client.transport.lost)


def test_a_session_that_has_the_folder_open_is_cut_off_at_its_next_command(cases, world):
    for road, case in cases.items():
        client = opened(world, road, case)

        ROADS[road][1](case)

        answer = client.cmd("FETCH 1:* (BODY.PEEK[])")
        assert "* BYE" in answer, road
        assert "secret" not in answer, road
        assert client.transport.lost, road


def test_a_session_in_idle_is_cut_off(cases, world):
    for road, case in cases.items():
        client = opened(world, road, case)
        client.idle()

        ROADS[road][1](case)
        hear(world, client)

        assert "* BYE" in client.take(), road


def test_a_long_fetch_ends_where_it_is(cases, world, monkeypatch):
    """The client takes nothing more; the first chunk is on its way; what comes then is BYE: by a wake-up, or because
    the next chunk looks for itself."""
    monkeypatch.setattr(fetch, "BODIES_PER_CHUNK", 1)
    for number, (road, case) in enumerate(cases.items()):
        client = opened(world, road, case)
        client.send(b"f FETCH 1:* (BODY.PEEK[])\r\n")
        client.protocol.pauseProducing()  # not before: a command of a client that takes nothing is not begun
        world.reactor.turn(lambda: client.protocol._drained)  # noqa: B023  # turned before the next
        begun = client.take()
        assert ("secret 0" in begun, "secret 1" in begun) == (True, False), road

        ROADS[road][1](case)
        if number % 2:
            hear(world, client)
        client.protocol.resumeProducing()
        world.reactor.turn(lambda: client.transport.lost)  # noqa: B023

        rest = client.take()
        assert "* BYE" in rest, road
        assert "secret" not in rest, road


def test_what_is_left_of_the_rights_is_told(world):
    """Statement of RFC 4314 §5.2: losing w and t is no reason to go, but to be told."""
    case = Case(world, "bob", "Team", "crew", "", "", Path())
    (bob,) = world.selected(case.name, "bob")
    bob.idle()

    case.cli("acl", "deny", case.name, "bob", "wtie")
    world.notice()

    told = bob.take()
    assert "* OK [PERMANENTFLAGS (\\Seen)]" in told
    assert "* OK [READ-ONLY]" in told
    assert not bob.transport.lost
