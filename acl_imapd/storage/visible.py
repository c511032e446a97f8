"""What one user can see, and what a server that has cached something must read again: sets, in few statements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from acl_imapd.storage import schema
from acl_imapd.storage.accounts import Identity, read_identity
from acl_imapd.storage.epochs import Epochs, read_epochs
from acl_imapd.storage.mailboxes import (
    Mailbox,
    read_home_mailboxes,
    read_mailboxes,
    read_mailboxes_by_acl,
    read_owned_shared,
)
from acl_imapd.storage.rights import Acl, read_acls, read_changed_acls, read_matching_acls
from acl_imapd.types import AclId, MailboxId, TeamId, UserId


@dataclass(frozen=True, slots=True)
class Visible:
    """Every mailbox on which a user may have a right, the ACLs to tell which, and whose homes they are in."""

    mailboxes: tuple[Mailbox, ...]
    acls: dict[AclId, Acl]
    homes: dict[UserId, str]


def read_visible(conn: Connection, identity: Identity, *, include_anyone: bool) -> Visible:
    """The mailboxes *identity* owns or is named for.  Costs what it sees, not what exists: from its
    identifiers to ACLs, from ACLs to mailboxes, all by index."""
    found = {mailbox.id: mailbox for mailbox in read_home_mailboxes(conn, identity.user_id)}
    for mailbox in read_owned_shared(conn, identity.user_id, sorted(identity.managed)):
        found[mailbox.id] = mailbox
    matching = read_matching_acls(conn, identity, include_anyone=include_anyone)
    for mailbox in read_mailboxes_by_acl(conn, matching):
        found[mailbox.id] = mailbox
    acls = read_acls(conn, sorted({mailbox.acl_id for mailbox in found.values()}))
    homes = read_user_names(conn, sorted({m.home_id for m in found.values() if m.home_id is not None}))
    return Visible(tuple(found.values()), acls, homes)


def read_user_names(conn: Connection, user_ids: Sequence[UserId]) -> dict[UserId, str]:
    """The names of those users."""
    names: dict[UserId, str] = {}
    for start in range(0, len(user_ids), 500):
        some = user_ids[start : start + 500]
        rows = conn.execute(select(schema.user.c.id, schema.user.c.name).where(schema.user.c.id.in_(some)))
        names.update((UserId(row.id), row.name) for row in rows)
    return names


@dataclass(frozen=True, slots=True)
class News:
    """What changed since some epochs, of what was asked for.  A mailbox or identity that is gone is absent."""

    epochs: Epochs
    changed_acls: tuple[AclId, ...]
    mailboxes: dict[MailboxId, Mailbox]
    identities: dict[UserId, Identity]
    acls: dict[AclId, Acl]
    names: dict[UserId, str]  # of those who can log in


def _read_names(conn: Connection, user_ids: Sequence[UserId]) -> dict[UserId, str]:
    names: dict[UserId, str] = {}
    columns = schema.user.c
    for start in range(0, len(user_ids), 500):
        fits = (columns.id.in_(user_ids[start : start + 500]), columns.disabled.is_(False))
        rows = conn.execute(select(columns.id, columns.name).where(*fits))
        names.update((UserId(row.id), row.name) for row in rows)
    return names


def read_news(
    conn: Connection,
    since: Epochs,
    mailbox_ids: Sequence[MailboxId],
    user_ids: Sequence[UserId],
    logged_in: Sequence[UserId],
    *,
    anyway: bool = False,
) -> News:
    """The epochs now; the ACLs changed after *since*; with every change, the mailboxes, identities and ACLs
    that somebody who has *mailbox_ids* selected depends on, and with one of an identity what those who have
    *logged_in* are called, read in the same snapshot; with *anyway* these in any case.
    Of the beginning (an epoch below 0) no ACL has changed since: nobody has remembered one."""
    epochs = read_epochs(conn)
    changed = tuple(read_changed_acls(conn, since.acl)) if epochs.acl != since.acl >= 0 else ()
    mailboxes = {mailbox.id: mailbox for mailbox in read_mailboxes(conn, mailbox_ids)}
    identities: dict[UserId, Identity] = {}
    if anyway or epochs.identity != since.identity:
        for user_id in user_ids:
            identity = read_identity(conn, user_id)
            if identity is not None:
                identities[user_id] = identity
    acls = read_acls(conn, sorted({mailbox.acl_id for mailbox in mailboxes.values()}))
    names = _read_names(conn, logged_in) if anyway or epochs.identity != since.identity else {}
    return News(epochs, changed, mailboxes, identities, acls, names)


def read_team_paths(conn: Connection, user_id: UserId) -> dict[TeamId, tuple[str, ...]]:
    """For every team the user is in, the teams by which: ``("project-x-berlin", "project-x")``."""
    members = schema.team_member.c
    direct = select(schema.team.c.id, schema.team.c.name).join(schema.team_member, members.team_id == schema.team.c.id)
    found: dict[TeamId, tuple[str, ...]] = {}
    pending: list[tuple[TeamId, tuple[str, ...]]] = [
        (TeamId(row.id), (row.name,)) for row in conn.execute(direct.where(members.user_id == user_id))
    ]
    while pending:
        team_id, path = pending.pop(0)
        if team_id in found:
            continue
        found[team_id] = path
        rows = conn.execute(direct.where(members.member_team_id == team_id))
        pending += [(TeamId(row.id), (*path, row.name)) for row in rows]
    return found
