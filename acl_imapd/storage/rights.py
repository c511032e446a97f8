"""The one writer of rights.  SETACL, the CLI and ownership all end here: the entry, the epoch, the audit row and
the wake-up in one transaction, so that no way in can forget one of the four."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from sqlalchemy import Connection, bindparam, delete, func, insert, literal, or_, select, text, update

from acl_imapd.access.rights import NONE, IdentifierKind, Rights, format_rights, parse_rights
from acl_imapd.errors import Cannot, Refused
from acl_imapd.storage.accounts import Actor, Identity, check_limits, read_team, read_user
from acl_imapd.storage.audit import Change, Subjects, append_audit, append_changes
from acl_imapd.storage.database import time_of
from acl_imapd.storage.epochs import Epochs, bump, lock_site, read_epochs
from acl_imapd.storage.ownership import give_away
from acl_imapd.storage.prepared import Prepared
from acl_imapd.storage.records import entry_record, entry_records
from acl_imapd.storage.schema import acl, acl_entry, mailbox, role, team, user
from acl_imapd.types import AclId, MailboxId, TeamId, UserId

__all__ = ["Epochs", "read_epochs"]

Operation = Literal["set", "add", "remove"]


@dataclass(frozen=True, slots=True)
class Identifier:
    """Whom an entry names; *name* as GETACL shows it, *id* of the user or team, else 0."""

    kind: IdentifierKind
    id: int
    name: str


@dataclass(frozen=True, slots=True)
class AclEntry:
    identifier: Identifier
    negative: bool
    rights: str
    granted_by: str
    granted_at: float
    reason: str | None
    role: str | None = None  # whose rights these are
    since: float | None = None  # seconds since 1970
    until: float | None = None
    subscribe: bool = True  # whoever it makes see the folder is subscribed to it

    @property
    def text(self) -> str:
        """The identifier as GETACL writes it, with its ``-`` where rights are taken away (RFC 4314 §2)."""
        return f"-{self.identifier.name}" if self.negative else self.identifier.name


@dataclass(frozen=True, slots=True)
class Acl:
    """Entries in the order they were made."""

    id: AclId
    epoch: int
    entries: tuple[AclEntry, ...]


_SPECIAL = {
    "owner": IdentifierKind.OWNER,
    "authenticated": IdentifierKind.AUTHENTICATED,
    "anyone": IdentifierKind.ANYONE,
}
_NAMES = {kind: name for name, kind in _SPECIAL.items()}


def resolve_identifier(conn: Connection, text_: str, *, allow_anyone: bool) -> Identifier:
    """Whom *text_* (without a leading ``-``) names.  Cannot where there is nobody of that name."""
    kind = _SPECIAL.get(text_)
    if kind == IdentifierKind.ANYONE and not allow_anyone:
        raise Cannot("The identifier anyone is switched off here; authenticated means everybody who can log in")
    if kind is not None:
        return Identifier(kind, 0, text_)
    if text_.startswith("domain:"):
        domain = text_[len("domain:") :].lower()
        if conn.execute(select(user.c.id).where(user.c.domain == domain).limit(1)).first() is None:
            raise Cannot(f"There is no user whose name ends in @{domain}")
        return Identifier(IdentifierKind.DOMAIN, 0, f"domain:{domain}")
    for prefix in ("group:", "$"):
        if text_.startswith(prefix):
            found_team = read_team(conn, text_[len(prefix) :])
            if found_team is None:
                raise Cannot(f"There is no team {text_[len(prefix) :]!r}")
            return Identifier(IdentifierKind.TEAM, found_team.id, f"group:{found_team.name}")
    found = read_user(conn, text_)
    if found is None:
        raise Cannot(f"There is no user {text_!r}; a team is written group:NAME")
    return Identifier(IdentifierKind.USER, found.id, found.name)


# -- reading ------------------------------------------------------------------------------------------------

_ENTRIES = (
    select(
        acl.c.id, acl.c.epoch, acl_entry.c.kind, acl_entry.c.user_id, acl_entry.c.team_id, acl_entry.c.negative,
        func.coalesce(role.c.rights, acl_entry.c.rights), acl_entry.c.granted_by, acl_entry.c.granted_at,
        acl_entry.c.reason, user.c.name.label("user_name"), team.c.name.label("team_name"), acl_entry.c.domain,
        role.c.name.label("role_name"), acl_entry.c.since, acl_entry.c.until, acl_entry.c.subscribe,
    )
    .select_from(
        acl.outerjoin(acl_entry, acl_entry.c.acl_id == acl.c.id)
        .outerjoin(user, user.c.id == acl_entry.c.user_id)
        .outerjoin(team, team.c.id == acl_entry.c.team_id)
        .outerjoin(role, role.c.id == acl_entry.c.role_id)
    )
    .order_by(acl.c.id, acl_entry.c.id)
)  # fmt: skip
_ONE = Prepared(_ENTRIES.where(acl.c.id == bindparam("acl_id")))


def read_acl(conn: Connection, acl_id: AclId) -> Acl | None:
    """The ACL of that id."""
    return _acls(_ONE.all(conn, {"acl_id": acl_id})).get(acl_id)


def read_acls(conn: Connection, ids: Sequence[AclId]) -> dict[AclId, Acl]:
    """Those of them that exist."""
    found: dict[AclId, Acl] = {}
    for start in range(0, len(ids), 500):
        found.update(_acls(conn.execute(_ENTRIES.where(acl.c.id.in_(ids[start : start + 500])))))
    return found


def _acls(rows: Any) -> dict[AclId, Acl]:
    entries: dict[AclId, list[AclEntry]] = {}
    epochs: dict[AclId, int] = {}
    for row in rows:
        epochs[row[0]] = row[1]
        mine = entries.setdefault(row[0], [])
        if row[2] is None:  # an ACL without entries
            continue
        kind = IdentifierKind(row[2])
        if kind is IdentifierKind.USER:
            identifier = Identifier(kind, row[3], row[10])
        elif kind is IdentifierKind.TEAM:
            identifier = Identifier(kind, row[4], f"group:{row[11]}")
        elif kind is IdentifierKind.DOMAIN:
            identifier = Identifier(kind, 0, f"domain:{row[12]}")
        else:
            identifier = Identifier(kind, 0, _NAMES[kind])
        mine.append(AclEntry(identifier, bool(row[5]), *row[6:10], *row[13:17]))
    return {acl_id: Acl(acl_id, epochs[acl_id], tuple(mine)) for acl_id, mine in entries.items()}


@dataclass(frozen=True, slots=True)
class Named:
    """Whom an entry names, for the evaluator alone."""

    kind: int
    id: int
    name: str


@dataclass(frozen=True, slots=True)
class Term:
    """An entry as the evaluator needs it: nothing to show to anybody."""

    identifier: Named
    negative: bool
    rights: str
    since: float | None
    until: float | None


# Of an ACL with hundreds of people only those entries that can name one of them: the user's, and all that name
# no user.  As text, since a server on SQLite reads it on a bare connection.
TERMS = (
    "SELECT kind, user_id, team_id, negative, COALESCE(role.rights, acl_entry.rights), since, until, domain"
    " FROM acl_entry LEFT JOIN role ON role.id = role_id"
    " WHERE acl_id = :acl_id AND (user_id = :user_id OR user_id IS NULL)"
)
_TERMS = Prepared(text(TERMS))


def terms(rows: Iterable[Any]) -> list[Term]:
    """The rows of :data:`TERMS` for ``effective_rights``."""
    return [
        Term(Named(row[0], row[1] or row[2] or 0, f"domain:{row[7]}"), bool(row[3]), row[4], row[5], row[6])
        for row in rows
    ]


def read_terms(conn: Connection, acl_id: AclId, user_id: UserId) -> list[Term]:
    """The entries of an ACL that can concern a user: its own, and those of teams and of everybody."""
    return terms(_TERMS.all(conn, {"acl_id": acl_id, "user_id": user_id}))


_CHANGED = Prepared(select(acl.c.id).where(acl.c.epoch > bindparam("since")))


def read_changed_acls(conn: Connection, since_epoch: int) -> list[AclId]:
    """The ACLs changed after that epoch."""
    return _CHANGED.scalars(conn, {"since": since_epoch})


def read_matching_acls(conn: Connection, identity: Identity, *, include_anyone: bool) -> list[AclId]:
    """The ACLs that give *identity* something by name, by a team, or as anybody who can log in."""
    kinds = [IdentifierKind.AUTHENTICATED] + ([IdentifierKind.ANYONE] if include_anyone else [])
    fits = [acl_entry.c.user_id == identity.user_id, acl_entry.c.kind.in_([int(kind) for kind in kinds])]
    if identity.teams:
        fits.append(acl_entry.c.team_id.in_(sorted(identity.teams)))
    if identity.domain is not None:
        fits.append(acl_entry.c.domain == identity.domain)
    found: set[AclId] = set()
    for fit in fits:  # one index each
        found.update(conn.execute(select(acl_entry.c.acl_id).where(fit, acl_entry.c.negative.is_(False))).scalars())
    return sorted(found)


def read_entries(conn: Connection, which: Any) -> list[tuple[MailboxId, str, AclEntry]]:
    """Those entries, each with the mailbox whose own ACL it is in, and how the audit log names that."""
    home = user.alias("home")
    columns = (mailbox.c.id, mailbox.c.home_id, mailbox.c.path, home.c.name)
    query = (
        _ENTRIES.add_columns(*columns)
        .join(mailbox, (mailbox.c.acl_id == acl.c.id) & mailbox.c.acl_own)
        .outerjoin(home, home.c.id == mailbox.c.home_id)
        .where(which)
    )
    found = []
    for row in conn.execute(query):
        (entry,) = _acls([row])[row[0]].entries
        *_, mailbox_id, home_id, path, name = row
        found.append((mailbox_id, f"shared:{path}" if home_id is None else f"user:{name}:{path}", entry))
    return found


# -- writing --------------------------------------------------------------------------------------------------

_MAILBOX = Prepared(
    select(
        mailbox.c.id, mailbox.c.home_id, mailbox.c.path, mailbox.c.acl_id, mailbox.c.acl_own, mailbox.c.parent_id
    ).where(mailbox.c.id == bindparam("mailbox_id"))
)
_TOUCH = Prepared(update(acl).where(acl.c.id == bindparam("the_acl")).values(epoch=bindparam("new_epoch")))
# The mailboxes that share the ACL from here down: a child that has none of its own follows its parent.
_INHERITING = text(
    "WITH RECURSIVE below(id) AS (SELECT CAST(:mailbox_id AS BIGINT) UNION ALL SELECT mailbox.id FROM mailbox"
    " JOIN below ON mailbox.parent_id = below.id WHERE NOT mailbox.acl_own) SELECT id FROM below"
)


def _read_row(conn: Connection, mailbox_id: MailboxId) -> Any:
    row = _MAILBOX.first(conn, {"mailbox_id": mailbox_id})
    if row is None:
        raise Refused("The folder has just been removed.")
    return row


def _object(conn: Connection, row: Any) -> str:
    if row.home_id is None:
        return f"shared:{row.path}"
    home = conn.execute(select(user.c.name).where(user.c.id == row.home_id)).scalar_one()
    return f"user:{home}:{row.path}"


def describe(conn: Connection, mailbox_id: MailboxId) -> str:
    """The mailbox as the audit log names it: ``shared:Project X``, ``user:alice:Work``."""
    return _object(conn, _read_row(conn, mailbox_id))


def change_entry(
    conn: Connection,
    actor: Actor,
    mailbox_id: MailboxId,
    identifier: Identifier,
    *,
    negative: bool,
    op: Operation,
    rights: Rights,
    terms_: Terms | None = None,
    subscribe: bool = True,
) -> bool:
    """Set, add to or remove from the rights of an entry; one left without rights goes.  RFC 4314 §3.1.

    A mailbox that follows its parent gets an ACL of its own first, which starts as the parent's; so what was given
    on it outlives a change of the parent's, though it was there already.  Else a change that changes nothing writes
    nothing, and is False.  A new entry subscribes whom it makes see the folder as *subscribe* says.

    Without *terms_* it is a client's SETACL.  It changes what GETACL shows, so an entry that is to begin later is as
    none to it, and what is given now replaces that; the end of an entry stays, or who may change rights would put it
    off without knowing.  A role goes, for letters.
    """
    lock_site(conn)
    now = time_of(conn)
    if terms_ is not None:
        check_limits(terms_.since, terms_.until, now)
    row = _read_row(conn, mailbox_id)
    entry = {
        "the_acl": row.acl_id,
        "the_kind": int(identifier.kind),
        "the_user": identifier.id if identifier.kind == IdentifierKind.USER else None,
        "the_team": identifier.id if identifier.kind == IdentifierKind.TEAM else None,
        "the_domain": identifier.name[len("domain:") :] if identifier.kind == IdentifierKind.DOMAIN else None,
        "is_negative": negative,
    }
    found = _SAME[identifier.kind].first(conn, entry)
    ended = found is not None and found.until is not None and found.until <= now
    planned = terms_ is None and op != "remove" and found is not None and found.since is not None and now < found.since
    old = parse_rights(found.rights) if found is not None and not ended and not planned else NONE
    new = rights if op == "set" else old | rights if op == "add" else old & ~rights
    before = Terms(subscribe=subscribe)
    if found is not None and not ended:
        before = Terms(found.role_id, found.since, found.until, found.reason, bool(found.subscribe))
    if terms_ is not None:
        after = terms_ if terms_.reason is not None else replace(terms_, reason=before.reason)
    else:
        after = before if new == old else replace(before, role_id=None)
        if planned:
            after = replace(after, since=None, role_id=None)
    pinned = row.acl_own or not new
    if op == "add" and not rights:
        return False
    if new == old and pinned and not ended and not planned and (after == before or found is None):
        return False
    if not row.acl_own:
        inherited = read_acl(conn, row.acl_id)
        assert inherited is not None
        entry["the_acl"] = own_acl(conn, actor, row, inherited)
        found = _SAME[identifier.kind].first(conn, entry)
    epochs = bump(conn, acl=True, tree=not row.acl_own)
    values = {
        "new_rights": format_rights(new), "by": actor.name, "at": now, "why": after.reason,
        "new_role": after.role_id, "new_since": after.since, "new_until": after.until,
        "new_subscribe": after.subscribe,
    }  # fmt: skip
    if found is None:
        _INSERT_ENTRY.run(conn, {**entry, **values})
    elif new == NONE:
        _DELETE_ENTRY.run(conn, {"the_id": found.id})
    else:
        # Columns that are set are written to their indexes anew, changed or not.
        same = (after.role_id, after.since, after.until) == (found.role_id, found.since, found.until)
        (_UPDATE_RIGHTS if same else _UPDATE_ENTRY).run(conn, {"the_id": found.id, **values})
    _TOUCH.run(conn, {"the_acl": entry["the_acl"], "new_epoch": epochs.acl})
    was = None if found is None else entry_record(AclEntry(identifier, negative, **_terms_of(found)))
    made = AclEntry(
        identifier, negative, format_rights(new), actor.name, now, after.reason, _role_name(conn, found, after.role_id),
        after.since, after.until, after.subscribe,
    )  # fmt: skip
    append_audit(
        conn, actor, "acl-set" if new else "acl-remove", _object(conn, row), was, entry_record(made) if new else None,
        reason=after.reason if new else None, mailbox_id=row.id, **names(identifier),
    )  # fmt: skip
    return True


def _terms_of(found: Any) -> dict[str, Any]:
    return {key: value for key, value in found._asdict().items() if key not in ("id", "role_id")}


def names(identifier: Identifier) -> Subjects:
    """Whom a change of this identifier's entry concerns, for the audit log."""
    return {
        "users": [identifier.id] if identifier.kind == IdentifierKind.USER else [],
        "teams": [identifier.id] if identifier.kind == IdentifierKind.TEAM else [],
    }


def _role_name(conn: Connection, found: Any, role_id: int | None) -> str | None:
    if role_id is None or (found is not None and found.role_id == role_id):
        return found.role if role_id is not None else None
    return str(conn.execute(select(role.c.name).where(role.c.id == role_id)).scalar_one())


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms an entry holds, besides its letters; *since* and *until* in seconds since 1970.

    *subscribe*: whoever it makes see the folder is subscribed to it, unless he once unsubscribed it.
    """

    role_id: int | None = None
    since: float | None = None
    until: float | None = None
    reason: str | None = None
    subscribe: bool = True


_SAME_ACL = select(
    acl_entry.c.id, acl_entry.c.role_id,
    func.coalesce(role.c.rights, acl_entry.c.rights).label("rights"), acl_entry.c.granted_by, acl_entry.c.granted_at,
    acl_entry.c.reason, role.c.name.label("role"), acl_entry.c.since, acl_entry.c.until, acl_entry.c.subscribe,
).select_from(acl_entry.outerjoin(role, role.c.id == acl_entry.c.role_id)).where(
    acl_entry.c.acl_id == bindparam("the_acl"),
    acl_entry.c.kind == bindparam("the_kind"),
    acl_entry.c.negative == bindparam("is_negative"),
)  # fmt: skip
_SAME_OF = {
    IdentifierKind.USER: acl_entry.c.user_id == bindparam("the_user"),
    IdentifierKind.TEAM: acl_entry.c.team_id == bindparam("the_team"),
    IdentifierKind.DOMAIN: acl_entry.c.domain == bindparam("the_domain"),
}
_SAME = {kind: Prepared(_SAME_ACL.where(*([_SAME_OF[kind]] if kind in _SAME_OF else []))) for kind in IdentifierKind}
_VALUES: dict[str, Any] = {
    "rights": bindparam("new_rights"),
    "granted_by": bindparam("by"),
    "granted_at": bindparam("at"),
    "reason": bindparam("why"),
    "role_id": bindparam("new_role"),
    "since": bindparam("new_since"),
    "until": bindparam("new_until"),
    "subscribe": bindparam("new_subscribe"),
}
_INSERT_ENTRY = Prepared(
    insert(acl_entry).values(
        acl_id=bindparam("the_acl"),
        kind=bindparam("the_kind"),
        user_id=bindparam("the_user"),
        team_id=bindparam("the_team"),
        domain=bindparam("the_domain"),
        negative=bindparam("is_negative"),
        **_VALUES,
    )
)
_UPDATE_ENTRY = Prepared(update(acl_entry).where(acl_entry.c.id == bindparam("the_id")).values(**_VALUES))
_UPDATE_RIGHTS = Prepared(
    update(acl_entry)
    .where(acl_entry.c.id == bindparam("the_id"))
    .values({name: value for name, value in _VALUES.items() if name not in ("role_id", "since", "until")})
)
_DELETE_ENTRY = Prepared(delete(acl_entry).where(acl_entry.c.id == bindparam("the_id")))


def own_acl(conn: Connection, actor: Actor, row: Any, inherited: Acl) -> AclId:
    """Give the mailbox, and what follows it, a copy of the ACL it shares.  The caller bumps the tree epoch."""
    acl_id = AclId(conn.execute(insert(acl).values(epoch=0).returning(acl.c.id)).scalar_one())
    copied = [column for column in acl_entry.c if column.name not in ("id", "acl_id")]
    conn.execute(
        insert(acl_entry).from_select(
            ["acl_id", *(column.name for column in copied)],
            select(literal(acl_id), *copied).where(acl_entry.c.acl_id == inherited.id).order_by(acl_entry.c.id),
        )
    )
    repoint(conn, row.id, acl_id)
    conn.execute(update(mailbox).where(mailbox.c.id == row.id).values(acl_own=True))
    append_audit(conn, actor, "acl-own", _object(conn, row), None, entry_records(inherited.entries), mailbox_id=row.id)
    return acl_id


def repoint(conn: Connection, mailbox_id: MailboxId, acl_id: AclId) -> None:
    """Give the mailbox and everything that follows it another ACL.  The caller bumps the tree epoch."""
    ids = list(conn.execute(_INHERITING, {"mailbox_id": mailbox_id}).scalars())
    for start in range(0, len(ids), 500):
        conn.execute(update(mailbox).where(mailbox.c.id.in_(ids[start : start + 500])).values(acl_id=acl_id))


def remove_entries(conn: Connection, actor: Actor, mailbox_id: MailboxId, identifier: Identifier) -> bool:
    """Remove what the ACL gives to *identifier* and what it takes from it."""
    taken = change_entry(conn, actor, mailbox_id, identifier, negative=True, op="set", rights=NONE)
    return change_entry(conn, actor, mailbox_id, identifier, negative=False, op="set", rights=NONE) or taken


def end_entries(conn: Connection, actor: Actor, which: Any, *, action: str = "acl-remove") -> int:
    """Remove those entries, wherever they are; how many.  For this package."""
    found = read_entries(conn, which)
    if not found:
        return 0
    epochs = bump(conn, acl=True)
    touched = select(acl_entry.c.acl_id).where(which)
    conn.execute(update(acl).where(acl.c.id.in_(touched)).values(epoch=epochs.acl))
    conn.execute(delete(acl_entry).where(which))
    changes = [
        Change(action, where, entry_record(entry), None, entry.reason, mailbox_id, **names(entry.identifier))
        for mailbox_id, where, entry in found
    ]
    append_changes(conn, actor, changes)
    return len(found)


def inherit_acl(conn: Connection, actor: Actor, mailbox_id: MailboxId) -> None:
    """Drop the mailbox's own ACL: it follows its parent's again."""
    lock_site(conn)
    row = _read_row(conn, mailbox_id)
    if not row.acl_own:
        return
    if row.parent_id is None:
        raise Refused("This folder is at the top: there is no parent whose rights it could follow.")
    before = read_acl(conn, row.acl_id)
    acl_id = conn.execute(select(mailbox.c.acl_id).where(mailbox.c.id == row.parent_id)).scalar_one()
    repoint(conn, mailbox_id, acl_id)
    conn.execute(update(mailbox).where(mailbox.c.id == mailbox_id).values(acl_own=False))
    conn.execute(delete(acl).where(acl.c.id == row.acl_id))
    bump(conn, acl=True, tree=True)
    entries = entry_records(before.entries) if before is not None else []
    append_audit(conn, actor, "acl-inherit", _object(conn, row), entries, None, mailbox_id=mailbox_id)


def set_owner(
    conn: Connection,
    actor: Actor,
    mailbox_id: MailboxId,
    *,
    user_id: UserId | None = None,
    team_id: TeamId | None = None,
) -> None:
    """Give a shared mailbox and its inferiors to a user, a team, or nobody."""
    lock_site(conn)
    row = _read_row(conn, mailbox_id)
    if row.home_id is not None:
        raise Refused("A personal folder belongs to its user; only shared folders can be given away.")
    # Not LIKE, which takes "OPS/…" for "Ops/…" on SQLite: those are other people's folders.
    prefix = row.path + "/"
    below = or_(mailbox.c.id == mailbox_id, func.substr(mailbox.c.path, 1, len(prefix)) == prefix)
    give_away(conn, actor, below, user_id=user_id, team_id=team_id)


# -- roles ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Role:
    """Rights with a name."""

    name: str
    rights: str


BUILTIN_ROLES = (
    Role("reader", "lrs"),
    Role("contributor", "lrsip"),
    Role("editor", "lrswipte"),
    Role("manager", "lrswipkxtea"),
)


def list_roles(conn: Connection) -> list[Role]:
    """All roles, those with the fewest rights first."""
    rows = conn.execute(select(role.c.name, role.c.rights)).all()
    return [Role(*row) for row in sorted(rows, key=lambda row: (len(row.rights), row.name))]


def read_role(conn: Connection, name: str) -> Role | None:
    """The role of that name."""
    row = conn.execute(select(role.c.name, role.c.rights).where(role.c.name == name)).first()
    return None if row is None else Role(*row)


def set_role(conn: Connection, actor: Actor, name: str, rights: Rights) -> Role:
    """Make a role, or change what it stands for, in every entry that holds it."""
    lock_site(conn)
    if not name or len(name) > 200 or name != name.strip() or any(ord(char) < 32 or char == "/" for char in name):
        raise Refused(f"{name!r} cannot be the name of a role.")
    before = read_role(conn, name)
    letters = format_rights(rights)
    if before is None:
        conn.execute(insert(role).values(name=name, rights=letters))
    elif before.rights == letters:
        return before
    else:
        conn.execute(update(role).where(role.c.name == name).values(rights=letters))
        _touch_holders(conn, name)
    append_audit(conn, actor, "role-set", name, before.rights if before is not None else None, letters)
    return Role(name, letters)


def read_role_id(conn: Connection, name: str) -> int:
    """What entries keep of the role of that name; Refused where there is none."""
    found = conn.execute(select(role.c.id).where(role.c.name == name)).scalar()
    if found is None:
        raise Refused(f"There is no role {name!r}; `role list` tells which there are.")
    return int(found)


def _touch_holders(conn: Connection, name: str) -> None:
    epochs = bump(conn, acl=True)
    touched = select(acl_entry.c.acl_id).where(acl_entry.c.role_id == read_role_id(conn, name))
    conn.execute(update(acl).where(acl.c.id.in_(touched)).values(epoch=epochs.acl))


def remove_role(conn: Connection, actor: Actor, name: str) -> None:
    """Forget the role; the entries that held it keep its rights, as letters."""
    lock_site(conn)
    before = read_role(conn, name)
    if before is None:
        raise Refused(f"There is no role {name!r}; `role list` tells which there are.")
    holders = acl_entry.c.role_id == read_role_id(conn, name)
    changes = [
        Change(
            "acl-set", where, entry_record(entry), entry_record(replace(entry, role=None)), mailbox_id=mailbox_id,
            **names(entry.identifier),
        )
        for mailbox_id, where, entry in read_entries(conn, holders)
    ]  # fmt: skip
    _touch_holders(conn, name)
    conn.execute(update(acl_entry).where(holders).values(rights=before.rights, role_id=None))
    append_changes(conn, actor, changes)
    conn.execute(delete(role).where(role.c.name == name))
    append_audit(conn, actor, "role-remove", name, before.rights, None)
