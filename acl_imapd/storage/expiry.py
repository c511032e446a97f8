"""What has ended is removed, and the audit log says so.  Nothing depends on when: the evaluator knows the limits
(access/rights.py), and takes away to the second what may stand here a minute longer."""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, delete, select, update

from acl_imapd.storage.accounts import Actor
from acl_imapd.storage.audit import append_audit
from acl_imapd.storage.epochs import bump, lock_site
from acl_imapd.storage.rights import describe, read_acls
from acl_imapd.storage.schema import acl, acl_entry, mailbox, team, team_member, user
from acl_imapd.types import MailboxId

ACTOR = Actor("acl-imapd", "expiry")
MAX_AT_ONCE = 500

_ENDED_ENTRIES = (
    select(acl_entry.c.id, acl_entry.c.acl_id, acl_entry.c.until)
    .where(acl_entry.c.until <= bindparam("now"))
    .order_by(acl_entry.c.until)
    .limit(MAX_AT_ONCE)
)
_MEMBER = team.alias("member_team")
_ENDED_MEMBERS = (
    select(
        team_member.c.id, team.c.name.label("team"), user.c.name.label("user"), _MEMBER.c.name.label("member_team"),
        team_member.c.manager, team_member.c.since, team_member.c.until, team_member.c.reason,
    )
    .join(team, team.c.id == team_member.c.team_id)
    .outerjoin(user, user.c.id == team_member.c.user_id)
    .outerjoin(_MEMBER, _MEMBER.c.id == team_member.c.member_team_id)
    .where(team_member.c.until <= bindparam("now"))
    .order_by(team_member.c.until)
    .limit(MAX_AT_ONCE)
)  # fmt: skip


def anything_ended(conn: Connection, now: float) -> bool:
    """True when :func:`remove_ended` has something to do; two looks into an index."""
    return any(
        conn.execute(select(table.c.id).where(table.c.until <= now).limit(1)).first() is not None
        for table in (acl_entry, team_member)
    )


def remove_ended(conn: Connection, now: float) -> int:
    """Remove the entries and memberships whose time was over at *now* (seconds since 1970); how many."""
    lock_site(conn)
    entries = conn.execute(_ENDED_ENTRIES, {"now": now}).all()
    members = conn.execute(_ENDED_MEMBERS, {"now": now}).all()
    if not entries and not members:
        return 0
    acls = sorted({row.acl_id for row in entries})
    ended = {
        acl_id: [entry for entry in found.entries if entry.until is not None and entry.until <= now]
        for acl_id, found in read_acls(conn, acls).items()
    }
    for acl_id, gone in ended.items():
        # One mailbox has the ACL for its own; the others follow that one.
        top = select(mailbox.c.id).where(mailbox.c.acl_id == acl_id).order_by(mailbox.c.acl_own.desc(), mailbox.c.id)
        mailbox_id = conn.execute(top.limit(1)).scalar()
        name = describe(conn, MailboxId(mailbox_id)) if mailbox_id is not None else f"acl:{acl_id}"
        for entry in gone:
            before = {entry.text: entry.rights, "until": entry.until}
            append_audit(conn, ACTOR, "acl-ended", name, before, None, reason=entry.reason)
    for row in members:
        member = row.user if row.user is not None else f"group:{row.member_team}"
        before = {"member": member, "manager": row.manager, "until": row.until}
        append_audit(conn, ACTOR, "team-ended", row.team, before, None, reason=row.reason)
    epochs = bump(conn, acl=bool(entries), identity=bool(members))
    if entries:
        of_these = acl_entry.c.acl_id.in_(acls)
        conn.execute(delete(acl_entry).where(of_these, acl_entry.c.until <= now))
        conn.execute(update(acl).where(acl.c.id.in_(acls)).values(epoch=epochs.acl))
    if members:
        conn.execute(delete(team_member).where(team_member.c.id.in_([row.id for row in members])))
    return sum(map(len, ended.values())) + len(members)
