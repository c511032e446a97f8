"""What is subscribed: by oneself, and by grants, so that a folder that is given is simply there."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from acl_imapd.access.rights import parse_rights
from acl_imapd.storage import accounts, mailboxes, rights
from acl_imapd.storage.audit import list_audit
from acl_imapd.storage.schema import subscription

from .conftest import ACTOR, PASSWORD_HASH, give

TEAM = '"Shared Folders/Team"'


def grant(world, name, who, letters, **terms):
    def run(conn):
        identifier = rights.resolve_identifier(conn, who, allow_anyone=True)
        rights.change_entry(
            conn, ACTOR, world.mailbox(name).id, identifier, negative=False, op="set", rights=parse_rights(letters),
            terms_=rights.Terms(**terms),
        )  # fmt: skip

    world.database.write_now(run)


def names(answer):
    return sorted(line.partition('"/" ')[2] for line in answer.untagged)


def subscribed(client):
    """The names that are subscribed, when all ways to ask agree."""
    client.ok("NOOP")  # hears what has come and gone
    selected = client.ok('LIST (SUBSCRIBED) "" *')
    marked = [line for line in client.ok('LIST "" * RETURN (SUBSCRIBED)').untagged if "\\Subscribed" in line]
    there = [line for line in selected.untagged if "\\NonExistent" not in line]
    assert sorted(there) == sorted(marked)
    assert names(client.ok('LSUB "" *')) == sorted(line.partition('"/" ')[2] for line in there)
    assert names(client.ok('LIST (SUBSCRIBED RECURSIVEMATCH) "" *')) == names(selected)
    return names(selected)


def test_a_grant_to_a_team_subscribes_its_members_and_those_who_join_later(world):
    assert TEAM in subscribed(world.client("bob"))
    before = world.database.read_now(lambda conn: conn.execute(select(func.count()).select_from(subscription)).scalar())
    world.database.write_now(accounts.insert_user, ACTOR, "dan", PASSWORD_HASH)
    dan = world.client("dan")
    assert TEAM not in subscribed(dan)

    world.database.write_now(accounts.join_team, ACTOR, "crew", "dan")

    assert TEAM in subscribed(dan)
    after = world.database.read_now(lambda conn: conn.execute(select(func.count()).select_from(subscription)).scalar())
    assert before + 5 == after  # dan's own folders: no row per member

    world.database.write_now(accounts.leave_team, ACTOR, "crew", "dan")
    assert TEAM not in subscribed(dan)


def test_what_was_unsubscribed_once_no_later_grant_subscribes_until_it_is_subscribed_again(world):
    bob, cat = world.client("bob"), world.client("cat")

    bob.ok(f"UNSUBSCRIBE {TEAM}")

    assert TEAM not in subscribed(bob)
    assert TEAM in subscribed(cat)
    world.give("Shared Folders/Team", "bob", "lrs")
    world.client("ann").ok(f"SETACL {TEAM} group:crew lrsw")
    assert TEAM not in subscribed(bob)
    assert TEAM in bob.ok('LIST "" *')

    bob.ok(f"SUBSCRIBE {TEAM}")
    assert TEAM in subscribed(bob)


def test_a_grant_can_leave_subscribing_to_the_user(world):
    world.create("Quiet")
    grant(world, "Shared Folders/Quiet", "group:crew", "lrs", subscribe=False)
    bob = world.client("bob")

    assert '"Shared Folders/Quiet"' not in subscribed(bob)
    bob.ok('SUBSCRIBE "Shared Folders/Quiet"')
    assert '"Shared Folders/Quiet"' in subscribed(bob)
    assert '"Shared Folders/Quiet"' not in subscribed(world.client("cat"))


def test_only_an_entry_that_makes_the_folder_seen_subscribes_it(world):
    """Everybody may post to it; who sees it was told not to be subscribed."""
    world.create("Post", authenticated="p")
    grant(world, "Shared Folders/Post", "bob", "lr", subscribe=False)
    bob = world.client("bob")

    assert '"Shared Folders/Post"' in bob.ok('LIST "" *')
    assert '"Shared Folders/Post"' not in subscribed(bob)


def test_a_grant_over_imap_subscribes_unless_the_site_says_otherwise(world, make_world):
    world.client("ann").ok("SETACL INBOX bob lr")
    assert '"Other Users/ann"' in subscribed(world.client("bob"))

    quiet = make_world(acl={"auto_subscribe": False})
    quiet.client("ann").ok("SETACL Drafts bob lr")
    quiet.client("ann").ok("SETACL INBOX bob lrs")

    bob = quiet.client("bob")
    assert '"Other Users/ann/Drafts"' not in subscribed(bob)
    assert '"Other Users/ann"' in subscribed(bob), "a change of the letters leaves the rest of the entry"


def test_subscriptions_follow_a_rename_whoever_made_them(world):
    world.create("Own", bob="lrs")
    grant(world, "Shared Folders/Own", "bob", "lrs", subscribe=False)
    bob = world.client("bob")
    bob.ok('SUBSCRIBE "Shared Folders/Own"')

    def rename(conn):
        for old, new in (("Own", "New"), ("Team", "Crew")):
            mailboxes.rename_mailbox(conn, ACTOR, mailboxes.read_mailbox(conn, None, old).id, new)

    world.database.write_now(rename)

    assert {'"Shared Folders/New"', '"Shared Folders/Crew"'} <= set(subscribed(bob))
    assert "Team" not in str(subscribed(bob))
    assert "Own" not in str(subscribed(bob))


def test_what_one_may_no_longer_see_is_not_told_and_comes_back_with_the_right(world):
    bob = world.client("bob")
    bob.ok(f"SUBSCRIBE {TEAM}")

    world.give("Shared Folders/Team", "group:crew", "ri")
    assert "Team" not in str(subscribed(bob))
    world.give("Shared Folders/Team", "group:crew", "lr")
    assert TEAM in subscribed(bob)

    world.client("ann").ok(f"DELETE {TEAM}")
    assert "Team" not in str(subscribed(bob))


def test_unsubscribing_a_hidden_folder_answers_as_for_a_missing_one_whatever_it_is_called_now(world):
    """Who was subscribed to a folder must not learn from UNSUBSCRIBE what became of it."""
    for name in ("Moved", "Gone", "Hidden"):
        world.create(name, bob="lr")
    bob = world.client("bob")
    for name in ("Moved", "Gone", "Hidden"):
        bob.ok(f'SUBSCRIBE "Shared Folders/{name}"')

    def change(conn):
        moved, gone, hidden = (mailboxes.read_mailbox(conn, None, name).id for name in ("Moved", "Gone", "Hidden"))
        for one in (moved, hidden):
            give(conn, one, "bob", "")
        mailboxes.rename_mailbox(conn, ACTOR, moved, "Elsewhere")
        mailboxes.delete_mailbox(conn, ACTOR, gone)

    world.database.write_now(change)

    def ask(name):
        bob.number = 70
        return bob.cmd(f'UNSUBSCRIBE "Shared Folders/{name}"')

    assert ask("Elsewhere") == ask("Never")
    assert ask("Moved") == ask("Gone") == ask("Hidden")
    assert ask("Moved") == ask("Gone") == ask("Hidden") == ask("Never")


@pytest.mark.parametrize("pattern", ["%", "*"])
def test_recursive_match_tells_of_what_a_grant_subscribed(world, pattern):
    """RFC 5258 §3.5."""
    bob = world.client("bob")

    answer = bob.ok(f'LIST (SUBSCRIBED RECURSIVEMATCH) "" {pattern}')

    if pattern == "%":
        assert '* LIST (\\NonExistent \\HasChildren) "/" "Shared Folders" ("CHILDINFO" ("SUBSCRIBED"))' in answer
    else:
        assert f'* LIST (\\Subscribed \\HasNoChildren) "/" {TEAM}' in answer.untagged


def test_a_folder_made_below_is_subscribed_with_the_rest(world):
    world.client("ann").ok('CREATE "Shared Folders/Team/Sub"')

    assert '"Shared Folders/Team/Sub"' in subscribed(world.client("bob"))


def test_the_audit_log_and_the_acl_tell_of_a_grant_that_does_not_subscribe(world):
    grant(world, "Shared Folders/Team", "bob", "lrs", subscribe=False)

    log = world.database.read_now(list_audit)
    assert next(row for row in log if row.action == "acl-set").after["subscribe"] is False
    acl = world.database.read_now(rights.read_acl, world.mailbox("Shared Folders/Team").acl_id)
    assert {one.text: one.subscribe for one in acl.entries} == {"group:crew": True, "ann": True, "bob": False}
