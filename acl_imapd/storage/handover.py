"""Somebody leaves: what a user has and holds, and how all of it goes to another in one transaction."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, select, update

from acl_imapd.access.namespaces import INBOX, valid_new_path
from acl_imapd.access.rights import ALL, NONE, IdentifierKind
from acl_imapd.errors import Cannot, Refused
from acl_imapd.storage import mailboxes
from acl_imapd.storage.accounts import (
    Actor,
    Member,
    User,
    as_one,
    end_memberships,
    join_team,
    list_teams_of,
    read_user,
    set_disabled,
)
from acl_imapd.storage.audit import Change, append_changes
from acl_imapd.storage.database import notify, time_of
from acl_imapd.storage.epochs import bump, lock_site
from acl_imapd.storage.mailboxes import Mailbox, describe
from acl_imapd.storage.ownership import give_away
from acl_imapd.storage.records import place_record, seen_record
from acl_imapd.storage.rights import (
    AclEntry,
    Identifier,
    Terms,
    change_entry,
    end_entries,
    read_acls,
    read_entries,
)
from acl_imapd.storage.schema import acl_entry, mailbox, subscription, team_member
from acl_imapd.storage.seen import hand_seen
from acl_imapd.storage.subscriptions import subscribe
from acl_imapd.types import MailboxId, UserId


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a user has: *personal* mailboxes, each with the entries others have in its own ACL; shared ones it owns;
    teams it is in (by name); entries that name it, outside its own mailboxes, each with the mailbox."""

    personal: tuple[tuple[Mailbox, tuple[AclEntry, ...]], ...]
    owned: tuple[Mailbox, ...]
    teams: tuple[tuple[str, Member], ...]
    entries: tuple[tuple[Mailbox, AclEntry], ...]


def read_holdings(conn: Connection, user_id: UserId) -> Holdings:
    """All of it, in a constant number of queries."""
    home = sorted(mailboxes.read_home_mailboxes(conn, user_id), key=lambda one: one.path)
    acls = read_acls(conn, [one.acl_id for one in home if one.acl_own])
    others = {
        acl_id: tuple(entry for entry in found.entries if not _names(entry, user_id)) for acl_id, found in acls.items()
    }
    found = read_entries(conn, acl_entry.c.user_id == user_id)
    where = {one.id: one for one in mailboxes.read_mailboxes(conn, [mailbox_id for mailbox_id, _, _ in found])}
    return Holdings(
        tuple((one, others[one.acl_id] if one.acl_own else ()) for one in home),
        tuple(sorted(mailboxes.read_owned_shared(conn, user_id, []), key=lambda one: one.path)),
        tuple(list_teams_of(conn, user_id)),
        tuple((where[one], entry) for one, _, entry in found if where[one].home_id != user_id),
    )


def _names(entry: AclEntry, user_id: UserId) -> bool:
    return entry.identifier.kind == IdentifierKind.USER and entry.identifier.id == user_id


def offboard(conn: Connection, actor: Actor, name: str, heir_name: str) -> Mailbox:
    """Disable a user and give what it has to *heir_name*; the mailbox below which its personal mailboxes are then.

    Shared mailboxes and the management of teams go over; entries that name the user and its memberships end.
    Personal mailboxes come below ``From NAME`` in the heir's tree, with their messages, UIDs and flags, what others
    were granted on them, and what the user had seen as seen.  An empty INBOX is left, so that the account stays whole.
    """
    lock_site(conn)
    leaver, heir = _must(conn, name), _must(conn, heir_name)
    if leaver.id == heir.id:
        raise Refused(f"{name} cannot be handed over to itself.")
    if heir.disabled:
        raise Refused(f"{heir_name} is disabled; hand over to somebody who can log in.")
    actor = as_one(actor)
    set_disabled(conn, actor, name, True)
    _hand_teams(conn, actor, leaver, heir)
    give_away(conn, actor, mailbox.c.owner_user_id == leaver.id, user_id=heir.id)
    top = _hand_home(conn, actor, leaver, heir)
    end_entries(conn, actor, acl_entry.c.user_id == leaver.id)
    end_memberships(conn, actor, team_member.c.user_id == leaver.id)
    inbox = mailboxes.create_mailbox(conn, actor, leaver.id, INBOX)
    subscribe(conn, leaver.id, inbox.id, INBOX)
    bump(conn, acl=True, tree=True, identity=True)
    return top


def _must(conn: Connection, name: str) -> User:
    found = read_user(conn, name)
    if found is None:
        raise Refused(f"There is no user {name!r}.")
    return found


def _hand_teams(conn: Connection, actor: Actor, leaver: User, heir: User) -> None:
    """The heir manages what the leaver manages, as long as that would have; one who is a member already as long as
    it is one."""
    now = time_of(conn)
    mine = dict(list_teams_of(conn, heir.id))
    for team, member in list_teams_of(conn, leaver.id):
        if not member.manager or (member.until is not None and member.until <= now):
            continue
        known = mine.get(team)
        if known is not None and known.until is not None and known.until <= now:
            known = None
        limits = known if known is not None else member
        if known is None or not known.manager:
            join_team(
                conn, actor, team, heir.name, manager=True, since=limits.since, until=limits.until,
                reason=f"in place of {leaver.name}",
            )  # fmt: skip


# -- personal mailboxes -------------------------------------------------------------------------------------------

_MOVE = (
    update(mailbox)
    .where(mailbox.c.id == bindparam("box"))
    .values(home_id=bindparam("heir"), path=bindparam("to"), parent_id=bindparam("above"), special_use=None)
)


def _hand_home(conn: Connection, actor: Actor, leaver: User, heir: User) -> Mailbox:
    top = mailboxes.create_mailbox(conn, actor, heir.id, _free_name(conn, leaver.name, heir.id))
    boxes = mailboxes.read_home_mailboxes(conn, leaver.id)
    _move(conn, actor, sorted(boxes, key=lambda one: one.path), heir, top)
    for box in sorted(boxes, key=lambda one: one.id):  # in the order in which whoever locks several does
        hand_seen(conn, box.id, heir.id)
    identifier = Identifier(IdentifierKind.USER, heir.id, heir.name)
    for box in boxes:
        if box.acl_own:
            change_entry(conn, actor, box.id, identifier, negative=True, op="set", rights=NONE)
            change_entry(conn, actor, box.id, identifier, negative=False, op="set", rights=ALL, terms_=Terms())
    _subscribe(conn, leaver.id, heir.id, [box.id for box in boxes])
    return top


def _free_name(conn: Connection, leaver: str, heir_id: UserId) -> str:
    name, number = f"From {leaver}", 1
    while mailboxes.read_mailbox(conn, heir_id, name) is not None:
        number += 1
        name = f"From {leaver} {number}"
    return name


def _move(conn: Connection, actor: Actor, boxes: list[Mailbox], heir: User, top: Mailbox) -> None:
    changes = []
    for box in boxes:
        name, path = describe(conn, box), f"{top.path}/{box.path}"
        try:
            valid_new_path(path)
        except Cannot as error:
            raise Refused(f"{path!r} would be too long or too deep; rename the folder first.") from error
        above = box.parent_id if box.parent_id is not None else top.id
        conn.execute(_MOVE, {"box": box.id, "heir": heir.id, "to": path, "above": above})
        moved = mailboxes.read_mailbox_by_id(conn, box.id)
        assert moved is not None
        before, after = (
            {**place_record(conn, one), "seen": seen_record(one.seen_shared, one.seen_own)} for one in (box, moved)
        )
        changes.append(Change("folder-rename", name, before, after, mailbox_id=box.id))
        if box.special_use is not None:
            changes.append(
                Change("folder-special-use", f"user:{heir.name}:{path}", box.special_use, None, mailbox_id=box.id)
            )
        notify(conn, "m", box.id)
    append_changes(conn, actor, changes)
    bump(conn, tree=True)


def _subscribe(conn: Connection, leaver_id: UserId, heir_id: UserId, ids: list[MailboxId]) -> None:
    """The heir to all of them, the leaver to none."""
    for box in mailboxes.read_mailboxes(conn, ids):
        subscribe(conn, heir_id, box.id, box.path)
    of_leaver = select(subscription.c.id).where(subscription.c.user_id == leaver_id, subscription.c.mailbox_id.in_(ids))
    conn.execute(delete(subscription).where(subscription.c.id.in_(of_leaver)))
