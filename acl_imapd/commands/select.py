"""Opening a mailbox and closing it.  RFC 3501 §6.3.1, §6.3.2, §6.4.1, §6.4.2; RFC 3691."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from acl_imapd.access.rights import SEEN, Rights
from acl_imapd.access.view import MailboxView
from acl_imapd.commands.registry import LOGGED_IN, Done, State, command
from acl_imapd.commands.render import flag_names
from acl_imapd.commands.session import Session
from acl_imapd.errors import ImapError
from acl_imapd.mailbox.selected import Selected
from acl_imapd.proto.arguments import Arguments, ParseError


@dataclass(frozen=True, slots=True)
class Name:
    mailbox: str


def parse_name(arguments: Arguments) -> Name:
    """``SP mailbox``."""
    arguments.sp()
    return Name(arguments.mailbox())


@dataclass(frozen=True, slots=True)
class Parameter:
    """What an extension lets SELECT and EXAMINE be asked besides.  RFC 4466 §2.3.

    *parse* reads what follows its name; *before* may refuse; *after* tells more, once all else is told.
    """

    parse: Callable[[Arguments], Any]
    before: Callable[[Session, Any], None]
    after: Callable[[Session, Any], Awaitable[None]] | None = None


PARAMETERS: dict[bytes, Parameter] = {}
# What extensions tell besides of a mailbox that was opened.
TELLS: list[Callable[[Session], None]] = []


@dataclass(frozen=True, slots=True)
class Open:
    mailbox: str
    parameters: tuple[tuple[Parameter, Any], ...] = ()


def parse_open(arguments: Arguments) -> Open:
    """``SP mailbox [SP "(" select-param *(SP select-param) ")"]``.  RFC 4466 §2.3."""

    def parameter(one: Arguments) -> tuple[Parameter, Any]:
        found = PARAMETERS[one.keyword(*PARAMETERS)]
        return found, found.parse(one)

    arguments.sp()
    name = arguments.mailbox()
    more = arguments.try_sp()
    parameters = arguments.parenthesised(parameter) if more else []
    if more and not parameters:
        raise ParseError("The list of parameters is empty")
    return Open(name, tuple(parameters))


@command(b"SELECT", args=parse_open, states=LOGGED_IN, opens={"mailbox": Rights.r}, deselects=True,
         rfc="RFC 3501 §6.3.1")  # fmt: skip
async def select(session: Session, cmd: Open, mailbox: MailboxView) -> Done:
    """Opens a mailbox."""
    return await _select(session, cmd, mailbox, read_only=False)


@command(b"EXAMINE", args=parse_open, states=LOGGED_IN, opens={"mailbox": Rights.r}, deselects=True,
         rfc="RFC 3501 §6.3.2")  # fmt: skip
async def examine(session: Session, cmd: Open, mailbox: MailboxView) -> Done:
    """Opens a mailbox to look, and changes nothing."""
    return await _select(session, cmd, mailbox, read_only=True)


async def _select(session: Session, cmd: Open, view: MailboxView, *, read_only: bool) -> Done:
    for parameter, value in cmd.parameters:
        parameter.before(session, value)
    index = await view.index()
    try:
        rights = await view.check(Rights.r)  # while the index was read nobody could tell this session
    except ImapError:
        session.site.gate.indexes.close(index)
        raise
    writable = not read_only and view.changes_mailbox(rights)
    selected = Selected(index, session.user_id, own_seen=view.own_seen, read_only=read_only)
    if session.closed:
        session.site.gate.indexes.close(index)
        return Done()
    session.select(view, selected, rights)
    session.tell(b"FLAGS (%b)" % b" ".join(flag_names(index.keywords)))
    session.tell(b"%d EXISTS" % selected.count)
    session.tell(b"%d RECENT" % selected.recent_count())
    unseen = 0 if session.uidonly else _first_unseen(selected)
    if unseen:
        session.tell(b"OK [UNSEEN %d] The first unseen message" % unseen)
    session.tell(b"OK [UIDVALIDITY %d] UIDs are valid" % index.uidvalidity)
    session.tell(b"OK [UIDNEXT %d] The next UID" % index.uidnext)
    session.tell_highest_modseq()
    session.tell_permanent_flags()
    for tell in TELLS:
        tell(session)
    for parameter, value in cmd.parameters:
        if parameter.after is not None:
            await parameter.after(session, value)
    if selected.recent and not read_only:
        await view.claim_recent(index.recent_uid)
    return Done("Selected", b"READ-WRITE" if writable else b"READ-ONLY")


def _first_unseen(selected: Selected) -> int:
    for start in range(0, selected.count, 1000):
        stop = min(start + 1000, selected.count)
        for seq, bits in enumerate(selected.flags(start, stop), start + 1):
            if not bits & SEEN:
                return seq
    return 0


async def leave(session: Session) -> None:
    """Close what is selected, without expunging."""
    view, selected = session.view, session.selected
    if view is None or selected is None:
        return
    upto = selected.index.recent_uid
    session.unselect()
    if upto > view.mailbox.recent_uid and selected.recent and not selected.read_only:
        await view.claim_recent(upto)


@command(b"CLOSE", states=State.SELECTED, rfc="RFC 3501 §6.4.2")
async def close(session: Session, _cmd: object) -> None:
    r"""Closes the mailbox and removes what is marked \Deleted; without the right e it only closes."""
    view = session.view
    if view is not None and not session.read_only and await view.may_expunge():
        await view.expunge(None)
    await leave(session)  # RFC 7162 §3.2.8: no HIGHESTMODSEQ here, the client was not told what went


@command(b"UNSELECT", states=State.SELECTED, capability=(b"UNSELECT",), rfc="RFC 3691")
async def unselect(session: Session, _cmd: object) -> None:
    """Closes the mailbox and removes nothing."""
    await leave(session)


@command(b"CHECK", states=State.SELECTED, rfc="RFC 3501 §6.4.1")
async def check(session: Session, _cmd: object) -> None:
    """Does what NOOP does: everything answered is on disk already."""


def writable(session: Session) -> tuple[MailboxView, Selected]:
    """What is selected, if it was not opened by EXAMINE."""
    assert session.view is not None
    assert session.selected is not None
    if session.read_only:
        raise ImapError("The mailbox was opened by EXAMINE: nothing in it can be changed", code=b"READ-ONLY")
    return session.view, session.selected


def opened(session: Session) -> tuple[MailboxView, Selected]:
    """What is selected."""
    assert session.view is not None
    assert session.selected is not None
    return session.view, session.selected
