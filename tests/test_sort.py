"""SORT, ESORT, SORT=DISPLAY, COMPARATOR, LANGUAGE.  RFC 5256, RFC 5957, RFC 5267 §3, RFC 5255, RFC 5051."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acl_imapd.mail.collation import COLLATIONS, matching, unicode_casemap
from acl_imapd.mail.sortkeys import message_ids, sent_time, sort_keys
from acl_imapd.mail.subject import base_subject

TEAM = "Shared Folders/Team"


def mail(subject="x", sender="a@x.example", to="t@x.example", cc="", date="", body="", more=""):
    lines = [f"From: {sender}", f"To: {to}", f"Subject: {subject}"]
    lines += [f"Cc: {cc}"] if cc else []
    lines += [f"Date: {date}"] if date else []
    return "\r\n".join(lines) + "\r\n" + more + "\r\n" + body + "\r\n"


def fill(world, *messages):
    """ann's client in INBOX with these messages."""
    client = world.client("ann")
    for one in messages:
        assert client.append("INBOX", one).tagged.startswith("OK")
    client.ok("SELECT INBOX")
    return client


def told(client, command, name="SORT"):
    """The numbers of the answer."""
    lines = [line for line in client.ok(command).untagged if line.startswith(f"* {name}")]
    assert len(lines) == 1
    return [int(word) for word in lines[0].split()[2:]]


# -- the base subject ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("subject", "base", "is_reply"),
    [
        ("Hello", "Hello", False),
        ("  Hello \t there ", "Hello there", False),
        ("Re: Hello", "Hello", True),
        ("RE : fw: FWD : Hello", "Hello", True),
        ("Re[2]: Hello", "Hello", True),
        ("Re [list]: Hello", "Hello", True),
        ("[list] Re: Hello", "Hello", True),
        ("[list] [more] Hello", "Hello", False),
        ("[list]", "[list]", False),
        ("[a] [b]", "[b]", False),
        ("Hello (fwd)", "Hello", True),
        ("Hello (FWD) (fwd) ", "Hello", True),
        ("[fwd: Hello]", "Hello", True),
        ("[Fwd: Re: [list] Hello (fwd)] (fwd)", "Hello", True),
        ("[fwd: a] b", "b", False),
        ("Re:", "", True),
        ("", "", False),
        ("reply: Hello", "reply: Hello", False),
        ("Hello [list]", "Hello [list]", False),
        ("Re: [] [x] y", "y", True),
        ("(fwd)", "", True),
    ],
)
def test_the_base_subject(subject, base, is_reply):
    assert base_subject(subject) == (base, is_reply)


PIECES = st.lists(
    st.sampled_from(["re", "fwd", "fw", ":", " ", "[", "]", "[x]", "[fwd:", "(fwd)", "Hi", "(", "\t"]), max_size=14
)


@settings(max_examples=150, deadline=None)
@given(PIECES)
def test_a_base_subject_has_no_more_to_take_away(pieces):
    subject = "".join(pieces)
    base = base_subject(subject)

    assert base_subject(base.text) == (base.text, False)
    assert base_subject("Re: " + subject) == (base.text, True)


@pytest.mark.parametrize(
    "subject", ["[a] " * 20_000, "re:" * 20_000, "[fwd:" * 20_000 + "]" * 20_000, "(fwd)" * 20_000]
)
def test_hostile_subjects_cost_little(subject):
    assert len(base_subject(subject).text) <= 2000


# -- dates, addresses, ids ----------------------------------------------------------------------------------------


def test_the_sent_date_is_in_utc():
    """RFC 5256 §2.2 and its example."""
    assert sent_time(b"31 Dec 2000 16:01:33 -0800") == sent_time(b"1 Jan 2001 00:01:33 +0000") == 978_307_293
    assert sent_time(b"Mon, 1 Jan 2001 25:61:00 +0000") == sent_time(b"1 Jan 2001 00:00:00 +0000")
    assert sent_time(b"1 Jan 2001 00:01:33") == 978_307_293
    assert sent_time(b"31 Feb 2001 00:00:00 +0000") is None
    assert sent_time(b"yesterday") is None


def test_message_ids_without_needless_quotes():
    """RFC 5256 §3: the two are the same."""
    assert message_ids(b'<"01KF8JCEOCBS0045PS"@xxx.yyy.com>') == message_ids(b"<01KF8JCEOCBS0045PS@xxx.yyy.com>")
    assert message_ids(b"(c) <a@b> x <c@d>, <no> <e f@g> <h@i\r\n") == ["a@b", "c@d"]


def test_keys_of_a_header():
    header = mail(
        "=?utf-8?Q?Re=3A_Gr=C3=BC=C3=9Fe?=",
        '"Last, First" <F.L@x.example>',
        "=?utf-8?Q?J=C3=B6rg?= <j@y.example>",
        "u",
    )
    keys = sort_keys(header.encode())

    assert (keys.subject, keys.is_reply) == ("Grüße", True)
    assert (keys.from_mailbox, keys.to_mailbox, keys.cc_mailbox) == ("F.L", "j", "u")
    assert (keys.from_display, keys.to_display) == ("Last, First", "Jörg")
    plain = sort_keys(b"From: a@x.example\r\nIn-Reply-To: <p@q> <r@s>\r\n\r\n")
    assert (plain.from_display, plain.to_display, plain.refs) == ("a@x.example", "", ("p@q",))


@settings(max_examples=80, deadline=None)
@given(
    st.binary(max_size=200),
    st.lists(st.tuples(st.sampled_from([b"Subject", b"From", b"Date", b"References", b"To"]), st.binary(max_size=60))),
)
def test_any_bytes_are_a_header(data, fields):
    header = b"".join(name + b": " + value + b"\r\n" for name, value in fields) + data

    keys = sort_keys(header)

    for value in keys:
        assert "\0" not in str(value)
    "".join(str(value) for value in keys).encode()


# -- collations ---------------------------------------------------------------------------------------------------


def test_unicode_casemap():
    """RFC 5051 §2, its example among them."""
    assert unicode_casemap("\u01c4") == "D" + "z\u030c"
    assert unicode_casemap("straße") == "STRAßE"  # one code point has one titlecase
    assert unicode_casemap("Äffin") == unicode_casemap("a\u0308FFIN")
    assert unicode_casemap("\u00e9") == "E\u0301"
    assert unicode_casemap("ﬁ") == "fi"


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=30))
def test_collations_go_character_by_character(text):
    for fold in COLLATIONS.values():
        assert fold(text) == "".join(map(fold, text))


def test_comparators_by_name_and_pattern():
    assert matching("default") == ["i;unicode-casemap"]
    assert matching("i;*casemap") == ["i;unicode-casemap", "i;ascii-casemap"]
    assert matching("*") == list(COLLATIONS)
    assert matching("cz;*") == []
    assert matching("*" * 200 + "x") == []


# -- SORT -----------------------------------------------------------------------------------------------------------

FOUR = (
    mail("Beta", "zoe@x.example", "u@x.example", "k@x.example", "Mon, 3 Feb 2025 10:00:00 +0000", "four words in it"),
    mail("Re: alpha", "Adam <Yves@x.example>", "T@x.example", "", "Mon, 3 Feb 2025 10:00:00 +0200"),
    mail("ALPHA", "=?utf-8?Q?=C3=84rger?= <b@x.example>", "Zed <a@x.example>", "J@x.example",
         "Sun, 2 Feb 2025 10:00:00 +0000"),
    mail("[x] gamma", "Carl <c@x.example>", "t@x.example", "", ""),
)  # fmt: skip


ORDERS = [
    ("SUBJECT", [2, 3, 1, 4]),
    ("REVERSE SUBJECT", [4, 1, 2, 3]),
    ("SUBJECT REVERSE DATE", [2, 3, 1, 4]),
    ("SUBJECT DATE", [3, 2, 1, 4]),
    ("DATE", [3, 2, 1, 4]),  # the fourth has none: its internal date, which is now
    ("REVERSE DATE", [4, 1, 2, 3]),
    ("ARRIVAL", [1, 2, 3, 4]),
    ("FROM", [3, 4, 2, 1]),
    ("TO", [3, 2, 4, 1]),
    ("CC", [2, 4, 3, 1]),
    ("REVERSE CC ARRIVAL", [1, 3, 2, 4]),
    ("DISPLAYFROM", [2, 3, 4, 1]),
    ("DISPLAYTO", [2, 4, 1, 3]),
    ("REVERSE SIZE", sorted([1, 2, 3, 4], key=lambda n: -len(FOUR[n - 1]))),
]


def test_each_criterion(world):
    client = fill(world, *FOUR)

    for criteria, order in ORDERS:
        assert told(client, f"SORT ({criteria}) UTF-8 ALL") == order, criteria
    client.ok("STORE 1 +FLAGS (\\Flagged)")
    for criteria, order in ORDERS:
        found = [one for one in order if one != 1]
        assert told(client, f"UID SORT ({criteria}) US-ASCII UNFLAGGED") == found, criteria


def test_sort_finds_what_search_finds_and_nothing_is_an_empty_answer(world):
    client = fill(world, *FOUR)

    assert client.ok('SORT (SUBJECT) US-ASCII TEXT "not in mailbox"').untagged == ["* SORT"]
    assert told(client, 'SORT (DATE) UTF-8 TEXT "words"') == [1]


def test_the_answers_of_esort(world):
    """RFC 5267 §3: MIN and MAX by the order, ALL in the order, ranges only upwards."""
    client = fill(world, *(mail(f"{9 - n}") for n in range(6)), mail("8"), mail("9"))

    answer = client.ok("UID SORT RETURN () (SUBJECT) UTF-8 ALL").untagged
    assert answer == [f'* ESEARCH (TAG "a{client.number}") UID ALL 6,5,4,3,2,7,1,8']
    answer = client.ok("SORT RETURN (MIN MAX COUNT) (SUBJECT) UTF-8 ALL").untagged
    assert answer == [f'* ESEARCH (TAG "a{client.number}") MIN 6 MAX 8 COUNT 8']
    answer = client.ok("SORT RETURN (ALL) (ARRIVAL) UTF-8 1:4,6").untagged
    assert answer == [f'* ESEARCH (TAG "a{client.number}") ALL 1:4,6']
    answer = client.ok("SORT RETURN (MIN ALL COUNT) (SIZE) UTF-8 DELETED").untagged
    assert answer == [f'* ESEARCH (TAG "a{client.number}") COUNT 0']


def test_what_is_no_sort_or_thread(world):
    client = fill(world, FOUR[0])

    for command in (
        "SORT () UTF-8 ALL", "SORT (COLOUR) UTF-8 ALL", "SORT (REVERSE) UTF-8 ALL", "SORT (DATE) ALL",
        "SORT DATE UTF-8 ALL",
        "SORT (DATE) UTF-8", "SORT (DATE)UTF-8 ALL", "SORT RETURN (FIRST) (DATE) UTF-8 ALL", "THREAD JWZ UTF-8 ALL",
        "THREAD REFERENCES ALL", "SORT (REVERSE REVERSE DATE) UTF-8 ALL",
    ):  # fmt: skip
        assert client.cmd(command).tagged.startswith(("BAD", "NO [BADCHARSET")), command
    assert told(client, "SORT (DATE) UTF-8 ALL") == [1]


def test_an_unknown_charset_is_no_badcharset(world):
    client = fill(world, FOUR[0])

    assert client.cmd("SORT (DATE) KOI-7 ALL").tagged.startswith("NO [BADCHARSET (US-ASCII UTF-8)]")
    assert client.cmd("THREAD REFERENCES KOI-7 ALL").tagged.startswith("NO [BADCHARSET (US-ASCII UTF-8)]")


def test_sort_saves_pages_and_tells_modseqs_as_search_does(world):
    """RFC 5182, RFC 9394, RFC 7162 §3.1.6."""
    client = fill(world, *(mail(f"{9 - n}") for n in range(5)))

    answer = client.ok("SORT RETURN (PARTIAL 2:3 COUNT) (SUBJECT) UTF-8 ALL").untagged
    assert answer == [f'* ESEARCH (TAG "a{client.number}") COUNT 5 PARTIAL (2:3 4,3)']
    answer = client.ok("UID SORT RETURN (PARTIAL -1:-2) (SUBJECT) UTF-8 ALL").untagged
    assert answer == [f'* ESEARCH (TAG "a{client.number}") UID PARTIAL (-1:-2 2,1)']
    assert client.ok("SORT RETURN (SAVE MIN) (SUBJECT) UTF-8 ALL").untagged[0].endswith("MIN 5")
    assert told(client, "SORT (ARRIVAL) UTF-8 $") == [5]
    assert client.cmd("SORT RETURN (SAVE) (SUBJECT) KOI-7 ALL").tagged.startswith("NO [BADCHARSET")
    assert told(client, "SORT (ARRIVAL) UTF-8 $") == []
    told_modseq = [one for one in client.ok("SORT (SUBJECT) UTF-8 MODSEQ 1").untagged if one.startswith("* SORT")]
    assert re.fullmatch(r"\* SORT 5 4 3 2 1 \(MODSEQ \d+\)", told_modseq[0])


@pytest.mark.parametrize("command", ["SORT (SUBJECT) UTF-8 ALL", "THREAD REFERENCES UTF-8 ALL"])
def test_expunge_waits_until_after_sort_but_not_after_uid_sort(world, command):
    """RFC 5256 §3, RFC 3501 §7.4.1."""
    world.client("ann").append(f'"{TEAM}"', FOUR[0])
    world.client("ann").append(f'"{TEAM}"', FOUR[1])
    ann, bob = world.selected(TEAM, "ann", "bob")
    ann.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    ann.ok("EXPUNGE")

    assert "EXPUNGE" not in bob.ok(command)
    assert "* 1 EXPUNGE" in bob.ok("UID " + command).untagged
    assert re.search(r"[ (]1\b", bob.ok(command).untagged[-1])


def test_messages_that_come_later_are_sorted_in(world):
    client = fill(world, FOUR[0])
    assert told(client, "SORT (DATE SUBJECT) UTF-8 ALL") == [1]

    for one in FOUR[1:3]:
        client.append("INBOX", one)
    assert told(client, "SORT (DATE) UTF-8 ALL") == [3, 2, 1]
    client.ok("STORE 1 +FLAGS (\\Deleted)")
    client.ok("EXPUNGE")
    assert told(client, "SORT (DATE) UTF-8 ALL") == [2, 1]
    assert told(client, "UID SORT (SUBJECT DATE) UTF-8 ALL") == [3, 2]


def test_sort_needs_the_right_to_read_at_that_moment(world):
    world.client("ann").append(f'"{TEAM}"', FOUR[0])
    bob = world.selected(TEAM, "bob")[0]
    world.give(TEAM, "group:crew", "l")

    answer = bob.cmd("SORT (SUBJECT) UTF-8 ALL")

    assert "* BYE" in answer
    assert "* SORT" not in answer


def test_many_messages_sort_as_python_sorts_them(world):
    """A property over a folder: every pair of criteria against a stable sort by keys worked out here."""
    rng = random.Random(5)
    subjects = ["alpha", "Beta", "beta", "Ärger", "zeta"]
    made = [(rng.choice(subjects), rng.choice("abc"), rng.randrange(1, 28)) for _ in range(40)]
    client = fill(
        world,
        *(
            mail("Re: " * (n % 3) + s.replace("Ä", "=?utf-8?Q?=C3=84?="), f"{f}@x", date=f"{d} Jan 2025 00:00:00 +0000")
            for n, (s, f, d) in enumerate(made)
        ),
    )
    keys = {
        "SUBJECT": lambda n: unicode_casemap(made[n - 1][0]),
        "FROM": lambda n: made[n - 1][1],
        "DATE": lambda n: made[n - 1][2],
    }

    for first in keys:
        for second in keys:
            for reverse in (False, True):
                expected = sorted(range(1, 41), key=keys[second])
                expected.sort(key=keys[first], reverse=reverse)
                criteria = f"{'REVERSE ' * reverse}{first} {second}"
                assert told(client, f"SORT ({criteria}) UTF-8 ALL") == expected, criteria


# -- COMPARATOR, LANGUAGE -------------------------------------------------------------------------------------------


def test_the_active_comparator_is_told_and_chosen(world):
    client = world.client("ann")
    assert "I18NLEVEL=2" in client.ok("CAPABILITY")

    assert client.ok("COMPARATOR").untagged == ['* COMPARATOR "i;unicode-casemap"']
    # RFC 5255 §4.7: the first that there is
    assert client.ok('COMPARATOR "cz;*" i;octet').untagged == ['* COMPARATOR "i;octet"']
    assert client.cmd("COMPARATOR i;basic").tagged.startswith("NO [BADCOMPARATOR]")
    assert client.ok("COMPARATOR").untagged == ['* COMPARATOR "i;octet"']
    assert client.ok('COMPARATOR "i;*casemap"').untagged == [
        '* COMPARATOR "i;unicode-casemap" ("i;unicode-casemap" "i;ascii-casemap")'
    ]
    assert client.ok("COMPARATOR default").untagged == ['* COMPARATOR "i;unicode-casemap"']


def test_search_and_sort_go_by_the_active_comparator(world):
    client = fill(world, mail("b"), mail("A"), mail("=?utf-8?Q?=C3=A4?="))

    assert told(client, "SORT (SUBJECT) UTF-8 ALL") == [2, 3, 1]
    assert told(client, b"SEARCH CHARSET UTF-8 SUBJECT {2+}\r\n\xc3\x84", "SEARCH") == [3]
    client.ok("COMPARATOR i;octet")
    assert told(client, "SORT (SUBJECT) UTF-8 ALL") == [2, 1, 3]
    assert told(client, b"SEARCH CHARSET UTF-8 SUBJECT {2+}\r\n\xc3\x84", "SEARCH") == []
    client.ok("COMPARATOR i;ascii-casemap")
    assert told(client, "SORT (SUBJECT) UTF-8 ALL") == [2, 1, 3]
    assert told(client, "SEARCH SUBJECT a", "SEARCH") == [2]


def test_languages(world):
    """RFC 5255 §3.1, §3.2."""
    client = world.client()
    assert " LANGUAGE " in client.greeting
    assert client.ok("LANGUAGE").untagged == ["* LANGUAGE (EN i-default)"]
    assert client.cmd("LANGUAGE MUL").tagged == "NO Unsupported language MUL; there is English"
    assert client.ok("LANGUAGE FR-CA EN-CA").untagged == ["* LANGUAGE (EN)"]
    assert client.ok('LANGUAGE "default"').untagged == ["* LANGUAGE (EN)"]
    assert client.ok("LANGUAGE i-default").untagged == ["* LANGUAGE (i-default)"]
    assert client.cmd("LANGUAGE fr" + " x" * 60).tagged.startswith("BAD")
