"""The server, its administrator's commands and tests/model.py do the same and are asked the same, again and again.

ACL_IMAPD_MODEL_STEPS=2000 pytest tests/test_model.py
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from acl_imapd_admin.cli import main
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from acl_imapd.access.explain import explain, what_can, who_can
from acl_imapd.access.rights import Rights
from acl_imapd.config import ImapSettings, Settings
from acl_imapd.storage import accounts, expiry, mailboxes
from acl_imapd.storage.database import Connection, Database
from tests.conftest import (
    ACTOR,
    PASSWORD_HASH,
    Client,
    World,
)
from tests.model import LETTERS, Entry, Folder, Member, Refusal, letters, shown, shown_to_clients
from tests.model_sites import PERSONAL, ROLES, SHARED, SPECIAL, TEAMS, USERS, make, modelled  # noqa: F401  # a fixture

STEPS = int(os.environ.get("ACL_IMAPD_MODEL_STEPS", "120"))

given_rights = st.one_of(
    st.sampled_from(("lrswipkxtea", "lrs", "l", "lr", "la", "r", "i", "lrk", "lrx", "lrkxa", "cd", "wte")),
    st.sets(st.sampled_from(LETTERS), min_size=1).map("".join),
)
some_rights = st.one_of(given_rights, given_rights, st.just(""))
seconds = st.one_of(st.none(), st.sampled_from((10, 60, 150)))


@dataclass
class Open:
    """A session in IDLE, with a folder selected."""

    client: Client
    user: int
    folder: int
    flags: set[str]


def one_of(kind: str, *, when: Callable[[Any], Any] = lambda self: True, **strategies: Any) -> Callable[[Any], Any]:
    """Declare one of several things that a rule named *kind* does, so that the rules for entries come up more often."""

    def declare(method: Any) -> Any:
        method.one_of = kind, when, strategies
        return method

    return declare


class Rights_(RuleBasedStateMachine):
    """One site in two books."""

    def __init__(self, fresh: Callable[[], Database]) -> None:
        super().__init__()
        self.database = fresh()
        self.world = World(self.database, Settings(imap=ImapSettings(idle_timeout_s=10**7)))
        self.site = modelled(self.database.now())
        self.clients: dict[int, Client] = {}
        self.open: list[Open] = []
        self.touched: list[int] = []
        self.renamed: set[int] = set()  # whose sessions end

    def teardown(self) -> None:
        self.world.close()
        self.database.close()

    # -- means ------------------------------------------------------------------------------------------------

    def cli(self, *arguments: str) -> tuple[int, str]:
        """The administrator's command: exit code and output."""
        out, err = io.StringIO(), io.StringIO()
        code = 0
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                main(["--database", self.database.url, *arguments], self.database.now)
            except SystemExit as stop:
                code = int(stop.code or 0)
        assert code in (0, 1), err.getvalue()
        return code, out.getvalue()

    def both(self, change: Callable[..., Any], *values: Any, cli: tuple[str, ...]) -> None:
        """The same in the model and by the administrator's command."""
        expected = 0
        try:
            change(*values)
        except Refusal:
            expected = 1
        assert self.cli(*cli)[0] == expected

    def said(self, user: int, line: str, change: Callable[..., Any], *values: Any) -> None:
        """The same in the model and by a client of *user*."""
        expected = "OK"
        try:
            change(*values)
        except Refusal as refusal:
            expected = f"NO [{refusal.code}]" if refusal.code else "NO"
        answer = self.client(user).cmd(line)
        assert answer.tagged.startswith(expected), (line, expected, answer)

    def client(self, user: int) -> Client:
        if user not in self.clients:
            self.clients[user] = self.world.client(self.site.users[user].name)
        return self.clients[user]

    def active(self) -> list[int]:
        return [ident for ident, one in self.site.users.items() if not one.disabled]

    def pick(self, data: st.DataObject, among: Any) -> Any:
        return data.draw(st.sampled_from(list(among)))

    def folder(self, data: st.DataObject) -> tuple[int, Folder, str]:
        """One of those there are, more often a shared one; and its name for an administrator."""
        known = list(self.site.folders)
        shared = [ident for ident in known if self.site.folders[ident].home is None]
        ident = self.pick(data, shared if shared and data.draw(st.integers(0, 3)) else known)
        found = self.site.folders[ident]
        self.touched.append(ident)
        return ident, found, self.site.name(found, None)

    def who(self, data: st.DataObject) -> tuple[tuple[str, Any], str]:
        """Whom an entry may name."""
        among: list[tuple[str, Any]] = [("user", ident) for ident in self.site.users]
        among += [("team", ident) for ident in self.site.teams] * 2
        among += [("owner", None), ("authenticated", None)]
        domains = {one.name.partition("@")[2] for one in self.site.users.values() if "@" in one.name}
        among += [("domain", domain) for domain in sorted(domains)]
        found = self.pick(data, among)
        return found, self.site.spelled(found)

    def limits(self, since: int | None, until: int | None) -> tuple[float | None, float | None, tuple[str, ...]]:
        """Moments from now, and how the command line writes them."""
        moments = [None if one is None else float(int(self.site.now) + one) for one in (since, until)]
        words: list[str] = []
        for option, moment in zip(("--since", "--until"), moments, strict=True):
            if moment is not None:
                words += [option, datetime.fromtimestamp(moment).isoformat()]
        return moments[0], moments[1], tuple(words)

    def some_name(self, data: st.DataObject, user: int) -> str:
        """A folder's name as *user* writes it: there, or perhaps not."""
        if data.draw(st.integers(0, 3)):
            return self.site.name(self.folder(data)[1], user)
        tree = data.draw(st.integers(0, 2))
        if tree == 0:
            return "Shared Folders/" + self.pick(data, SHARED)
        if tree == 1:
            return str(self.pick(data, PERSONAL[1:]))
        other = self.site.users[self.pick(data, self.site.users)].name
        return f"Other Users/{other}/" + self.pick(data, PERSONAL[1:])

    def do(self, kind: str, data: st.DataObject) -> None:
        """Something of that kind."""
        found = [getattr(type(self), name) for name in sorted(vars(type(self)))]
        found = [one for one in found if getattr(one, "one_of", ("",))[0] == kind and one.one_of[1](self)]
        if found:
            method = self.pick(data, found)
            method(self, data, **{name: data.draw(strategy) for name, strategy in method.one_of[2].items()})

    @rule(data=st.data())
    def people(self, data: st.DataObject) -> None:
        self.do("people", data)

    @rule(data=st.data())
    def memberships(self, data: st.DataObject) -> None:
        self.do("memberships", data)

    @rule(data=st.data())
    def folders_by_command(self, data: st.DataObject) -> None:
        self.do("folders_by_command", data)

    @rule(data=st.data())
    def folders_by_imap(self, data: st.DataObject) -> None:
        self.do("folders_by_imap", data)

    # -- people -----------------------------------------------------------------------------------------------

    @one_of("people", name=st.sampled_from(USERS))
    def add_user(self, data: st.DataObject, name: str) -> None:
        """Made behind the server's back: the command hashes a password, which takes its time."""
        try:
            self.site.add_user(name, SPECIAL)
        except Refusal:
            return
        self.database.write_now(accounts.insert_user, ACTOR, name, PASSWORD_HASH)

    @one_of("people", new=st.sampled_from(USERS))
    def rename_user(self, data: st.DataObject, new: str) -> None:
        user = self.pick(data, self.site.users)
        old = self.site.users[user].name
        if all(one.name != new for one in self.site.users.values()):
            self.renamed.add(user)
        self.both(self.site.rename_user, user, new, cli=("user", "rename", old, new))

    @one_of("people")
    def disable_or_enable_user(self, data: st.DataObject) -> None:
        user = self.site.users[self.pick(data, self.site.users)]
        user.disabled = not user.disabled
        assert self.cli("user", "disable" if user.disabled else "enable", user.name)[0] == 0

    @one_of("people", when=lambda self: len(self.site.users) > 2)
    def remove_user(self, data: st.DataObject) -> None:
        user = self.pick(data, self.site.users)
        self.both(self.site.remove_user, user, cli=("user", "remove", self.site.users[user].name, "--yes"))

    @one_of("people", name=st.sampled_from(TEAMS))
    def add_team(self, data: st.DataObject, name: str) -> None:
        self.both(self.site.add_team, name, cli=("team", "add", name))

    @one_of("people", when=lambda self: self.site.teams, new=st.sampled_from(TEAMS))
    def rename_team(self, data: st.DataObject, new: str) -> None:
        team = self.pick(data, self.site.teams)
        self.both(self.site.rename_team, team, new, cli=("team", "rename", self.site.teams[team].name, new))

    @one_of("people", when=lambda self: self.site.teams)
    def remove_team(self, data: st.DataObject) -> None:
        team = self.pick(data, self.site.teams)
        self.both(self.site.remove_team, team, cli=("team", "remove", self.site.teams[team].name, "--yes"))

    @one_of("memberships", when=lambda self: self.site.teams, manager=st.booleans(), since=seconds, until=seconds)
    def join(self, data: st.DataObject, manager: bool, since: int | None, until: int | None) -> None:
        team = self.pick(data, self.site.teams)
        who, spelled = self.member(data)
        begins, ends, words = self.limits(since, until)
        self.both(
            self.site.join, team, Member(who, manager, begins, ends),
            cli=("team", "join", self.site.teams[team].name, spelled, *(["--manager"] if manager else []), *words),
        )  # fmt: skip

    @one_of("memberships", when=lambda self: self.site.teams)
    def leave(self, data: st.DataObject) -> None:
        team = self.pick(data, self.site.teams)
        who, spelled = self.member(data)
        self.both(self.site.leave, team, who, cli=("team", "leave", self.site.teams[team].name, spelled))

    def member(self, data: st.DataObject) -> tuple[tuple[str, int], str]:
        among = [("user", ident) for ident in self.site.users] + [("team", ident) for ident in self.site.teams]
        found = self.pick(data, among)
        return found, self.site.spelled(found)

    @one_of("people", name=st.sampled_from(ROLES), rights=given_rights)
    def set_role(self, data: st.DataObject, name: str, rights: str) -> None:
        self.both(self.site.set_role, name, letters(rights), cli=("role", "set", name, rights))

    @one_of("people", when=lambda self: self.site.roles)
    def remove_role(self, data: st.DataObject) -> None:
        name = self.pick(data, self.site.roles)
        self.both(self.site.remove_role, name, cli=("role", "remove", name, "--yes"))

    # -- entries ----------------------------------------------------------------------------------------------

    @rule(data=st.data(), rights=given_rights, negative=st.integers(0, 3), since=seconds, until=seconds)
    def grant(self, data: st.DataObject, rights: str, negative: int, since: int | None, until: int | None) -> None:
        _, folder, name = self.folder(data)
        who, spelled = self.who(data)
        begins, ends, words = self.limits(since, until)
        role = None
        if data.draw(st.integers(0, 2)) == 0 and self.site.roles:
            role = rights = self.pick(data, self.site.roles)
        quiet = bool(negative) and data.draw(st.integers(0, 3)) == 0
        entry = Entry(who, not negative, set() if role else letters(rights), role, begins, ends, not quiet)
        words += ("--no-subscribe",) if quiet else ()
        verb = "grant" if negative else "deny"
        self.both(self.site.grant, folder, entry, cli=("acl", verb, name, spelled, rights, *words))

    @rule(data=st.data())
    def revoke(self, data: st.DataObject) -> None:
        _, folder, name = self.folder(data)
        entry = self.pick(data, [*self.site.entries(folder), None])
        who, spelled = (entry.who, self.site.spelled(entry.who)) if entry is not None else self.who(data)
        self.both(self.site.revoke, folder, who, cli=("acl", "revoke", name, spelled))

    @rule(data=st.data())
    def inherit(self, data: st.DataObject) -> None:
        _, folder, name = self.folder(data)
        self.both(self.site.inherit, folder, cli=("acl", "inherit", name))

    @precondition(lambda self: self.active())
    @rule(data=st.data(), rights=some_rights, op=st.sampled_from(("", "", "+", "-")), negative=st.integers(0, 3))
    def setacl(self, data: st.DataObject, rights: str, op: str, negative: int) -> None:
        name, user = self.administered(data)
        who, spelled = self.who(data)
        if data.draw(st.integers(0, 9)) == 0:
            who, spelled = None, "nobody"  # type: ignore[assignment]  # whom no account has for its name
        spelled = spelled if negative else "-" + spelled
        line = f'SETACL "{name}" "{spelled}" "{op}{rights}"'
        self.said(user, line, self.site.setacl, user, name, who, not negative, op, letters(rights))

    @precondition(lambda self: self.active())
    @rule(data=st.data(), negative=st.integers(0, 3))
    def deleteacl(self, data: st.DataObject, negative: int) -> None:
        name, user = self.administered(data)
        who, spelled = self.who(data)
        spelled = spelled if negative else "-" + spelled
        line = f'DELETEACL "{name}" "{spelled}"'
        self.said(user, line, self.site.setacl, user, name, who, not negative, "", set())

    def administered(self, data: st.DataObject) -> tuple[str, int]:
        """A folder and somebody who may change its rights, where there is anybody and more often than not."""
        _, folder, _ = self.folder(data)
        may = [user for user in self.active() if "a" in self.site.rights(user, folder)]
        user = self.pick(data, may) if may and data.draw(st.integers(0, 3)) else self.pick(data, self.active())
        return self.site.name(folder, user), user

    @rule(data=st.data())
    def change_owner(self, data: st.DataObject) -> None:
        _, folder, name = self.folder(data)
        who, spelled = (None, "none") if data.draw(st.integers(0, 3)) == 0 else self.member(data)
        self.both(self.site.give, folder, who, cli=("folder", "owner", name, spelled))

    # -- folders ----------------------------------------------------------------------------------------------

    @one_of("folders_by_command", path=st.sampled_from(SHARED))
    def add_folder(self, data: st.DataObject, path: str) -> None:
        who, spelled = (None, "none") if data.draw(st.booleans()) else self.member(data)
        cli = ("folder", "add", f"Shared Folders/{path}", "--owner", spelled)
        self.both(self.site.add_folder, None, path, who, cli=cli)

    @one_of("folders_by_command", path=st.sampled_from(PERSONAL[1:]))
    def add_personal_folder(self, data: st.DataObject, path: str) -> None:
        user = self.pick(data, self.site.users)
        cli = ("folder", "add", f"Other Users/{self.site.users[user].name}/{path}")
        self.both(self.site.add_folder, user, path, cli=cli)

    @one_of("folders_by_command")
    def remove_folder(self, data: st.DataObject) -> None:
        ident, _, name = self.folder(data)
        self.both(self.site.remove_folder, ident, cli=("folder", "remove", name, "--yes"))

    @one_of("folders_by_command")
    def rename_folder(self, data: st.DataObject) -> None:
        ident, folder, name = self.folder(data)
        path = self.pick(data, SHARED if folder.home is None else PERSONAL[1:])
        new = self.site.name(Folder(folder.home, path, None), None)
        self.both(self.site.rename_folder, ident, path, cli=("folder", "rename", name, new))

    @one_of("folders_by_imap", when=lambda self: self.active())
    def create(self, data: st.DataObject) -> None:
        user = self.pick(data, self.active())
        name = self.some_name(data, user)
        self.said(user, f'CREATE "{name}"', self.site.create, user, name)

    @one_of("folders_by_imap", when=lambda self: self.active())
    def delete(self, data: st.DataObject) -> None:
        user = self.pick(data, self.active())
        name = self.some_name(data, user)
        self.said(user, f'DELETE "{name}"', self.site.delete, user, name)

    @one_of("folders_by_imap", when=lambda self: self.active())
    def rename(self, data: st.DataObject) -> None:
        user = self.pick(data, self.active())
        old, new = self.some_name(data, user), self.some_name(data, user)
        self.said(user, f'RENAME "{old}" "{new}"', self.site.rename, user, old, new)

    @one_of("folders_by_imap", when=lambda self: self.active())
    def subscribe(self, data: st.DataObject) -> None:
        user = self.pick(data, self.active())
        name = self.some_name(data, user)
        self.said(user, f'SUBSCRIBE "{name}"', self.site.subscribe, user, name)

    @one_of("folders_by_imap", when=lambda self: self.active())
    def unsubscribe(self, data: st.DataObject) -> None:
        user = self.pick(data, self.active())
        name = self.some_name(data, user)
        self.said(user, f'UNSUBSCRIBE "{name}"', self.site.unsubscribe, user, name)

    # -- time, and sessions that stay ---------------------------------------------------------------------------

    @rule(by=st.sampled_from((5, 9.5, 60, 200)))
    def wait(self, by: float) -> None:
        self.world.reactor.advance(by)
        self.site.now += by

    @rule()
    def sweep(self) -> None:
        """What has ended is taken out, which changes nobody's rights."""
        self.database.write_now(expiry.remove_ended, self.database.now())

    @precondition(lambda self: self.active())
    @rule(data=st.data())
    def stay(self, data: st.DataObject) -> None:
        """Somebody opens a folder and waits for news."""
        ident, folder, _ = self.folder(data)
        readers = [user for user in self.active() if "r" in self.site.rights(user, folder)]
        if readers and len(self.open) < 12:
            user = self.pick(data, readers)
            client = self.world.client(self.site.users[user].name)
            client.ok(f'SELECT "{self.site.name(folder, user)}"')
            client.idle()
            self.open.append(Open(client, user, ident, self.site.permanent(user, folder)))

    # -- what must agree ------------------------------------------------------------------------------------------

    @invariant()
    def all_agree(self) -> None:
        """First what the next command of each client tells, when the server has not been woken; then what it does when
        it has been."""
        self.whoever_is_out_hears_bye()
        self.lists_agree()
        self.what_was_touched_answers_as_the_model()
        self.the_administrators_answers_agree()
        self.world.notice()
        self.sessions_are_cut_off_or_told()
        self.renamed.clear()

    def whoever_is_out_hears_bye(self) -> None:
        for user in [user for user in self.clients if user in self.renamed or user not in self.active()]:
            client = self.clients.pop(user)
            assert "* BYE" in client.cmd("NOOP")
            assert client.transport.lost

    def sessions_are_cut_off_or_told(self) -> None:
        for one in list(self.open):
            told = one.client.take()
            folder = self.site.folders.get(one.folder)
            if one.user in self.renamed or folder is None or "r" not in self.site.rights(one.user, folder):
                assert "* BYE" in told, (one, told)
                assert one.client.transport.lost
                self.open.remove(one)
                continue
            assert not one.client.transport.lost, (one, told)
            flags = self.site.permanent(one.user, folder)
            named = re.findall(r"\* OK \[PERMANENTFLAGS \(([^)]*)\)\]", told)
            assert (set(named[-1].split()) if named else one.flags) == flags, (one, told)
            one.flags = flags

    def lists_agree(self) -> None:
        for user in self.active():
            client = self.client(user)
            visible = self.site.visible(user)
            listed: dict[str, set[str]] = {}
            rights: dict[str, str] = {}
            for line in client.ok('LIST "" "*" RETURN (MYRIGHTS)').untagged:
                found = re.fullmatch(r'\* LIST \(([^)]*)\) "/" "?([^"]*)"?', line)
                if found is not None:
                    listed[found[2]] = {flag for flag in found[1].split() if flag in ("\\Noselect", "\\HasChildren")}
                else:
                    found = re.fullmatch(r'\* MYRIGHTS "?([^"]*?)"? (\w+)', line)
                    assert found is not None, line
                    rights[found[1]] = found[2]
            expected = {name: self.site.rights(user, self.site.folders[ident]) for name, ident in visible.items()}
            assert rights == {name: shown_to_clients(held) for name, held in expected.items()}
            assert listed == {
                name: ({"\\Noselect"} if not held & set("ri") else set())
                | ({"\\HasChildren"} if any(other.startswith(name + "/") for other in visible) else set())
                for name, held in expected.items()
            }
            lsub = {line.partition(' "/" ')[2].strip('"') for line in client.ok('LSUB "" "*"').untagged}
            assert lsub == {name for name, ident in visible.items() if self.site.subscribed(user, ident)}

    def what_was_touched_answers_as_the_model(self) -> None:
        idents = [ident for ident in dict.fromkeys(self.touched) if ident in self.site.folders][-3:]
        self.touched = idents[-1:]
        for user in self.active():
            for ident in idents:
                self._answers(user, self.site.folders[ident])

    def _answers(self, user: int, folder: Folder) -> None:
        client, rights = self.client(user), self.site.rights(user, folder)
        name = self.site.name(folder, user)

        def ask(line: str, needed: str) -> Any:
            answer = client.cmd(line)
            if rights & set(needed):
                assert answer.tagged.startswith("OK"), (line, rights, answer)
                return answer
            assert answer.tagged.startswith("NO [NOPERM]" if "l" in rights else "NO [NONEXISTENT]"), (line, answer)
            return None

        answer = ask(f'MYRIGHTS "{name}"', "lrikxa")
        if answer is not None:
            assert answer.untagged[0].rpartition(" ")[2] == shown_to_clients(rights)
        answer = ask(f'GETACL "{name}"', "a")
        if answer is not None:
            words = re.findall(r'"([^"]*)"|(\S+)', answer.untagged[0])
            words = ["".join(word) for word in words][3:]
            assert dict(zip(words[::2], words[1::2], strict=True)) == self.site.getacl(folder)
        ask(f'STATUS "{name}" (MESSAGES)', "r")
        answer = ask(f'SELECT "{name}"', "r")
        if answer is not None:
            mode = "READ-WRITE" if self.site.read_write(user, folder) else "READ-ONLY"
            assert answer.tagged.startswith(f"OK [{mode}]")
            client.ok("UNSELECT")

    def the_administrators_answers_agree(self) -> None:
        site = self.site

        def ask(conn: Connection) -> tuple[Any, Any, Any]:
            people = {ident: accounts.read_user(conn, one.name) for ident, one in site.users.items()}
            boxes = {}
            for ident, folder in site.folders.items():
                home = people[folder.home].id if folder.home is not None else None  # type: ignore[union-attr]
                boxes[ident] = mailboxes.read_mailbox(conn, home, folder.path)
            names = self.world.namespaces
            wanted = Rights(0)
            holders = {
                ident: {one.user: one.rights for one in who_can(conn, box, wanted, allow_anyone=False)}  # type: ignore[arg-type]
                for ident, box in boxes.items()
            }
            held = {
                ident: {one.folder: one.rights for one in what_can(conn, names, one_.id, allow_anyone=False)}  # type: ignore[union-attr]
                for ident, one_ in people.items()
            }
            told = {
                (user, ident): explain(conn, names, people[user], boxes[ident], allow_anyone=False)  # type: ignore[arg-type]
                for user in people
                for ident in self.touched
            }
            return holders, held, told

        self.touched = [ident for ident in self.touched if ident in site.folders]
        holders, held, told = self.database.read_now(ask)
        for ident, folder in site.folders.items():
            rights = {user: site.rights(user, folder) for user in site.users}
            assert holders[ident] == {site.users[user].name: shown(one) for user, one in rights.items() if one}
        assert all(
            len(names) == sum(bool(site.rights(u, f)) for f in site.folders.values()) for u, names in held.items()
        )
        for user in site.users:
            rights = {site.name(folder, None): site.rights(user, folder) for folder in site.folders.values()}
            assert held[user] == {name: shown(one) for name, one in rights.items() if one}
        for (user, ident), found in told.items():
            folder = site.folders[ident]
            assert found.rights == shown(site.rights(user, folder))
            if not site.users[user].disabled:
                matched = {one.entry.text for one in found.matched if one.counts}
                assert matched == {
                    ("-" if entry.negative else "") + site.spelled(entry.who)
                    for entry in site.entries(folder)
                    if site.in_force(entry) and site.names(entry, user, folder)
                }
        if self.touched and site.users:
            ident, user = self.touched[-1], min(site.users)
            name = site.name(site.folders[ident], None)
            code, out = self.cli("acl", "explain", site.users[user].name, name, "--json")
            assert (code, json.loads(out)["rights"]) == (0, shown(site.rights(user, site.folders[ident])))


def test_server_commands_and_model_agree_after_every_step(make):  # noqa: F811
    """PRODUCT §4: one function computes the rights, for LIST, access, GETACL, explain and reports alike."""
    steps = min(STEPS, 30)
    run_state_machine_as_test(
        lambda: Rights_(make),
        settings=settings(
            max_examples=max(1, STEPS // steps), stateful_step_count=steps, deadline=None,
            suppress_health_check=list(HealthCheck), database=None, print_blob=True,
        ),
    )  # fmt: skip
