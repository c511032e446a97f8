"""What a large site costs, against a small one, in one process and on both kinds of database.

    python -m bench.growth --folders 100000 --teams 2000 --users 10000

The server's own sessions answer LIST, over a connection that is memory; times are the median of some runs.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from acl_imapd.access.explain import explain, what_can, who_can
from acl_imapd.access.namespaces import Namespaces
from acl_imapd.access.rights import Rights
from acl_imapd.storage import accounts, mailboxes
from acl_imapd.storage.database import Connection, Database
from bench.grow import BIG, SEES, SUBJECT, grow
from tests.conftest import TimeOfDay, World, database_url, give, run_on_postgresql

SMALL = {"folders": 1_000, "teams": 20, "users": 100}
NAMESPACES = Namespaces()


@contextmanager
def site(kind: str, **size: int) -> Iterator[Database]:
    """A grown site in a database of its own, which then goes."""
    with tempfile.TemporaryDirectory() as directory:
        name = f"acl_imapd_growth_{uuid.uuid4().hex[:12]}"
        if kind == "postgresql":
            run_on_postgresql(f"CREATE DATABASE {name}")
        url = database_url(name) if kind == "postgresql" else f"sqlite:///{directory}/site.db"
        database = Database.open(url, blob_dir=Path(directory) / "blobs", now=TimeOfDay())
        try:
            grow(database, **size)
            yield database
        finally:
            database.close()
            if kind == "postgresql":
                run_on_postgresql(f"DROP DATABASE {name} WITH (FORCE)")


Nothing = Callable[[], Any]


def medians_ms(pairs: Sequence[tuple[Nothing, Nothing]], runs: int = 41) -> list[float]:
    """The median time of each (before, run), in milliseconds; *before* and the first run do not count.

    They take turns, so that what else the machine does meanwhile slows all of them.
    """
    took: list[list[float]] = [[] for _ in pairs]
    for number in range(runs + 1):
        for (before, run), times in zip(pairs, took, strict=True):
            before()
            begun = time.perf_counter()
            run()
            if number:
                times.append((time.perf_counter() - begun) * 1000)
    return [statistics.median(times) for times in took]


def median_ms(run: Nothing, runs: int = 21) -> float:
    """The median time of *run*."""
    return medians_ms([(lambda: None, run)], runs)[0]


class Toggle:
    """Another process that gives somebody a right, and takes it away, and gives it again."""

    def __init__(self, database: Database, path: str, who: str) -> None:
        self._database, self._path, self._who = database, path, who
        self._on = False

    def __call__(self) -> None:
        self._on = not self._on
        self._database.write_now(self._give)

    def _give(self, conn: Connection) -> None:
        found = mailboxes.read_mailbox(conn, None, self._path)
        assert found is not None
        give(conn, found.id, self._who, "lrs" if self._on else "")


def lists(databases: Sequence[Database]) -> dict[str, list[float]]:
    """What LIST "" "*" costs the user who sees 20 folders, on each."""
    worlds = [World(database) for database in databases]
    clients = [world.client(SUBJECT) for world in worlds]
    for client in clients:
        answer = client.ok('LIST "" "*"')
        assert len(answer.untagged) == SEES, answer
    runs = [partial(client.ok, 'LIST "" "*"') for client in clients]
    before: dict[str, Callable[[Database], Nothing]] = {
        "LIST, nothing changed": lambda database: lambda: None,
        "LIST after a grant on one of the 20": lambda database: Toggle(database, "For0", SOMEBODY),
        "LIST after a grant elsewhere": lambda database: Toggle(database, "Tree1", SOMEBODY),
        "LIST after a change of another user": lambda database: partial(
            database.write_now, accounts.set_password_hash, _ACTOR, SOMEBODY, "x"
        ),
    }
    found = {
        name: medians_ms([(make(database), run) for database, run in zip(databases, runs, strict=True)])
        for name, make in before.items()
    }
    for world in worlds:
        world.close()
    return found


SOMEBODY = f"user5@{5 % 7}.example"
_ACTOR = accounts.Actor("bench", "cli")


def reports(database: Database) -> dict[str, float]:
    """The other measurements, in milliseconds."""

    def asked(fn: Callable[[Connection], Any]) -> float:
        return median_ms(lambda: database.read_now(fn))

    def explained(conn: Connection) -> None:
        user, folder = accounts.read_user(conn, SUBJECT), mailboxes.read_mailbox(conn, None, "For1/Sub4")
        assert user is not None
        assert folder is not None
        assert explain(conn, NAMESPACES, user, folder, allow_anyone=False).rights == "lrswipte"

    def what(conn: Connection) -> None:
        user = accounts.read_user(conn, SUBJECT)
        assert user is not None
        assert len(what_can(conn, NAMESPACES, user.id, allow_anyone=False)) == SEES

    def who(path: str, wanted: Rights) -> Callable[[Connection], None]:
        def run(conn: Connection) -> None:
            folder = mailboxes.read_mailbox(conn, None, path)
            assert folder is not None
            assert who_can(conn, folder, wanted, allow_anyone=False)

        return run

    return {
        f"grant on the root of {BIG}": median_ms(Toggle(database, BIG, f"user6@{6 % 7}.example")),
        "explain": asked(explained),
        "what-can": asked(what),
        "who-can, a team's folder": asked(who("Tree1", Rights.r)),
        "who-can, everybody": asked(who("Announcements", Rights.r)),
    }


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folders", type=int, default=100_000)
    parser.add_argument("--teams", type=int, default=2_000)
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--only", choices=["sqlite", "postgresql"])
    args = parser.parse_args()
    large = {"folders": args.folders, "teams": args.teams, "users": args.users}
    for kind in [args.only] if args.only else ["sqlite", "postgresql"]:
        with site(kind, **SMALL) as few, site(kind, **large) as many:
            print(f"\n{kind}, {args.teams:,} teams and {args.users:,} users")
            print(f"{'folders':40}{SMALL['folders']:>10,} {args.folders:>10,}   ratio")
            for name, (small, grown) in lists([few, many]).items():
                print(f"{name:40}{small:10.2f} {grown:10.2f} ms {grown / small:5.2f}")
            for name, took in reports(many).items():
                print(f"{name:40}{'':10} {took:10.2f} ms")


if __name__ == "__main__":
    main()
