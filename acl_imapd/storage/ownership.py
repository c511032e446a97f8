"""Whose a shared mailbox is, and how it is given away: for rights.py, and for what removes people and teams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, select, update

from acl_imapd.storage.audit import Change, append_changes
from acl_imapd.storage.epochs import bump
from acl_imapd.storage.records import concerned, owner_record
from acl_imapd.storage.schema import mailbox
from acl_imapd.types import TeamId, UserId

if TYPE_CHECKING:
    from acl_imapd.storage.accounts import Actor


def give_away(
    conn: Connection, actor: Actor, which: Any, *, user_id: UserId | None = None, team_id: TeamId | None = None
) -> int:
    """Give those shared mailboxes to a user, a team, or nobody; how many had another owner.  For this package."""
    columns = (mailbox.c.id, mailbox.c.path, mailbox.c.owner_user_id, mailbox.c.owner_team_id)
    after = owner_record(conn, user_id, team_id)
    known: dict[tuple[Any, Any], str | None] = {}
    changes = []
    for one in conn.execute(select(*columns).where(mailbox.c.home_id.is_(None), which).order_by(mailbox.c.path)).all():
        old = (one.owner_user_id, one.owner_team_id)
        if old == (user_id, team_id):
            continue
        if old not in known:
            known[old] = owner_record(conn, *old)
        concerns = concerned(old, (user_id, team_id))
        changes.append(
            Change("folder-owner", f"shared:{one.path}", known[old], after, mailbox_id=one.id, **concerns)
        )  # fmt: skip
    if not changes:
        return 0
    conn.execute(
        update(mailbox).where(mailbox.c.home_id.is_(None), which).values(owner_user_id=user_id, owner_team_id=team_id)
    )
    bump(conn, acl=True, tree=True)
    append_changes(conn, actor, changes)
    return len(changes)
