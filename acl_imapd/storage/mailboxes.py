"""Mailboxes as rows of a tree: found, made, renamed, removed.  Names are paths below a namespace's root."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, String, bindparam, delete, exists, func, insert, select, update

from acl_imapd.access.namespaces import INBOX, ancestors, parent_path
from acl_imapd.access.rights import ALL, IdentifierKind, format_rights
from acl_imapd.errors import AlreadyExists, Cannot, HasChildren, NonExistent, UseAttr
from acl_imapd.storage import schema
from acl_imapd.storage.audit import Change, append_audit, append_changes
from acl_imapd.storage.database import notify, time_of
from acl_imapd.storage.epochs import bump, lock_site, next_uidvalidity
from acl_imapd.storage.prepared import Prepared
from acl_imapd.storage.records import folder_record, place_record, seen_record
from acl_imapd.storage.schema import acl, acl_entry, mailbox
from acl_imapd.types import AclId, MailboxId, TeamId, UserId

if TYPE_CHECKING:
    from acl_imapd.storage.accounts import Actor


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A row.  *home_id* None: in the shared tree, perhaps with an owner."""

    id: MailboxId
    objectid: str
    home_id: UserId | None
    owner_user_id: UserId | None
    owner_team_id: TeamId | None
    parent_id: MailboxId | None
    path: str
    acl_id: AclId
    acl_own: bool
    seen_shared: bool
    seen_own: bool
    uidvalidity: int
    uidnext: int
    highest_modseq: int
    recent_uid: int
    messages: int
    unseen: int
    deleted: int
    deleted_bytes: int
    size_bytes: int
    special_use: str | None
    common_modseq: int
    home_modseq: int


_ALL = select(mailbox)
_HOME = Prepared(_ALL.where(mailbox.c.home_id == bindparam("home_id"), mailbox.c.path == bindparam("path")))
_SHARED = Prepared(_ALL.where(mailbox.c.home_id.is_(None), mailbox.c.path == bindparam("path")))
_BY_ID = Prepared(_ALL.where(mailbox.c.id == bindparam("id")))
_CHILDREN = _ALL.where(mailbox.c.parent_id == bindparam("id")).order_by(mailbox.c.path)
_HAS_CHILDREN = select(exists().where(mailbox.c.parent_id == bindparam("id")))
_HOME_ALL = _ALL.where(mailbox.c.home_id == bindparam("home_id"))


def _mailboxes(rows: Any) -> list[Mailbox]:
    return [Mailbox(*row) for row in rows]


def read_mailbox(conn: Connection, home_id: UserId | None, path: str) -> Mailbox | None:
    """The mailbox at that place."""
    if home_id is None:
        row = _SHARED.first(conn, {"path": path})
    else:
        row = _HOME.first(conn, {"home_id": home_id, "path": path})
    return None if row is None else Mailbox(*row)


def read_mailbox_by_id(conn: Connection, mailbox_id: MailboxId) -> Mailbox | None:
    """The mailbox of that id."""
    row = _BY_ID.first(conn, {"id": mailbox_id})
    return None if row is None else Mailbox(*row)


def read_mailboxes(conn: Connection, ids: Sequence[MailboxId]) -> list[Mailbox]:
    """Those of them that exist."""
    return _in_chunks(conn, mailbox.c.id, ids)


def read_mailboxes_by_acl(conn: Connection, acl_ids: Sequence[AclId]) -> list[Mailbox]:
    """The mailboxes these ACLs hold for."""
    return _in_chunks(conn, mailbox.c.acl_id, acl_ids)


def _in_chunks(conn: Connection, column: Any, values: Sequence[int]) -> list[Mailbox]:
    found: list[Mailbox] = []
    for start in range(0, len(values), 500):
        found += _mailboxes(conn.execute(_ALL.where(column.in_(values[start : start + 500]))))
    return found


def read_home_mailboxes(conn: Connection, user_id: UserId) -> list[Mailbox]:
    """All personal mailboxes of the user."""
    return _mailboxes(conn.execute(_HOME_ALL, {"home_id": user_id}))


def read_owned_shared(conn: Connection, user_id: UserId, team_ids: Sequence[TeamId]) -> list[Mailbox]:
    """The shared mailboxes that were given to the user, or to one of the teams."""
    found = _mailboxes(conn.execute(_ALL.where(mailbox.c.owner_user_id == user_id)))
    return found + _in_chunks(conn, mailbox.c.owner_team_id, team_ids)


def read_acl_source(conn: Connection, of: Mailbox) -> Mailbox:
    """The mailbox whose ACL *of* follows: itself, or the nearest above that has an ACL of its own."""
    if of.acl_own:
        return of
    above = [_tree(of.home_id), mailbox.c.path.in_(ancestors(of.path)), mailbox.c.acl_own]
    found = _mailboxes(conn.execute(_ALL.where(*above)))
    return max(found, key=lambda one: len(one.path), default=of)


def read_children(conn: Connection, mailbox_id: MailboxId) -> list[Mailbox]:
    """The mailboxes one level below."""
    return _mailboxes(conn.execute(_CHILDREN, {"id": mailbox_id}))


def has_children(conn: Connection, mailbox_id: MailboxId) -> bool:
    """True when there is a mailbox below, seen by whomever."""
    return bool(conn.execute(_HAS_CHILDREN, {"id": mailbox_id}).scalar())


def _tree(home_id: UserId | None) -> Any:
    return mailbox.c.home_id.is_(None) if home_id is None else mailbox.c.home_id == home_id


def read_descendants(conn: Connection, of: Mailbox) -> list[Mailbox]:
    """All mailboxes below, by path."""
    # '0' follows '/': the range holds just the paths that begin with "path/", and is read from the index.
    below: Any = mailbox.c.path.between(of.path + "/", of.path + "0")
    if not _binary_order(conn):
        below = mailbox.c.path.startswith(of.path + "/", autoescape=True)
    rows = conn.execute(_ALL.where(_tree(of.home_id), below).order_by(mailbox.c.path))
    return [found for found in _mailboxes(rows) if found.path.startswith(of.path + "/")]


def _binary_order(conn: Connection) -> bool:
    return conn.dialect.name == "sqlite"


def list_shared(conn: Connection) -> list[Mailbox]:
    """All shared mailboxes by path."""
    return _mailboxes(conn.execute(_ALL.where(mailbox.c.home_id.is_(None)).order_by(mailbox.c.path)))


def read_paths_near(conn: Connection, home_id: UserId | None, path: str, *, most: int = 5_000) -> list[str]:
    """The paths among which somebody may have meant *path*: all of the tree, or where these are more than *most*,
    those below the nearest mailbox above that there is."""
    query = select(mailbox.c.path).where(_tree(home_id))
    found = list(conn.execute(query.limit(most + 1)).scalars())
    if len(found) <= most:
        return found
    above = parent_path(path)
    while above:
        parent = read_mailbox(conn, home_id, above)
        if parent is not None:
            return [child.path for child in read_children(conn, parent.id)]
        above = parent_path(above)
    return list(conn.execute(query.where(mailbox.c.parent_id.is_(None))).scalars())


def list_all(conn: Connection) -> list[Mailbox]:
    """Every mailbox there is."""
    return _mailboxes(conn.execute(_ALL.order_by(mailbox.c.home_id, mailbox.c.path)))


def read_highest_modseqs(conn: Connection, ids: Sequence[MailboxId]) -> dict[MailboxId, int]:
    """HIGHESTMODSEQ of those that exist."""
    found: dict[MailboxId, int] = {}
    for start in range(0, len(ids), 500):
        some = ids[start : start + 500]
        query = select(mailbox.c.id, mailbox.c.highest_modseq).where(mailbox.c.id.in_(some))
        found.update((MailboxId(row[0]), row[1]) for row in conn.execute(query))
    return found


# -- making ---------------------------------------------------------------------------------------------------


def create_mailbox(
    conn: Connection,
    actor: Actor,
    home_id: UserId | None,
    path: str,
    *,
    owner_user: UserId | None = None,
    owner_team: TeamId | None = None,
    special_use: str | None = None,
) -> Mailbox:
    """A new mailbox, and its missing ancestors, made for real.  AlreadyExists where there is one.

    A child shares its parent's ACL, owner and way of keeping \\Seen.  At the top a personal mailbox has an ACL
    with all rights for its user; a shared one an empty ACL, so that nobody sees it but its owner.
    """
    lock_site(conn)
    if read_mailbox(conn, home_id, path) is not None:
        raise AlreadyExists("There is a mailbox of that name already")
    above = parent_path(path)
    parent = None
    if above:
        parent = read_mailbox(conn, home_id, above)
        if parent is None:
            parent = create_mailbox(conn, actor, home_id, above, owner_user=owner_user, owner_team=owner_team)
    if special_use is not None:
        _refuse_second_use(conn, home_id, parent.id if parent is not None else None, special_use)
    if parent is None:
        acl_id = _new_acl(conn, actor, home_id)
    else:
        acl_id = parent.acl_id
        if home_id is None and owner_user is None and owner_team is None:
            owner_user, owner_team = parent.owner_user_id, parent.owner_team_id
    values = {
        "objectid": "F" + secrets.token_hex(12),
        "home_id": home_id,
        "owner_user_id": owner_user if home_id is None else None,
        "owner_team_id": owner_team if home_id is None else None,
        "parent_id": parent.id if parent is not None else None,
        "path": path,
        "acl_id": acl_id,
        "acl_own": parent is None,
        "seen_shared": parent.seen_shared if parent is not None else False,
        "seen_own": parent is None,
        "uidvalidity": next_uidvalidity(conn),
        "uidnext": 1,
        "highest_modseq": 1,
        "common_modseq": 1,
        "home_modseq": 1,
        "recent_uid": 0,
        "messages": 0,
        "unseen": 0,
        "deleted": 0,
        "deleted_bytes": 0,
        "size_bytes": 0,
        "special_use": special_use,
    }
    made = Mailbox(*conn.execute(insert(mailbox).values(values).returning(mailbox)).one())
    bump(conn, tree=True)
    append_audit(conn, actor, "folder-add", describe(conn, made), None, _record(conn, made), mailbox_id=made.id)
    return made


def _refuse_second_use(conn: Connection, home_id: UserId | None, parent_id: MailboxId | None, special_use: str) -> None:
    """UseAttr where a mailbox of this user has that use, or a shared one beside it: clients take either for the one."""
    query = select(mailbox.c.path).where(_tree(home_id), mailbox.c.special_use == special_use)
    if home_id is None:
        query = query.where(mailbox.c.parent_id == parent_id)
    other = conn.execute(query).scalar()
    if other is not None:
        raise UseAttr(f"{other} is for that already")


def _new_acl(conn: Connection, actor: Actor, home_id: UserId | None) -> AclId:
    acl_id = AclId(conn.execute(insert(acl).values(epoch=0).returning(acl.c.id)).scalar_one())
    if home_id is not None:
        conn.execute(
            insert(acl_entry).values(
                acl_id=acl_id,
                kind=int(IdentifierKind.USER),
                user_id=home_id,
                negative=False,
                rights=format_rights(ALL),
                granted_by=actor.name,
                granted_at=time_of(conn),
            )
        )
    return acl_id


def describe(conn: Connection, of: Mailbox) -> str:
    """How the audit log names a mailbox: ``shared:Project X``, ``user:alice:Work``."""
    if of.home_id is None:
        return f"shared:{of.path}"
    name = conn.execute(select(schema.user.c.name).where(schema.user.c.id == of.home_id)).scalar_one()
    return f"user:{name}:{of.path}"


def _record(conn: Connection, of: Mailbox) -> dict[str, Any]:
    from acl_imapd.storage.rights import read_acl

    own = read_acl(conn, of.acl_id) if of.acl_own else None
    return folder_record(conn, of, own.entries if own is not None else None)


def _must(conn: Connection, mailbox_id: MailboxId) -> Mailbox:
    found = read_mailbox_by_id(conn, mailbox_id)
    if found is None:
        raise NonExistent()
    return found


# -- removing -------------------------------------------------------------------------------------------------


def delete_mailbox(conn: Connection, actor: Actor, mailbox_id: MailboxId) -> None:
    """Remove a mailbox and its messages.  HasChildren while there are any below; Cannot for INBOX."""
    lock_site(conn)
    found = _must(conn, mailbox_id)
    if found.home_id is not None and found.path == INBOX:
        raise Cannot("INBOX cannot be deleted")
    if has_children(conn, mailbox_id):
        raise HasChildren("Delete the folders below this one first")
    append_changes(conn, actor, [_removal(conn, found)])
    if found.home_id is not None:
        # RFC 3501 §6.3.6: the name stays subscribed; that which it has now, not that before a RENAME.
        mine = schema.subscription
        of_owner = (mine.c.user_id == found.home_id) & (mine.c.mailbox_id == mailbox_id)
        conn.execute(update(mine).where(of_owner).values(name=found.path))
    conn.execute(delete(mailbox).where(mailbox.c.id == mailbox_id))
    if found.acl_own:
        conn.execute(delete(acl).where(acl.c.id == found.acl_id))
    bump(conn, tree=True)
    notify(conn, "m", mailbox_id)


def _removal(conn: Connection, found: Mailbox) -> Change:
    before = {**_record(conn, found), "messages": found.messages}
    return Change("folder-remove", describe(conn, found), before, None, mailbox_id=found.id)


def remove_home(conn: Connection, actor: Actor, user_id: UserId) -> None:
    """Remove every mailbox of a user.  Its bodies are swept later."""
    lock_site(conn)
    all_of_them = read_home_mailboxes(conn, user_id)
    append_changes(conn, actor, [_removal(conn, found) for found in all_of_them])
    conn.execute(delete(mailbox).where(mailbox.c.home_id == user_id))
    own = [found.acl_id for found in all_of_them if found.acl_own]
    for start in range(0, len(own), 500):
        conn.execute(delete(acl).where(acl.c.id.in_(own[start : start + 500])))
    for found in all_of_them:
        notify(conn, "m", found.id)
    bump(conn, tree=True)


# -- renaming -------------------------------------------------------------------------------------------------


def rename_mailbox(conn: Connection, actor: Actor, mailbox_id: MailboxId, new_path: str) -> Mailbox:
    """Give the mailbox, and those below it, another name in the same tree; missing ancestors are made.

    Messages, UIDs, UIDVALIDITY, flags, subscriptions and rights stay as they are: one that followed its
    parent's ACL and comes below another keeps what it had, as an ACL of its own.  RFC 3501 §6.3.5.
    """
    from acl_imapd.storage.rights import own_acl, read_acl

    lock_site(conn)
    found = _must(conn, mailbox_id)
    if found.home_id is not None and found.path == INBOX:
        raise Cannot("INBOX is not renamed like this")
    if new_path.startswith(found.path + "/"):
        raise Cannot("A folder cannot be moved below itself")
    if read_mailbox(conn, found.home_id, new_path) is not None:
        raise AlreadyExists("There is a mailbox of that name already")
    parent = None
    above = parent_path(new_path)
    if above:
        parent = read_mailbox(conn, found.home_id, above) or create_mailbox(
            conn, actor, found.home_id, above, owner_user=found.owner_user_id, owner_team=found.owner_team_id
        )
    parent_id = parent.id if parent is not None else None
    if parent_id != found.parent_id and not found.acl_own:
        inherited = read_acl(conn, found.acl_id)
        assert inherited is not None
        own_acl(conn, actor, found, inherited)
    before = {**place_record(conn, found), "seen": seen_record(found.seen_shared, found.seen_own)}
    name = describe(conn, found)
    below = read_descendants(conn, found)
    conn.execute(
        update(mailbox)
        .where(mailbox.c.id == mailbox_id)
        .values(path=new_path, parent_id=parent_id, seen_own=found.seen_own or parent_id != found.parent_id)
    )
    below_ids = [one.id for one in below]
    for start in range(0, len(below), 500):
        some = mailbox.c.id.in_(below_ids[start : start + 500])
        moved = bindparam("to", new_path, String) + func.substr(mailbox.c.path, len(found.path) + 1)
        conn.execute(update(mailbox).where(some).values(path=moved))
    bump(conn, tree=True)
    after = _must(conn, mailbox_id)
    now = {**place_record(conn, after), "seen": seen_record(after.seen_shared, after.seen_own)}
    append_audit(conn, actor, "folder-rename", name, before, now, mailbox_id=mailbox_id)
    return after


def move_inbox(conn: Connection, actor: Actor, home_id: UserId, new_path: str) -> Mailbox:
    """RENAME of INBOX: its messages go to a new mailbox, it stays, empty, with all below it.  RFC 3501 §6.3.5."""
    from acl_imapd.storage.messages import move_messages, read_uids

    lock_site(conn)
    inbox = read_mailbox(conn, home_id, INBOX)
    if inbox is None:
        raise NonExistent()
    made = create_mailbox(conn, actor, home_id, new_path)
    uids = read_uids(conn, inbox.id)
    if uids:
        move_messages(conn, inbox.id, made.id, home_id, uids, flag_mask=~0, keep_seen=True, allow_keywords=True)
    return made


# -- properties -----------------------------------------------------------------------------------------------


def set_special_use(conn: Connection, actor: Actor, mailbox_id: MailboxId, special_use: str | None) -> None:
    """Give the mailbox a special use (RFC 6154), or take it away."""
    lock_site(conn)
    found = _must(conn, mailbox_id)
    if special_use not in (None, found.special_use):
        _refuse_second_use(conn, found.home_id, found.parent_id, special_use)
    conn.execute(update(mailbox).where(mailbox.c.id == mailbox_id).values(special_use=special_use))
    bump(conn, tree=True)
    append_audit(
        conn, actor, "folder-special-use", describe(conn, found), found.special_use, special_use, mailbox_id=found.id
    )


def set_seen_mode(conn: Connection, actor: Actor, mailbox_id: MailboxId, *, shared: bool) -> None:
    r"""Make \Seen common to all, or each user's own, here and in what follows this mailbox.

    To common: seen is what anybody has seen.  To own: what was seen counts as seen by everybody who may read.
    """
    from acl_imapd.storage.seen import convert_seen

    lock_site(conn)
    found = _must(conn, mailbox_id)
    pending = [found]
    changes = []
    while pending:
        one = pending.pop()
        before = seen_record(one.seen_shared, one.seen_own)
        after = seen_record(shared, one.seen_own or one.id == mailbox_id)
        if before != after:
            changes.append(Change("folder-seen", describe(conn, one), before, after, mailbox_id=one.id))
        if one.seen_shared != shared:
            convert_seen(conn, one.id, shared=shared)
        values: dict[str, Any] = {"seen_shared": shared}
        if one.id == mailbox_id:
            values["seen_own"] = True
        conn.execute(update(mailbox).where(mailbox.c.id == one.id).values(values))
        pending += [child for child in read_children(conn, one.id) if not child.seen_own]
    bump(conn, tree=True)
    append_changes(conn, actor, changes)


# -- STATUS ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Status:
    """What STATUS tells; *unseen* and *highest_modseq* as the user sees them."""

    messages: int
    recent: int
    unseen: int
    uidnext: int
    uidvalidity: int
    highest_modseq: int
    deleted: int
    deleted_bytes: int
    size_bytes: int
    objectid: str


def read_status(
    conn: Connection, user_id: UserId, mailbox_ids: Sequence[MailboxId], *, recent: bool = False
) -> dict[MailboxId, Status]:
    r"""The counters of those mailboxes that exist: stored ones, so no message is looked at, but for *recent*."""
    found = read_mailboxes(conn, mailbox_ids)
    own = [one.id for one in found if not one.seen_shared and one.home_id != user_id]
    seen: dict[int, tuple[int, int]] = {}
    for start in range(0, len(own), 500):
        some = own[start : start + 500]
        mine = schema.seen
        query = select(mine.c.mailbox_id, mine.c.count, mine.c.modseq).where(
            mine.c.mailbox_id.in_(some), mine.c.user_id == user_id
        )
        seen.update((row[0], (row[1], row[2])) for row in conn.execute(query))
    own_ids = set(own)
    recents = _count_recent(conn, found) if recent else {}
    return {
        one.id: Status(
            messages=one.messages,
            recent=recents.get(one.id, 0),
            unseen=one.messages - seen.get(one.id, (0, 0))[0] if one.id in own_ids else one.unseen,
            uidnext=one.uidnext,
            uidvalidity=one.uidvalidity,
            highest_modseq=max(
                one.common_modseq, seen.get(one.id, (0, 0))[1] if one.id in own_ids else one.home_modseq
            ),
            deleted=one.deleted,
            deleted_bytes=one.deleted_bytes,
            size_bytes=one.size_bytes,
            objectid=one.objectid,
        )
        for one in found
    }


def _count_recent(conn: Connection, among: Sequence[Mailbox]) -> dict[MailboxId, int]:
    ids = [one.id for one in among if one.recent_uid + 1 < one.uidnext]
    mine = schema.message
    counts: dict[MailboxId, int] = {}
    for start in range(0, len(ids), 500):
        query = (
            select(mine.c.mailbox_id, func.count())
            .join(mailbox, mailbox.c.id == mine.c.mailbox_id)
            .where(mailbox.c.id.in_(ids[start : start + 500]), mine.c.uid > mailbox.c.recent_uid)
            .group_by(mine.c.mailbox_id)
        )
        counts.update((MailboxId(row[0]), row[1]) for row in conn.execute(query))
    return counts
