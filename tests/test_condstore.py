r"""CONDSTORE and QRESYNC as clients meet them: RFC 7162's examples, its refusals, and each user's own \Seen."""

from __future__ import annotations

import re

import pytest

from acl_imapd.storage import mailboxes
from tests.conftest import ACTOR, World

TEAM = '"Shared Folders/Team"'


def number(text: str, name: str) -> int:
    """The number that follows *name*."""
    found = re.search(rf"{name} \(?(\d+)", text)
    assert found, (name, text)
    return int(found[1])


def filled(world, count, *users):
    """Sessions of *users* with the team's folder open and *count* messages in it."""
    filler = world.client("ann")
    for _ in range(count):
        assert filler.append(TEAM).tagged.startswith("OK")
    return world.selected("Shared Folders/Team", *users)


# -- enabling -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "ENABLE CONDSTORE",
        "ENABLE QRESYNC",
        "STATUS INBOX (HIGHESTMODSEQ)",
        'LIST "" INBOX RETURN (STATUS (HIGHESTMODSEQ))',
        "FETCH 1 (MODSEQ)",
        "FETCH 1 (FLAGS) (CHANGEDSINCE 1)",
        "SEARCH MODSEQ 1",
        "STORE 1 (UNCHANGEDSINCE 999999) +FLAGS.SILENT (\\Flagged)",
    ],
)
def test_the_first_command_that_speaks_of_modseqs_switches_them_on(world, line):
    """§3.1: HIGHESTMODSEQ of what is selected, once, and MODSEQ and UID (§3.2.4) in what is told from then on."""
    world.client("bob").append("INBOX")
    bob, other = world.selected("INBOX", "bob", "bob")

    assert "* OK [HIGHESTMODSEQ " in bob.ok(line)
    other.ok("STORE 1 +FLAGS (\\Answered)")

    told = bob.ok("NOOP")
    assert re.search(r"^\* 1 FETCH \(UID 1 FLAGS \([^)]*\\Answered[^)]*\) MODSEQ \(\d+\)\)", told, re.M)
    assert "HIGHESTMODSEQ" not in bob.ok("FETCH 1 (MODSEQ)")


def test_a_client_that_did_not_switch_them_on_sees_no_modseq(world):
    bob, cat = filled(world, 1, "bob", "cat")
    cat.ok("STORE 1 +FLAGS (\\Flagged)")

    assert "MODSEQ" not in bob.ok("NOOP") + bob.ok("FETCH 1 FLAGS") + bob.ok("STORE 1 -FLAGS (\\Flagged)")


def test_enable_tells_what_is_on_and_passes_over_what_is_unknown(world):
    bob = world.client("bob")

    assert bob.ok("ENABLE QRESYNC X-GOOD-IDEA CONDSTORE").untagged == ["* ENABLED QRESYNC CONDSTORE"]
    assert bob.ok("ENABLE FROB").untagged == ["* ENABLED"]


def test_select_with_condstore_tells_the_highest_modseq(world):
    """§3.1.8, example 18."""
    filled(world, 2)
    bob = world.client("bob")

    answer = bob.ok(f"SELECT {TEAM} (CONDSTORE)")

    highest = number(answer, "HIGHESTMODSEQ")
    assert highest == max(number(line, "MODSEQ") for line in bob.ok("FETCH 1:* MODSEQ").untagged)


@pytest.mark.parametrize(
    "line",
    [
        f"SELECT {TEAM} (FROB)",
        f"SELECT {TEAM} ()",
        f"SELECT {TEAM} (QRESYNC (1))",
        f"SELECT {TEAM} (QRESYNC (1 1 1:*))",
        f"SELECT {TEAM} (QRESYNC (1 1 5,3))",
        f"SELECT {TEAM} (QRESYNC (1 1 1:9 (1:3 1:2)))",
        f"SELECT {TEAM} (QRESYNC (1 1 1:9 (3,1 1,3)))",
        f"SELECT {TEAM} (QRESYNC (1 99999999999999999999))",
        "FETCH 1 FLAGS (CHANGEDSINCE)",
        "FETCH 1 FLAGS (CHANGEDSINCE 1 CHANGEDSINCE 2)",
        "FETCH 1 FLAGS (FROB)",
        "FETCH 1 FLAGS ()",
        "FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)",
        "UID FETCH 1 FLAGS (VANISHED)",
        "STORE 1 (UNCHANGEDSINCE -1) FLAGS ()",
        "STORE 1 (UNCHANGEDSINCE 1 UNCHANGEDSINCE 1) FLAGS ()",
        "STORE 1 () FLAGS ()",
        "SEARCH MODSEQ x",
        'SEARCH MODSEQ "/flags/\\\\Seen" some 1',
        "SEARCH MODSEQ 9223372036854775808",
    ],
)
def test_what_the_grammar_does_not_know_is_bad_and_changes_nothing(world, line):
    (bob,) = filled(world, 1, "bob")
    bob.ok("ENABLE QRESYNC")
    before = world.snapshot()

    assert bob.cmd(line).tagged.startswith("BAD")
    assert world.snapshot() == before


@pytest.mark.parametrize("line", [f"SELECT {TEAM} (QRESYNC (1 1))", "UID FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)"])
def test_qresync_must_be_enabled_first(world, line):
    """§3.2.5, §3.2.6."""
    (bob,) = filled(world, 1, "bob")

    assert bob.cmd(line).tagged.startswith("BAD")


# -- STORE --------------------------------------------------------------------------------------------------------


def test_conditional_store_changes_what_is_unchanged_and_names_the_rest(world):
    """§3.1.3, examples 3, 6 and 10: and how the rest is now is told."""
    bob, cat = filled(world, 3, "bob", "cat")
    since = number(bob.ok("STATUS INBOX (HIGHESTMODSEQ)") + bob.ok("FETCH 3 MODSEQ"), r"3 FETCH \(MODSEQ")
    cat.ok("STORE 2 +FLAGS (\\Answered)")

    answer = bob.cmd(f"UID STORE 3,1,2 (UNCHANGEDSINCE {since}) +FLAGS.SILENT (\\Deleted)")

    assert answer.tagged.startswith("OK [MODIFIED 2]")
    flags = {n: re.search(rf"\* {n} FETCH \((.*)\)", answer)[1] for n in (1, 2, 3)}
    assert re.fullmatch(r"UID 1 MODSEQ \(\d+\)", flags[1])
    assert re.fullmatch(r"UID 2 FLAGS \([^)]*\\Answered[^)]*\) MODSEQ \(\d+\)", flags[2])
    assert number(flags[1], "MODSEQ") == number(flags[3], "MODSEQ") > number(flags[2], "MODSEQ") > since
    assert "\\Deleted" not in bob.ok("FETCH 2 FLAGS")
    again = bob.ok(f"STORE 2 (UNCHANGEDSINCE {number(flags[2], 'MODSEQ')}) +FLAGS (\\Deleted)")
    assert "\\Deleted" in again
    assert "MODIFIED" not in again


def test_unchangedsince_0_always_fails(world):
    """§3.1.3, example 7: a system flag is always there."""
    (bob,) = filled(world, 1, "bob")

    for flags in ("(\\Flagged)", "(\\Seen)", "(\\Seen \\Flagged)"):
        assert bob.cmd(f"STORE 1 (UNCHANGEDSINCE 0) +FLAGS.SILENT {flags}").tagged.startswith("OK [MODIFIED 1]")


def test_conditional_store_of_messages_some_of_which_are_gone_is_no_with_the_modified(world):
    """§3.1.3, example 11."""
    bob, cat = filled(world, 4, "bob", "cat")
    since = number(bob.ok("FETCH 4 MODSEQ"), r"4 FETCH \(MODSEQ")
    cat.ok("STORE 2 +FLAGS (\\Answered)")
    cat.ok("STORE 4 +FLAGS (\\Deleted)")
    cat.ok("EXPUNGE")

    answer = bob.cmd(f"STORE 1:4 (UNCHANGEDSINCE {since}) +FLAGS (\\Flagged)")

    assert answer.tagged.startswith("NO [MODIFIED 2]")
    assert not any("EXPUNGE" in line for line in answer.untagged)
    assert "* 4 EXPUNGE" in bob.ok("NOOP").untagged


def test_a_message_named_twice_is_changed_once(world):
    """§3.1.3, e105."""
    (bob,) = filled(world, 3, "bob")
    since = number(bob.ok("FETCH 3 MODSEQ"), r"3 FETCH \(MODSEQ")

    assert "MODIFIED" not in bob.ok(f"STORE 2,1:3 (UNCHANGEDSINCE {since}) +FLAGS.SILENT (\\Flagged)")


def test_setting_what_is_set_raises_no_modseq(world):
    """§3.1.11."""
    (bob,) = filled(world, 1, "bob")
    bob.ok("ENABLE CONDSTORE")
    first = bob.ok("STORE 1 +FLAGS (\\Seen \\Flagged Work)")

    for line in ("STORE 1 +FLAGS (\\Seen)", "STORE 1 FLAGS (\\Seen \\Flagged Work)", "STORE 1 -FLAGS (\\Draft)"):
        assert number(bob.ok(line), "MODSEQ") == number(first, "MODSEQ")


def test_each_store_gets_a_greater_modseq(world):
    """§3.1."""
    (bob,) = filled(world, 1, "bob")
    bob.ok("ENABLE CONDSTORE")
    modseqs = [
        number(bob.ok(f"STORE 1 {sign}FLAGS ({flag})"), "MODSEQ")
        for flag in ("\\Seen", "\\Flagged", "Work")
        for sign in "+-"
    ]

    assert modseqs == sorted(set(modseqs))


def test_seen_concerns_its_user_alone(world):
    r"""§3.1.4.2, example 14: \Deleted and \Answered are all's, \Seen is each user's own."""
    one, two, andrew = filled(world, 7, "bob", "bob", "cat")
    for client in (one, two, andrew):
        client.ok("ENABLE CONDSTORE")

    stored = one.ok("STORE 7 +FLAGS.SILENT (\\Deleted)")
    assert stored.untagged == [f"* 7 FETCH (UID 7 MODSEQ ({number(stored, 'MODSEQ')}))"]
    for client in (two, andrew):
        assert number(client.ok("NOOP"), "MODSEQ") == number(stored, "MODSEQ")

    seen = one.ok("STORE 7 +FLAGS.SILENT (\\Seen)")
    assert number(seen, "MODSEQ") > number(stored, "MODSEQ")
    assert f"MODSEQ ({number(seen, 'MODSEQ')})" in two.ok("NOOP")
    assert andrew.ok("NOOP").untagged == []
    assert number(andrew.ok("FETCH 7 MODSEQ"), "MODSEQ") == number(stored, "MODSEQ")

    both = one.ok("STORE 7 -FLAGS.SILENT (\\Deleted \\Seen)")
    for client in (two, andrew):
        assert f"FLAGS () MODSEQ ({number(both, 'MODSEQ')})" in client.ok("NOOP").replace("\\Recent", "")


def test_seen_of_one_user_is_no_conflict_for_another(world):
    bob, cat = filled(world, 1, "bob", "cat")
    since = number(bob.ok("FETCH 1 MODSEQ"), r"1 FETCH \(MODSEQ")
    cat.ok("STORE 1 +FLAGS (\\Seen)")

    assert "MODIFIED" not in bob.ok(f"STORE 1 (UNCHANGEDSINCE {since}) +FLAGS (\\Seen \\Flagged)")
    assert bob.cmd(f"STORE 1 (UNCHANGEDSINCE {since}) -FLAGS (\\Seen)").tagged.startswith("OK [MODIFIED 1]")


def test_fetch_that_sets_seen_tells_uid_and_modseq(world):
    """§3.2.4."""
    (bob,) = filled(world, 1, "bob")
    before = number(bob.ok("FETCH 1 MODSEQ"), r"1 FETCH \(MODSEQ")

    answer = bob.ok("FETCH 1 BODY[TEXT]")

    assert "\\Seen" in answer
    assert "UID 1" in answer
    assert number(answer, "MODSEQ") > before


# -- whose modseq -------------------------------------------------------------------------------------------------


def highest(client, name=TEAM):
    return number(client.ok(f"STATUS {name} (HIGHESTMODSEQ)"), f"{name} .*HIGHESTMODSEQ")


def test_reading_moves_the_highest_modseq_of_the_reader_alone(world):
    """And it is the same by STATUS, by SELECT, by LIST, and from another server on the same database."""
    bob, cat = filled(world, 2, "bob", "cat")
    before = highest(cat)

    bob.ok("FETCH 1 BODY[]")

    assert highest(cat) == before < highest(bob)
    other = World(world.database)
    for name, same in (("bob", highest(bob)), ("cat", before)):
        client = other.client(name)
        assert highest(client) == same
        assert number(client.ok(f"SELECT {TEAM}"), "HIGHESTMODSEQ") == same
        assert number(client.ok(f'LIST "" {TEAM} RETURN (STATUS (HIGHESTMODSEQ))'), "HIGHESTMODSEQ") == same
        modseqs = [number(line, "MODSEQ") for line in client.ok("FETCH 1:2 MODSEQ").untagged]
        assert modseqs[0 if name == "bob" else 1] == same
    other.close()


def test_reading_of_ones_own_inbox_is_no_news_for_those_it_is_shared_with(world):
    bob = world.client("bob")
    bob.append("INBOX")
    bob.ok("SETACL INBOX cat lrs")
    cat = world.client("cat")
    cat.ok('SELECT "Other Users/bob" (CONDSTORE)')
    bob.ok("SELECT INBOX (CONDSTORE)")
    first = highest(cat, '"Other Users/bob"')

    seen = bob.ok("STORE 1 +FLAGS (\\Seen)")

    assert cat.ok("NOOP").untagged == []
    assert highest(cat, '"Other Users/bob"') == number(cat.ok("FETCH 1 MODSEQ"), "MODSEQ") == first
    assert highest(bob, "INBOX") == number(seen, "MODSEQ") > first
    flagged = bob.ok("STORE 1 +FLAGS (\\Flagged) ")
    assert number(cat.ok("NOOP"), "MODSEQ") == number(flagged, "MODSEQ")
    mine = cat.ok("STORE 1 +FLAGS (\\Seen)")
    assert number(mine, "MODSEQ") > number(flagged, "MODSEQ") == highest(bob, "INBOX")
    assert bob.ok("NOOP").untagged == []


@pytest.mark.parametrize("shared", [True, False])
def test_another_way_of_keeping_seen_is_a_change_for_whom_it_changes_something(world, shared):
    """``folder set --seen``: nobody's cached flags stay wrong."""
    bob, cat = filled(world, 3, "bob", "cat")
    bob.ok("STORE 1 +FLAGS (\\Seen)")
    team = world.mailbox("Shared Folders/Team").id
    if not shared:
        world.database.write_now(mailboxes.set_seen_mode, ACTOR, team, shared=True)
        world.notice()
    before = highest(cat)
    cat.ok("CLOSE")

    world.database.write_now(mailboxes.set_seen_mode, ACTOR, team, shared=shared)
    world.notice()

    cat.ok("ENABLE QRESYNC")
    answer = cat.ok(f"SELECT {TEAM} (QRESYNC ({number(cat.ok(f'SELECT {TEAM}'), 'UIDVALIDITY')} {before}))")
    assert number(answer, "HIGHESTMODSEQ") > before
    assert "FETCH (UID 1 FLAGS (\\Seen" in answer
    assert "FETCH (UID 2" not in answer


# -- FETCH, SEARCH ------------------------------------------------------------------------------------------------


def test_changedsince_tells_only_what_changed(world):
    """§3.1.4.1, example 12: and adds MODSEQ."""
    bob, cat = filled(world, 4, "bob", "cat")
    since = highest(bob)
    cat.ok("STORE 2 +FLAGS (\\Flagged)")
    bob.ok("STORE 4 +FLAGS.SILENT (\\Seen)")

    answer = bob.ok(f"UID FETCH 1:* (FLAGS) (CHANGEDSINCE {since})")

    assert [line.split()[1] for line in answer.untagged] == ["2", "4"]
    assert all(re.search(r"\(MODSEQ \(\d+\) UID \d |\(UID \d .*MODSEQ \(\d+\)", line) for line in answer.untagged)
    assert bob.ok(f"FETCH 1:* (FLAGS) (CHANGEDSINCE {highest(bob)})").untagged == []


def test_vanished_is_told_before_the_rest(world):
    """§3.2.6, example 1."""
    bob, cat = filled(world, 6, "bob", "cat")
    bob.ok("ENABLE QRESYNC")
    since = highest(bob)
    cat.ok("STORE 2,5 +FLAGS (\\Deleted)")
    cat.ok("EXPUNGE")
    bob.ok("NOOP")
    cat.ok("STORE 1 +FLAGS (\\Flagged)")

    answer = bob.ok(f"UID FETCH 1:4 (FLAGS) (CHANGEDSINCE {since} VANISHED)")

    assert answer.untagged[0] == "* VANISHED (EARLIER) 2"
    assert re.match(r"\* 1 FETCH \(UID 1 MODSEQ \(\d+\) FLAGS \(\\Flagged", answer.untagged[1])
    assert bob.ok(f"UID FETCH 1:* (FLAGS) (CHANGEDSINCE {highest(bob)} VANISHED)").untagged == []


def test_vanished_earlier_does_not_name_what_the_client_takes_for_there(world):
    """§3.2.10.1: that comes as VANISHED, which counts down."""
    bob, cat = filled(world, 3, "bob", "cat")
    bob.ok("ENABLE QRESYNC")
    since = highest(bob)
    cat.ok("STORE 2 +FLAGS (\\Deleted)")
    cat.ok("EXPUNGE")

    answer = bob.ok(f"UID FETCH 1:* (FLAGS) (CHANGEDSINCE {since} VANISHED)")

    assert "EARLIER" not in answer
    assert "* VANISHED 2" in answer.untagged


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("SEARCH MODSEQ {0}", "* SEARCH 2 4 (MODSEQ {2})"),
        ("UID SEARCH MODSEQ {1} ALL", "* SEARCH 4 (MODSEQ {2})"),
        ("SEARCH NOT MODSEQ {0} UID 1", "* SEARCH 1 (MODSEQ {3})"),
        ('SEARCH MODSEQ "/flags/\\\\flagged" all {0}', "* SEARCH 2 4 (MODSEQ {2})"),
        ("SEARCH MODSEQ 999999", "* SEARCH"),
        ("SEARCH RETURN () MODSEQ {0}", '* ESEARCH (TAG "{tag}") ALL 2,4 MODSEQ {2}'),
        ("SEARCH RETURN (MIN) MODSEQ {0}", '* ESEARCH (TAG "{tag}") MIN 2 MODSEQ {0}'),
        ("SEARCH RETURN (MAX) MODSEQ 0", '* ESEARCH (TAG "{tag}") MAX 4 MODSEQ {2}'),
        ("SEARCH RETURN (MIN MAX) MODSEQ {0}", '* ESEARCH (TAG "{tag}") MIN 2 MAX 4 MODSEQ {2}'),
        ("UID SEARCH RETURN (COUNT) MODSEQ 999999", '* ESEARCH (TAG "{tag}") UID COUNT 0'),
    ],
)
def test_search_by_modseq(world, line, told):
    """§3.1.5, §3.1.6, §3.1.10 and RFC 4731 §3.2."""
    bob, cat = filled(world, 4, "bob", "cat")
    bob.ok("ENABLE CONDSTORE")
    first = number(bob.ok("FETCH 1 MODSEQ"), "MODSEQ")
    cat.ok("STORE 2 +FLAGS (\\Flagged)")
    second = number(bob.ok("NOOP"), "MODSEQ")
    last = number(bob.ok("STORE 4 +FLAGS (\\Seen)"), "MODSEQ")

    answer = bob.ok(line.format(second, second + 1, last, first))

    assert answer.untagged == [told.format(second, second + 1, last, first, tag=f"a{bob.number}")]


# -- expunging ----------------------------------------------------------------------------------------------------


def test_expunge_tells_vanished_and_the_modseq_of_it(world):
    """§3.2.7, §3.2.9, §3.2.10: UIDs in one line, others too; no HIGHESTMODSEQ where nothing went."""
    bob, cat, old = filled(world, 6, "bob", "cat", "ann")
    for client in (bob, cat):
        client.ok("ENABLE QRESYNC")
    bob.ok("STORE 2,3,5 +FLAGS.SILENT (\\Deleted)")

    first = bob.ok("UID EXPUNGE 5")
    second = bob.ok("EXPUNGE")

    assert first.untagged == ["* VANISHED 5"]
    assert second.untagged == ["* VANISHED 2:3"]
    assert number(first.tagged, r"OK \[HIGHESTMODSEQ") < number(second.tagged, r"OK \[HIGHESTMODSEQ") == highest(bob)
    assert bob.ok("EXPUNGE").tagged == "OK EXPUNGE done"
    assert [line for line in cat.ok("NOOP").untagged if "FETCH" not in line] == ["* VANISHED 2:3,5"]
    assert [line for line in old.ok("NOOP").untagged if "FETCH" not in line] == [
        "* 5 EXPUNGE", "* 3 EXPUNGE", "* 2 EXPUNGE"
    ]  # fmt: skip


def test_close_expunges_and_tells_no_modseq(world):
    """§3.2.8."""
    (bob,) = filled(world, 2, "bob")
    bob.ok("ENABLE QRESYNC")
    bob.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    before = highest(bob)

    assert bob.ok("CLOSE").lines == [f"a{bob.number} OK CLOSE done"]
    assert highest(bob) > before


def test_move_tells_vanished_of_the_source_and_both_modseqs_rise(world):
    """RFC 6851 §4.4, RFC 7162 §3.2."""
    (bob,) = filled(world, 3, "bob")
    bob.ok("ENABLE QRESYNC")
    source, target = highest(bob), highest(bob, "Trash")

    answer = bob.ok("MOVE 1:2 Trash")

    assert [line.split(" ")[1] for line in answer.untagged] == ["OK", "VANISHED"]
    assert answer.untagged[1] == "* VANISHED 1:2"
    assert number(answer.tagged, "HIGHESTMODSEQ") == highest(bob) > source
    assert highest(bob, "Trash") > target


def test_a_client_that_cannot_be_told_of_an_expunge_yet_is_told_to_go_no_further(world):
    """§3.2, §6: it would miss the VANISHED if it were cut off now."""
    bob, cat = filled(world, 3, "bob", "cat")
    bob.ok("ENABLE QRESYNC")
    before = highest(bob)
    cat.ok("STORE 3 +FLAGS (\\Deleted)")
    cat.ok("EXPUNGE")

    answer = bob.ok("STORE 1 +FLAGS.SILENT (\\Flagged)")

    assert number(answer, "FETCH .*MODSEQ") > before == number(answer, "HIGHESTMODSEQ")
    after = bob.ok("NOOP")
    assert "* VANISHED 3" in after.untagged
    assert number(after, "HIGHESTMODSEQ") == highest(bob) > before


def test_uid_search_by_message_numbers_holds_vanished_back(world):
    """§3.2.10.2."""
    bob, cat = filled(world, 3, "bob", "cat")
    bob.ok("ENABLE QRESYNC")
    cat.ok("STORE 1 +FLAGS (\\Deleted)")
    cat.ok("EXPUNGE")

    assert "VANISHED" not in bob.ok("UID SEARCH 1:3")
    assert "* VANISHED 1" in bob.ok("UID SEARCH ALL").untagged


def test_idle_tells_vanished_and_modseqs(world):
    bob, cat = filled(world, 2, "bob", "cat")
    bob.ok("ENABLE QRESYNC")
    bob.idle()

    cat.ok("STORE 2 +FLAGS (\\Deleted)")
    flagged = bob.take()
    cat.ok("EXPUNGE")

    assert re.search(r"\* 2 FETCH \(UID 2 FLAGS \([^)]*\\Deleted[^)]*\) MODSEQ \(\d+\)\)", flagged)
    assert bob.take().lines == ["* VANISHED 2"]


# -- SELECT (QRESYNC …) -------------------------------------------------------------------------------------------


def resync(client, rest):
    """SELECT with QRESYNC; what it tells of messages."""
    validity = number(client.ok(f"STATUS {TEAM} (UIDVALIDITY)"), "UIDVALIDITY")
    answer = client.ok(f"SELECT {TEAM} (QRESYNC ({validity} {rest}))")
    return [re.sub(r" \(UID (\d+) .*", r" UID \1", line) for line in answer.untagged
            if "VANISHED" in line or " FETCH " in line]  # fmt: skip


@pytest.fixture
def away(world):
    """bob, who knew of UIDs 1 to 9; since then 2, 3 and 8 went, 5 was flagged, 10 came.  (bob, modseq he knew)."""
    bob, cat = filled(world, 9, "bob", "cat")
    bob.ok("ENABLE QRESYNC")
    since = highest(bob)
    bob.ok("UNSELECT")
    cat.ok("STORE 2,3,8 +FLAGS (\\Deleted)")
    cat.ok("EXPUNGE")
    cat.ok("UID STORE 5 +FLAGS (\\Flagged)")
    cat.append(TEAM)
    return bob, since


def test_a_client_that_was_away_is_told_what_it_missed(away):
    """§3.2.5.1."""
    bob, since = away

    assert resync(bob, f"{since}") == ["* VANISHED (EARLIER) 2:3,8", "* 3 FETCH UID 5", "* 7 FETCH UID 10"]
    assert resync(bob, f"{since} 1:5") == ["* VANISHED (EARLIER) 2:3", "* 3 FETCH UID 5"]
    assert resync(bob, f"{highest(bob)} 1:100") == []
    assert resync(bob, "1 7:9")[0] == "* VANISHED (EARLIER) 8"


@pytest.mark.parametrize(
    ("pairs", "vanished"),
    [
        ("(1 1)", "2:3,8"),  # message 1 is UID 1 still
        ("(4 6)", "8"),  # message 4 is UID 6: nothing below it is news
        ("(1,4,5 1,6,7)", "8"),
        ("(1:9 1:9)", "2:3,8"),
        ("(1,4:6 1,6:7,9)", ""),
        ("(6 9)", ""),
        ("(2,600 2,5000)", "2:3,8"),  # no match
    ],
)
def test_known_sequence_numbers_narrow_what_has_vanished(away, pairs, vanished):
    """§3.2.5.2."""
    bob, since = away

    told = [line for line in resync(bob, f"{since} 1:9 {pairs}") if "VANISHED" in line]

    assert told == ([f"* VANISHED (EARLIER) {vanished}"] if vanished else [])


def test_with_another_uidvalidity_nothing_is_told(away):
    """§3.2.5."""
    bob, since = away

    answer = bob.ok(f"SELECT {TEAM} (QRESYNC (67890007 {since} 1:9))")

    assert "VANISHED" not in answer
    assert " FETCH " not in answer
    assert number(answer, "HIGHESTMODSEQ")


def test_what_was_read_elsewhere_is_told_to_its_reader_alone(away, world):
    r"""Each user's own \Seen is kept with its modseq, in the database."""
    bob, _ = away
    since = highest(bob)
    (cat,) = world.selected("Shared Folders/Team", "cat")
    cat.ok("UID STORE 6 +FLAGS (\\Seen)")
    other = World(world.database)
    phone = other.client("bob")
    phone.ok(f"SELECT {TEAM}")
    phone.ok("UID STORE 4,9 +FLAGS (\\Seen)")

    assert resync(bob, f"{since}") == ["* 2 FETCH UID 4", "* 6 FETCH UID 9"]
    other.close()


def test_selecting_another_mailbox_tells_that_the_first_is_closed(world):
    """§3.2.11: whether or not anything was enabled; and when the other cannot be opened."""
    (bob,) = world.selected("INBOX", "bob")

    assert bob.ok(f"SELECT {TEAM}").untagged[0].startswith("* OK [CLOSED]")
    assert bob.cmd("SELECT Nope").untagged == ["* OK [CLOSED] What follows is of another mailbox"]
    assert "CLOSED" not in bob.ok("SELECT INBOX")


def test_without_r_a_resynchronization_tells_nothing(world, away):
    bob, since = away
    world.give("Shared Folders/Team", "group:crew", "l")

    answer = bob.cmd(f"SELECT {TEAM} (QRESYNC (1 {since} 1:9))")

    assert answer.tagged.startswith("NO [NOPERM]")
    assert answer.untagged == []


def test_old_expunges_are_put_together_and_none_is_lost(world, monkeypatch):
    """§5.3: what is remembered of expunges stays small; a client that was away for long is told too much at worst."""
    from acl_imapd.ranges import RangeSet
    from acl_imapd.storage import messages, modseqs
    from acl_imapd.storage.schema import expunged

    filled(world, 1)
    team = world.mailbox("Shared Folders/Team").id

    def many(conn):
        for modseq in range(100, 100 + modseqs.MAX_EXPUNGES + 1):
            modseqs.insert_expunged(conn, team, modseq, RangeSet(((modseq, modseq),)))
        return len(conn.execute(expunged.select()).all())

    left = world.database.write_now(many)

    assert left == modseqs.MAX_EXPUNGES // 2 + 1
    last = 100 + modseqs.MAX_EXPUNGES
    assert world.database.read_now(messages.read_vanished, team, 99) == RangeSet(((100, last),))
    assert world.database.read_now(messages.read_vanished, team, last - 10) == RangeSet(((last - 9, last),))
