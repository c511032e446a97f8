"""SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, the server's side, without I/O.  RFC 5802, RFC 7677.

The server keeps no password: StoredKey tells a right proof, ServerKey proves the server to the client.  Somebody who
does not exist has keys too, made up from a secret of the site, so that the exchange tells nobody who exists.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import Literal

from acl_imapd.auth.saslprep import saslprep
from acl_imapd.errors import BadCommand

# RFC 7677 §4: at least 4096.  What somebody who has stolen the keys pays for each guess, and a phone at each login.
ITERATIONS = 32_768
SALT_BYTES = 16
MAX_NONCE_BYTES = 512


@dataclass(frozen=True, slots=True)
class Keys:
    """What is stored of a password.  RFC 5802 §3."""

    iterations: int
    salt: bytes
    stored_key: bytes
    server_key: bytes

    def encode(self) -> str:
        """In the form of RFC 5803 §2, ``SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey``."""
        salt, stored, server = (
            base64.b64encode(part).decode() for part in (self.salt, self.stored_key, self.server_key)
        )
        return f"SCRAM-SHA-256${self.iterations}:{salt}${stored}:{server}"

    @classmethod
    def parse(cls, text: str) -> Keys:
        """The keys that :meth:`encode` wrote.  ValueError for anything else."""
        found = _ENCODED.fullmatch(text)
        if found is None:
            raise ValueError("no keys of SCRAM-SHA-256")
        salt, stored, server = (base64.b64decode(part, validate=True) for part in found.groups()[1:])
        return cls(int(found[1]), salt, stored, server)


_B64 = r"([A-Za-z0-9+/]+={0,2})"
_ENCODED = re.compile(rf"SCRAM-SHA-256\$(\d{{1,9}}):{_B64}\${_B64}:{_B64}")


def salt_of(secret: bytes, name: str) -> bytes:
    """The salt of the user *name* at the site with that secret, whether there is such a user or not.

    It stays when the password changes: a salt that moves would tell that somebody is there.
    """
    return hmac.digest(secret, b"scram salt\0" + name.encode(), "sha256")[:SALT_BYTES]


def derive_keys(password: str, salt: bytes, iterations: int = ITERATIONS) -> Keys | None:
    """The keys of a password; takes tens of milliseconds.  None for a password that no SCRAM client may send."""
    try:
        prepared = saslprep(password)
    except ValueError:
        return None
    salted = hashlib.pbkdf2_hmac("sha256", prepared.encode(), salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    stored_key = hashlib.sha256(client_key).digest()
    return Keys(iterations, salt, stored_key, hmac.digest(salted, b"Server Key", "sha256"))


def scram_of(password: str, secret: bytes, name: str) -> str | None:
    """What is stored with the user *name* when it gets *password*; None for one that no SCRAM client may send."""
    keys = derive_keys(password, salt_of(secret, name))
    return keys.encode() if keys is not None else None


def invented_keys(secret: bytes, name: str) -> Keys:
    """Keys for a user who has none or does not exist: always the same, and of no password."""
    return Keys(
        ITERATIONS,
        salt_of(secret, name),
        hmac.digest(secret, b"scram stored\0" + name.encode(), "sha256"),
        hmac.digest(secret, b"scram server\0" + name.encode(), "sha256"),
    )


# -- the client's first message -----------------------------------------------------------------------------------

# client-first-message = gs2-header client-first-message-bare
# gs2-header = gs2-cbind-flag "," [ authzid ] ","      gs2-cbind-flag = ("p=" cb-name) / "n" / "y"
# client-first-message-bare = [reserved-mext ","] username "," nonce ["," extensions]
_FIRST = re.compile(
    rb"((n|y|p=([A-Za-z0-9.-]{1,64})),(?:a=([^,\0]+))?,)"
    rb"(n=([^,\0]+),r=([\x21-\x2b\x2d-\x7e]+)(?:,[A-Za-z]=[^,\0]*)*)"
)
# client-final-message = channel-binding "," nonce ["," extensions] "," proof
_FINAL = re.compile(rb"(c=([A-Za-z0-9+/=]+),r=([\x21-\x2b\x2d-\x7e]+)(?:,[A-Zabd-oqs-z]=[^,\0]*)*),p=([A-Za-z0-9+/=]+)")
_ESCAPE = re.compile(rb"=(?!2C|3D)")


@dataclass(frozen=True, slots=True)
class ClientFirst:
    """*flag*: ``n``, the client cannot bind; ``y``, it could but thinks we cannot; ``p``, it does, by *binding*."""

    flag: Literal["n", "y", "p"]
    binding: bytes
    authzid: str
    name: str
    nonce: bytes
    header: bytes
    bare: bytes


def parse_client_first(data: bytes) -> ClientFirst:
    """The client's first message.  BadCommand for what is none."""
    found = _FIRST.fullmatch(data)
    if found is None or len(found[7]) > MAX_NONCE_BYTES:
        raise BadCommand("That is no first message of SCRAM")
    header, flag, binding, authzid, bare, name, nonce = found.groups()
    kind: Literal["n", "y", "p"] = "p" if binding else "y" if flag == b"y" else "n"
    return ClientFirst(kind, binding or b"", _name(authzid or b""), _name(name), nonce, header, bare)


def _name(text: bytes) -> str:
    # saslname: "," is =2C, "=" is =3D, nothing else is escaped.
    if _ESCAPE.search(text):
        raise BadCommand("A name in SCRAM writes = as =3D and , as =2C")
    try:
        return saslprep(text.replace(b"=2C", b",").replace(b"=3D", b"=").decode("utf-8"))
    except ValueError:
        raise BadCommand("That is no user name") from None


def server_first(first: ClientFirst, keys: Keys, nonce: bytes) -> bytes:
    """``r=nonce,s=salt,i=iterations``; *nonce* is the server's part of it."""
    return b"r=%b%b,s=%b,i=%d" % (first.nonce, nonce, base64.b64encode(keys.salt), keys.iterations)


# -- the client's final message -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ClientFinal:
    binding: bytes
    nonce: bytes
    proof: bytes
    without_proof: bytes


def parse_client_final(data: bytes) -> ClientFinal:
    """The client's final message.  BadCommand for what is none."""
    found = _FINAL.fullmatch(data)
    if found is None:
        raise BadCommand("That is no final message of SCRAM")
    without_proof, binding, nonce, proof = found.groups()
    try:
        return ClientFinal(
            binascii.a2b_base64(binding, strict_mode=True), nonce, binascii.a2b_base64(proof, strict_mode=True),
            without_proof,
        )  # fmt: skip
    except binascii.Error:
        raise BadCommand("That is no final message of SCRAM") from None


def server_final(
    first: ClientFirst, challenge: bytes, final: ClientFinal, keys: Keys, binding_data: bytes
) -> bytes | None:
    """``v=signature`` if the client has proved that it knows the password, on this very channel; None if not.

    *challenge*: what :func:`server_first` gave; *binding_data*: what the server knows of the channel, empty without
    channel binding.  RFC 5802 §3, §5.1, §6.
    """
    auth_message = b",".join((first.bare, challenge, final.without_proof))
    signature = hmac.digest(keys.stored_key, auth_message, "sha256")
    proof = final.proof if len(final.proof) == len(signature) else bytes(len(signature))
    client_key = bytes(one ^ other for one, other in zip(proof, signature, strict=True))
    right = hmac.compare_digest(hashlib.sha256(client_key).digest(), keys.stored_key)
    right &= hmac.compare_digest(final.nonce, challenge.partition(b",")[0][2:])
    right &= hmac.compare_digest(final.binding, first.header + binding_data)
    if not right:
        return None
    return b"v=" + base64.b64encode(hmac.digest(keys.server_key, auth_message, "sha256"))
