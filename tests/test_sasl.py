"""AUTHENTICATE by every mechanism: the exchanges as transcripts, and what must be refused.  RFC 4422 and its kin."""

from __future__ import annotations

import base64
import contextlib
import shutil

import pytest
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL
from scramp import ScramClient

from acl_imapd.auth import sasl, scram
from acl_imapd.auth.passwords import hash_password
from acl_imapd.auth.saslprep import saslprep
from acl_imapd.errors import AuthenticationFailed, BadCommand
from acl_imapd.net import tls
from acl_imapd.storage import accounts
from acl_imapd.storage.database import Database

from .conftest import ACTOR, Answer, Client, TimeOfDay


def b64(data: bytes | str) -> str:
    return base64.b64encode(data.encode() if isinstance(data, str) else data).decode()


def give_password(world, name="bob", password="pencil"):
    def run(conn):
        keys = scram.scram_of(password, accounts.read_secret(conn), name)
        accounts.set_password_hash(conn, ACTOR, name, hash_password(password), scram=keys)

    world.database.write_now(run)


class Dialog:
    """One AUTHENTICATE, line by line."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def say(self, line: str) -> str:
        """The server's next line."""
        self.client.send(line.encode() + b"\r\n")
        world = self.client.world
        world.reactor.turn(lambda: self.client.received().endswith(b"\r\n") or self.client.transport.lost)
        return self.client.take().rstrip("\r\n")

    def scram(self, client: ScramClient, mechanism: str, *, change=lambda line: line) -> str:
        challenge = self.say(f"a AUTHENTICATE {mechanism} {b64(change(client.get_client_first()))}")
        if not challenge.startswith("+ "):
            return challenge
        client.set_server_first(base64.b64decode(challenge[2:]).decode())
        final = self.say(b64(change(client.get_client_final())))
        if not final.startswith("+ "):
            return final
        client.set_server_final(base64.b64decode(final[2:]).decode())  # proves that it is our server
        return self.say("")


class TlsClient(Client):
    """A client under TLS, without a port."""

    def __init__(self, world, *, certificate=None, version=SSL.TLS1_3_VERSION):
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_max_proto_version(version)
        if certificate is not None:
            context.use_certificate_file(str(certificate[0]))
            context.use_privatekey_file(str(certificate[1]))
        self.tls = SSL.Connection(context, None)
        self.tls.set_connect_state()
        self.plain = b""
        world.factory, kept = world.service.factory(implicit_tls=True), world.factory
        try:
            super().__init__(world, None)
        finally:
            world.factory = kept

    def pump(self):
        for _ in range(10):
            if self.transport.value():
                self.tls.bio_write(self.transport.value())
                self.transport.clear()
            try:
                self.plain += self.tls.recv(65536)
            except (SSL.WantReadError, SSL.ZeroReturnError):
                pass
            try:
                self.protocol.dataReceived(self.tls.bio_read(65536))
            except SSL.WantReadError:
                self.world.reactor.advance(0)
                if not self.transport.value():
                    return

    def received(self):
        self.pump()
        return self.plain

    def take(self):
        self.pump()
        data, self.plain = self.plain, b""
        return Answer(data.decode())

    def send(self, data):
        self.tls.send(data)
        self.pump()


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def tls_files(authority, tmp_path_factory):
    directory = tmp_path_factory.mktemp("tls")
    certificate, key = tls.make_self_signed(directory)
    authority.cert_pem.write_to_path(str(directory / "ca.pem"))

    def client(name, *addresses, common_name=None):
        made = authority.issue_cert(*addresses, common_name=common_name)
        made.cert_chain_pems[0].write_to_path(str(directory / f"{name}.pem"))
        made.private_key_pem.write_to_path(str(directory / f"{name}.key"))
        return directory / f"{name}.pem", directory / f"{name}.key"

    return {"certificate": str(certificate), "key": str(key), "client_ca": str(directory / "ca.pem")}, client


@pytest.fixture
def database(sqlite_template, tmp_path):
    """SQLite alone: what differs between databases is tested in test_app_passwords.py."""
    shutil.copy(sqlite_template, tmp_path / "site.db")
    opened = Database.open(f"sqlite:///{tmp_path / 'site.db'}", now=TimeOfDay())
    yield opened
    opened.close()


@pytest.fixture
def world(make_world):
    return make_world(auth={"failure_delay_s": 0})


@pytest.fixture
def slow_world(make_world):
    return make_world()


@pytest.fixture
def tls_world(make_world, tls_files):
    return make_world(tls=tls_files[0], auth={"failure_delay_s": 0})


# -- PLAIN, LOGIN, the table ------------------------------------------------------------------------------------------


def test_capability_names_the_mechanisms_that_work_here_and_none_once_logged_in(world):
    client = world.client()

    for name in ("SCRAM-SHA-256", "PLAIN", "LOGIN"):
        assert f" AUTH={name} " in client.greeting.replace("]", " ")
    for name in ("PLUS", "EXTERNAL", "OAUTHBEARER", "XOAUTH2"):
        assert name not in client.greeting
    client.ok("LOGIN bob pass")
    assert "AUTH=" not in client.ok("CAPABILITY")


def test_from_elsewhere_in_clear_nothing_is_offered_and_nothing_taken(world):
    client = world.client(peer="192.0.2.1")

    assert "LOGINDISABLED" in client.greeting
    assert "AUTH=" not in client.greeting
    for mechanism in ("PLAIN", "SCRAM-SHA-256", "EXTERNAL"):
        assert client.cmd(f"AUTHENTICATE {mechanism} {b64('n,,n=bob,r=abc')}").tagged.startswith("NO [PRIVACYREQUIRED]")


def test_an_unknown_mechanism_is_no_and_names_those_there_are(world):
    answer = world.client().cmd("AUTHENTICATE CRAM-MD5")

    assert answer.tagged == "NO The mechanisms here are SCRAM-SHA-256, PLAIN, LOGIN"


def test_plain_and_login_by_lines_and_with_an_initial_response(world):
    assert (
        Dialog(world.client()).say(f"a AUTHENTICATE PLAIN {b64(chr(0) + 'bob' + chr(0) + 'pass')}").startswith("a OK")
    )
    dialog = Dialog(world.client())
    assert dialog.say("a AUTHENTICATE PLAIN") == "+ "
    assert dialog.say(b64("bob\0bob\0pass")).startswith("a OK [CAPABILITY ")
    dialog = Dialog(world.client())
    assert dialog.say("a AUTHENTICATE LOGIN") == "+ VXNlcm5hbWU6"
    assert dialog.say(b64("bob")) == "+ UGFzc3dvcmQ6"
    assert dialog.say(b64("pass")).startswith("a OK")


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "SCRAM-SHA-256"])
def test_a_star_cancels_and_the_next_command_is_in_step(world, mechanism):
    dialog = Dialog(world.client())
    dialog.say(f"a AUTHENTICATE {mechanism}")

    assert dialog.say("*").startswith("a BAD")
    assert dialog.say("b NOOP").startswith("b OK")


# -- SCRAM ------------------------------------------------------------------------------------------------------------


def test_the_exchange_of_rfc_7677_section_3():
    keys = scram.derive_keys("pencil", base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="), 4096)
    assert keys is not None
    first = scram.parse_client_first(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO")

    challenge = scram.server_first(first, keys, b"%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0")
    assert challenge == b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    final = scram.parse_client_final(
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    )
    signature = scram.server_final(first, challenge, final, keys, b"")
    assert signature == b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    assert scram.Keys.parse(keys.encode()) == keys


def test_scram_lets_in_who_knows_the_password_and_proves_the_server(world):
    give_password(world)
    client = world.client()

    answer = Dialog(client).scram(ScramClient(["SCRAM-SHA-256"], "bob", "pencil"), "SCRAM-SHA-256")

    assert answer.startswith("a OK [CAPABILITY ")
    assert "Team" in client.ok('LIST "" "*"')


def test_scram_knows_logins_to_one_tree(world):
    give_password(world)
    client = world.client()

    answer = Dialog(client).scram(ScramClient(["SCRAM-SHA-256"], "bob%Team", "pencil"), "SCRAM-SHA-256")

    assert answer.startswith("a OK [CAPABILITY ")
    assert client.ok('LIST "" "*"').untagged == ['* LIST (\\HasNoChildren) "/" INBOX']


def test_scram_with_a_wrong_password_for_nobody_and_for_who_has_no_keys_is_the_same(world):
    give_password(world)
    seen = set()
    for name in ("bob", "nobody", "ann"):  # ann's password was set before there were keys
        client = ScramClient(["SCRAM-SHA-256"], name, "wrong")
        answer = Dialog(world.client()).scram(client, "SCRAM-SHA-256")
        seen.add((len(bytes(client.salt)), int(client.iterations), answer))

    assert seen == {(16, scram.ITERATIONS, "a NO [AUTHENTICATIONFAILED] The user name or the password is wrong")}


@pytest.mark.parametrize("name", ["bob", "nobody"])
def test_whoever_fails_by_scram_waits_as_by_plain(slow_world, name):
    """RFC 4959 and the site's patience: the third failure waits twice as long, by whatever mechanisms."""
    world = slow_world
    give_password(world)
    waits = []
    for mechanism in ("PLAIN", "SCRAM-SHA-256", "LOGIN"):
        dialog = Dialog(world.client())
        if mechanism == "PLAIN":
            dialog.client.send(f"a AUTHENTICATE PLAIN {b64(chr(0) + name + chr(0) + 'no')}\r\n".encode())
        elif mechanism == "LOGIN":
            dialog.client.send(f"a LOGIN {name} no\r\n".encode())
        else:
            client = ScramClient(["SCRAM-SHA-256"], name, "no")
            challenge = dialog.say(f"a AUTHENTICATE SCRAM-SHA-256 {b64(client.get_client_first())}")
            client.set_server_first(base64.b64decode(challenge[2:]).decode())
            dialog.client.send(b64(client.get_client_final()).encode() + b"\r\n")
        answered = time_to_answer(world, dialog.client)
        waits.append(answered)

    assert waits == [1, 1, 2]


def time_to_answer(world, client):
    """Seconds of the reactor's clock until the tagged NO."""
    reactor = world.reactor
    soon = lambda: [one.getTime() for one in reactor.getDelayedCalls() if one.getTime() - reactor.seconds() < 20]  # noqa: E731
    reactor.turn(lambda: bool(soon()))
    assert not client.transport.value()
    waited = min(soon()) - reactor.seconds()
    reactor.advance(waited)
    assert client.take().startswith("a NO [AUTHENTICATIONFAILED]")
    return waited


def test_the_salt_of_nobody_is_always_the_same_and_that_of_a_user_outlives_a_password(world):
    def salt(name):
        challenge = Dialog(world.client()).say(f"a AUTHENTICATE SCRAM-SHA-256 {b64(f'n,,n={name},r=abc')}")
        return dict(part.split("=", 1) for part in base64.b64decode(challenge[2:]).decode().split(","))["s"]

    assert salt("nobody") == salt("nobody") != salt("noone")
    before = salt("bob")
    give_password(world)
    assert salt("bob") == before
    give_password(world, password="other")
    assert salt("bob") == before


def test_the_first_login_by_password_gives_an_older_user_keys_and_a_new_password_other_ones(world):
    login = lambda password: Dialog(world.client()).scram(  # noqa: E731
        ScramClient(["SCRAM-SHA-256"], "bob", password), "SCRAM-SHA-256"
    )
    world.client("bob").ok("LOGOUT")

    assert login("pass").startswith("a OK")
    give_password(world, password="new")
    assert login("new").startswith("a OK")
    world.database.write_now(accounts.set_password_hash, ACTOR, "bob", hash_password("newer"))
    assert world.database.read_now(accounts.read_user, "bob").scram is None


@pytest.mark.parametrize(
    ("first", "answer"),
    [
        ("y,,n=bob,r=abc", "a NO"),  # under TLS we can bind: somebody has taken -PLUS out of the list
        ("p=tls-exporter,,n=bob,r=abc", "a NO"),  # binds, but asks for the mechanism that does not
        ("n,a=ann,n=bob,r=abc", "a NO [AUTHORIZATIONFAILED]"),
        ("n,,m=x,n=bob,r=abc", "a BAD"),  # RFC 5802 §5.1: m is mandatory and not known
        ("n,,n=b=2cb,r=abc", "a BAD"),
        ("n,,n=bob", "a BAD"),
        ("n,,n=bob,r=", "a BAD"),
        ("x,,n=bob,r=abc", "a BAD"),
    ],
)
def test_scram_refuses_downgrades_and_what_is_no_scram(tls_world, first, answer):
    assert Dialog(TlsClient(tls_world)).say(f"a AUTHENTICATE SCRAM-SHA-256 {b64(first)}").startswith(answer)


@pytest.mark.parametrize("first", ["n,,n=bob,r=abc", "y,,n=bob,r=abc", "p=tls-unique,,n=bob,r=abc"])
def test_plus_without_a_binding_we_can_make_is_refused(tls_world, first):
    answer = Dialog(TlsClient(tls_world)).say(f"a AUTHENTICATE SCRAM-SHA-256-PLUS {b64(first)}")

    assert answer.startswith("a NO [AUTHENTICATIONFAILED]")


def test_y_is_right_where_nothing_can_be_bound(world):
    assert Dialog(world.client()).say(f"a AUTHENTICATE SCRAM-SHA-256 {b64('y,,n=bob,r=abc')}").startswith("+ ")


def binding(client, kind):
    if kind == "tls-exporter":
        return kind, client.tls.export_keying_material(b"EXPORTER-Channel-Binding", 32, b"")
    return kind, tls.end_point(client.tls.get_peer_certificate().to_cryptography())


@pytest.fixture
def exporter(monkeypatch):
    """scramp works out no tls-exporter; it is told it here."""
    monkeypatch.setattr("scramp.core.CbName.UNSUPPORTED_TYPES", frozenset())
    monkeypatch.setattr("scramp.core.CbName.SUPPORTED_TYPES", frozenset({"tls-exporter", "tls-server-end-point"}))


@pytest.mark.usefixtures("exporter")
@pytest.mark.parametrize(
    ("kind", "version"),
    [
        ("tls-exporter", SSL.TLS1_3_VERSION),
        ("tls-server-end-point", SSL.TLS1_3_VERSION),
        ("tls-server-end-point", SSL.TLS1_2_VERSION),
    ],
)
def test_plus_binds_to_the_tls_channel(tls_world, kind, version):
    give_password(tls_world)
    client = TlsClient(tls_world, version=version)
    assert "AUTH=SCRAM-SHA-256-PLUS" in client.greeting

    answer = Dialog(client).scram(
        ScramClient(["SCRAM-SHA-256-PLUS"], "bob", "pencil", channel_binding=binding(client, kind)),
        "SCRAM-SHA-256-PLUS",
    )

    assert answer.startswith("a OK")


@pytest.mark.usefixtures("exporter")
def test_a_proof_for_another_channel_is_refused(tls_world):
    """Somebody in the middle has two TLS connections, and passes on what the client says."""
    give_password(tls_world)
    elsewhere, client = TlsClient(tls_world), TlsClient(tls_world)

    answer = Dialog(client).scram(
        ScramClient(["SCRAM-SHA-256-PLUS"], "bob", "pencil", channel_binding=binding(elsewhere, "tls-exporter")),
        "SCRAM-SHA-256-PLUS",
    )

    assert answer.startswith("a NO [AUTHENTICATIONFAILED]")


def test_tls_1_2_has_no_exporter_to_bind_to(tls_world):
    client = TlsClient(tls_world, version=SSL.TLS1_2_VERSION)

    answer = Dialog(client).say(f"a AUTHENTICATE SCRAM-SHA-256-PLUS {b64('p=tls-exporter,,n=bob,r=abc')}")

    assert answer.startswith("a NO [AUTHENTICATIONFAILED]")


def test_a_message_changed_on_its_way_is_refused(world):
    give_password(world)

    answer = Dialog(world.client()).scram(
        ScramClient(["SCRAM-SHA-256"], "bob", "pencil"),
        "SCRAM-SHA-256",
        change=lambda line: line.replace("c=biws", "c=eSws"),  # it says "y" where "n" was said
    )

    assert answer.startswith("a NO [AUTHENTICATIONFAILED]")


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=80) | st.text("ny p=tls,aru=23CD\0", max_size=40).map(str.encode))
def test_whatever_comes_is_a_message_or_bad(data):
    for parse in (
        scram.parse_client_first, scram.parse_client_final, sasl.decode_oauthbearer, sasl.decode_xoauth2,
        sasl.decode_plain,
    ):  # fmt: skip
        with contextlib.suppress(BadCommand, AuthenticationFailed):
            parse(data)


@settings(max_examples=60, deadline=None)
@given(
    st.text(st.characters(exclude_categories=["C", "Z", "M"], max_codepoint=0x24F), min_size=1, max_size=20),
    st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=","), min_size=1, max_size=40),
)
def test_a_name_and_a_nonce_come_through_as_they_were_sent(name, nonce):
    try:
        prepared = saslprep(name)
    except ValueError:
        return
    if not prepared:
        return
    sent = prepared.replace("=", "=3D").replace(",", "=2C")

    first = scram.parse_client_first(f"y,,n={sent},r={nonce}".encode())

    assert (first.flag, first.name, first.nonce.decode()) == ("y", saslprep(prepared), nonce)


def test_saslprep_by_the_examples_of_rfc_4013_section_3():
    for given_, prepared in (("I\u00adX", "IX"), ("user", "user"), ("USER", "USER"), ("\u00aa", "a"), ("\u2168", "IX")):
        assert saslprep(given_) == prepared
    for bad in ("\u0007", "\u06271"):
        with pytest.raises(ValueError, match="it"):
            saslprep(bad)


# -- EXTERNAL ---------------------------------------------------------------------------------------------------------


def test_a_certificate_with_an_address_lets_its_user_in(tls_world, tls_files):
    tls_world.database.write_now(accounts.insert_user, ACTOR, "dora@example.com", None)
    client = TlsClient(tls_world, certificate=tls_files[1]("dora", "dora@example.com", common_name="bob"))

    assert "AUTH=EXTERNAL" in client.greeting
    assert Dialog(client).say(f"a AUTHENTICATE EXTERNAL {b64('bob')}").startswith("a NO")  # the address goes first
    assert Dialog(client).say("b AUTHENTICATE EXTERNAL =").startswith("b OK")


def test_without_an_address_the_common_name_counts_and_nobody_acts_for_another(tls_world, tls_files):
    certificate = tls_files[1]("bob", common_name="bob")

    assert (
        Dialog(TlsClient(tls_world, certificate=certificate))
        .say(f"a AUTHENTICATE EXTERNAL {b64('ann')}")
        .startswith("a NO [AUTHENTICATIONFAILED] Nobody here")
    )
    assert Dialog(TlsClient(tls_world, certificate=certificate)).say("a AUTHENTICATE EXTERNAL =").startswith("a OK")


def test_without_a_certificate_external_is_not_offered(tls_world, tls_files, tmp_path):
    assert "EXTERNAL" not in TlsClient(tls_world).greeting
    assert Dialog(TlsClient(tls_world)).say("a AUTHENTICATE EXTERNAL =").startswith("a NO The mechanisms here are")


def test_a_certificate_of_another_authority_gets_no_connection(tls_world, tmp_path):
    made = trustme.CA().issue_cert(common_name="bob")
    made.cert_chain_pems[0].write_to_path(str(tmp_path / "c.pem"))
    made.private_key_pem.write_to_path(str(tmp_path / "c.key"))

    with pytest.raises(SSL.Error):
        TlsClient(tls_world, certificate=(tmp_path / "c.pem", tmp_path / "c.key")).send(b"a NOOP\r\n")
