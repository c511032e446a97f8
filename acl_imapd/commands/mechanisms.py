"""The mechanisms of AUTHENTICATE.  One is declared once: its name, where it is specified, when it is offered."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from acl_imapd.access.logins import User
from acl_imapd.auth import sasl, scram
from acl_imapd.commands.registry import capability
from acl_imapd.commands.session import Session
from acl_imapd.errors import AuthenticationFailed, AuthorizationFailed, BadCommand

WRONG_PASSWORD = "The user name or the password is wrong"
MAX_CERTIFICATE_NAMES = 8


@dataclass(frozen=True, slots=True)
class Attempt:
    """Who somebody says he is, and who he has proved to be: None if nobody."""

    name: str
    user: User | None


class Exchange:
    """Challenges and responses over one connection."""

    def __init__(self, session: Session, initial: bytes | None) -> None:
        self.session = session
        self._initial = initial

    async def first(self, challenge: bytes = b"") -> bytes:
        """The client's first response, which may have come with the command (RFC 4959)."""
        if self._initial is None:
            return await self.ask(challenge)
        return sasl.decode_base64(self._initial)

    async def ask(self, challenge: bytes) -> bytes:
        """The client's response to *challenge*.  BadCommand where it gives up."""
        self.session.write(b"+ " + base64.b64encode(challenge) + b"\r\n")
        return sasl.decode_base64(await self.session.channel.read_line())


@dataclass(frozen=True, slots=True)
class Mechanism:
    """One row of the table; *refusal*: what somebody is told who fails."""

    run: Callable[[Exchange], Awaitable[Attempt]]
    offered: Callable[[Session], bool]
    refusal: str


MECHANISMS: dict[bytes, Mechanism] = {}


def mechanism(
    name: bytes, *, rfc: str, offered: Callable[[Session], bool] = lambda _session: True, refusal: str = WRONG_PASSWORD
) -> Callable[[Callable[[Exchange], Awaitable[Attempt]]], Callable[[Exchange], Awaitable[Attempt]]]:
    """Declare the decorated function as the mechanism *name*; *offered* tells whether it can work in a session that
    may send secrets at all."""

    def declare(run: Callable[[Exchange], Awaitable[Attempt]]) -> Callable[[Exchange], Awaitable[Attempt]]:
        capability(b"AUTH=" + name, rfc)
        MECHANISMS[name] = Mechanism(run, offered, refusal)
        return run

    return declare


def private(session: Session) -> bool:
    """True where secrets may be sent, and mail: under TLS, or on the machine itself."""
    return session.channel.secure or (session.channel.loopback and session.site.plaintext_on_loopback)


def offered(session: Session) -> list[bytes]:
    """The mechanisms that work in this session, the strongest first."""
    return [name for name, one in MECHANISMS.items() if one.offered(session)] if private(session) else []


# -- SCRAM --------------------------------------------------------------------------------------------------------

# RFC 9266 §4.2: tls-exporter wherever there is TLS 1.3; tls-server-end-point (RFC 5929 §4) is for older ones too.
BINDINGS = (b"tls-exporter", b"tls-server-end-point")


def _can_bind(session: Session) -> bool:
    return any(session.channel.channel_binding(kind) is not None for kind in BINDINGS)


@mechanism(b"SCRAM-SHA-256-PLUS", rfc="RFC 7677, RFC 9266", offered=_can_bind)
async def scram_sha_256_plus(exchange: Exchange) -> Attempt:
    """The password is proved, not sent, and the proof holds on this TLS connection alone."""
    first = scram.parse_client_first(await exchange.first())
    binding = exchange.session.channel.channel_binding(first.binding) if first.flag == "p" else None
    if binding is None:
        raise AuthenticationFailed("SCRAM-SHA-256-PLUS is bound to the channel by tls-exporter or tls-server-end-point")
    return await _scram(exchange, first, binding)


@mechanism(b"SCRAM-SHA-256", rfc="RFC 7677")
async def scram_sha_256(exchange: Exchange) -> Attempt:
    """The password is proved, not sent."""
    first = scram.parse_client_first(await exchange.first())
    if first.flag == "p":
        raise AuthenticationFailed("A client that binds the channel asks for SCRAM-SHA-256-PLUS")
    if first.flag == "y" and _can_bind(exchange.session):
        # RFC 5802 §6: it would have bound had it seen that we can; somebody took that out of CAPABILITY.
        raise AuthenticationFailed("This server can bind the channel; somebody between us has hidden that")
    return await _scram(exchange, first, b"")


async def _scram(exchange: Exchange, first: scram.ClientFirst, binding: bytes) -> Attempt:
    if first.authzid not in ("", first.name):
        raise AuthorizationFailed("You cannot act for somebody else")
    keys, user = await exchange.session.site.logins.scram(first.name)
    challenge = scram.server_first(first, keys, secrets.token_urlsafe(18).encode())
    final = scram.parse_client_final(await exchange.ask(challenge))
    signature = scram.server_final(first, challenge, final, keys, binding)
    if signature is None or user is None:
        return Attempt(first.name, None)
    # RFC 3501 §6.2.2: no data goes with the tagged OK, so the client answers the signature with an empty line.
    if await exchange.ask(signature):
        raise BadCommand("Nothing follows the server's signature")
    return Attempt(first.name, user)


# -- certificates, tokens -----------------------------------------------------------------------------------------


@mechanism(
    b"EXTERNAL",
    rfc="RFC 4422",
    offered=lambda session: bool(session.channel.client_names()),
    refusal="Nobody here has a name of your certificate",
)
async def external(exchange: Exchange) -> Attempt:
    """The certificate of the TLS connection tells who it is: by an e-mail address, or else its common name."""
    authzid = sasl.decode_text(await exchange.first())
    names = exchange.session.channel.client_names()[:MAX_CERTIFICATE_NAMES]
    for name in names:
        if authzid in ("", name):
            user = await exchange.session.site.logins.user(name)
            if user is not None:
                return Attempt(name, user)
    return Attempt(authzid or names[0], None)


def _takes_tokens(session: Session) -> bool:
    return session.site.tokens is not None


_BAD_TOKEN = "The token is not valid here"


@mechanism(b"OAUTHBEARER", rfc="RFC 7628", offered=_takes_tokens, refusal=_BAD_TOKEN)
async def oauthbearer(exchange: Exchange) -> Attempt:
    """A token of the site's authorization server."""
    return await _bearer(exchange, sasl.decode_oauthbearer(await exchange.first()), "invalid_token")


@mechanism(b"XOAUTH2", rfc="RFC 7628", offered=_takes_tokens, refusal=_BAD_TOKEN)
async def xoauth2(exchange: Exchange) -> Attempt:
    """The same, as clients sent it before there was an RFC."""
    return await _bearer(exchange, sasl.decode_xoauth2(await exchange.first()), "400")


async def _bearer(exchange: Exchange, bearer: sasl.Bearer, status: str) -> Attempt:
    tokens, logins = exchange.session.site.tokens, exchange.session.site.logins
    assert tokens is not None
    name = await tokens.user_of(bearer.token)
    user = await logins.user(name) if name is not None and bearer.user in ("", name) else None
    if user is None:
        # RFC 7628 §3.2.3: the client hears why, and answers with ^A, before the exchange fails.
        rules = tokens.rules
        await exchange.ask(sasl.encode_bearer_error(rules.scope, rules.openid_configuration, status=status))
    return Attempt(bearer.user or name or "", user)


# -- passwords ----------------------------------------------------------------------------------------------------


@mechanism(b"PLAIN", rfc="RFC 4616")
async def plain(exchange: Exchange) -> Attempt:
    """A user name and a password."""
    authzid, name, password = sasl.decode_plain(await exchange.first())
    if authzid not in ("", name):
        raise AuthorizationFailed("You cannot act for somebody else")
    return Attempt(name, await exchange.session.site.logins.by_password(name, password))


@mechanism(b"LOGIN", rfc="draft-murchison-sasl-login")
async def login(exchange: Exchange) -> Attempt:
    """A user name and a password, asked for one after the other."""
    name = sasl.decode_text(await exchange.first(b"Username:"))
    password = sasl.decode_text(await exchange.ask(b"Password:"))
    return Attempt(name, await exchange.session.site.logins.by_password(name, password))
