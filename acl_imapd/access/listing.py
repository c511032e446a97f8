"""All the folders one user can see, as LIST tells them."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

from acl_imapd.access.namespaces import Namespaces
from acl_imapd.access.rights import Ownership, Rights, effective_rights, next_change, subscribed_by
from acl_imapd.storage.accounts import Identity
from acl_imapd.storage.mailboxes import Mailbox
from acl_imapd.storage.visible import Visible
from acl_imapd.types import AclId, MailboxId, MailboxName


@dataclass(frozen=True, slots=True)
class Listed:
    """A mailbox in the listing of one user."""

    name: MailboxName
    mailbox: Mailbox
    rights: Rights


@dataclass(slots=True)
class Listing:
    """All one user can see, in the order LIST tells it: own, other users', shared; INBOX first."""

    entries: list[Listed]
    by_name: dict[str, Listed] = field(default_factory=dict)
    by_id: dict[MailboxId, Listed] = field(default_factory=dict)
    parents: set[str] = field(default_factory=set)  # every name above a visible one
    hidden_parents: list[str] = field(default_factory=list)  # those of them the user cannot see, namespace roots too
    offered: list[Listed] = field(default_factory=list)  # those that a grant subscribes
    rendered: dict[object, list[bytes]] = field(default_factory=dict)  # whatever LIST keeps of its answers
    until: float = inf  # when some right begins or ends


def is_owner(mailbox: Mailbox, identity: Identity) -> bool:
    """True when *identity* owns the mailbox: its home is there, or it was given to it or to a team it manages."""
    if mailbox.home_id is not None:
        return mailbox.home_id == identity.user_id
    return Ownership(mailbox.owner_user_id, mailbox.owner_team_id).includes(identity)


def make_listing(
    visible: Visible, identity: Identity, user_name: str, namespaces: Namespaces, *, allow_anyone: bool, now: float
) -> Listing:
    """What *identity* sees of *visible* at *now*.  Rights are worked out once per ACL, not per mailbox."""
    evaluated: dict[tuple[AclId, bool], tuple[Rights, bool]] = {}
    entries: list[tuple[tuple[int, bool, list[str]], Listed, bool]] = []
    for mailbox in visible.mailboxes:
        owner = is_owner(mailbox, identity)
        found = evaluated.get((mailbox.acl_id, owner))
        if found is None:
            acl = visible.acls.get(mailbox.acl_id)
            terms = acl.entries if acl is not None else ()
            found = evaluated[mailbox.acl_id, owner] = (
                effective_rights(terms, identity, is_owner=owner, allow_anyone=allow_anyone, now=now),
                subscribed_by(terms, identity, is_owner=owner, allow_anyone=allow_anyone, now=now),
            )
        rights, offered = found
        home = None if mailbox.home_id is None else visible.homes.get(mailbox.home_id)
        if not rights & Rights.l or (mailbox.home_id is not None and home is None):
            continue
        name = namespaces.name(home, mailbox.path, user_name)
        # Own folders, then other users', then shared ones; INBOX and what is below it before the rest.
        place = 2 if home is None else 0 if home == user_name else 1
        levels = name.split("/")
        key = (place, not (place == 0 and levels[0] == "INBOX"), levels)
        entries.append((key, Listed(name, mailbox, rights), offered and place > 0))
    entries.sort(key=lambda one: one[0])
    listing = Listing(
        [listed for _, listed, _ in entries], offered=[listed for _, listed, offered in entries if offered]
    )
    limits = [next_change(acl.entries, now) for acl in visible.acls.values()]
    listing.until = min([next_change(identity.limited, now), *limits])
    _add_names(listing)
    return listing


def _add_names(listing: Listing) -> None:
    for listed in listing.entries:
        listing.by_name[listed.name] = listed
        listing.by_id[listed.mailbox.id] = listed
    hidden: dict[str, None] = {}
    for listed in listing.entries:
        above = listed.name.rpartition("/")[0]
        while above and above not in listing.parents:
            listing.parents.add(above)
            if above not in listing.by_name:
                hidden[above] = None
            above = above.rpartition("/")[0]
    listing.hidden_parents = list(hidden)
