"""Does the database hold together?  What it stores twice is counted again."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, text, update

from acl_imapd.ranges import RangeSet
from acl_imapd.storage.bodies import Blobs
from acl_imapd.storage.schema import mailbox


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


def check(conn: Connection, blobs: Blobs, *, repair: bool = False) -> list[Problem]:
    """What is wrong; with *repair* the counters among it are put right.  Reads everything once."""
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
    for row in conn.execute(text("SELECT mailbox_id, user_id, uids, count AS stored FROM seen")).all():
        if len(RangeSet.parse(row.uids)) != row.stored:
            problems.append(
                Problem(f"What user {row.user_id} has seen of folder {row.mailbox_id} is miscounted", False)
            )
    for row in conn.execute(text("SELECT id, blob_key FROM body WHERE blob_key IS NOT NULL")).all():
        if not (blobs.directory / row.blob_key).exists():
            problems.append(Problem(f"The file {row.blob_key} of body {row.id} is missing", False))
    for row in conn.execute(
        text(
            "SELECT child.id, child.path FROM mailbox child JOIN mailbox parent ON parent.id = child.parent_id"
            " WHERE NOT child.acl_own AND child.acl_id <> parent.acl_id"
        )
    ).all():
        problems.append(Problem(f"Folder {row.path} (id {row.id}) does not share the ACL it inherits", False))
    return problems
