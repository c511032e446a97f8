"""What a command found of the rights is looked at once more in the transaction that it writes in.

A command looks before it writes, and waits for its turn in between.  What is revoked meanwhile must not have its
effect long after: the transaction compares the epochs, and where something was changed, the rights themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from acl_imapd.access.listing import is_owner, rights_on
from acl_imapd.access.rights import Rights
from acl_imapd.errors import NoPerm
from acl_imapd.storage import mailboxes
from acl_imapd.storage.accounts import Actor, Identity, read_identity
from acl_imapd.storage.database import Connection, time_of
from acl_imapd.storage.epochs import Epochs, lock_site, read_epochs
from acl_imapd.storage.mailboxes import Mailbox
from acl_imapd.storage.rights import read_terms
from acl_imapd.types import UserId

T = TypeVar("T")


class Stale(Exception):
    """What was found holds no more; nothing was done, look again."""


@dataclass(frozen=True, slots=True)
class Found:
    """The rights found on a mailbox, and the epochs since which nothing was looked at."""

    mailbox: Mailbox
    rights: Rights
    epochs: Epochs


@dataclass(frozen=True, slots=True)
class Asker:
    """Who writes."""

    user_id: UserId
    allow_anyone: bool


def confirm(conn: Connection, asker: Asker, found: Sequence[Found], *, at_their_places: bool = False) -> Epochs:
    """The epochs now.  Stale unless *asker* has all those rights still, and with *at_their_places* the mailboxes are
    where they were.  At the end of a transaction it covers all of it: the epochs only grow."""
    epochs = read_epochs(conn)
    if found and all(one.epochs == epochs for one in found):
        return epochs
    identity = read_identity(conn, asker.user_id)
    if identity is None:
        raise Stale
    for one in found:
        mailbox = mailboxes.read_mailbox_by_id(conn, one.mailbox.id)
        if mailbox is None or one.rights & ~_rights(conn, asker, identity, mailbox):
            raise Stale
        if at_their_places and mailbox.path != one.mailbox.path:
            raise Stale
    return epochs


def _rights(conn: Connection, asker: Asker, identity: Identity, mailbox: Mailbox) -> Rights:
    terms = read_terms(conn, mailbox.acl_id, identity.user_id)
    return rights_on(mailbox, terms, identity, allow_anyone=asker.allow_anyone, now=time_of(conn))


def first_confirmed(
    conn: Connection, asker: Asker, found: Sequence[Found], change: Callable[[Connection], T], *, at_their_places: bool
) -> T:
    """What *change* returns.  For changes of rights and of the tree, which all take the same lock: nothing changes
    between the look and the commit."""
    lock_site(conn)
    confirm(conn, asker, found, at_their_places=at_their_places)
    return change(conn)


def rename(conn: Connection, asker: Asker, actor: Actor, mailbox: Mailbox, new_path: str) -> Mailbox:
    """The mailbox, renamed with all below it.  NoPerm where one below that the user may know of lacks ``x``."""
    identity = read_identity(conn, asker.user_id)
    if identity is None:
        raise Stale
    known: dict[tuple[int, bool], Rights] = {}
    for below in mailboxes.read_descendants(conn, mailbox):
        key = (below.acl_id, is_owner(below, identity))
        if key not in known:
            known[key] = _rights(conn, asker, identity, below)
        # RFC 4314 §4 asks for x on the mailbox itself; where one below is hidden a refusal would tell of it.
        if known[key] & Rights.l and not known[key] & Rights.x:
            raise NoPerm("You need the right x on every folder below this one")
    return mailboxes.rename_mailbox(conn, actor, mailbox.id, new_path)
