"""What has ended is removed, and the audit log says so.  Nothing depends on when: the evaluator knows the limits
(access/rights.py), and takes away to the second what may stand here a minute longer."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select

from acl_imapd.storage.accounts import Actor, end_memberships
from acl_imapd.storage.epochs import lock_site
from acl_imapd.storage.rights import end_entries
from acl_imapd.storage.schema import acl_entry, team_member

ACTOR = Actor("acl-imapd", "expiry")
MAX_AT_ONCE = 500


def anything_ended(conn: Connection, now: float) -> bool:
    """True when :func:`remove_ended` has something to do; two looks into an index."""
    return any(
        conn.execute(select(table.c.id).where(table.c.until <= now).limit(1)).first() is not None
        for table in (acl_entry, team_member)
    )


def remove_ended(conn: Connection, now: float) -> int:
    """Remove the entries and memberships whose time was over at *now* (seconds since 1970); how many."""
    lock_site(conn)
    entries = end_entries(conn, ACTOR, _ended(conn, acl_entry, now), action="acl-ended")
    return entries + end_memberships(conn, ACTOR, _ended(conn, team_member, now), action="team-ended")


def _ended(conn: Connection, table: Any, now: float) -> Any:
    ended = select(table.c.id).where(table.c.until <= now).order_by(table.c.until).limit(MAX_AT_ONCE)
    return table.c.id.in_(conn.execute(ended).scalars().all())
