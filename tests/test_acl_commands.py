"""SETACL and what reads it back.  RFC 4314 §3."""

from __future__ import annotations

import pytest

from acl_imapd.errors import ImapError, Refused
from acl_imapd.storage import accounts

from .conftest import ACTOR, PASSWORD_HASH

TEAM = '"Shared Folders/Team"'


def acl(client, name=TEAM):
    """Identifiers and letters, as GETACL tells them, without c and d."""
    words = client.ok(f"GETACL {name}").untagged[0].removeprefix(f"* ACL {name} ").replace('"', "").split()
    return {who: letters.rstrip("cd") for who, letters in zip(words[::2], words[1::2], strict=True)}


def test_a_letter_that_is_no_right_is_bad_and_changes_nothing(world):
    """Statements 1 to 3: also among letters that are rights."""
    ann = world.client("ann")
    before = world.snapshot()

    for letters in ("q", "lrq", "+lq", "-z", "l r", "lR", '"lr "', "+-l", "++l"):
        assert ann.cmd(f"SETACL {TEAM} bob {letters}").tagged.startswith("BAD"), letters

    assert world.snapshot() == before


def test_adding_what_is_there_and_removing_what_is_not_is_ok(world):
    """Statements 5 to 8."""
    ann = world.client("ann")
    for change, has in (
        ("+a", "a"),
        ("+a", "a"),
        ("-l", "a"),
        ("+lr", "lra"),
        ("-a", "lr"),
        ("-a", "lr"),
        ("-lr", None),
    ):
        ann.ok(f"SETACL {TEAM} bob {change}")

        assert acl(ann).get("bob") == has, change
    ann.ok(f"SETACL {TEAM} bob -lr")
    ann.ok(f"DELETEACL {TEAM} bob")


def test_an_identifier_of_nobody_is_no(world):
    """Statement 4, and the negative of nobody."""
    ann = world.client("ann")
    before = world.snapshot()

    for who in ('""', "-", "-nobody", "nobody", "group:nobody", "$nobody", "group:", "domain:", "anyone", "anonymous"):
        assert ann.cmd(f"SETACL {TEAM} {who} lr").tagged.startswith("NO"), who

    assert world.snapshot() == before


def test_setting_no_rights_removes_the_entry(world):
    """As c-client and Ruby do it."""
    ann = world.client("ann")

    ann.ok(f'SETACL {TEAM} group:crew ""')

    assert acl(ann) == {"ann": "lrswipkxtea"}


def test_a_hundred_identifiers_fit(world):
    """Statement 9."""

    def add(conn):
        for number in range(100):
            accounts.insert_user(conn, ACTOR, f"user{number}", PASSWORD_HASH)

    world.database.write_now(add)
    ann = world.client("ann")
    for number in range(100):
        ann.ok(f"SETACL {TEAM} user{number} lr")

    assert len(acl(ann)) == 102
    ann.ok(f"SELECT {TEAM}")
    world.client("user99").ok(f"SELECT {TEAM}")


@pytest.mark.parametrize("team", ["crew", "two words", "Grüße"])
def test_a_team_comes_back_as_it_was_given(world, team):
    """Statements 13 and 14; ``$`` is another way to write ``group:``."""
    if team != "crew":
        world.database.write_now(accounts.insert_team, ACTOR, team)
        world.database.write_now(accounts.join_team, ACTOR, team, "bob")
    ann, bob = world.client("ann"), world.client("bob")
    ann.ok(f"DELETEACL {TEAM} group:crew")

    for prefix in ("group:", "$"):
        ann.ok(f"SETACL {TEAM} {{{len((prefix + team).encode())}+}}\r\n{prefix}{team} lr")

        told = ann.ok(f"GETACL {TEAM}")
        assert f"group:{team}" in told
        bob.ok(f"SELECT {TEAM}")
        bob.ok("UNSELECT")
        ann.ok(f"DELETEACL {TEAM} {{{len(f'group:{team}'.encode())}+}}\r\ngroup:{team}")


def test_a_name_that_means_something_else_cannot_be_a_user(world):
    """Statement 16."""
    for name in (
        "anyone",
        "anonymous",
        "owner",
        "authenticated",
        "group:x",
        "$x",
        "-x",
        "domain:x",
        "a/b",
        "",
        "Anyone",
    ):
        with pytest.raises((Refused, ImapError)):
            world.database.write_now(accounts.insert_user, ACTOR, name, PASSWORD_HASH)


def test_odd_names_are_ordinary_folders_of_ones_own(world):
    """Statements 17 and 63."""
    bob = world.client("bob")

    for name in ('"$RACL$x"', "a@b", "user.x", '"-x"', '"group:y"', '"a&-b"'):
        bob.ok(f"CREATE {name}")
        assert name.strip('"') in bob.ok(f'LIST "" {name}')


def test_ones_own_folders_start_with_all_rights_for_oneself_alone(world):
    """Statement 15; seen on the wire: the owner's identifier is the login name."""
    bob = world.client("bob")
    bob.ok("CREATE Work")

    for name in ("INBOX", "Work", "Sent"):
        assert acl(bob, name) == {"bob": "lrswipkxtea"}


def test_c_and_d_stand_for_what_they_were_split_into(world):
    """RFC 4314 §2.1.1."""
    ann = world.client("ann")

    ann.ok(f"SETACL {TEAM} bob lrcd")
    assert " bob lrkxtecd" in ann.ok(f"GETACL {TEAM}")
    ann.ok(f"SETACL {TEAM} bob -d")
    assert " bob lrkxc" in ann.ok(f"GETACL {TEAM}")
    ann.ok(f"SETACL {TEAM} bob -x")
    assert " bob lrkc" in ann.ok(f"GETACL {TEAM}")


def test_anyone_counts_where_the_setting_allows_it_and_rights_add_up(make_world):
    """Statement 43; RFC 4314 §2."""
    world = make_world(acl={"allow_anyone": True})
    world.create("Open", ann="lrswipkxtea")
    ann, bob = world.client("ann"), world.client("bob")

    ann.ok('SETACL "Shared Folders/Open" anyone lrs')
    ann.ok('SETACL "Shared Folders/Open" bob l')

    bob.ok('SELECT "Shared Folders/Open"')
    assert '"Shared Folders/Open" lrs' in bob.ok('MYRIGHTS "Shared Folders/Open"')


def test_a_login_that_begins_like_another_shares_nothing_with_it(world):
    """Statements 62 and 65: also with a dot, also beside a domain."""
    names = ("chris", "christopher", "chris.top", "chris@example.com")

    def add(conn):
        for name in names:
            accounts.insert_user(conn, ACTOR, name, PASSWORD_HASH)

    world.database.write_now(add)
    for name in names:
        client = world.client(name)
        client.ok(f'CREATE "Of {name}"')
        client.ok(f'SUBSCRIBE "Of {name}"')
    world.client("chris").ok('SETACL "Of chris" chris.top lr')

    for name in names:
        own = [f'"Of {name}"'] + (['"Other Users/chris/Of chris"'] if name == "chris.top" else [])
        listed = world.client(name).ok('LIST "" "*Of*"').untagged
        assert [line.partition('"/" ')[2] for line in listed] == own
        assert [line.partition('"/" ')[2] for line in world.client(name).ok('LSUB "" "Of*"').untagged] == own[:1]


def test_the_same_local_part_in_another_domain_is_somebody_else(world):
    """Statement 12: an identifier is the whole login name."""
    world.database.write_now(accounts.insert_user, ACTOR, "bob@example.com", PASSWORD_HASH)
    ann = world.client("ann")
    ann.ok(f"DELETEACL {TEAM} group:crew")
    ann.ok(f"SETACL {TEAM} bob@example.com lr")

    assert world.client("bob").cmd(f"SELECT {TEAM}").tagged.startswith("NO [NONEXISTENT]")
    world.client("bob@example.com").ok(f"SELECT {TEAM}")


def test_capabilities_are_what_clients_look_for(world):
    """Seen on the wire: Roundcube reads RIGHTS= (the new letters alone) and fifteen clients need no more than these."""
    told = world.client("bob").ok("CAPABILITY").untagged[0].split()[2:]

    needed = "IMAP4rev1 LITERAL+ NAMESPACE CHILDREN UNSELECT UIDPLUS IDLE ACL RIGHTS=texk"
    assert set(needed.split()) <= set(told)
    assert len(told) == len(set(told))
