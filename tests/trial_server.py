"""The server on a real reactor and real sockets: TLS, what another process changes, a slow reader, a lost database.

Run by ``python -m twisted.trial``; every port is one that the system chooses on the loopback.
"""

from __future__ import annotations

import atexit
import os
import uuid
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import trustme
from OpenSSL import SSL
from sqlalchemy.exc import OperationalError
from twisted.internet import reactor, ssl
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol, wrapClientTLS
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.protocol import Protocol
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SkipTest, TestCase
from zope.interface import implementer

from acl_imapd.commands.fetch import CHUNK_BYTES
from acl_imapd.config import Settings
from acl_imapd.mail.mime import parsed
from acl_imapd.net.service import Service
from acl_imapd.storage import mailboxes, messages, migrate
from acl_imapd.storage.database import Database
from acl_imapd.storage.messages import NewMessage

from . import conftest

TEAM = b'"Shared Folders/Team"'


def _fill(database: Database) -> None:
    migrate.upgrade(database)
    database.write_now(conftest.fill)
    database.close()


@cache
def _sqlite_template() -> bytes:
    """The file of a small site."""
    with TemporaryDirectory() as directory:
        path = Path(directory) / "site.db"
        _fill(Database.open(f"sqlite:///{path}"))
        return path.read_bytes()


@cache
def _postgresql_template() -> str:
    """The name of a database with a small site, dropped in the end."""
    name = f"acl_imapd_trial_{uuid.uuid4().hex[:12]}"
    conftest.create_database(name)
    atexit.register(conftest.drop_database, name)
    _fill(Database.open(conftest.database_url(name), blob_dir=Path("/nonexistent")))
    return name


class Client(Protocol):
    """Keeps what comes until it has what is waited for."""

    def __init__(self) -> None:
        self.data = b""
        self.closed: Deferred[Any] = Deferred()
        self._until: tuple[bytes, Deferred[bytes]] | None = None

    def dataReceived(self, data: bytes) -> None:
        self.data += data
        self._look()

    def _look(self) -> None:
        if self._until is not None and self._until[0] in self.data:
            mark, waiter = self._until
            self._until = None
            end = self.data.index(b"\r\n", self.data.index(mark)) + 2
            found, self.data = self.data[:end], self.data[end:]
            waiter.callback(found)

    def until(self, mark: bytes) -> Deferred[bytes]:
        """What came up to the end of the line that has *mark*."""
        waiter: Deferred[bytes] = Deferred()
        self._until = (mark, waiter)
        self._look()
        return waiter

    def cmd(self, line: bytes) -> Deferred[bytes]:
        """The answer to a command."""
        self.transport.write(b"tag " + line + b"\r\n")
        return self.until(b"tag ")

    def connectionLost(self, reason: Any) -> None:
        self.closed.callback(reason.value)


@implementer(IOpenSSLClientConnectionCreator)
class Version:
    """A client that can do one version of TLS alone, and would take any cipher."""

    def __init__(self, version: int) -> None:
        self._context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        self._context.set_min_proto_version(version)
        self._context.set_max_proto_version(version)
        self._context.set_cipher_list(b"ALL:@SECLEVEL=0")

    def clientConnectionForTLS(self, protocol: object) -> SSL.Connection:
        return SSL.Connection(self._context, None)


class ServerCase(TestCase):
    timeout = 30

    def site(self) -> Database:
        """A small site of this test's own, on SQLite."""
        path = Path(self.mktemp())
        path.write_bytes(_sqlite_template())
        self.url = f"sqlite:///{path}"
        return Database.open(self.url)

    def other_process(self) -> Database:
        """The same site, as another process has it open."""
        opened = Database.open(self.url)
        self.addCleanup(opened.close)
        return opened

    def certificate(self) -> None:
        """A new certificate, signed by the test's CA, where the server reads it."""
        issued = self.ca.issue_cert("localhost")
        issued.private_key_pem.write_to_path(self.directory / "key.pem")
        (self.directory / "cert.pem").write_bytes(b"".join(one.bytes() for one in issued.cert_chain_pems))

    def serve(self, **sections: Any) -> Service:
        """A running server; it is stopped after the test."""
        self.ca = trustme.CA()
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.certificate()
        given = {
            "imap": {"listen": ["127.0.0.1:0"], "listen_tls": ["127.0.0.1:0"]},
            "tls": {"certificate": str(self.directory / "cert.pem"), "key": str(self.directory / "key.pem")},
        }
        service = Service(msgspec.convert({**given, **sections}, Settings), self.site(), reactor)
        service.start()
        self.addCleanup(service.stop)
        self.ports = service.ports
        return service

    def trusted(self) -> Any:
        root = ssl.Certificate.loadPEM(self.ca.cert_pem.bytes())
        return ssl.optionsForClientTLS("localhost", trustRoot=ssl.trustRootFromCertificates([root]))

    async def connect(self, tls: Any = None) -> Client:
        """A client that has been greeted; with *tls* on the port that is under TLS from the first byte."""
        endpoint: Any = TCP4ClientEndpoint(reactor, "127.0.0.1", self.ports[1 if tls else 0])
        client: Client = await connectProtocol(wrapClientTLS(tls, endpoint) if tls else endpoint, Client())
        self.addCleanup(lambda: client.transport.abortConnection() or client.closed)
        client.greeting = await client.until(b"* OK")
        return client

    async def logged_in(self, name: bytes = b"bob") -> Client:
        client = await self.connect()
        self.assertIn(b"tag OK", await client.cmd(b"LOGIN " + name + b" pass"))
        return client

    def deliver(self, database: Database, count: int = 1, size: int = 10) -> Deferred[Any]:
        """Messages in the team's folder, brought by another process."""

        def run(conn: Any) -> None:
            box = mailboxes.read_mailbox(conn, None, "Team")
            assert box is not None
            bodies = [b"Subject: %d\r\n\r\n" % number + b"x" * size for number in range(count)]
            new = [NewMessage(one, parsed(one), 0, (), 0, 0, False) for one in bodies]
            messages.insert_messages(conn, box.id, box.home_id or 0, new, blobs=database.blobs)

        return deferToThread(database.write_now, run)

    def revoke(self, database: Database) -> Deferred[Any]:
        """The crew loses the folder, by another process."""

        def run(conn: Any) -> None:
            conftest.give(conn, mailboxes.read_mailbox(conn, None, "Team").id, "group:crew", "")

        return deferToThread(database.write_now, run)


class TlsTests(ServerCase):
    async def test_starttls_drops_what_was_sent_in_clear_behind_it(self):
        """RFC 3501 §6.2.1; CVE-2011-0411 and its kind: it is never executed, nor answered under TLS."""
        self.serve()
        client = await self.connect()
        self.assertIn(b"STARTTLS", client.greeting)

        client.transport.write(b"tag STARTTLS\r\nevil LOGIN bob pass\r\nevil CREATE evil\r\nevil NOO")
        self.assertIn(b"tag OK", await client.until(b"tag "))
        client.transport.startTLS(self.trusted())
        told = await client.cmd(b"CAPABILITY")

        self.assertNotIn(b"evil", told)
        self.assertNotIn(b"STARTTLS", told)
        self.assertIn(b"tag BAD", await client.cmd(b'LIST "" *'))
        self.assertIn(b"tag BAD", await client.cmd(b"STARTTLS"))
        self.assertIn(b"tag OK", await client.cmd(b"LOGIN bob pass"))
        self.assertEqual(b"tag OK LIST done\r\n", await client.cmd(b'LIST "" evil'))

    async def test_no_password_is_taken_in_clear_where_the_setting_says_so(self):
        self.serve(auth={"plaintext_on_loopback": False})
        client = await self.connect()

        self.assertIn(b"LOGINDISABLED", client.greeting)
        self.assertNotIn(b"AUTH=PLAIN", client.greeting)
        self.assertIn(b"tag NO [PRIVACYREQUIRED]", await client.cmd(b"LOGIN bob pass"))
        self.assertIn(b"tag NO [PRIVACYREQUIRED]", await client.cmd(b"AUTHENTICATE PLAIN AGJvYgBwYXNz"))
        await client.cmd(b"STARTTLS")
        client.transport.startTLS(self.trusted())
        self.assertIn(b"AUTH=PLAIN", await client.cmd(b"CAPABILITY"))
        self.assertIn(b"tag OK", await client.cmd(b"AUTHENTICATE PLAIN AGJvYgBwYXNz"))

    async def test_tls_from_the_first_byte(self):
        self.serve(auth={"plaintext_on_loopback": False})

        client = await self.connect(tls=self.trusted())

        self.assertIn(b"AUTH=PLAIN", client.greeting)
        self.assertNotIn(b"STARTTLS", client.greeting)
        self.assertIn(b"tag OK", await client.cmd(b"LOGIN bob pass"))

    async def test_tls_1_1_is_refused_and_1_2_is_not(self):
        self.serve()
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.ports[1])
        old = await connectProtocol(wrapClientTLS(Version(SSL.TLS1_1_VERSION), endpoint), Client())

        reason = await old.closed

        self.assertEqual(b"", old.data)
        self.assertIn("protocol version", str(reason))
        client = await self.connect(tls=Version(SSL.TLS1_2_VERSION))
        self.assertIn(b"tag OK", await client.cmd(b"NOOP"))

    async def test_another_certificate_is_for_new_connections_and_the_old_ones_live_on(self):
        service = self.serve()
        old = await self.connect(tls=self.trusted())
        first = old.transport.getPeerCertificate().get_serial_number()

        self.certificate()
        service.reload()
        new = await self.connect(tls=self.trusted())
        second = new.transport.getPeerCertificate().get_serial_number()
        (self.directory / "cert.pem").write_text("nonsense")
        service.reload()
        third = await self.connect(tls=self.trusted())

        self.assertNotEqual(first, second)
        self.assertEqual(second, third.transport.getPeerCertificate().get_serial_number())
        self.assertIn(b"tag OK", await old.cmd(b"NOOP"))

    async def test_whoever_knocks_with_tls_on_the_door_without_is_sent_away(self):
        self.serve()
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.ports[0])

        client = await connectProtocol(wrapClientTLS(self.trusted(), endpoint), Client())

        await client.closed


class OtherProcessTests(ServerCase):
    async def test_idle_is_told_at_once_of_what_another_process_does(self):
        """And cut off by the revocation."""
        self.serve()
        client = await self.logged_in()
        await client.cmd(b"SELECT " + TEAM)
        client.transport.write(b"tag IDLE\r\n")
        await client.until(b"+ idling")
        other = self.other_process()

        await self.deliver(other)
        self.assertIn(b"* 1 EXISTS", await client.until(b"EXISTS"))
        await self.revoke(other)
        self.assertIn(b"* BYE You may no longer read", await client.until(b"BYE"))
        await client.closed

    async def test_stopping_says_bye(self):
        service = self.serve()
        client = await self.logged_in()

        stopped = service.stop()

        self.assertIn(b"* BYE The server is shutting down", await client.until(b"BYE"))
        await client.closed
        await stopped

    async def test_a_slow_reader_holds_one_chunk_and_gets_it_all_in_the_end(self):
        """Promise 6: what waits to be sent does not grow with what was asked for."""
        service = self.serve()
        await self.deliver(self.other_process(), count=150, size=100_000)
        client = await self.logged_in()
        await client.cmd(b"SELECT " + TEAM)
        [server] = service.factories[0].protocols
        client.transport.pauseProducing()
        client.transport.write(b"tag FETCH 1:* BODY.PEEK[]\r\n")

        held, waits = 0, 0
        while waits < 20:
            await deferLater(reactor, 0.005)
            out = server.transport
            held = max(held, len(out.dataBuffer) - out.offset + out._tempDataLen)
            waits = waits + 1 if server.waits_for_its_client else 0
        client.transport.resumeProducing()
        answer = await client.until(b"tag OK")

        self.assertGreater(held, 0)
        self.assertLessEqual(held, CHUNK_BYTES + 200_000)
        self.assertGreater(len(answer), 150 * 100_000)


class PostgresqlTests(OtherProcessTests):
    """The same by LISTEN; and connections that are lost."""

    def site(self) -> Database:
        name = f"acl_imapd_trial_{uuid.uuid4().hex[:12]}"
        try:
            conftest.create_database(name, _postgresql_template())
        except OperationalError as error:
            if os.environ.get("ACL_IMAPD_REQUIRE_POSTGRESQL"):
                raise
            raise SkipTest(f"no PostgreSQL: {str(error).splitlines()[0]}") from error
        self.addCleanup(conftest.drop_database, name)
        self.name = name
        self.url = conftest.database_url(name)
        return Database.open(self.url, blob_dir=Path(self.mktemp()))

    def other_process(self) -> Database:
        opened = Database.open(self.url, blob_dir=Path(self.mktemp()))
        self.addCleanup(opened.close)
        return opened

    def kill(self, which: str) -> None:
        """End those connections to the site's database."""
        conftest.run_on_postgresql(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{self.name}' AND {which}"
        )

    async def test_idle_hears_again_after_the_listening_connection_was_lost(self):
        self.serve()
        client = await self.logged_in()
        await client.cmd(b"SELECT " + TEAM)
        client.transport.write(b"tag IDLE\r\n")
        await client.until(b"+ idling")
        other = self.other_process()

        for number in (1, 2):
            self.kill("query LIKE 'LISTEN%'")
            await self.deliver(other)  # told by nobody: seen when there is a connection again
            self.assertIn(b"* %d EXISTS" % number, await client.until(b"EXISTS"))
        await self.deliver(other)
        self.assertIn(b"* 3 EXISTS", await client.until(b"EXISTS"))
        self.kill("query LIKE 'LISTEN%'")
        await self.revoke(other)
        self.assertIn(b"* BYE", await client.until(b"BYE"))

    async def test_dropped_connections_are_not_noticed_by_clients(self):
        self.serve()
        client = await self.logged_in()

        for line in (b"STATUS " + TEAM + b" (MESSAGES)", b"CREATE Work", b"SELECT " + TEAM, b"APPEND Sent {3+}\r\nabc"):
            self.kill("true")
            self.assertIn(b"tag OK", await client.cmd(line))

    async def test_without_its_database_the_server_says_so_and_works_again_with_it(self):
        self.serve()
        client = await self.logged_in()
        conftest.run_on_postgresql(f"ALTER DATABASE {self.name} ALLOW_CONNECTIONS false")
        self.kill("true")

        for line in (b"STATUS " + TEAM + b" (MESSAGES)", b"CREATE Work", b"SELECT " + TEAM):
            self.assertIn(b"tag NO [UNAVAILABLE]", await client.cmd(line))

        conftest.run_on_postgresql(f"ALTER DATABASE {self.name} ALLOW_CONNECTIONS true")
        self.assertIn(b"tag OK", await client.cmd(b"CREATE Work"))
        await client.cmd(b"SELECT " + TEAM)
        client.transport.write(b"tag IDLE\r\n")
        await client.until(b"+ idling")
        await self.deliver(self.other_process())
        await client.until(b"* 1 EXISTS")
