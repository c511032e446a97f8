"""LIST and LSUB over the three namespaces.  RFC 3501 §6.3.8, §6.3.9; RFC 5258."""

from __future__ import annotations

import pytest

from acl_imapd.storage import accounts

from .conftest import ACTOR


def lines(client, line):
    """The untagged answers, without their first word and the delimiter; what has come and gone was told before."""
    client.ok("NOOP")
    return [one.removeprefix("* LIST ").removeprefix("* LSUB ").replace(' "/"', "") for one in client.ok(line).untagged]


def names(client, line):
    """The names alone."""
    return [one.partition(") ")[2].strip('"') for one in lines(client, line)]


def test_an_empty_pattern_asks_for_the_delimiter(world):
    """Statement 55; RFC 3501 §6.3.8."""
    bob = world.client("bob")

    assert bob.ok('LIST "" ""').untagged == ['* LIST (\\Noselect) "/" ""']


def test_l_alone_lists_and_does_not_select(world):
    """Statements 40 and 42: of another's, and of one's own, whose owner keeps l and a."""
    ann, bob = world.client("ann"), world.client("bob")
    ann.ok("CREATE Work")
    ann.ok("SETACL Work bob l")
    bob.ok("CREATE Own")
    bob.ok("SETACL Own bob l")

    assert {"Other Users/ann/Work", "Own"} <= set(names(bob, 'LIST "" "*"'))
    assert bob.cmd('SELECT "Other Users/ann/Work"').tagged.startswith("NO [NOPERM]")
    assert bob.cmd("SELECT Own").tagged.startswith("NO [NOPERM]")
    assert "\\Noselect" in bob.ok('LIST "" Own')


def test_a_namespace_is_listed_by_reference(world):
    """Statements 49 to 52: users with something visible only, INBOX hidden or not; the root where it is asked for."""
    ann, bob = world.client("ann"), world.client("bob")
    assert lines(bob, 'LIST "Other Users/" %') == []
    assert lines(bob, 'LIST "" "Other Users"') == []
    ann.ok("CREATE Work")
    ann.ok("SETACL Work bob lr")

    for asked in ('"" "Other Users"', '"" "Other Users/"'):
        assert lines(bob, f"LIST {asked}") == ['(\\Noselect \\HasChildren) "Other Users"']
    assert lines(bob, 'LIST "Other Users/" "%"') == ['(\\Noselect \\HasChildren) "Other Users/ann"']
    assert lines(bob, 'LIST "Other Users/ann/" "%"') == ['(\\HasNoChildren) "Other Users/ann/Work"']
    assert lines(bob, 'LIST "Other Users/" "*"') == ['(\\HasNoChildren) "Other Users/ann/Work"']
    ann.ok("SETACL INBOX bob lr")
    assert lines(bob, 'LIST "Other Users/" "%"') == ['(\\HasChildren) "Other Users/ann"']


def test_a_reference_with_no_folder_below_gives_nothing(world):
    """Statement 53."""
    bob = world.client("bob")
    bob.ok("CREATE Early")

    for pattern in ("*", "*%", "%"):
        assert lines(bob, f'LIST "Early/" "{pattern}"') == []


def test_each_percent_gives_just_its_level(world):
    """Statements 48, 54 and 56: also of another's tree; levels between are made for real."""
    ann, bob = world.client("ann"), world.client("bob")
    ann.ok("CREATE a/b/c")
    for name in ("a", "a/b/c"):
        ann.ok(f"SETACL {name} bob lr")
    ann.ok('SETACL a/b bob ""')

    assert lines(ann, 'LIST "" "a%"') == ["(\\HasChildren) a"]
    assert lines(ann, 'LIST "" "a/%"') == ["(\\HasChildren) a/b"]
    assert lines(ann, 'LIST "" "%/%/%"') == ["(\\HasNoChildren) a/b/c"]
    prefix = "Other Users/ann/"
    assert lines(bob, f'LIST "{prefix}" "%"') == [f'(\\HasChildren) "{prefix}a"']
    assert lines(bob, f'LIST "{prefix}" "%/%"') == [f'(\\Noselect \\HasChildren) "{prefix}a/b"']
    assert lines(bob, f'LIST "{prefix}" "%/%/%"') == [f'(\\HasNoChildren) "{prefix}a/b/c"']
    assert set(names(bob, f'LIST "{prefix}" "*%"')) == {f"{prefix}{one}" for one in ("a", "a/b", "a/b/c")}


def test_list_tells_own_folders_first_then_others_then_shared(world):
    """Statement 58."""
    ann, bob = world.client("ann"), world.client("bob")
    for line in ("CREATE Zoo", "SETACL Zoo bob lr", "SETACL INBOX bob lr"):
        ann.ok(line)
    bob.ok("CREATE Zoo")
    bob.ok("CREATE INBOX/x")

    told = names(bob, 'LIST "" "*"')

    others = ["Other Users/ann", "Other Users/ann/Zoo"]
    assert told[:2] == ["INBOX", "INBOX/x"]
    assert told[-3:] == [*others, "Shared Folders/Team"]
    assert told[2:-3] == sorted(told[2:-3])


def test_a_team_member_sees_what_the_team_was_given_and_others_do_not(world):
    """Statement 59; a grant and a departure are seen by the next LIST."""
    bob = world.client("bob")
    assert "Shared Folders/Team" in names(bob, 'LIST "" "*"')

    world.database.write_now(accounts.leave_team, ACTOR, "crew", "bob")

    assert "Shared Folders/Team" not in names(bob, 'LIST "" "*"')
    world.database.write_now(accounts.join_team, ACTOR, "crew", "bob")
    assert "Shared Folders/Team" in names(bob, 'LIST "" "*"')


def test_a_deleted_folder_leaves_no_trace(world):
    """Statement 60."""
    bob = world.client("bob")
    for line in ("CREATE gone/deep", "DELETE gone/deep", "DELETE gone"):
        bob.ok(line)

    for pattern in ("*", "gone*", "gone", "%", "gone/%"):
        assert not any(name.startswith("gone") for name in names(bob, f'LIST "" "{pattern}"'))


def test_a_renamed_user_takes_folders_rights_and_subscriptions_along(world):
    """Statements 61, 99 and 100."""
    ann, bob = world.client("ann"), world.client("bob")
    ann.ok("CREATE Work")
    ann.ok("SETACL Work bob lr")
    bob.ok('SUBSCRIBE "Other Users/ann/Work"')

    world.database.write_now(accounts.rename_user, ACTOR, "ann", "anna")
    world.database.write_now(accounts.rename_user, ACTOR, "bob", "rob")

    rob = world.client("rob")
    assert names(rob, 'LIST "" "Other*"') == ["Other Users/anna/Work"]
    assert "Other Users/anna/Work" in names(rob, 'LSUB "" "*"')
    rob.ok('SELECT "Other Users/anna/Work"')
    assert " rob lr" in world.client("anna").ok("GETACL Work")


@pytest.fixture
def fruit(world):
    """The example of RFC 5258 §5, as far as one server has it."""
    bob = world.client("bob")
    for name in names(bob, 'LSUB "" "*"'):
        bob.ok(f'UNSUBSCRIBE "{name}"')
        if name not in ("INBOX", "Shared Folders/Team"):
            bob.ok(f"DELETE {name}")
    for name in ("Fruit/Apple", "Fruit/Banana", "Tofu", "Vegetable/Broccoli", "Vegetable/Corn", "Fruit/Peach"):
        bob.ok(f"CREATE {name}")
    for name in ("Fruit/Banana", "Fruit/Peach", "Vegetable", "Vegetable/Broccoli"):
        bob.ok(f"SUBSCRIBE {name}")
    bob.ok("DELETE Fruit/Peach")
    return bob


def test_list_extended_answers_as_the_rfc_shows(world, fruit):
    """Statements 66 to 74."""
    bob = fruit
    assert lines(bob, 'LIST (SUBSCRIBED) "" "*"') == [
        "(\\Subscribed \\HasNoChildren) Fruit/Banana",
        "(\\Subscribed \\HasChildren) Vegetable",
        "(\\Subscribed \\HasNoChildren) Vegetable/Broccoli",
        "(\\NonExistent \\Subscribed) Fruit/Peach",
    ]
    assert lines(bob, 'LIST (SUBSCRIBED) "" "*" RETURN (CHILDREN)') == [
        "(\\Subscribed \\HasNoChildren) Fruit/Banana",
        "(\\Subscribed \\HasChildren) Vegetable",
        "(\\Subscribed \\HasNoChildren) Vegetable/Broccoli",
        "(\\NonExistent \\Subscribed \\HasNoChildren) Fruit/Peach",
    ]
    marked = lines(bob, 'LIST "" "*" RETURN (SUBSCRIBED)')
    assert "(\\HasChildren) Fruit" in marked
    assert "(\\Subscribed \\HasNoChildren) Fruit/Banana" in marked
    assert not any("Peach" in line for line in marked)
    assert names(bob, 'LIST (SUBSCRIBED RECURSIVEMATCH) "" "*"') == names(bob, 'LIST (SUBSCRIBED) "" "*"')
    assert lines(bob, 'LIST (SUBSCRIBED RECURSIVEMATCH) "" "%"') == [
        '(\\HasChildren) Fruit ("CHILDINFO" ("SUBSCRIBED"))',
        '(\\Subscribed \\HasChildren) Vegetable ("CHILDINFO" ("SUBSCRIBED"))',
    ]
    assert lines(bob, 'LIST "" "%" RETURN (CHILDREN)')[:3] == [
        "(\\HasNoChildren) INBOX",
        "(\\HasChildren) Fruit",
        "(\\HasNoChildren) Tofu",
    ]
    assert names(bob, 'LIST "" ("Fruit/*" "Tofu" "*u" "%")').count("Tofu") == 1
    assert bob.cmd('LIST (RECURSIVEMATCH) "" "*"').tagged.startswith("BAD")
    assert names(bob, 'LIST () "" "Fruit/%"') == ["Fruit/Apple", "Fruit/Banana"]


def test_a_gone_subscription_alone_below_a_level_is_told_of_by_recursivematch(world, fruit):
    """RFC 5258 §3.5: what is matched may be missing itself, and the level above is real."""
    fruit.ok("UNSUBSCRIBE Fruit/Banana")

    assert '(\\HasChildren) Fruit ("CHILDINFO" ("SUBSCRIBED"))' in lines(
        fruit, 'LIST (SUBSCRIBED RECURSIVEMATCH) "" "%"'
    )


def test_levels_above_gone_subscriptions_are_told_though_nothing_is_there(world, fruit):
    """RFC 5258 §3.5: as the ancestors of what is hidden from LIST, with CHILDINFO."""
    for line in ("CREATE No/where", "SUBSCRIBE No/where", "DELETE No/where", "DELETE No"):
        fruit.ok(line)

    assert '(\\NonExistent) No ("CHILDINFO" ("SUBSCRIBED"))' in lines(fruit, 'LIST (SUBSCRIBED RECURSIVEMATCH) "" "%"')


def test_list_status_is_right_whatever_is_selected(world):
    """Statement 75; a fault seen elsewhere: true counts without r."""
    world.create("Dark", bob="l", ann="lrswipkxtea")
    world.client("ann").append('"Shared Folders/Dark"')
    bob = world.client("bob")
    bob.append("Sent")
    bob.ok("SELECT INBOX")

    told = bob.ok('LIST "" "*" RETURN (STATUS (UIDVALIDITY MESSAGES))').untagged

    listed = {line.partition('"/" ')[2] for line in told if line.startswith("* LIST")}
    counted = {line.removeprefix("* STATUS ").partition(" (")[0] for line in told if line.startswith("* STATUS")}
    assert listed - counted == {'"Shared Folders/Dark"'}
    assert any(line.startswith("* STATUS Sent (") and "MESSAGES 1" in line for line in told)


def test_both_sides_of_sharing_see_their_own_subscriptions(world):
    """Statements 76 and 77."""
    ann, bob = world.client("ann"), world.client("bob")
    for one, other in ((ann, "bob"), (bob, "ann")):
        one.ok("CREATE Work")
        one.ok(f"SETACL Work {other} lr")
    for one, other in ((ann, "bob"), (bob, "ann")):
        one.ok("SUBSCRIBE Work")
        one.ok(f'SUBSCRIBE "Other Users/{other}/Work"')

    for one, other in ((ann, "bob"), (bob, "ann")):
        assert {"Work", f"Other Users/{other}/Work"} <= set(names(one, 'LIST (SUBSCRIBED) "" "*"'))
    ann.ok('UNSUBSCRIBE "Other Users/bob/Work"')
    assert "Other Users/bob/Work" not in names(ann, 'LSUB "" "*"')
    assert "Work" in names(ann, 'LSUB "" "*"')
    assert "Other Users/ann/Work" in names(bob, 'LSUB "" "*"')


def test_lsub_tells_of_levels_above_and_of_no_others(world):
    """Statements 78 to 80; RFC 3501 §6.3.9."""
    bob = world.client("bob")
    for name in ("Test", "Test Foo", "Deep/er/est"):
        bob.ok(f'CREATE "{name}"')
        bob.ok(f'SUBSCRIBE "{name}"')
    for name in names(bob, 'LSUB "" "*"'):
        if name not in ("Test", "Test Foo", "Deep/er/est"):
            bob.ok(f'UNSUBSCRIBE "{name}"')

    assert lines(bob, 'LSUB "" "%"') == ["() Test", '() "Test Foo"', "(\\Noselect) Deep"]
    assert lines(bob, 'LSUB "" "Deep/%"') == ["(\\Noselect) Deep/er"]
    assert lines(bob, 'LSUB "" "Test/*"') == []
    bob.ok("DELETE Test")
    assert lines(bob, 'LSUB "" "*"') == ["() Deep/er/est", '() "Test Foo"']


def test_a_subscription_does_not_outlive_the_right_in_what_is_told(world):
    """A fault seen elsewhere; it is there again with the right."""
    bob = world.client("bob")
    bob.ok('SUBSCRIBE "Shared Folders/Team"')
    world.give("Shared Folders/Team", "group:crew", "")

    for line in (
        'LIST (SUBSCRIBED) "" "*"',
        'LSUB "" "*"',
        'LSUB "" "Shared%"',
        'LIST (SUBSCRIBED RECURSIVEMATCH) "" "%"',
    ):
        assert not any("Shared" in name for name in names(bob, line))

    world.give("Shared Folders/Team", "group:crew", "lr")
    assert "Shared Folders/Team" in names(bob, 'LSUB "" "*"')


def test_special_uses_are_told_and_selected(world):
    """Statement 82; RFC 6154 §2, §5.2."""
    bob = world.client("bob")
    assert "\\Sent" in bob.ok('LIST "" Sent')
    bob.ok("CREATE Old (USE (\\Archive))")
    bob.ok("SUBSCRIBE Old")

    assert "(\\Subscribed \\HasNoChildren \\Archive) Old" in lines(bob, 'LIST (SPECIAL-USE) "" "*" RETURN (SUBSCRIBED)')
    assert "INBOX" not in names(bob, 'LIST (SPECIAL-USE) "" "*"')
    assert "(\\Subscribed \\HasNoChildren \\Archive) Old" in lines(bob, 'LIST (SUBSCRIBED SPECIAL-USE) "" "*"')


def test_list_with_too_many_patterns_or_words_is_refused(world):
    """Statement 83."""
    bob = world.client("bob")

    assert bob.cmd(f'LIST "" ({" ".join(["a"] * 100)})').tagged.startswith("BAD")
    assert bob.cmd('LIST "" * RETURN (' + "MYRIGHTS " * 10_000 + ")").tagged.startswith("BAD")
    assert bob.cmd('LIST "" *').tagged.startswith("OK")
