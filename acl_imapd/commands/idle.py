"""IDLE.  RFC 2177."""

from __future__ import annotations

from acl_imapd.commands.registry import LOGGED_IN, command
from acl_imapd.commands.session import Session
from acl_imapd.errors import BadCommand


@command(b"IDLE", states=LOGGED_IN, capability=(b"IDLE",), rfc="RFC 2177")
async def idle(session: Session, _cmd: object) -> None:
    """Waits, and tells what happens meanwhile."""
    session.write(b"+ idling\r\n")
    session.sync(expunge_ok=True)
    await session.update_contexts()
    session.idling = True
    session.site.gate.audience.idles(session)
    try:
        line = await session.channel.read_line()
    finally:
        session.idling = False
    if line.strip().upper() != b"DONE":
        raise BadCommand("IDLE ends with DONE")
