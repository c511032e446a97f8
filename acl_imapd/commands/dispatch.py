"""From a framed command to its tagged answer: state, arguments, freshness, gate, handler, updates, answer."""

from __future__ import annotations

import structlog

from acl_imapd.commands import (  # noqa: F401  # each declares its commands
    acl,
    append,
    binary,
    catenate,
    condstore,
    context,
    copy,
    fetch,
    fuzzy,
    idle,
    language,
    listing,
    login,
    mailboxes,
    multisearch,
    objectid,
    partial,
    preview,
    replace,
    savedate,
    search,
    select,
    sort,
    store,
    thread,
    uidonly,
    within,
)
from acl_imapd.commands.registry import TABLE, Done, State
from acl_imapd.commands.session import Disconnected, Session
from acl_imapd.errors import AuthorizationFailed, BadCommand, ImapError, UidRequired
from acl_imapd.proto.engine import CommandReceived
from acl_imapd.proto.responses import tagged

_WHEN = {
    State.NOT_AUTHENTICATED: "Log in first",
    State.AUTHENTICATED: "Select a mailbox first",
    State.SELECTED: "Not now",
}


async def dispatch(session: Session, event: CommandReceived) -> None:
    """Carry out one command and answer it.  What fails is answered NO or BAD."""
    session.tag = event.tag
    held = False
    try:
        done = await _run(session, event)
        status, text, code, held = b"OK", done.text, done.code, done.hold_expunge
    except ImapError as error:
        status, text, code = error.status, error.text, error.code
        if isinstance(error, AuthorizationFailed) and session.access is not None:
            session.bye(error.text)
    except Disconnected:
        return
    except Exception:
        structlog.get_logger().exception("command failed", command=event.name.decode("latin-1"))
        status, text, code = b"NO", "The server made a mistake; it has been logged", b"SERVERBUG"
    command = TABLE.commands.get(event.name)
    if session.selected is not None:
        session.sync(
            expunge_ok=command is not None and command.expunge_ok and not held, uid=event.name.startswith(b"UID ")
        )
    await _update_contexts(session)
    await _tell_folders(session)
    name = event.name.decode("latin-1") if command is not None else "command"
    session.write(tagged(event.tag, status, text or f"{name} done", code))
    if session.leaving:
        session.end()
        session.channel.close()


async def _update_contexts(session: Session) -> None:
    try:
        await session.update_contexts()
    except ImapError:
        return  # the mailbox or the right to read it is gone, which is told elsewhere
    except Exception:  # the command is done, and says so
        structlog.get_logger().exception("results could not be kept up to date")


async def _tell_folders(session: Session) -> None:
    """What has come into the client's list or gone from it, before the answer to whatever it asked."""
    if session.told is None or session.closed or session.leaving:
        return
    try:
        await session.site.gate.audience.catch_up(session)
    except AuthorizationFailed as error:
        session.bye(error.text)
    except Exception:  # the command is done, and says so
        structlog.get_logger().exception("folders could not be announced")


async def _run(session: Session, event: CommandReceived) -> Done:
    command = TABLE.commands.get(event.name)
    if command is None:
        raise BadCommand("There is no such command")
    if not session.state & command.states:
        if session.state is State.NOT_AUTHENTICATED or not command.states & State.NOT_AUTHENTICATED:
            raise BadCommand(_WHEN[session.state])
        raise BadCommand("You are logged in already")
    if session.uidonly and TABLE.takes_sequence_numbers(event.name):
        raise UidRequired(f"Say UID {event.name.decode('latin-1')}: you have enabled UIDONLY")
    parsed = command.parse(event.arguments)
    event.arguments.end()
    views = {}
    if session.access is not None:
        # Nothing that begins after a revocation has committed sees the right: look before, every time.
        await session.site.gate.directory.refresh()
        if session.closed:
            return Done()
        await session.access.check()
        if command.deselects and session.selected is not None:
            await select.leave(session)
            session.tell(b"OK [CLOSED] What follows is of another mailbox")  # RFC 7162 §3.2.11
        for field, needs in command.opens.items():
            views[field] = await session.access.open(getattr(parsed, field), needs)
    done = await command.handler(session, parsed, **views)
    if command.changes_access:
        # Commit, publish, answer: whoever lost a right is cut off before this client hears OK.
        await session.site.gate.directory.refresh()
    return done or Done()
