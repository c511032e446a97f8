"""What a client hears that did not ask: folders that come and go.  RFC 9051 §7.3.1, in the form of RFC 5465 §5.4."""

from __future__ import annotations

from collections.abc import Sequence

from acl_imapd.access.listing import Changes, Listing
from acl_imapd.commands.render import list_attributes
from acl_imapd.proto.responses import mailbox_name, untagged


def announcements(
    changed: Changes, listing: Listing, subscribed: frozenset[str], done: Sequence[str] = ()
) -> list[bytes]:
    r"""``* LIST (\NonExistent) "/" old`` and ``* LIST (\Subscribed …) "/" new``.

    *done*: names that the client itself has made, renamed or removed.  It knows of these, of what is below them and of
    the levels above that were made along with them.
    """

    def known(name: str) -> bool:
        return any(name == own or name.startswith(own + "/") or own.startswith(name + "/") for own in done)

    lines = []
    for name in changed.gone:
        if not known(name):
            attributes = b"\\NonExistent" + (b" \\HasChildren" if name in listing.parents else b"")
            lines.append(untagged(b'LIST (%b) "/" %b' % (attributes, mailbox_name(name))))
    for one in changed.come:
        if not known(one.name):
            attributes = list_attributes(one, listing, subscribed=one.name in subscribed)
            lines.append(untagged(b'LIST (%b) "/" %b' % (attributes, mailbox_name(one.name))))
    return lines
