"""Why somebody has a right, who has one, what somebody has: told by reports as the server acts."""

from __future__ import annotations

import random
import time

import pytest

from acl_imapd.access.explain import explain, is_owner, what_can, who_can
from acl_imapd.access.namespaces import Namespaces
from acl_imapd.access.rights import Rights, effective_rights, format_rights
from acl_imapd.storage import accounts, mailboxes, rights

from .conftest import ACTOR, give

DAY = 86_400.0


def told(database, user, path="Team", *, now=None):
    def run(conn):
        found = mailboxes.read_mailbox(conn, None, path)
        return explain(conn, Namespaces(), accounts.read_user(conn, user), found, allow_anyone=False, now=now)

    return database.read_now(run)


def test_an_ended_membership_is_told_and_does_not_count(database):
    until = time.time() + DAY

    def change(conn):
        accounts.insert_team(conn, ACTOR, "berlin")
        accounts.join_team(conn, ACTOR, "crew", "group:berlin", until=until, reason="fair")
        accounts.join_team(conn, ACTOR, "berlin", "ann")

    database.write_now(change)

    now, then = told(database, "ann"), told(database, "ann", now=until)

    (crew,) = [one for one in now.matched if one.entry.text == "group:crew"]
    assert (crew.via, crew.counts) == (("ann", "berlin", "crew"), True)
    assert now.teams == (("berlin",), ("berlin", "crew"))
    (crew,) = [one for one in then.matched if one.entry.text == "group:crew"]
    assert (crew.counts, crew.because) == (False, "the membership of group:berlin in crew has ended")
    assert then.teams == (("berlin",),)
    (led,) = [one for one in then.led if one.team == "crew"]
    assert [(edge.member, edge.team, edge.until, edge.reason) for edge in led.memberships] == [
        ("ann", "berlin", None, None),
        ("group:berlin", "crew", until, "fair"),
    ]


def test_of_two_ways_into_a_team_the_one_that_counts_is_told(database):
    def change(conn):
        accounts.join_team(conn, ACTOR, "crew", "bob", since=time.time() + DAY)
        accounts.insert_team(conn, ACTOR, "berlin")
        accounts.join_team(conn, ACTOR, "crew", "group:berlin")
        accounts.join_team(conn, ACTOR, "berlin", "bob")

    database.write_now(change)

    (crew,) = told(database, "bob").matched

    assert (crew.via, crew.counts) == (("bob", "berlin", "crew"), True)


def test_a_disabled_user_has_no_rights_but_its_entries_are_told(database):
    database.write_now(accounts.set_disabled, ACTOR, "bob", True)

    found = told(database, "bob")

    assert (found.disabled, found.rights, [one.entry.text for one in found.matched]) == (True, "", ["group:crew"])


def test_the_owners_part_is_told_with_the_membership_it_hangs_on(database):
    since = time.time() + DAY

    def change(conn):
        accounts.insert_team(conn, ACTOR, "lead")
        accounts.join_team(conn, ACTOR, "lead", "bob", manager=True, since=since)
        team = accounts.read_team(conn, "lead")
        rights.set_owner(conn, ACTOR, mailboxes.read_mailbox(conn, None, "Team").id, team_id=team.id)

    database.write_now(change)

    now, then = told(database, "bob"), told(database, "bob", now=since)

    assert (now.is_owner, now.owner, now.owner_because) == (
        False, "group:lead", "the membership of bob in lead has not begun",
    )  # fmt: skip
    assert (then.is_owner, then.owner_via, then.rights) == (True, ("lead",), "lrswipktea")


def test_a_folder_that_follows_its_grandparent_says_so(database):
    database.write_now(mailboxes.create_mailbox, ACTOR, None, "Team/A/B")

    assert told(database, "bob", "Team/A/B").inherited_from == "Shared Folders/Team"
    assert told(database, "bob", "Team").inherited_from is None


@pytest.fixture
def tangle(database):
    """A site of random teams, nested, limited and denied, with folders that belong to some of them."""
    dice = random.Random(20)
    users = [f"u{number}@{domain}" for number, domain in enumerate(["a.example", "b.example"] * 5)] + ["ann", "bob"]

    def fill(conn):
        for name in users[:-2]:
            accounts.insert_user(conn, ACTOR, name, None, special_folders={})
        for number in range(6):
            accounts.insert_team(conn, ACTOR, f"t{number}")
            members = [*dice.sample(users, 2), *(f"group:t{below}" for below in range(number) if dice.random() < 0.4)]
            for member in members:
                limit = {"since": time.time() + DAY} if dice.random() < 0.2 else {}
                accounts.join_team(conn, ACTOR, f"t{number}", member, manager=dice.random() < 0.4, **limit)
        accounts.set_disabled(conn, ACTOR, users[3], True)
        whom = [*users, *(f"group:t{number}" for number in range(6)), "domain:a.example", "owner", "authenticated"]
        for number in range(12):
            made = mailboxes.create_mailbox(conn, ACTOR, None, f"F{number}")
            if dice.random() < 0.5:
                team = accounts.read_team(conn, f"t{dice.randrange(6)}")
                rights.set_owner(conn, ACTOR, made.id, team_id=team.id)
            for who in dice.sample([*whom, "domain:a.example", "authenticated"], 5):
                letters = "".join(dice.sample("lrswite", 4))
                give(conn, made.id, who, letters, negative=dice.random() < 0.3)

    database.write_now(fill)
    return database


def test_reports_say_what_the_evaluator_says_of_everybody(tangle):
    def run(conn):
        for mailbox in mailboxes.list_shared(conn):
            entries = rights.read_acl(conn, mailbox.acl_id).entries
            evaluated = {}
            for one in accounts.list_users(conn):
                identity = accounts.read_identity(conn, one.id)
                evaluated[one.name] = "" if identity is None else format_rights(
                    effective_rights(entries, identity, is_owner=is_owner(mailbox, identity), allow_anyone=False,
                                     now=time.time())
                )  # fmt: skip
                name = f"Shared Folders/{mailbox.path}"
                held = {held.folder: held.rights for held in what_can(conn, Namespaces(), one.id, allow_anyone=False)}
                assert held.get(name, "") == evaluated[one.name]
                explained = explain(conn, Namespaces(), one, mailbox, allow_anyone=False)
                assert explained.rights == evaluated[one.name]
            for wanted in (Rights(0), Rights.l, Rights.r, Rights.r | Rights.w, Rights.a):
                holders = {held.user: held.rights for held in who_can(conn, mailbox, wanted, allow_anyone=False)}
                assert holders == {
                    user: letters
                    for user, letters in evaluated.items()
                    if letters and set(format_rights(wanted)) <= set(letters)
                }

    tangle.read_now(run)


def test_who_can_does_not_look_through_everybody_for_what_everybody_lacks(database):
    """With 10,000 users and lookups for all, only the few who may write are read."""

    def change(conn):
        found = mailboxes.read_mailbox(conn, None, "Team")
        give(conn, found.id, "authenticated", "l")

    database.write_now(change)
    from sqlalchemy import event

    seen: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *args: seen.append(args[2]))

    def ask(conn, wanted):
        seen.clear()
        found = mailboxes.read_mailbox(conn, None, "Team")
        holders = who_can(conn, found, wanted, allow_anyone=False)
        everybody = [statement for statement in seen if "user_account" in statement and "WHERE" not in statement]
        return [holder.user for holder in holders], len(everybody)

    assert database.read_now(ask, Rights.l) == (["ann", "bob", "cat"], 1)
    assert database.read_now(ask, Rights.w) == (["ann", "bob", "cat"], 0)
