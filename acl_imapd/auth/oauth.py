"""Whom a bearer token is of: a JWT signed by one of the keys of a JWKS.  RFC 7519, RFC 7517, RFC 7628.

Needs PyJWT (``pip install 'acl-imapd[oauth]'``), and runs outside the reactor's thread: keys are read from a file or
by HTTPS, kept a while, and read again when a token names one that is not there.
"""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import structlog

from acl_imapd.errors import Unavailable

# RFC 8725 §3.1: a list of what is accepted; nothing symmetric, or a public key would do as the secret.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
KEY_TYPES = ("RSA", "EC", "OKP")
MAX_JWKS_BYTES = 2**20
FETCH_TIMEOUT_S = 10
ASK_AGAIN_S = 30.0  # keys are read no oftener, whatever keys tokens name
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class OauthError(Exception):
    """The settings of [oauth] cannot be used; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class TokenRules:
    """What is believed.  *jwks*: a path, or a URL; *user_claim*: the claim that is the login."""

    jwks: str
    issuer: str
    audience: tuple[str, ...]
    user_claim: str
    algorithms: tuple[str, ...] = ("RS256", "ES256")
    clock_skew_s: float = 60.0
    cache_s: float = 3600.0
    scope: str = ""
    openid_configuration: str = ""


def check_rules(rules: TokenRules) -> None:
    """OauthError where they are not enough to trust a token, or would trust too much."""
    if not rules.issuer or not rules.audience or not rules.user_claim:
        raise OauthError("[oauth] needs issuer, audience and user_claim besides jwks")
    bad = [name for name in rules.algorithms if name not in ALGORITHMS]
    if bad or not rules.algorithms:
        raise OauthError(f"algorithms in [oauth] can be {', '.join(ALGORITHMS)}, not {', '.join(bad) or 'none'}")
    parts = urlsplit(rules.jwks)
    if "://" in rules.jwks and not (
        parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    ):
        raise OauthError("jwks in [oauth] is a file, or a URL that begins with https://")
    try:
        import jwt  # noqa: F401
    except ImportError as error:
        raise OauthError("[oauth] needs PyJWT: pip install 'acl-imapd[oauth]'") from error


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args: Any, **_kwargs: Any) -> None:
        """Keys come from where the settings say, or not at all."""


def read_jwks(where: str) -> bytes:
    """The document at a path or URL.  OSError where it cannot be had."""
    if "://" not in where:
        return Path(where).read_bytes()[: MAX_JWKS_BYTES + 1]
    opener = urllib.request.build_opener(_NoRedirect)
    with opener.open(where, timeout=FETCH_TIMEOUT_S) as answer:
        document: bytes = answer.read(MAX_JWKS_BYTES + 1)
    return document


class Tokens:
    """Tells whose a token is."""

    def __init__(
        self, rules: TokenRules, run_in_thread: Callable[..., Awaitable[Any]], now: Callable[[], float]
    ) -> None:
        """*run_in_thread(fn, …)* gives an awaitable of what fn returns; *now* is in seconds since 1970."""
        self.rules = rules
        self._run = run_in_thread
        self._now = now
        self._lock = threading.Lock()
        self._keys: dict[str | None, Any] = {}
        self._read_at: float | None = None
        self._tried_at: float | None = None

    async def user_of(self, token: str) -> str | None:
        """The login that a valid token names; None for any other.  Unavailable while there are no keys to tell by."""
        return str(found) if (found := await self._run(self.verify, token)) is not None else None

    def verify(self, token: str) -> str | None:
        """:meth:`user_of`, in this thread."""
        import jwt

        rules = self.rules
        try:
            header = jwt.get_unverified_header(token)
            algorithm = header.get("alg")
            # RFC 7515 §4.1.11: what is critical and not understood makes the token invalid; nothing is understood.
            if algorithm not in rules.algorithms or "crit" in header:
                return None
            key = self._key(header.get("kid"))
            if key is None:
                return None
            claims = jwt.decode(
                token, key.key, algorithms=[algorithm], audience=list(rules.audience), issuer=rules.issuer,
                options={
                    "require": ["exp", "iss", "aud"], "verify_exp": False, "verify_nbf": False, "verify_iat": False,
                },
            )  # fmt: skip
        except (jwt.PyJWTError, ValueError, TypeError):
            return None
        user = claims.get(rules.user_claim)
        return user if isinstance(user, str) and user and self._in_time(claims) else None

    def _in_time(self, claims: dict[str, Any]) -> bool:
        now, skew = self._now(), self.rules.clock_skew_s
        ends, begins = claims["exp"], [claims.get(name, 0) for name in ("nbf", "iat")]
        if any(not isinstance(value, int | float) or isinstance(value, bool) for value in (ends, *begins)):
            return False
        return bool(now < ends + skew and all(value <= now + skew for value in begins))

    # -- keys -----------------------------------------------------------------------------------------------------

    def _key(self, kid: str | None) -> Any:
        """The key of that id; without an id the only key there is."""
        with self._lock:
            now = self._now()
            old = self._read_at is None or now - self._read_at > self.rules.cache_s
            if old or (kid is not None and kid not in self._keys):
                self._read(now)
            if not self._keys:
                raise Unavailable("The keys that tokens are signed with cannot be read just now")
            if kid is not None:
                return self._keys.get(kid)
            return next(iter(self._keys.values())) if len(self._keys) == 1 else None

    def _read(self, now: float) -> None:
        if self._tried_at is not None and now - self._tried_at < ASK_AGAIN_S:
            return
        self._tried_at = now
        try:
            keys = parse_jwks(read_jwks(self.rules.jwks))
        except (OSError, ValueError) as error:
            structlog.get_logger().error("keys of tokens cannot be read", jwks=self.rules.jwks, reason=str(error))
            return
        self._keys, self._read_at = keys, now


def parse_jwks(document: bytes) -> dict[str | None, Any]:
    """The public keys for signatures in a JWKS, by their ``kid``.  ValueError where there is none."""
    import jwt

    if len(document) > MAX_JWKS_BYTES:
        raise ValueError("it is too long")
    values = json.loads(document)
    found: dict[str | None, Any] = {}
    listed: Sequence[Any] = values.get("keys", ()) if isinstance(values, dict) else ()
    for one in listed:
        if not isinstance(one, dict) or one.get("kty") not in KEY_TYPES or one.get("use", "sig") != "sig" or "d" in one:
            continue
        try:
            found[one.get("kid")] = jwt.PyJWK.from_dict(one)
        except (jwt.PyJWTError, ValueError, TypeError, KeyError):
            continue
    if not found:
        raise ValueError("it has no public key for signatures")
    return found
