#!/usr/bin/env python3
"""How long after a revocation has committed an idle session is cut off, by each road.

    .venv/bin/python bench/revoke.py                                          # SQLite, in a temporary directory
    .venv/bin/python bench/revoke.py --postgresql postgresql://postgres@127.0.0.1:5432/postgres

A server of its own, with sessions in IDLE of as many users; the administrator's commands run here, in another
process.  Counted is from the moment at which their transaction has committed to the moment at which BYE is here.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from acl_imapd_admin.cli import main as admin
from sqlalchemy import create_engine, text

from acl_imapd.auth.passwords import hash_password
from acl_imapd.storage import accounts, mailboxes, migrate
from acl_imapd.storage.accounts import Actor
from acl_imapd.storage.database import Connection, Database

ACTOR = Actor("bench", "cli")
FOLDER = "Shared Folders/Top/Box"


class Session:
    """One user's connection."""

    def __init__(self, port: int, user: str) -> None:
        self.user = user
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.cut_at: float | None = None
        self._until(b"* OK")
        self.say(f"LOGIN {user} pass")

    def _until(self, begins: bytes) -> bytes:
        """What comes, up to a whole line that begins so."""
        answer = b""
        while not (answer.endswith(b"\r\n") and any(line.startswith(begins) for line in answer.split(b"\r\n"))):
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionError(f"{self.user}: {answer!r}")
            answer += data
        return answer

    def say(self, line: str) -> None:
        """A command, which must be OK."""
        self.socket.sendall(f"a {line}\r\n".encode())
        answer = self._until(b"a ")
        assert b"\r\na OK" in b"\r\n" + answer, answer

    def idle(self) -> None:
        """With the folder selected."""
        self.say(f'SELECT "{FOLDER}"')
        self.socket.sendall(b"a IDLE\r\n")
        self._until(b"+ ")


def cut_off(sessions: list[Session], stop: threading.Event) -> None:
    """Note when each hears BYE."""
    with selectors.DefaultSelector() as selector:
        for one in sessions:
            selector.register(one.socket, selectors.EVENT_READ, one)
        while not stop.is_set() and selector.get_map():
            for key, _ in selector.select(0.05):
                one = key.data
                data = one.socket.recv(65536)
                if b"* BYE" in data or not data:
                    one.cut_at = one.cut_at or time.time()
                    selector.unregister(one.socket)


class Site:
    """The database, as the administrator's commands reach it, and what they have committed last."""

    def __init__(self, url: str, users: list[str], directory: Path) -> None:
        self.url = url
        self.users = users
        self.committed = 0.0  # when the last transaction was
        self.until = 0.0  # when the last grant with an end ends
        database = Database.open(url, blob_dir=directory / "blobs")
        migrate.upgrade(database)
        hashed = hash_password("pass")

        def fill(conn: Connection) -> None:
            for user in [*users, "boss"]:
                accounts.insert_user(conn, ACTOR, user, hashed, special_folders={})
            for team in ("inner", "outer"):
                accounts.insert_team(conn, ACTOR, team)
            for user in users:
                accounts.join_team(conn, ACTOR, "inner", user)
            mailboxes.create_mailbox(conn, ACTOR, None, "Top/Box")

        database.write_now(fill)
        database.close()
        write_now = Database.write_now

        def timed(this: Database, *args: object, **kwargs: object) -> object:
            result = write_now(this, *args, **kwargs)
            self.committed = time.time()
            return result

        Database.write_now = timed  # type: ignore[assignment, method-assign]  # to know when

    def cli(self, *arguments: str) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            admin(["--database", self.url, *arguments])


Road = tuple[Callable[[Site], None], Callable[[Site], None], Callable[[Site], None]]


def roads(users: list[str]) -> dict[str, Road]:
    """For each: give, take away, put right."""

    def grant(who: str, what: str = "lrs", folder: str = FOLDER) -> Callable[[Site], None]:
        return lambda site: site.cli("acl", "grant", folder, who, what)

    def nest(site: Site) -> None:
        site.cli("team", "join", "outer", "group:inner")
        grant("group:outer")(site)

    def role(site: Site) -> None:
        site.cli("role", "set", "watcher", "lrs")
        grant("group:inner", "watcher")(site)

    def ends(site: Site) -> None:
        site.until = float(int(time.time()) + 3)
        until = datetime.fromtimestamp(site.until).isoformat()
        site.cli("acl", "grant", FOLDER, "group:inner", "lrs", "--until", until)

    def wait(site: Site) -> None:
        site.committed = site.until

    def nothing(_: Site) -> None: ...

    def revoke(who: str, folder: str = FOLDER) -> Callable[[Site], None]:
        return lambda site: site.cli("acl", "revoke", folder, who)

    def inherit(site: Site) -> None:
        site.cli("acl", "inherit", FOLDER)

    def by_parent(site: Site) -> None:
        inherit(site)
        grant("group:inner", folder="Shared Folders/Top")(site)

    return {
        "acl revoke": (grant("group:inner"), revoke("group:inner"), nothing),
        "acl deny": (
            grant("group:inner"),
            lambda site: site.cli("acl", "deny", FOLDER, "group:inner", "lrs"),
            revoke("group:inner"),
        ),
        "team leave, of a nested team": (nest, lambda site: site.cli("team", "leave", "outer", "group:inner"), nothing),
        "role set": (role, lambda site: site.cli("role", "set", "watcher", "l"), revoke("group:inner")),
        "acl revoke, on the parent": (
            by_parent,
            revoke("group:inner", "Shared Folders/Top"),
            nothing,
        ),
        "acl inherit": (grant("group:inner"), inherit, nothing),
        "the end of --until": (ends, wait, nothing),
        "user disable": (
            grant("group:inner"),
            lambda site: site.cli("user", "disable", users[0]),
            lambda site: site.cli("user", "enable", users[0]),
        ),
    }


def measure(site: Site, port: int, rounds: int) -> Iterator[tuple[str, list[float]]]:
    """For each road the milliseconds of every session in every round."""
    for road, (give, take, mend) in roads(site.users).items():
        found: list[float] = []
        for _ in range(rounds):
            give(site)
            sessions = [Session(port, user) for user in site.users]
            for one in sessions:
                one.idle()
            stop = threading.Event()
            watching = threading.Thread(target=cut_off, args=(sessions, stop))
            watching.start()
            take(site)
            concerned = sessions[:1] if road == "user disable" else sessions
            deadline = time.time() + 20
            while any(one.cut_at is None for one in concerned) and time.time() < deadline:
                time.sleep(0.01)
            stop.set()
            watching.join()
            found += [(one.cut_at - site.committed) * 1000 for one in concerned if one.cut_at is not None]
            assert all(one.cut_at is not None for one in concerned), f"{road}: somebody was not cut off"
            for one in sessions:
                one.socket.close()
            mend(site)
        yield road, found


@contextlib.contextmanager
def server(url: str, directory: Path, users: int) -> Iterator[int]:
    """The port of a server on that database."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = directory / "site.toml"
    config.write_text(
        f'[database]\nurl = "{url}"\nblob_dir = "{directory}/blobs"\n'
        f'[imap]\nlisten = ["127.0.0.1:{port}"]\nlisten_tls = []\nmax_connections = {users + 100}\n'
    )
    program = Path(sys.executable).parent / "acl-imapd"
    with subprocess.Popen([program, "serve", "--config", config], stderr=subprocess.DEVNULL) as process:
        try:
            for _ in range(200):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
                time.sleep(0.05)
            yield port
        finally:
            process.terminate()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--postgresql", help="a server on which a database may be made and dropped")
    options = parser.parse_args()
    users = [f"user{number}" for number in range(options.sessions)]
    with tempfile.TemporaryDirectory() as where:
        url, name = f"sqlite:///{where}/site.db", f"acl_imapd_bench_{uuid.uuid4().hex[:8]}"
        engine = None
        if options.postgresql:
            engine = create_engine(
                options.postgresql.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT"
            )
            with engine.connect() as conn:
                conn.execute(text(f"CREATE DATABASE {name}"))
            url = options.postgresql.rpartition("/")[0] + "/" + name
        try:
            site = Site(url, users, Path(where))
            print("| road | median ms | max ms |\n|---|---|---|")
            with server(url, Path(where), options.sessions) as port:
                for road, found in measure(site, port, options.rounds):
                    print(f"| {road} | {statistics.median(found):.0f} | {max(found):.0f} |", flush=True)
        finally:
            if engine is not None:
                with engine.connect() as conn:
                    conn.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


if __name__ == "__main__":
    main()
