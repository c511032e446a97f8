"""What may be said in any state, and how one gets in.  RFC 3501 §6.1, §6.2."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import structlog

from acl_imapd import __version__
from acl_imapd.access.gate import Access
from acl_imapd.access.namespaces import split_login
from acl_imapd.auth.sasl import decode_text
from acl_imapd.commands.mechanisms import MECHANISMS, WRONG_PASSWORD, Attempt, Exchange, offered, private
from acl_imapd.commands.registry import ANY_STATE, LOGGED_IN, TABLE, Done, State, capability, command
from acl_imapd.commands.session import Session
from acl_imapd.errors import (
    AuthenticationFailed,
    AuthorizationFailed,
    BadCommand,
    Cannot,
    ImapError,
    Limit,
    PrivacyRequired,
)
from acl_imapd.proto.arguments import Arguments
from acl_imapd.proto.responses import mailbox_name, string

# RFC 7888 §5: one of them, never both.
capability(b"LITERAL+", "RFC 7888", lambda session: None if session.site.limits.literal_minus else b"LITERAL+")
capability(b"LITERAL-", "RFC 7888", lambda session: b"LITERAL-" if session.site.limits.literal_minus else None)
capability(b"SASL-IR", "RFC 4959")

MAX_LOGGED_CHARS = 255


def capabilities(session: Session) -> bytes:
    """What CAPABILITY tells in this state.  RFC 3501 §6.1.1."""
    names = [b"IMAP4rev1"]
    if session.state is State.NOT_AUTHENTICATED:
        names += _told(session, (b"LITERAL+", b"LITERAL-", b"APPENDLIMIT", b"SASL-IR", b"ID", b"ENABLE", b"LANGUAGE"))
        if session.site.has_tls and not session.channel.secure:
            names.append(b"STARTTLS")
        names += [b"AUTH=" + name for name in offered(session)] or [b"LOGINDISABLED"]
        return b" ".join(names)
    hidden = (b"SASL-IR", b"STARTTLS", b"IMAP4rev1", *(b"AUTH=" + name for name in MECHANISMS))
    return b" ".join(names + _told(session, [name for name, _ in TABLE.all_capabilities() if name not in hidden]))


def _told(session: Session, names: Iterable[bytes]) -> list[bytes]:
    told = (TABLE.tells[name](session) if name in TABLE.tells else name for name in names)
    return [text for text in told if text is not None]


@command(b"CAPABILITY", states=ANY_STATE, capability=(b"IMAP4rev1",), rfc="RFC 3501 §6.1.1")
async def capability_(session: Session, _cmd: object) -> None:
    """Tells what the server can do."""
    session.tell(b"CAPABILITY " + capabilities(session))


@command(b"NOOP", states=ANY_STATE, rfc="RFC 3501 §6.1.2")
async def noop(session: Session, _cmd: object) -> None:
    """Does nothing, but hears the news."""


@command(b"LOGOUT", states=ANY_STATE, rfc="RFC 3501 §6.1.3")
async def logout(session: Session, _cmd: object) -> None:
    """Ends the session."""
    session.tell(b"BYE Goodbye")
    session.unselect()
    session.leaving = True


@dataclass(frozen=True, slots=True)
class Id:
    parameters: tuple[bytes, ...]


def parse_id(arguments: Arguments) -> Id:
    """``SP (NIL / "(" string SP nstring … ")")``.  RFC 2971 §4."""
    arguments.sp()
    if arguments.peek() != b"(":
        arguments.nstring()
        return Id(())
    arguments.open_paren()
    found: list[bytes] = []
    while not arguments.try_close():
        if found:
            arguments.sp()
        found.append(arguments.nstring() or b"")
        if len(found) > 60:
            raise BadCommand("ID takes at most 30 fields")
    return Id(tuple(found))


@command(b"ID", args=parse_id, states=ANY_STATE, capability=(b"ID",), rfc="RFC 2971")
async def id_(session: Session, _cmd: Id) -> None:
    """Client and server tell what they are."""
    session.tell(b'ID ("name" "acl-imapd" "version" %b)' % string(__version__.encode()))


@command(b"STARTTLS", states=State.NOT_AUTHENTICATED, capability=(b"STARTTLS",), rfc="RFC 3501 §6.2.1")
async def starttls(session: Session, _cmd: object) -> Done:
    """Begins TLS on this connection."""
    if not session.site.has_tls:
        raise Cannot("This server has no certificate")
    if session.channel.secure:
        raise BadCommand("TLS is on already")
    session.channel.start_tls()
    return Done("Begin TLS now")


@dataclass(frozen=True, slots=True)
class Login:
    user: bytes
    password: bytes


def parse_login(arguments: Arguments) -> Login:
    """``SP userid SP password``."""
    arguments.sp()
    user = arguments.userid()
    arguments.sp()
    return Login(user, arguments.astring())


@command(b"LOGIN", args=parse_login, states=State.NOT_AUTHENTICATED, rfc="RFC 3501 §6.2.3")
async def login(session: Session, cmd: Login) -> Done:
    """Logs in with a user name and a password."""
    _refuse_in_clear(session)
    name = decode_text(cmd.user)
    user = await session.site.logins.by_password(name, decode_text(cmd.password))
    return await _admit(session, "LOGIN command", Attempt(name, user), WRONG_PASSWORD)


def _refuse_in_clear(session: Session) -> None:
    if not private(session):
        raise PrivacyRequired("Start TLS first: a password is not taken in clear")


async def _admit(session: Session, how: str, attempt: Attempt, refusal: str) -> Done:
    """Let in who has proved who he is.  Whoever has not waits, and is logged, the same by whatever way he came."""
    site, channel, user = session.site, session.channel, attempt.user
    if user is None:
        await _refuse(session, how, attempt)
        raise AuthenticationFailed(refusal)
    _, tree = split_login(attempt.name)
    access = site.gate.access(user.id, user.name, channel.peer, tree=tree)
    session.user_id, session.user_name = user.id, user.name
    site.gate.directory.enter(session)  # before the look, or a change just after it would be missed
    try:
        return await _enter(session, access)
    except ImapError as error:
        site.gate.directory.leave(session)
        if not isinstance(error, AuthorizationFailed):
            raise
    # Whether there is such a tree is nobody's business who does not see it.
    await _refuse(session, how, attempt)
    raise AuthenticationFailed(refusal)


async def _enter(session: Session, access: Access) -> Done:
    """AuthorizationFailed where there is no such tree."""
    site = session.site
    await site.gate.directory.refresh()
    try:
        identity = await access.identity()
    except AuthorizationFailed:
        raise AuthenticationFailed("This account is disabled") from None
    if identity.name != session.user_name:
        raise AuthenticationFailed("This account has just been given another name")
    await access.check()
    site.throttle.succeeded(session.channel.peer, session.user_name)
    if session.closed:
        return Done()
    if site.connections is not None:
        if site.connections.get(session.user_id, 0) >= site.max_connections_per_user:
            raise Limit("Too many connections of this user")
        site.connections[session.user_id] = site.connections.get(session.user_id, 0) + 1
    session.access = access
    site.gate.audience.enter(session)
    session.channel.authenticated()
    return Done("Logged in", b"CAPABILITY " + capabilities(session))


async def _refuse(session: Session, how: str, attempt: Attempt) -> None:
    """Count a failure against the account and the address, log it, and let it cost time."""
    throttle, peer = session.site.throttle, session.channel.peer
    account, _ = split_login(attempt.name)
    throttle.failed(peer, account)
    structlog.get_logger().warning("login failed", peer=peer, user=attempt.name[:MAX_LOGGED_CHARS], mechanism=how)
    await session.channel.sleep(throttle.delay_s(peer, account))


@dataclass(frozen=True, slots=True)
class Authenticate:
    mechanism: bytes
    initial: bytes | None


def parse_authenticate(arguments: Arguments) -> Authenticate:
    """``SP auth-type [SP (base64 / "=")]``.  RFC 3501 §6.2.2, RFC 4959 §3."""
    arguments.sp()
    mechanism = arguments.atom().upper()
    return Authenticate(mechanism, arguments.rest() if arguments.try_sp() else None)


@command(b"AUTHENTICATE", args=parse_authenticate, states=State.NOT_AUTHENTICATED, rfc="RFC 3501 §6.2.2")
async def authenticate(session: Session, cmd: Authenticate) -> Done:
    """Logs in by one of the mechanisms that CAPABILITY names."""
    mechanism = MECHANISMS.get(cmd.mechanism)
    if mechanism is not None:
        _refuse_in_clear(session)
    if mechanism is None or not mechanism.offered(session):
        names = b", ".join(offered(session)).decode()
        raise ImapError(f"The mechanisms here are {names}" if names else "Start TLS first; there are mechanisms then")
    attempt = await mechanism.run(Exchange(session, cmd.initial))
    return await _admit(session, cmd.mechanism.decode(), attempt, mechanism.refusal)


@dataclass(frozen=True, slots=True)
class Enable:
    names: tuple[bytes, ...]


def parse_enable(arguments: Arguments) -> Enable:
    """``1*(SP capability)``.  RFC 5161 §4."""
    names: list[bytes] = []
    while not names or not arguments.at_end():
        arguments.sp()
        names.append(arguments.atom().upper())
    return Enable(tuple(names))


@command(b"ENABLE", args=parse_enable, states=LOGGED_IN, capability=(b"ENABLE",), rfc="RFC 5161")
async def enable(session: Session, cmd: Enable) -> None:
    """Switches extensions on; what is unknown is passed over (§3.1)."""
    known = [name for name in dict.fromkeys(cmd.names) if name in TABLE.enables]
    session.tell(b" ".join([b"ENABLED", *known]))
    for name in known:
        session.enabled.add(name)
        TABLE.enables[name](session)


@command(b"NAMESPACE", states=LOGGED_IN, capability=(b"NAMESPACE",), rfc="RFC 2342")
async def namespace(session: Session, _cmd: object) -> None:
    """Tells the prefixes of personal, other users' and shared folders."""
    names = session.user.namespaces
    if names.root is not None:
        session.tell(b'NAMESPACE (("" "/")) NIL NIL')
        return
    others, shared = mailbox_name(names.other_users), mailbox_name(names.shared)
    session.tell(b'NAMESPACE (("" "/")) ((%b "/")) ((%b "/"))' % (others, shared))
