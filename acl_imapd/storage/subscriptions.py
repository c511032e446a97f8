"""What users have subscribed and unsubscribed by themselves.

What a grant subscribes stands nowhere: it follows from the entries of the ACL (access/rights.py, ``subscribed_by``),
so that a grant to a team of thousands is one row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, select, text

from acl_imapd.storage.schema import subscription, unsubscribed
from acl_imapd.types import MailboxId, UserId


@dataclass(frozen=True, slots=True)
class Subscription:
    """*mailbox_id* None: the mailbox is gone, the name stays (RFC 3501 §6.3.6)."""

    mailbox_id: MailboxId | None
    name: str


@dataclass(frozen=True, slots=True)
class Subscriptions:
    """What one user has subscribed by itself, and what it has once unsubscribed: no grant subscribes that again."""

    own: tuple[Subscription, ...]
    declined: frozenset[MailboxId]


_SUBSCRIBE = text(
    "INSERT INTO subscription (user_id, mailbox_id, name) VALUES (:user_id, :mailbox_id, :name)"
    " ON CONFLICT (user_id, mailbox_id) DO UPDATE SET name = excluded.name"
)
_DECLINE = text("INSERT INTO unsubscribed (user_id, mailbox_id) VALUES (:user_id, :mailbox_id) ON CONFLICT DO NOTHING")


def subscribe(conn: Connection, user_id: UserId, mailbox_id: MailboxId, name: str) -> None:
    """Subscribe the user to the mailbox, which it calls *name*."""
    declined = unsubscribed.c
    conn.execute(delete(unsubscribed).where(declined.user_id == user_id, declined.mailbox_id == mailbox_id))
    conn.execute(_SUBSCRIBE, {"user_id": user_id, "mailbox_id": mailbox_id, "name": name})
    forget_subscriptions(conn, user_id, [Subscription(None, name)])


def unsubscribe(conn: Connection, user_id: UserId, mailbox_id: MailboxId) -> None:
    """End a subscription, and let no grant begin it again."""
    mine = subscription.c
    conn.execute(delete(subscription).where(mine.user_id == user_id, mine.mailbox_id == mailbox_id))
    conn.execute(_DECLINE, {"user_id": user_id, "mailbox_id": mailbox_id})


def forget_subscriptions(conn: Connection, user_id: UserId, which: Sequence[Subscription]) -> None:
    """Forget those that the user made."""
    mine = subscription.c
    for one in which:
        same = mine.mailbox_id == one.mailbox_id  # IS NULL for None
        conn.execute(delete(subscription).where(mine.user_id == user_id, same, mine.name == one.name))


def read_subscriptions(conn: Connection, user_id: UserId) -> Subscriptions:
    """The user's subscriptions; those that grants make are in the listing (access/directory.py)."""
    mine, declined = subscription.c, unsubscribed.c
    rows = conn.execute(select(mine.mailbox_id, mine.name).where(mine.user_id == user_id).order_by(mine.id))
    ids = conn.execute(select(declined.mailbox_id).where(declined.user_id == user_id)).scalars()
    return Subscriptions(tuple(Subscription(*row) for row in rows), frozenset(map(MailboxId, ids)))
