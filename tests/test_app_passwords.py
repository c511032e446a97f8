"""Passwords for one program of a user: they log in until they end or are revoked, and tell when they were used."""

from __future__ import annotations

import json
import time

import pytest

from acl_imapd.auth.app_passwords import lookup_of, new_app_password
from acl_imapd.auth.passwords import hash_password
from acl_imapd.errors import Refused
from acl_imapd.storage import accounts, app_passwords
from acl_imapd.storage.audit import list_audit, verify_chain

from .conftest import ACTOR
from .test_admin import admin, ok  # noqa: F401  # a fixture


@pytest.fixture
def world(make_world):
    return make_world(auth={"failure_delay_s": 0})


def make(world, user="bob", name="phone", until=None):
    lookup, password = new_app_password()
    world.database.write_now(
        app_passwords.insert_app_password, ACTOR, user, name, lookup, hash_password(password), until
    )
    return password


def test_it_logs_in_beside_the_users_own_password_and_only_its_user(world):
    password = make(world)

    world.client().ok(f"LOGIN bob {password}")
    world.client().ok("LOGIN bob pass")
    refused = world.client().cmd(f"LOGIN ann {password}")
    assert refused.tagged == "NO [AUTHENTICATIONFAILED] The user name or the password is wrong"
    other = new_app_password()[1]
    assert world.client().cmd(f"LOGIN bob {other}").tagged == refused.tagged
    assert world.client().cmd(f"LOGIN bob {password[:9] + other[9:]}").tagged == refused.tagged
    # It says nothing of the user's own password: no keys of SCRAM come of it.
    assert world.database.read_now(accounts.read_user, "ann").scram is None


def test_its_last_use_is_kept(world):
    password = make(world)

    def used():
        return world.database.read_now(app_passwords.list_app_passwords, "bob")[0].used_at

    assert used() is None
    world.client().ok(f"LOGIN bob {password}")
    first = used()
    assert first == pytest.approx(time.time(), abs=60)
    world.client().ok(f"LOGIN bob {password}")
    assert used() == first  # not a write each time
    world.reactor.advance(400)
    world.client().ok(f"LOGIN bob {password}")
    assert used() == pytest.approx(first + 400, abs=60)


def test_it_ends_at_its_time_and_when_it_is_revoked(world):
    ending, lasting = make(world, name="tablet", until=time.time() + 100), make(world)
    world.client().ok(f"LOGIN bob {ending}")

    world.reactor.advance(101)
    assert world.client().cmd(f"LOGIN bob {ending}").tagged.startswith("NO")
    world.client().ok(f"LOGIN bob {lasting}")
    world.database.write_now(app_passwords.revoke_app_password, ACTOR, "bob", "phone")
    assert world.client().cmd(f"LOGIN bob {lasting}").tagged.startswith("NO")


def test_every_change_is_in_the_audit_log_without_the_secret(world):
    password = make(world)
    world.database.write_now(app_passwords.revoke_app_password, ACTOR, "bob", "phone")

    rows = world.database.read_now(list_audit)
    assert [row.action for row in rows[:2]] == ["app-password-revoke", "app-password-add"]
    assert not any(password[9:] in str(row) or "argon2" in str(row) for row in rows)
    world.database.read_now(verify_chain)


def test_two_of_one_name_an_ended_one_and_one_of_nobody_are_refused(world):
    make(world)
    for change in ({}, {"user": "nobody"}, {"name": " "}, {"name": "x" * 101}, {"name": "y", "until": 1.0}):
        with pytest.raises(Refused):
            make(world, **change)
    with pytest.raises(Refused):
        world.database.write_now(app_passwords.revoke_app_password, ACTOR, "bob", "laptop")


def test_passwords_are_unlike_and_known_by_how_they_begin():
    made = [new_app_password() for _ in range(50)]

    assert len({password for _, password in made}) == 50
    assert all(lookup_of(password) == lookup for lookup, password in made)
    assert lookup_of("pass") is None
    assert lookup_of("l" + made[0][1][1:]) is None


def test_the_administrators_commands(admin):  # noqa: F811
    made = json.loads(ok(admin("user", "app-password", "add", "bob", "phone", "--until", "2100-01-01", "--json")))
    assert made["name"] == "phone"
    assert lookup_of(made["password"])
    listed = json.loads(ok(admin("user", "app-password", "list", "bob", "--json")))
    assert [(one["name"], one["last_used"]) for one in listed] == [("phone", None)]
    assert made["password"] not in str(listed)
    assert "revoked" in ok(admin("user", "app-password", "revoke", "bob", "phone"))
    assert json.loads(ok(admin("user", "app-password", "list", "bob", "--json"))) == []
    code, _, error = admin("user", "app-password", "revoke", "bob", "phone")
    assert (code, error.count("\n")) == (1, 1)


def test_a_password_set_by_the_administrator_serves_scram_at_once(admin, tmp_path, monkeypatch):  # noqa: F811
    import io

    from acl_imapd.auth.scram import Keys, derive_keys
    from acl_imapd.storage.database import Database

    monkeypatch.setattr("sys.stdin", io.StringIO("pencil\n"))
    ok(admin("user", "passwd", "bob", "--password-stdin"))

    database = Database.open(f"sqlite:///{tmp_path / 'site.db'}")
    found = database.read_now(accounts.read_user, "bob").scram
    database.close()
    keys = Keys.parse(found)
    assert keys == derive_keys("pencil", keys.salt, keys.iterations)
