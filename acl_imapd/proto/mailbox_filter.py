"""Which mailboxes a command is about: the filters of RFC 5465 §6, with those of RFC 7377 §2.2."""

from __future__ import annotations

from dataclasses import dataclass

from acl_imapd.proto.arguments import Arguments, ParseError

MAX_NAMES = 1000
PLAIN = (b"SELECTED", b"INBOXES", b"PERSONAL", b"SUBSCRIBED")
NAMED = (b"MAILBOXES", b"SUBTREE", b"SUBTREE-ONE")


@dataclass(frozen=True, slots=True)
class MailboxFilter:
    """*kind* in capitals; *names* for those that name mailboxes."""

    kind: bytes
    names: tuple[str, ...] = ()


def parse_mailbox_filter(arguments: Arguments) -> MailboxFilter:
    """filter-mailboxes = "selected" / "inboxes" / "personal" / "subscribed"
    / ("subtree" / "subtree-one" / "mailboxes") SP (mailbox / "(" mailbox *(SP mailbox) ")")"""
    kind = arguments.keyword(*PLAIN, *NAMED)
    if kind in PLAIN:
        return MailboxFilter(kind)
    arguments.sp()
    if arguments.peek() != b"(":
        return MailboxFilter(kind, (arguments.mailbox(),))
    names = tuple(arguments.parenthesised(lambda each: each.mailbox()))
    if not names or len(names) > MAX_NAMES:
        raise ParseError(f"Name between one and {MAX_NAMES} mailboxes")
    return MailboxFilter(kind, names)
