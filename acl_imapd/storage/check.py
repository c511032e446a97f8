"""Does the database hold together?  What it stores twice is counted again."""

from __future__ import annotations

import time
from dataclasses import dataclass

from sqlalchemy import Connection, text, update

from acl_imapd.access.namespaces import parent_path
from acl_imapd.ranges import RangeSet
from acl_imapd.storage.bodies import Blobs
from acl_imapd.storage.messages import read_uids
from acl_imapd.storage.schema import mailbox, seen

# What no delivery takes, however slow: no file is removed that a row is about to name.
STRAY_AFTER_S = 24 * 3600


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as it must be."""

    text: str
    repairable: bool


_COUNTERS = text(
    "SELECT mailbox.id, mailbox.path, mailbox.messages, mailbox.unseen, mailbox.deleted, mailbox.deleted_bytes,"
    " mailbox.size_bytes, mailbox.uidnext, mailbox.highest_modseq, COUNT(message.uid) AS n_messages,"
    " COALESCE(SUM(CASE WHEN message.uid IS NOT NULL AND message.flags & 1 = 0 THEN 1 ELSE 0 END), 0) AS n_unseen,"
    " COALESCE(SUM(CASE WHEN message.flags & 8 <> 0 THEN 1 ELSE 0 END), 0) AS n_deleted,"
    " COALESCE(SUM(CASE WHEN message.flags & 8 <> 0 THEN message.size ELSE 0 END), 0) AS n_deleted_bytes,"
    " COALESCE(SUM(message.size), 0) AS n_size, COALESCE(MAX(message.uid), 0) AS top_uid,"
    " COALESCE(MAX(message.modseq), 0) AS top_modseq"
    " FROM mailbox LEFT JOIN message ON message.mailbox_id = mailbox.id GROUP BY mailbox.id"
)


_CHILDREN = text(
    "SELECT child.id, child.path, child.acl_own, child.acl_id, parent.acl_id AS parent_acl_id,"
    " parent.path AS parent_path FROM mailbox child LEFT JOIN mailbox parent ON parent.id = child.parent_id"
)


def check(conn: Connection, blobs: Blobs, *, repair: bool = False) -> list[Problem]:
    """What is wrong; with *repair* the repairable among it is put right.  Reads everything once."""
    problems: list[Problem] = []
    if conn.dialect.name == "sqlite":
        answer = conn.execute(text("PRAGMA quick_check")).scalars().all()
        problems += [Problem(f"SQLite: {line}", False) for line in answer if line != "ok"]
    for row in conn.execute(_COUNTERS).all():
        if row.top_uid >= row.uidnext or row.top_modseq > row.highest_modseq:
            problems.append(Problem(f"Folder {row.path} (id {row.id}) has a UID or modseq beyond its last", False))
        counted = (row.n_messages, row.n_unseen, row.n_deleted, row.n_deleted_bytes, row.n_size)
        if counted != (row.messages, row.unseen, row.deleted, row.deleted_bytes, row.size_bytes):
            problems.append(Problem(f"Folder {row.path} (id {row.id}) counts its messages wrongly", True))
            if repair:
                names = ("messages", "unseen", "deleted", "deleted_bytes", "size_bytes")
                conn.execute(
                    update(mailbox)
                    .where(mailbox.c.id == row.id)
                    .values(dict(zip(names, map(int, counted), strict=True)))
                )
    problems += _check_seen(conn, repair=repair)
    problems += _check_files(conn, blobs, repair=repair)
    return problems + _check_tree(conn)


def _check_files(conn: Connection, blobs: Blobs, *, repair: bool) -> list[Problem]:
    """Files and rows that name them.  A file is on disk before its row, so one that is new may yet get one; one that
    is older was left by a delivery that came to nothing."""
    old = blobs.keys_before(time.time() - STRAY_AFTER_S)  # before the rows are read, or a row could be missed
    problems: list[Problem] = []
    known = set()
    for row in conn.execute(text("SELECT id, blob_key FROM body WHERE blob_key IS NOT NULL")):
        known.add(row.blob_key)
        if not blobs.has(row.blob_key):
            problems.append(Problem(f"The file {row.blob_key} of body {row.id} is missing", False))
    stray = [key for key in old if key not in known]
    if stray and not any(map(blobs.has, known)):
        # Another database's, most likely: to remove them would be to lose its mail.
        what = f"None of the {len(stray)} files in {blobs.directory} is of this database; whose directory is it?"
        return [*problems, Problem(what, False)]
    if stray:
        problems.append(Problem(f"{len(stray)} files in {blobs.directory} are of no message, {stray[0]} first", True))
    if repair:
        for key in stray:
            blobs.remove(key)
    return problems


def _check_seen(conn: Connection, *, repair: bool) -> list[Problem]:
    """Only what is there can have been seen, or STATUS tells too few unseen messages."""
    problems: list[Problem] = []
    there: dict[int, RangeSet] = {}
    for row in conn.execute(text("SELECT mailbox_id, user_id, uids, count AS stored FROM seen")).all():
        if row.mailbox_id not in there:
            there[row.mailbox_id] = RangeSet.from_numbers(read_uids(conn, row.mailbox_id))
        stored = RangeSet.parse(row.uids)
        right = stored & there[row.mailbox_id]
        if right != stored or len(right) != row.stored:
            problems.append(Problem(f"What user {row.user_id} has seen of folder {row.mailbox_id} is miscounted", True))
            if repair:
                conn.execute(
                    update(seen)
                    .where(seen.c.mailbox_id == row.mailbox_id, seen.c.user_id == row.user_id)
                    .values(uids=right.encode(), count=len(right))
                )
    return problems


def _check_tree(conn: Connection) -> list[Problem]:
    """Nothing is repaired here: who may read what depends on it."""
    problems: list[Problem] = []
    for row in conn.execute(_CHILDREN).all():
        where = f"Folder {row.path} (id {row.id})"
        if not row.acl_own and row.acl_id != row.parent_acl_id:
            problems.append(Problem(f"{where} does not share the ACL it inherits", False))
        if parent_path(row.path) != (row.parent_path or ""):
            problems.append(Problem(f"{where} is not below the folder its name says", False))
    return problems
