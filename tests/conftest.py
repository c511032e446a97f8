"""A site of its own for each test, on SQLite and on PostgreSQL, and clients that talk to the server without a port."""

from __future__ import annotations

import os
import queue
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.pool import NullPool
from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from acl_imapd.access.namespaces import Namespaces
from acl_imapd.access.rights import parse_rights
from acl_imapd.auth.passwords import hash_password
from acl_imapd.config import Settings
from acl_imapd.net.service import Service
from acl_imapd.storage import accounts, mailboxes, migrate, rights
from acl_imapd.storage.accounts import Actor
from acl_imapd.storage.database import Connection, Database

POSTGRESQL = os.environ.get("ACL_IMAPD_TEST_POSTGRESQL", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres")
ACTOR = Actor("test", "cli")
PASSWORD_HASH = hash_password("pass")
USERS = ("ann", "bob", "cat")
ADMIN_LETTERS = "lrswipkxtea"


def fill(conn: Connection) -> None:
    """ann, bob and cat; team crew of bob and cat; Shared Folders/Team for the crew."""
    for name in USERS:
        accounts.insert_user(conn, ACTOR, name, PASSWORD_HASH)
    accounts.insert_team(conn, ACTOR, "crew")
    for name in ("bob", "cat"):
        accounts.join_team(conn, ACTOR, "crew", name)
    made = mailboxes.create_mailbox(conn, ACTOR, None, "Team")
    give(conn, made.id, "group:crew", "lrswipkte")
    give(conn, made.id, "ann", ADMIN_LETTERS)


def give(conn: Connection, mailbox_id: Any, who: str, letters: str, *, negative: bool = False) -> None:
    """Set the rights of an entry."""
    identifier = rights.resolve_identifier(conn, who, allow_anyone=True)
    rights.change_entry(conn, ACTOR, mailbox_id, identifier, negative=negative, op="set", rights=parse_rights(letters))


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "site.db"
    database = Database.open(f"sqlite:///{path}")
    migrate.upgrade(database)
    database.write_now(fill)
    database.close()
    return path


def run_on_postgresql(statement: str) -> None:
    """Outside a transaction; also for tests/trial_server.py."""
    engine = create_engine(POSTGRESQL, isolation_level="AUTOCOMMIT")
    with engine.connect() as conn:
        conn.execute(text(statement))
    engine.dispose()


@pytest.fixture(scope="session")
def postgresql_template() -> Iterator[str]:
    name = f"acl_imapd_test_{uuid.uuid4().hex[:12]}"
    try:
        run_on_postgresql(f"CREATE DATABASE {name}")
    except Exception as error:
        if os.environ.get("ACL_IMAPD_REQUIRE_POSTGRESQL"):
            raise
        pytest.skip(f"no PostgreSQL: {str(error).splitlines()[0]}")
    database = Database.open(database_url(name), blob_dir=Path("/nonexistent"))
    migrate.upgrade(database)
    database.write_now(fill)
    database.close()
    yield name
    run_on_postgresql(f"DROP DATABASE {name} WITH (FORCE)")


def create_database(name: str, template: str = "template1") -> None:
    """On PostgreSQL, a copy of another."""
    run_on_postgresql(f"CREATE DATABASE {name} TEMPLATE {template}")


def drop_database(name: str) -> None:
    """On PostgreSQL, whoever is connected to it."""
    run_on_postgresql(f"DROP DATABASE {name} WITH (FORCE)")


def database_url(name: str) -> str:
    return POSTGRESQL.rpartition("/")[0].replace("+psycopg", "") + "/" + name


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A copy of the small site, on each kind of database."""
    if request.param == "sqlite":
        path = tmp_path / "site.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        opened = Database.open(f"sqlite:///{path}", now=TimeOfDay())
        yield opened
        opened.close()
    else:
        name = request.getfixturevalue("postgresql_site").ready()
        opened = Database.open(database_url(name), blob_dir=tmp_path / "blobs", now=TimeOfDay())
        yield opened
        opened.close()


class PostgresqlSite:
    """One database that each test gets as the small site: emptied and filled is ten times quicker than made anew."""

    def __init__(self, template: str) -> None:
        self._template = template
        self._name = ""
        self._engine: Engine | None = None
        self._shape = ""

    def ready(self) -> str:
        """The name of the database, which is as the template is; one whose tables a test has changed is made anew."""
        if self._engine is not None and not self._put_back():
            self.drop()
        if self._engine is None:
            self._make()
        return self._name

    def _make(self) -> None:
        self._name = f"acl_imapd_test_{uuid.uuid4().hex[:12]}"
        create_database(self._name, self._template)
        # What is measured here is not PostgreSQL's durability, and each commit would wait for the disk.
        run_on_postgresql(f"ALTER DATABASE {self._name} SET synchronous_commit = off")
        self._engine = create_engine(POSTGRESQL.rpartition("/")[0] + "/" + self._name, poolclass=NullPool)
        with self._engine.begin() as conn:
            self._shape = conn.execute(text(_SHAPE)).scalar_one()
            conn.execute(text("CREATE SCHEMA pristine"))
            for table in conn.execute(text(_TABLES)).scalars().all():
                conn.execute(text(f'CREATE TABLE pristine."{table}" AS TABLE public."{table}"'))

    def _put_back(self) -> bool:
        assert self._engine is not None
        with self._engine.begin() as conn:
            conn.execute(text(_CUT_OFF))
            if conn.execute(text(_SHAPE)).scalar_one() != self._shape:
                return False
            conn.execute(text("SET LOCAL session_replication_role = replica"))  # no foreign key is looked at meanwhile
            tables = conn.execute(text(_TABLES)).scalars().all()
            for table in tables:
                conn.execute(text(f'DELETE FROM public."{table}"'))
                conn.execute(text(f'INSERT INTO public."{table}" SELECT * FROM pristine."{table}"'))
            for table, sequence in conn.execute(text(_SEQUENCES)).all():
                query = f"SELECT setval('{sequence}', (SELECT COALESCE(MAX(id), 0) + 1 FROM public.\"{table}\"), false)"
                conn.execute(text(query))
        return True

    def drop(self) -> None:
        """Remove the database."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None
            drop_database(self._name)


_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
_SEQUENCES = (
    "SELECT * FROM (SELECT table_name, pg_get_serial_sequence('public.' || quote_ident(table_name), 'id') AS sequence"
    " FROM information_schema.columns WHERE table_schema = 'public' AND column_name = 'id') found"
    " WHERE sequence IS NOT NULL"
)
_CUT_OFF = (
    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
_SHAPE = (
    "SELECT md5(string_agg(line, ',' ORDER BY line)) FROM ("
    " SELECT relname || relkind::text AS line FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    " UNION ALL SELECT attrelid::regclass || attname || atttypid || attnotnull FROM pg_attribute JOIN pg_class"
    " ON pg_class.oid = attrelid WHERE relnamespace = 'public'::regnamespace AND attnum > 0 AND NOT attisdropped"
    " UNION ALL SELECT conname || pg_get_constraintdef(oid) FROM pg_constraint"
    " WHERE connamespace = 'public'::regnamespace"
    " UNION ALL SELECT tgname FROM pg_trigger WHERE NOT tgisinternal"
    " UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace) shape"
)


@pytest.fixture(scope="session")
def postgresql_site(postgresql_template: str) -> Iterator[PostgresqlSite]:
    site = PostgresqlSite(postgresql_template)
    yield site
    site.drop()


class TimeOfDay:
    """The clock of a test's database, server and commands: the real one, until a World goes by its reactor."""

    def __init__(self) -> None:
        self.seconds: Callable[[], float] = time.time
        self.begun = 0.0

    def __call__(self) -> float:
        return self.begun + self.seconds()

    def follow(self, reactor: Clock) -> None:
        self.begun = self() - reactor.seconds()
        self.seconds = reactor.seconds


class TestReactor(Clock):
    """Time that the test moves on, and calls from threads that it takes one by one."""

    __test__ = False

    def __init__(self) -> None:
        super().__init__()
        self.landed: queue.SimpleQueue[tuple[Callable[..., Any], tuple[Any, ...]]] = queue.SimpleQueue()

    def callFromThread(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        self.landed.put((lambda: fn(*args, **kwargs), ()))

    def turn(self, done: Callable[[], bool]) -> None:
        """Go on until *done*; fails when nothing has happened for 20 seconds."""
        self.advance(0)
        while not done():
            fn, args = self.landed.get(timeout=20)
            fn(*args)
            self.advance(0)


class MemoryTransport(StringTransport):
    """A connection from the loopback that goes nowhere."""

    def __init__(self, peer: str) -> None:
        super().__init__(peerAddress=IPv4Address("TCP", peer, 40000))
        self.lost = False

    def setTcpNoDelay(self, _on: bool) -> None:
        pass

    def setTcpKeepAlive(self, _on: bool) -> None:
        pass

    def loseConnection(self) -> None:
        self.lost = True

    def abortConnection(self) -> None:
        self.lost = True


class Answer(str):
    """Everything that came up to the tagged line."""

    @property
    def lines(self) -> list[str]:
        return self.split("\r\n")[:-1]

    @property
    def untagged(self) -> list[str]:
        return [line for line in self.lines if line.startswith("* ")]

    @property
    def tagged(self) -> str:
        """The last line without its tag."""
        return self.lines[-1].partition(" ")[2] if self.lines else ""


class Client:
    """Says a command, takes what comes."""

    def __init__(self, world: World, user: str | None, peer: str = "127.0.0.1") -> None:
        self.world = world
        self.transport = MemoryTransport(peer)
        self.protocol = world.factory.buildProtocol(None)
        self.protocol.makeConnection(self.transport)
        self.number = 0
        self.greeting = self.take()
        if user is not None:
            self.ok(f"LOGIN {user} pass")

    def take(self) -> Answer:
        """What has been sent and not been taken."""
        data = self.transport.value()
        self.transport.clear()
        return Answer(data.decode("utf-8", "replace"))

    def received(self) -> bytes:
        """What has been sent and not been taken, and stays so."""
        return self.transport.value()

    def send(self, data: bytes) -> None:
        """Raw bytes."""
        self.protocol.dataReceived(data)

    def cmd(self, line: str | bytes) -> Answer:
        """The answer to a command."""
        self.number += 1
        tag = f"a{self.number}".encode()
        self.send(tag + b" " + (line if isinstance(line, bytes) else line.encode()) + b"\r\n")
        self.world.reactor.turn(lambda: b"\r\n" + tag + b" " in b"\r\n" + self.received() or self.transport.lost)
        return self.take()

    def ok(self, line: str | bytes) -> Answer:
        """The answer, which must be OK."""
        answer = self.cmd(line)
        assert answer.tagged.startswith("OK"), answer
        return answer

    def idle(self) -> None:
        """Enter IDLE."""
        self.number += 1
        self.send(f"a{self.number} IDLE\r\n".encode())
        self.world.reactor.turn(lambda: b"+ idling" in self.transport.value())
        self.world.reactor.advance(0)
        self.take()

    def append(self, name: str, body: str = "Subject: x\r\n\r\ntext\r\n", flags: str = "") -> Answer:
        """APPEND a message."""
        data = body.encode()
        return self.cmd(b"APPEND %b %b{%d+}\r\n%b" % (name.encode(), flags.encode(), len(data), data))


class World:
    """A server over the database of a test."""

    def __init__(self, database: Database, settings: Settings | None = None) -> None:
        self.database = database
        self.reactor = TestReactor()
        self.namespaces = Namespaces()
        assert isinstance(database.now, TimeOfDay)
        database.now.follow(self.reactor)
        self.service = Service(settings or Settings(), database, self.reactor)
        self.factory = self.service.factory(implicit_tls=False)

    def client(self, user: str | None = None, **kwargs: Any) -> Client:
        return Client(self, user, **kwargs)

    def selected(self, name: str, *users: str) -> list[Client]:
        clients = [self.client(user) for user in users]
        for client in clients:
            client.ok(f'SELECT "{name}"')
        return clients

    def give(self, name: str, who: str, letters: str, *, negative: bool = False) -> None:
        """Change rights as another process would: behind the server's back."""
        self.database.write_now(give, self.mailbox(name).id, who, letters, negative=negative)

    def mailbox(self, name: str) -> mailboxes.Mailbox:
        place = self.namespaces.place(name, None)
        assert place is not None

        def find(conn: Connection) -> mailboxes.Mailbox | None:
            home = accounts.read_user(conn, place.home).id if place.home is not None else None  # type: ignore[union-attr]
            return mailboxes.read_mailbox(conn, home, place.path)

        found = self.database.read_now(find)
        assert found is not None
        return found

    def create(self, path: str, **grants: str) -> None:
        """A shared folder, made behind the server's back."""

        def make(conn: Connection) -> None:
            made = mailboxes.create_mailbox(conn, ACTOR, None, path)
            for who, letters in grants.items():
                give(conn, made.id, who, letters)

        self.database.write_now(make)

    def notice(self) -> None:
        """What the server does when it is woken: look what changed."""
        from twisted.internet.defer import ensureDeferred

        done: list[object] = []
        ensureDeferred(self.service._catch_up()).addBoth(done.append)
        self.reactor.turn(lambda: bool(done))
        assert done == [None]
        self.settle()

    def settle(self) -> None:
        """Go on until everybody has heard what the server says by itself."""
        self.reactor.turn(lambda: not self.service.audience.busy)

    def snapshot(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row that a refused command must leave alone."""
        from acl_imapd.storage.schema import metadata

        def rows(conn: Connection) -> dict[str, list[tuple[Any, ...]]]:
            return {
                table.name: sorted(map(tuple, conn.execute(table.select())), key=repr)
                for table in metadata.sorted_tables
                if table.name != "body"
            }

        return self.database.read_now(rows)

    def close(self) -> None:
        self.service._hashing.stop()
        self.service._watch.close()


@pytest.fixture
def world(database: Database) -> Iterator[World]:
    made = World(database)
    yield made
    made.close()


@pytest.fixture
def make_world(database: Database) -> Iterator[Callable[..., World]]:
    """A server with other settings: ``make_world(acl={"allow_anyone": True})``."""
    made: list[World] = []

    def make(**sections: dict[str, Any]) -> World:
        made.append(World(database, msgspec.convert(sections, Settings)))
        return made[-1]

    yield make
    for one in made:
        one.close()
