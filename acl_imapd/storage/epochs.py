"""The three counters by which whoever has cached something learns what to forget."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, select, text, update

from acl_imapd.storage.database import notify, time_of
from acl_imapd.storage.prepared import Prepared
from acl_imapd.storage.schema import site


@dataclass(frozen=True, slots=True)
class Epochs:
    """As of one moment; each only grows."""

    acl: int
    tree: int
    identity: int


_READ = Prepared(select(site.c.acl_epoch, site.c.tree_epoch, site.c.identity_epoch))


def read_epochs(conn: Connection) -> Epochs:
    """The epochs now."""
    row = _READ.first(conn)
    return Epochs(row.acl_epoch, row.tree_epoch, row.identity_epoch)


_BUMP = Prepared(
    update(site)
    .values(
        acl_epoch=site.c.acl_epoch + bindparam("d_acl"),
        tree_epoch=site.c.tree_epoch + bindparam("d_tree"),
        identity_epoch=site.c.identity_epoch + bindparam("d_identity"),
    )
    .returning(site.c.acl_epoch, site.c.tree_epoch, site.c.identity_epoch)
)


def lock_site(conn: Connection) -> None:
    """Keep other changes of accounts, rights and the audit log out until this transaction ends.

    Call it before reading what the change depends on: on PostgreSQL two changes of one entry would otherwise
    start from the same state and one be lost.  It is the row that :func:`bump` writes and the only such lock,
    so that there is no order to get wrong.  On SQLite there is one writer anyway.
    """
    if conn.dialect.name == "postgresql":
        _LOCK.first(conn)


_LOCK = Prepared(text("SELECT id FROM site FOR UPDATE"))


def bump(conn: Connection, *, acl: bool = False, tree: bool = False, identity: bool = False) -> Epochs:
    """Move the named epochs on, and wake the other processes when this commits; the epochs then."""
    row = _BUMP.first(conn, {"d_acl": int(acl), "d_tree": int(tree), "d_identity": int(identity)})
    notify(conn, "e", 0)
    return Epochs(row.acl_epoch, row.tree_epoch, row.identity_epoch)


_NEXT_UIDVALIDITY = update(site).values(last_uidvalidity=site.c.last_uidvalidity + 1).returning(site.c.last_uidvalidity)


def next_uidvalidity(conn: Connection) -> int:
    """A UIDVALIDITY that no mailbox ever had (RFC 3501 §2.3.1.1): the time, or one more than the last."""
    value = int(conn.execute(_NEXT_UIDVALIDITY).scalar_one())
    now = int(time_of(conn))
    if value < now:
        conn.execute(update(site).values(last_uidvalidity=now))
        return now
    return value
