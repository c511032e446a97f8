"""Promise 4: whatever changes people, teams, roles, owners, rights or folders writes it down."""

from __future__ import annotations

import inspect
import re

import pytest
from sqlalchemy import func, select

from acl_imapd.access.rights import parse_rights
from acl_imapd.storage import accounts, app_passwords, audit, expiry, handover, mailboxes, ownership, rights
from acl_imapd.storage.schema import acl_entry, mailbox, team_member
from tests.conftest import ACTOR

MODULES = (accounts, app_passwords, expiry, handover, mailboxes, ownership, rights)
# What these change is told by whoever calls them, in this package; or is not of access.
NOT_LOGGED = {
    "accounts.add_scram": "the same password, in another form",
    "accounts.as_one": "it writes nothing",
    "app_passwords.mark_used": "when it was last used, not a change of it",
    "rights.repoint": "the ACL a mailbox follows: acl-own, acl-inherit and folder-rename tell it",
}
WRITES = re.compile(r"(?<![.\w])(insert|update|delete)\(|\b_(INSERT|UPDATE|DELETE)|\.run\(|\bACTOR\b")


def team(conn):
    return mailboxes.read_mailbox(conn, None, "Team")


def user_id(conn, name):
    return accounts.read_user(conn, name).id


def bob(conn):
    return rights.resolve_identifier(conn, "bob", allow_anyone=False)


def entry(conn, **kwargs):
    wanted = parse_rights("lr")
    rights.change_entry(conn, ACTOR, team(conn).id, bob(conn), negative=False, op="set", rights=wanted, **kwargs)


def ended(conn):
    entry(conn, terms_=rights.Terms(until=4e9))
    expiry.remove_ended(conn, 5e9)


def own_acl(conn):
    made = mailboxes.create_mailbox(conn, ACTOR, None, "Team/Sub")
    rights.own_acl(conn, ACTOR, made, rights.read_acl(conn, made.acl_id))
    rights.inherit_acl(conn, ACTOR, made.id)


def app_password(conn):
    app_passwords.insert_app_password(conn, ACTOR, "bob", "phone", "abcd", "hash", None)
    app_passwords.revoke_app_password(conn, ACTOR, "bob", "phone")


# How each is called so that it changes something, and what it then writes.
CALLS = {
    "accounts.insert_user": (lambda conn: accounts.insert_user(conn, ACTOR, "dan", None), "user-add"),
    "accounts.set_password_hash": (lambda conn: accounts.set_password_hash(conn, ACTOR, "bob", "x"), "user-passwd"),
    "accounts.set_disabled": (lambda conn: accounts.set_disabled(conn, ACTOR, "bob", True), "user-disable"),
    "accounts.remove_user": (lambda conn: accounts.remove_user(conn, ACTOR, "bob"), "user-remove"),
    "accounts.rename_user": (lambda conn: accounts.rename_user(conn, ACTOR, "bob", "x"), "user-rename"),
    "accounts.insert_team": (lambda conn: accounts.insert_team(conn, ACTOR, "x"), "team-add"),
    "accounts.rename_team": (lambda conn: accounts.rename_team(conn, ACTOR, "crew", "x"), "team-rename"),
    "accounts.remove_team": (lambda conn: accounts.remove_team(conn, ACTOR, "crew"), "team-remove"),
    "accounts.join_team": (lambda conn: accounts.join_team(conn, ACTOR, "crew", "ann"), "team-join"),
    "accounts.leave_team": (lambda conn: accounts.leave_team(conn, ACTOR, "crew", "bob"), "team-leave"),
    "accounts.end_memberships": (
        lambda conn: accounts.end_memberships(conn, ACTOR, team_member.c.user_id == user_id(conn, "bob")),
        "team-leave",
    ),
    "app_passwords.insert_app_password": (app_password, "app-password-add"),
    "app_passwords.revoke_app_password": (app_password, "app-password-revoke"),
    "expiry.remove_ended": (ended, "acl-ended"),
    "handover.offboard": (lambda conn: handover.offboard(conn, ACTOR, "bob", "ann"), "folder-rename"),
    "mailboxes.create_mailbox": (lambda conn: mailboxes.create_mailbox(conn, ACTOR, None, "x"), "folder-add"),
    "mailboxes.delete_mailbox": (
        lambda conn: mailboxes.delete_mailbox(conn, ACTOR, team(conn).id), "folder-remove"
    ),
    "mailboxes.remove_home": (
        lambda conn: mailboxes.remove_home(conn, ACTOR, user_id(conn, "bob")), "folder-remove"
    ),
    "mailboxes.rename_mailbox": (
        lambda conn: mailboxes.rename_mailbox(conn, ACTOR, team(conn).id, "x"), "folder-rename"
    ),
    "mailboxes.move_inbox": (
        lambda conn: mailboxes.move_inbox(conn, ACTOR, user_id(conn, "bob"), "x"), "folder-add"
    ),
    "mailboxes.set_special_use": (
        lambda conn: mailboxes.set_special_use(conn, ACTOR, team(conn).id, "\\Junk"), "folder-special-use"
    ),
    "mailboxes.set_seen_mode": (
        lambda conn: mailboxes.set_seen_mode(conn, ACTOR, team(conn).id, shared=True), "folder-seen"
    ),
    "rights.change_entry": (entry, "acl-set"),
    "rights.own_acl": (own_acl, "acl-own"),
    "rights.inherit_acl": (own_acl, "acl-inherit"),
    "rights.remove_entries": (
        lambda conn: (entry(conn), rights.remove_entries(conn, ACTOR, team(conn).id, bob(conn))), "acl-remove"
    ),
    "rights.end_entries": (
        lambda conn: rights.end_entries(conn, ACTOR, acl_entry.c.acl_id == team(conn).acl_id), "acl-remove"
    ),
    "rights.set_owner": (
        lambda conn: rights.set_owner(conn, ACTOR, team(conn).id, user_id=user_id(conn, "bob")), "folder-owner"
    ),
    "ownership.give_away": (
        lambda conn: ownership.give_away(
            conn, ACTOR, mailbox.c.path == "Team", user_id=user_id(conn, "bob")
        ),
        "folder-owner",
    ),
    "rights.set_role": (lambda conn: rights.set_role(conn, ACTOR, "x", parse_rights("lr")), "role-set"),
    "rights.remove_role": (lambda conn: rights.remove_role(conn, ACTOR, "reader"), "role-remove"),
}  # fmt: skip


def writers():
    """Every public function of the modules that writes: it has an actor, or its text says so."""
    found = set()
    for module in MODULES:
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if function.__module__ == module.__name__ and not name.startswith("_"):
                source = inspect.getsource(function)
                if "actor" in inspect.signature(function).parameters or WRITES.search(source):
                    found.add(f"{module.__name__.rpartition('.')[2]}.{name}")
    return found


def test_every_writing_function_is_known_to_this_test():
    """A new one: say here how it is called and what it logs; what is not of access goes to NOT_LOGGED, with why."""
    assert writers() == set(CALLS) | set(NOT_LOGGED)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("name", CALLS)
def test_what_changes_access_is_in_the_log_in_the_same_transaction(database, name):
    call, action = CALLS[name]

    def run(conn):
        last = conn.execute(select(func.max(audit.audit.c.id))).scalar()
        call(conn)
        return [row for row in audit.list_audit(conn, limit=100) if row.id > last]

    rows = database.write_now(run)

    logged = [row for row in rows if row.action == action]
    assert logged, [row.action for row in rows]
    assert all(row.before != row.after or row.action == "user-passwd" for row in rows)
    assert all((row.mailbox_id is not None) == row.action.startswith(("folder-", "acl-")) for row in rows)
    assert (len({row.group_id for row in rows}) == 1) or name == "rights.own_acl"
    database.read_now(audit.verify_chain)
