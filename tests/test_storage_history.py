"""What the audit log tells of how rights were."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass

import pytest

from acl_imapd.access.rights import parse_rights
from acl_imapd.errors import ImapError, Refused
from acl_imapd.storage import accounts, audit, expiry, history, mailboxes, rights
from acl_imapd.storage.records import entry_record, owner_record
from tests.conftest import ACTOR

HOUR = 3600.0


@pytest.fixture
def clock(database):
    """The time, which goes on by a minute with each look."""
    now = [time.time() + HOUR]

    def tick():
        now[0] += 60
        return now[0]

    database.now.seconds = tick
    return now


def shown(conn, found, at):
    """What `acl show` tells: read from the tables, without the log."""
    source = found
    while not source.acl_own:
        source = mailboxes.read_mailbox_by_id(conn, source.parent_id)
    acl = rights.read_acl(conn, found.acl_id)
    entries = [entry_record(entry) for entry in acl.entries if entry.until is None or entry.until > at]
    home = owner_record(conn, found.home_id, None)
    return history.PastAcl(
        place(conn, found),
        home or owner_record(conn, found.owner_user_id, found.owner_team_id),
        place(conn, source) if source is not found else None,
        tuple(sorted(entries, key=history.entry_order)),
    )


def place(conn, found):
    return history.Place(owner_record(conn, found.home_id, None), found.path)


@dataclass
class Changer:
    """Makes one random change after another; some are refused, which is fine."""

    random: random.Random
    now: list[float]

    def change(self, conn):
        kind = self.random.choice([name for name in dir(self) if name.startswith("do_")])
        getattr(self, kind)(conn)
        return kind

    def folder(self, conn):
        return self.random.choice([one for one in mailboxes.list_all(conn) if "INBOX" not in one.path])

    def team(self, conn):
        return self.random.choice(accounts.list_teams(conn)).name

    def user(self, conn):
        return self.random.choice(accounts.list_users(conn)).name

    def who(self, conn):
        any_of = ["owner", "authenticated", f"group:{self.team(conn)}", self.user(conn), self.user(conn)]
        return rights.resolve_identifier(conn, self.random.choice(any_of), allow_anyone=False)

    def do_entry(self, conn):
        letters = "".join(self.random.sample("lrswi", self.random.randint(0, 3)))
        op = self.random.choice(["set", "add", "remove"])
        rights.change_entry(
            conn, ACTOR, self.folder(conn).id, self.who(conn), negative=self.random.random() < 0.3, op=op,
            rights=parse_rights(letters),
        )  # fmt: skip

    do_entry_too = do_entry_again = do_entry

    def do_grant(self, conn):
        role = self.random.choice(rights.list_roles(conn))
        until = self.random.choice([None, self.now[0] + self.random.randint(300, 6000)])
        terms = rights.Terms(rights.read_role_id(conn, role.name), None, until, self.random.choice([None, "why"]))
        rights.change_entry(
            conn, ACTOR, self.folder(conn).id, self.who(conn), negative=False, op="set",
            rights=parse_rights(role.rights), terms_=terms,
        )  # fmt: skip

    do_grant_too = do_grant

    def do_revoke(self, conn):
        rights.remove_entries(conn, ACTOR, self.folder(conn).id, self.who(conn))

    def do_inherit(self, conn):
        rights.inherit_acl(conn, ACTOR, self.folder(conn).id)

    def do_owner(self, conn):
        ids = {"user_id": accounts.read_user(conn, self.user(conn)).id}
        if self.random.random() < 0.5:
            ids = {"team_id": accounts.read_team(conn, self.team(conn)).id}
        rights.set_owner(conn, ACTOR, self.folder(conn).id, **ids)

    def do_role(self, conn):
        letters = "".join(self.random.sample("lrswi", 2))
        rights.set_role(conn, ACTOR, self.random.choice(["reader", "x1"]), parse_rights(letters))

    def do_no_role(self, conn):
        rights.remove_role(conn, ACTOR, self.random.choice(["reader", "x1"]))

    def do_make(self, conn):
        above = self.folder(conn)
        path = f"{above.path}/{self.random.choice('abc')}" if self.random.random() < 0.8 else "abc"
        mailboxes.create_mailbox(conn, ACTOR, above.home_id, path)

    do_make_too = do_make

    def do_move(self, conn):
        one, above = self.folder(conn), self.folder(conn)
        name = self.random.choice(["m", "n", one.path.rpartition("/")[2]])
        mailboxes.rename_mailbox(conn, ACTOR, one.id, f"{above.path}/{name}" if self.random.random() < 0.6 else name)

    do_move_too = do_move

    def do_delete(self, conn):
        mailboxes.delete_mailbox(conn, ACTOR, self.folder(conn).id)

    def do_user_rename(self, conn):
        accounts.rename_user(conn, ACTOR, self.user(conn), self.random.choice(["ann", "bob", "u1", "u2"]))

    def do_team_rename(self, conn):
        accounts.rename_team(conn, ACTOR, self.team(conn), self.random.choice(["crew", "t1", "t2"]))

    def do_user_remove(self, conn):
        if len(accounts.list_users(conn)) > 2:
            accounts.remove_user(conn, ACTOR, self.user(conn))

    def do_user_add(self, conn):
        accounts.insert_user(conn, ACTOR, self.random.choice(["bob", "u1", "u3"]), None, special_folders={})

    def do_team_remove(self, conn):
        if len(accounts.list_teams(conn)) > 1:
            accounts.remove_team(conn, ACTOR, self.team(conn))

    def do_team_add(self, conn):
        accounts.insert_team(conn, ACTOR, self.random.choice(["crew", "t1", "t3"]))

    def do_expire(self, conn):
        expiry.remove_ended(conn, self.now[0])


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_happens_since_what_was_is_told_as_it_was(database, clock, seed):
    """Entries, roles, inheritance, owners and names; folders, people and teams that are no more."""
    changer = Changer(random.Random(seed), clock)
    database.write_now(
        lambda conn: [mailboxes.create_mailbox(conn, ACTOR, None, path) for path in ("Team/a/b", "Else")]
    )
    remembered = []
    for _ in range(120):
        try:
            database.write_now(changer.change)
        except (Refused, ImapError):
            continue
        at = database.now()
        remembered.append(
            (at, database.read_now(lambda conn, at=at: {m.id: shown(conn, m, at) for m in mailboxes.list_all(conn)}))
        )

    def compare(conn):
        everything = {mailbox_id for _, state in remembered for mailbox_id in state}
        for at, state in changer.random.sample(remembered, 12):
            for mailbox_id in everything:
                assert history.read_acl_at(conn, mailbox_id, at) == state.get(mailbox_id)
            for mailbox_id, acl in state.items():
                assert history.find_at(conn, acl.place, at) == mailbox_id

    assert len(remembered) > 50
    database.read_now(compare)
    database.read_now(audit.verify_chain)
