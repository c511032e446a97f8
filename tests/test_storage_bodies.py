"""Bodies: once each, whole, and never gone while a message needs them."""

from __future__ import annotations

import pytest

from acl_imapd.mail.mime import parsed
from acl_imapd.storage import accounts, bodies, mailboxes, messages
from acl_imapd.storage.messages import NewMessage

SMALL = b"Subject: s\r\n\r\nsmall\r\n"
LARGE = b"Subject: l\r\n\r\n" + b"y" * 200_000


def new(body):
    return NewMessage(
        body, parsed(body), flags=0, keywords=(), internal_date=1, internal_zone=0, seen=False
    )  # fmt: skip


@pytest.fixture
def box(database):
    """INBOX of bob, and bob."""
    bob = database.read_now(accounts.read_user, "bob")
    return database.read_now(mailboxes.read_mailbox, bob.id, "INBOX").id, bob.id


def append(database, box, *contents):
    return database.write_now(
        messages.insert_messages, *box, [new(body) for body in contents], blobs=database.blobs
    )  # fmt: skip


def read(database, box, columns=frozenset({"message"})):
    ids = [row.body_id for row in database.read_now(messages.read_changes, box[0], 0).rows]
    found = database.read_now(bodies.read_bodies, ids, columns, blobs=database.blobs)
    return [found[ident] for ident in ids]


def files(database):
    return [path for path in database.blobs.directory.rglob("*") if path.is_file()]


def test_every_octet_comes_back_in_order(database, box):
    odd = [b"", b"\r\n", b"no header at all", bytes(range(256)) * 3, b"A: b\n\nbare\n", SMALL, LARGE, SMALL]

    append(database, box, *odd)

    assert odd == [one.message for one in read(database, box)]


def test_only_what_was_asked_for_is_read(database, box):
    append(database, box, LARGE)
    for path in files(database):
        path.unlink()

    (found,) = read(database, box, frozenset({"header", "envelope"}))

    assert (found.header, found.message, found.structure) == (b"Subject: l\r\n\r\n", b"", b"")
    assert found.envelope == parsed(LARGE).envelope


def test_the_same_body_in_many_folders_is_one_file(database, box):
    append(database, box, LARGE, LARGE)
    append(database, box, LARGE)

    assert len(files(database)) == 1


def test_a_body_a_message_has_is_never_swept(database, box):
    append(database, box, LARGE, SMALL)
    copied = database.write_now(
        messages.copy_messages, box[0], box[0], box[1], [1, 2], flag_mask=0, keep_seen=False, allow_keywords=False
    )  # fmt: skip
    database.write_now(messages.store_flags, *box, messages.RangeSet(((1, 2),)), add=8)
    database.write_now(messages.expunge, box[0], None)

    swept = database.write_now(bodies.sweep_bodies, database.blobs)

    assert (copied.target_uids, swept) == ([3, 4], 0)
    assert [one.message for one in read(database, box)] == [LARGE, SMALL]


def test_a_sweep_that_fails_costs_no_later_message_its_body(database, box):
    """The files went, the rows came back with the rollback; an APPEND of the same bytes finds such a row."""
    append(database, box, LARGE)
    database.write_now(messages.expunge, box[0], None, only_deleted=False)

    def fails(conn):
        bodies.sweep_bodies(conn, database.blobs)
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="disk is full"):
        database.write_now(fails)
    append(database, box, LARGE)

    assert [one.message for one in read(database, box)] == [LARGE]


def test_an_append_beside_a_sweep_keeps_its_body(database, box):
    """Both want the same body: whichever comes first, the message has it."""
    for _ in range(15):
        append(database, box, LARGE)
        database.write_now(messages.expunge, box[0], None, only_deleted=False)
        futures = [database.submit_write(bodies.sweep_bodies, database.blobs)]
        futures += [
            database.submit_write(messages.insert_messages, *box, [new(LARGE)], blobs=database.blobs) for _ in range(2)
        ]
        assert [future.exception() for future in futures] == [None] * 3

        assert [one.message for one in read(database, box)] == [LARGE, LARGE]
        database.write_now(messages.expunge, box[0], None, only_deleted=False)


def test_the_same_bodies_stored_at_once_in_any_order_are_stored_once(database, box):
    contents = [b"Subject: %d\r\n\r\n" % number + b"z" * 140_000 for number in range(6)]
    futures = [
        database.submit_write(
            messages.insert_messages, *box, [new(body) for body in order], blobs=database.blobs
        )
        for order in (contents, contents[::-1], contents[3:] + contents[:3])
    ]  # fmt: skip

    assert [future.exception() for future in futures] == [None] * 3
    assert len(files(database)) == 6
    assert sorted(contents * 3) == sorted(one.message for one in read(database, box))


def test_sweep_takes_no_more_than_it_is_asked_to(database, box):
    append(database, box, *(b"Subject: %d\r\n\r\n" % number for number in range(5)))
    database.write_now(messages.expunge, box[0], None, only_deleted=False)

    swept = [database.write_now(bodies.sweep_bodies, database.blobs, limit=2) for _ in range(4)]

    assert swept == [2, 2, 1, 0]
