"""Messages: UIDs, flags, what changed, and that each change is few statements."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from acl_imapd.errors import Limit, NonExistent
from acl_imapd.mail.mime import parsed
from acl_imapd.ranges import EMPTY, RangeSet
from acl_imapd.storage import accounts, check, mailboxes, messages
from acl_imapd.storage.messages import NewMessage
from tests.conftest import ACTOR

SEEN, ANSWERED, FLAGGED, DELETED = 1, 2, 4, 8


def new(text="x", **values):
    body = f"Subject: {text}\r\n\r\n{text}\r\n".encode()
    defaults = {"flags": 0, "keywords": (), "internal_date": 1, "internal_zone": 0, "seen": False}
    return NewMessage(body, parsed(body), **{**defaults, **values})


def one(uid):
    return RangeSet(((uid, uid),))


class Box:
    """A mailbox as one user changes it."""

    def __init__(self, database, mailbox, user):
        self.database = database
        self.id = mailbox.id
        self.user_id = user.id

    def append(self, *added):
        return self.database.write_now(
            messages.insert_messages, self.id, self.user_id, added, blobs=self.database.blobs
        )  # fmt: skip

    def store(self, uids, **how):
        return self.database.write_now(messages.store_flags, self.id, self.user_id, uids, **how)

    def expunge(self, uids=None, **how):
        return self.database.write_now(messages.expunge, self.id, uids, **how)

    def changes(self, since=0):
        return self.database.read_now(messages.read_changes, self.id, since)

    def flags(self):
        return {row.uid: row.flags for row in self.changes().rows}

    def seen(self):
        return self.changes().seen.get(self.user_id, EMPTY)

    def keywords(self):
        """Of each message, by name."""
        names = self.changes().keywords
        return {
            row.uid: {name for bit, name in names.items() if row.flags >> bit & 1} for row in self.changes().rows
        }  # fmt: skip

    def carry(self, how, target, *uids, **values):
        defaults = {"flag_mask": ~0, "keep_seen": True, "allow_keywords": True}
        function = {"copy": messages.copy_messages, "move": messages.move_messages}[how]
        return self.database.write_now(
            function, self.id, target.id, self.user_id, uids, **{**defaults, **values}
        )  # fmt: skip

    def statements(self, act, *args, **how):
        """How many *act* costs, the transaction's own not counted."""
        executed: list[str] = []

        def note(_conn, _cursor, statement, *_rest):
            if not statement.startswith(("BEGIN", "SAVEPOINT", "RELEASE")):
                executed.append(statement)

        event.listen(self.database.engine, "before_cursor_execute", note)
        act(*args, **how)
        event.remove(self.database.engine, "before_cursor_execute", note)
        return len(executed)


@pytest.fixture
def bob(database):
    return database.read_now(accounts.read_user, "bob")


@pytest.fixture
def team(database, bob):
    """Where bob's \\Seen is his own."""
    return Box(database, database.read_now(mailboxes.read_mailbox, None, "Team"), bob)


@pytest.fixture
def inbox(database, bob):
    """Where bob's \\Seen is bit 0."""
    return Box(database, database.read_now(mailboxes.read_mailbox, bob.id, "INBOX"), bob)


@pytest.fixture
def cat(database):
    """Team as cat sees it."""
    user = database.read_now(accounts.read_user, "cat")
    return Box(database, database.read_now(mailboxes.read_mailbox, None, "Team"), user)


# -- costs ----------------------------------------------------------------------------------------------------


def test_appending_one_message_is_six_statements(team, inbox):
    """Two for the body, the lock, the row, the counters; on PostgreSQL the notification."""
    team.append(new("warm"))

    assert inbox.statements(inbox.append, new("a")) <= 6
    assert team.statements(team.append, new("b")) <= 6


@pytest.mark.parametrize("what", ["append", "store", "seen", "delete", "copy", "move", "expunge"])
def test_many_messages_cost_no_more_statements_than_two(team, inbox, what):
    """However scattered they are."""
    team.append(*(new(str(number), keywords=("k",)) for number in range(400)))

    def cost(uids):
        uid_set = RangeSet.from_numbers(uids)
        added = [new(f"{uid} added", keywords=("k", "l")) for uid in uids]
        acts = {
            "append": (team.append, added, {}),
            "store": (team.store, [uid_set], {"add": ANSWERED, "remove": FLAGGED}),
            "seen": (team.store, [uid_set], {"seen": True}),
            "delete": (team.store, [uid_set], {"add": DELETED}),
            "copy": (team.carry, ["copy", inbox, *uids], {}),
            "move": (team.carry, ["move", inbox, *uids], {}),
            "expunge": (team.expunge, [uid_set], {"only_deleted": False}),
        }
        act, args, how = acts[what]
        return team.statements(act, *args, **how)

    cost([1, 3])  # the keywords and the row of \\Seen are made
    few = cost([5, 7])

    assert cost(range(9, 400, 2)) == few


# -- UIDs and modseqs -------------------------------------------------------------------------------------------


def test_every_change_takes_one_modseq_and_nothing_takes_none(team):
    first = team.append(new(), new()).modseq

    assert team.store(RangeSet(((1, 2),)), add=FLAGGED, add_keywords=["k"], seen=True) == first + 1
    assert team.store(RangeSet(((1, 2),)), add=FLAGGED, add_keywords=["K"], seen=True) == 0
    assert team.store(RangeSet(((7, 9),)), add=FLAGGED) == 0
    assert team.expunge() == EMPTY
    assert team.changes().upto == first + 1


def test_only_what_changed_is_told(team):
    team.append(*(new(str(number)) for number in range(5)))
    team.store(one(2), add=FLAGGED)
    since = team.changes().upto

    team.store(RangeSet(((1, 3),)), add=FLAGGED)

    assert [row.uid for row in team.changes(since).rows] == [1, 3]


def test_a_removed_folder_has_no_changes_and_takes_no_messages(database, team):
    database.write_now(mailboxes.delete_mailbox, ACTOR, team.id)

    assert team.changes() is None
    with pytest.raises(NonExistent):
        team.append(new())


def test_messages_appended_at_once_by_many_have_uids_of_their_own(database, team):
    futures = [
        database.submit_write(
            messages.insert_messages, team.id, team.user_id, [new(f"{number}"), new("same")], blobs=database.blobs
        )
        for number in range(20)
    ]  # fmt: skip

    uids = [uid for future in futures for uid in future.result().uids]

    assert sorted(uids) == list(range(1, 41))
    assert database.read_now(check.check, database.blobs) == []


def test_flags_set_at_once_by_many_are_all_set(database, team):
    team.append(new())
    futures = [
        database.submit_write(messages.store_flags, team.id, team.user_id, one(1), add_keywords=[f"k{number}"])
        for number in range(20)
    ]

    assert all(future.result() for future in futures)
    assert team.keywords() == {1: {f"k{number}" for number in range(20)}}


def test_moves_to_and_fro_at_once_lose_and_double_nothing(database, team, inbox):
    team.append(*(new(f"t{number}") for number in range(10)))
    inbox.append(*(new(f"i{number}") for number in range(10)))
    how = {"flag_mask": ~0, "keep_seen": True, "allow_keywords": True}
    futures = [
        database.submit_write(messages.move_messages, source.id, target.id, team.user_id, [uid], **how)
        for uid in range(1, 11)
        for source, target in ((team, inbox), (inbox, team))
    ]

    assert {len(future.result().target_uids) for future in futures} == {1}
    assert (len(team.changes().rows), len(inbox.changes().rows)) == (10, 10)
    assert database.read_now(check.check, database.blobs) == []


# -- flags ------------------------------------------------------------------------------------------------------


def test_seen_is_each_users_own_in_a_shared_folder(team, cat):
    team.append(new(seen=True), new())

    cat.store(one(2), seen=True)

    assert (team.seen(), cat.seen()) == (one(1), one(2))
    assert team.flags() == {1: 0, 2: 0}


def test_seen_of_the_homes_user_is_a_flag_and_of_others_their_own(database, inbox):
    cat = Box(database, inbox, database.read_now(accounts.read_user, "cat"))
    inbox.append(new(seen=True), new())

    cat.store(one(2), seen=True)

    assert inbox.flags() == {1: SEEN, 2: 0}
    assert cat.seen() == one(2)


def test_the_mask_alone_sets_no_seen(team, inbox):
    """The right s is looked at for *seen*; bit 0 in the mask would go around it."""
    for box in (team, inbox):
        box.append(new(flags=SEEN))
        box.store(one(1), add=SEEN | FLAGGED)

        assert box.flags() == {1: FLAGGED}
        assert box.seen() == EMPTY


def test_a_number_that_is_no_message_is_not_seen(team):
    """STATUS counts unseen messages by what was seen."""
    team.append(new(), new())

    team.store(RangeSet(((1, 2**32 - 1),)), seen=True)

    assert team.seen() == RangeSet(((1, 2),))


def test_keywords_are_one_whatever_their_case_and_keep_the_first(team):
    team.append(new(keywords=("$Label", "$LABEL")))
    team.store(one(1), add_keywords=["$label"])

    assert team.keywords() == {1: {"$Label"}}
    assert team.store(one(1), remove_keywords=["$LABEL", "unknown"]) != 0
    assert team.keywords() == {1: set()}
    assert list(team.changes().keywords.values()) == ["$Label"]


def test_the_last_keyword_bit_works_and_one_more_is_refused_whole(team):
    many = [f"k{number}" for number in range(messages.LAST_KEYWORD_BIT + 1 - messages.FIRST_KEYWORD_BIT)]
    team.append(new(keywords=tuple(many)))
    assert team.keywords() == {1: set(many)}

    with pytest.raises(Limit):
        team.store(one(1), add=FLAGGED, add_keywords=["one more"])
    with pytest.raises(Limit):
        team.append(new(), new(keywords=("one more",)))

    assert len(team.changes().rows) == 1
    assert not team.flags()[1] & FLAGGED
    team.store(one(1), remove_keywords=many[-1:])
    assert team.keywords() == {1: set(many[:-1])}


# -- expunge, copy, move ----------------------------------------------------------------------------------------


def test_expunge_takes_only_what_is_marked_of_those_named(team):
    team.append(*(new(flags=DELETED if number != 2 else 0) for number in range(1, 5)))

    assert team.expunge(RangeSet(((2, 3),))) == one(3)
    assert team.expunge() == RangeSet(((1, 1), (4, 4)))
    assert list(team.flags()) == [2]


def test_a_message_that_is_gone_is_seen_by_nobody(database, team, cat):
    team.append(new(), new(), new())
    for box in (team, cat):
        box.store(RangeSet(((1, 3),)), seen=True)

    team.expunge(one(2), only_deleted=False)

    assert team.seen() == cat.seen() == RangeSet(((1, 1), (3, 3)))
    assert database.read_now(mailboxes.read_status, cat.user_id, [team.id])[team.id].unseen == 0


def test_a_copy_has_the_keywords_by_name_and_the_dates(team, inbox):
    inbox.append(new(keywords=("a", "b", "c")))
    team.append(new(keywords=("c", "unused"), internal_date=77, internal_zone=-420, flags=ANSWERED))

    copied = team.carry("copy", inbox, 1)

    assert inbox.keywords()[copied.target_uids[0]] == {"c", "unused"}
    row = inbox.changes().rows[-1]
    assert (row.internal_date, row.internal_zone, row.flags & 31) == (77, -420, ANSWERED)


@pytest.mark.parametrize(("source", "target"), [("team", "inbox"), ("inbox", "team"), ("team", "team")])
def test_seen_goes_along_from_either_kind_to_either(team, inbox, source, target):
    """From a row of the user's own to a bit, and back."""
    boxes = {"team": team, "inbox": inbox}
    here, there = boxes[source], boxes[target]
    here.append(new(seen=True), new())

    copied = here.carry("copy", there, 1, 2)

    unseen = there.database.read_now(mailboxes.read_status, there.user_id, [there.id])[there.id].unseen
    seen = [bool(there.flags()[uid] & SEEN) or uid in there.seen() for uid in copied.target_uids]
    assert seen == [True, False]
    assert unseen == (2 if here is there else 1)


def test_a_copy_has_no_flag_that_may_not_travel(team, inbox):
    """RFC 4314 §4: as STORE and APPEND, a copy sets only what the rights at the target allow."""
    team.append(new(flags=ANSWERED | FLAGGED | DELETED, keywords=("k",), seen=True))

    copied = team.carry("copy", inbox, 1, flag_mask=FLAGGED, keep_seen=False, allow_keywords=False)

    assert inbox.flags()[copied.target_uids[0]] == FLAGGED
    assert inbox.changes().keywords == {}


def test_copy_leaves_out_what_is_gone_and_pairs_the_rest_in_order(team, inbox):
    team.append(*(new(str(number)) for number in range(4)))
    team.expunge(one(2), only_deleted=False)

    copied = team.carry("copy", inbox, 4, 2, 1, 99)

    assert (copied.source_uids, copied.target_uids) == ([1, 4], [1, 2])
    assert team.carry("copy", inbox, 2).target_uids == []


def test_a_move_within_one_folder_gives_new_uids(database, team):
    team.append(new("a"), new("b"), new("c"))
    since = team.changes().upto

    moved = team.carry("move", team, 1, 2)

    assert (moved.source_uids, moved.target_uids) == ([1, 2], [4, 5])
    assert list(team.flags()) == [3, 4, 5]
    assert team.changes(since).vanished == RangeSet(((1, 2),))
    assert database.read_now(check.check, database.blobs) == []


def test_a_move_that_cannot_be_done_leaves_both_folders_as_they_were(database, team, inbox):
    inbox.append(new(keywords=tuple(f"k{number}" for number in range(58))))
    team.append(new(keywords=("another",)))

    with pytest.raises(Limit):
        team.carry("move", inbox, 1)

    assert (len(team.changes().rows), len(inbox.changes().rows)) == (1, 1)


# -- all together ------------------------------------------------------------------------------------------------

uid_sets = st.lists(st.integers(1, 40), max_size=12).map(RangeSet.from_numbers)
steps = st.one_of(
    st.tuples(st.just("append"), st.integers(1, 6), st.booleans()),
    st.tuples(st.just("store"), uid_sets, st.integers(0, 31), st.integers(0, 31), st.sampled_from([None, True, False])),
    st.tuples(st.just("expunge"), uid_sets, st.booleans()),
    st.tuples(st.just("copy"), uid_sets, st.integers(0, 31)),
    st.tuples(st.just("move"), uid_sets, st.integers(0, 31)),
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(steps, max_size=12), st.booleans())
def test_counters_and_changes_hold_whatever_is_done(database, bob, plan, own):
    """A follower that takes up the changes step by step knows in the end what one that reads all knows."""
    name = f"Random {len(database.read_now(mailboxes.list_all))}"
    made = database.write_now(mailboxes.create_mailbox, ACTOR, None if own else bob.id, name)
    box = Box(database, made, bob)
    known: dict[int, int] = {}
    seen, upto = EMPTY, 1

    for kind, *args in plan:
        if kind == "append":
            box.append(*[new(str(number), seen=args[1], flags=DELETED * (number % 2)) for number in range(args[0])])
        elif kind == "store":
            box.store(args[0], add=args[1], remove=args[2], seen=args[3])
        elif kind == "expunge":
            box.expunge(args[0], only_deleted=args[1])
        else:
            box.carry(kind, box, *args[0], flag_mask=args[1])
        changes = box.changes(upto)
        known.update((row.uid, row.flags) for row in changes.rows)
        known = {uid: flags for uid, flags in known.items() if uid not in changes.vanished}
        seen, upto = changes.seen.get(bob.id, seen), changes.upto

    assert known == box.flags()
    assert seen == box.seen()
    assert database.read_now(check.check, database.blobs) == []
