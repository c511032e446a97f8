"""Bearer tokens: whose they are, and which are none.  RFC 7628, RFC 7519, RFC 8725."""

from __future__ import annotations

import base64
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from acl_imapd.auth.oauth import OauthError, TokenRules, Tokens, check_rules
from acl_imapd.auth.sasl import decode_oauthbearer, decode_xoauth2
from acl_imapd.errors import BadCommand, Unavailable

from .test_sasl import Dialog, b64, database  # noqa: F401  # a fixture

RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
STRANGER = rsa.generate_private_key(65537, 2048)


def jwks(**keys):
    found = []
    for kid, key in keys.items():
        algorithm = jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else jwt.algorithms.ECAlgorithm
        found.append({**json.loads(algorithm.to_jwk(key.public_key())), "kid": kid, "use": "sig"})
    return json.dumps({"keys": found}).encode()


def token(key=RSA, algorithm="RS256", kid="one", headers=None, **claims):
    now = int(time.time())
    payload = {"iss": "https://id.example", "aud": "imap", "exp": now + 300, "iat": now, "email": "bob", **claims}
    payload = {name: value for name, value in payload.items() if value is not None}
    return jwt.encode(payload, key, algorithm, headers={"kid": kid, **(headers or {})})


RULES = TokenRules("", "https://id.example", ("imap", "mail"), "email")


@pytest.fixture
def tokens(tmp_path):
    path = tmp_path / "jwks.json"
    path.write_bytes(jwks(one=RSA, two=EC))
    return Tokens(TokenRules(str(path), RULES.issuer, RULES.audience, "email"), None, time.time)


def test_the_user_of_a_token_of_either_kind_of_key(tokens):
    assert tokens.verify(token()) == "bob"
    assert tokens.verify(token(EC, "ES256", "two", aud=["other", "mail"])) == "bob"


@pytest.mark.parametrize(
    "bad",
    [
        lambda: token(exp=int(time.time()) - 120),
        lambda: token(exp=None),
        lambda: token(nbf=int(time.time()) + 120),
        lambda: token(iat=int(time.time()) + 120),
        lambda: token(exp="tomorrow"),
        lambda: token(iss="https://elsewhere.example"),
        lambda: token(iss=None),
        lambda: token(aud="other"),
        lambda: token(aud=None),
        lambda: token(email=None),
        lambda: token(email=["bob"]),
        lambda: token(STRANGER),
        lambda: token(kid="none"),
        lambda: token(EC, "ES256", "one"),
        lambda: token(RSA, "RS512"),
        lambda: token(headers={"crit": ["exp"]}),
        lambda: jwt.encode({"iss": "https://id.example", "aud": "imap", "email": "bob", "exp": 2**33}, None, "none"),
        lambda: "x.y.z",
        lambda: "",
    ],
)
def test_what_is_no_token_of_ours(tokens, bad):
    assert tokens.verify(bad()) is None


def test_the_public_key_is_no_shared_secret(tokens):
    """RFC 8725 §2.1: HS256 with the public key as the secret."""
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"one"}').rstrip(b"=")
    body = token().split(".")[1].encode()
    import hashlib
    import hmac

    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    secret = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    mac = base64.urlsafe_b64encode(hmac.digest(secret, head + b"." + body, hashlib.sha256)).rstrip(b"=")

    assert tokens.verify(b".".join((head, body, mac)).decode()) is None


def test_clocks_may_differ_by_the_skew(tokens):
    now = int(time.time())

    assert tokens.verify(token(exp=now - 50, nbf=now + 50)) == "bob"


def test_rules_that_trust_too_much_are_refused():
    for change in (
        {"algorithms": ("HS256",)}, {"algorithms": ("none",)}, {"algorithms": ()}, {"issuer": ""}, {"audience": ()},
        {"jwks": "http://id.example/keys"}, {"jwks": "file:///etc/passwd"},
    ):  # fmt: skip
        values = {"jwks": "x", "issuer": "i", "audience": ("a",), "user_claim": "email", **change}
        with pytest.raises(OauthError):
            check_rules(TokenRules(**values))


@pytest.fixture
def key_server():
    """Keys by HTTP on the loopback; ``served`` is the document, ``asked`` how often it was asked for."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            server.asked += 1
            self.send_response(200 if server.served else 302)
            self.send_header("Location", "/elsewhere")
            self.end_headers()
            self.wfile.write(server.served)

        def log_message(self, *_arguments):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.asked, server.served = 0, b""
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def test_keys_from_a_url_are_kept_read_again_when_old_or_missing_and_not_for_every_token(key_server):
    now = [time.time()]
    url = f"http://127.0.0.1:{key_server.server_port}/keys"
    tokens = Tokens(TokenRules(url, RULES.issuer, RULES.audience, "email"), None, lambda: now[0])

    with pytest.raises(Unavailable):  # a redirection is not followed
        tokens.verify(token())
    key_server.served = jwks(one=RSA)
    now[0] += 31
    assert tokens.verify(token()) == "bob"
    assert tokens.verify(token()) == "bob"
    assert key_server.asked == 2
    for _ in range(3):
        assert tokens.verify(token(EC, "ES256", "two")) is None
    assert key_server.asked == 2
    key_server.served = jwks(two=EC)
    now[0] += 31
    assert tokens.verify(token(EC, "ES256", "two")) == "bob"
    assert tokens.verify(token()) is None
    key_server.served = b""
    now[0] += 4000
    assert tokens.verify(token(EC, "ES256", "two", exp=int(now[0]) + 9)) == "bob"  # the old keys stay


def test_the_messages_of_rfc_7628_section_4():
    said = decode_oauthbearer(
        base64.b64decode(
            "bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9QmVhcmVyIHZGOWRmdDRxbVRj"
            "Mk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB"
        )
    )
    assert (said.user, said.token) == ("user@example.com", "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==")
    assert decode_xoauth2(b"user=a@b.example\x01auth=Bearer xyz\x01\x01").user == "a@b.example"
    for bad in (b"", b"\x01", b"n,,\x01\x01", b"n,,\x01auth=Basic eA==\x01\x01", b"p=x,,\x01auth=Bearer x\x01\x01"):
        with pytest.raises(BadCommand):
            decode_oauthbearer(bad)


@pytest.fixture
def world(make_world, tmp_path):
    (tmp_path / "jwks.json").write_bytes(jwks(one=RSA))
    oauth = {"jwks": str(tmp_path / "jwks.json"), "issuer": RULES.issuer, "audience": ["imap"], "scope": "imap"}
    made = make_world(oauth=oauth, auth={"failure_delay_s": 0})
    yield made
    made.service._asking.stop()


def bearer(mechanism, user, text):
    if mechanism == "XOAUTH2":
        return b64(f"user={user}\x01auth=Bearer {text}\x01\x01")
    return b64(f"n,a={user},\x01host=x\x01port=143\x01auth=Bearer {text}\x01\x01")


@pytest.mark.parametrize("mechanism", ["OAUTHBEARER", "XOAUTH2"])
def test_a_token_lets_its_user_in_and_nobody_else(world, mechanism):
    client = world.client()
    assert f"AUTH={mechanism}" in client.greeting

    refused = Dialog(client).say(f"a AUTHENTICATE {mechanism} {bearer(mechanism, 'ann', token())}")
    assert json.loads(base64.b64decode(refused[2:])) == {
        "status": "invalid_token" if mechanism == "OAUTHBEARER" else "400", "scope": "imap",
    }  # fmt: skip
    assert Dialog(client).say("AQ==" if mechanism == "OAUTHBEARER" else "").startswith("a NO [AUTHENTICATIONFAILED]")
    assert Dialog(client).say(f"b AUTHENTICATE {mechanism} {bearer(mechanism, 'bob', token())}").startswith("b OK")


def test_a_disabled_user_is_not_let_in_by_a_token(world):
    from acl_imapd.storage import accounts

    from .conftest import ACTOR

    world.database.write_now(accounts.set_disabled, ACTOR, "bob", True)

    answer = Dialog(world.client()).say(f"a AUTHENTICATE XOAUTH2 {bearer('XOAUTH2', 'bob', token())}")

    assert answer.startswith("a NO [AUTHENTICATIONFAILED] This account is disabled")
