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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event

from acl_imapd.access.explain import explain, what_can, who_can
from acl_imapd.access.namespaces import Namespaces
from acl_imapd.access.rights import Rights
from acl_imapd.storage import accounts, mailboxes
from acl_imapd.storage.database import Connection, Database
from bench.grow import BIG, SEES, SUBJECT, grow
from tests.conftest import World, _postgresql, _url, give

SMALL = {"folders": 1_000, "teams": 20, "users": 100}
NAMESPACES = Namespaces()


@contextmanager
def site(kind: str, **size: int) -> Iterator[Database]:
    """A grown site in a database of its own, which then goes."""
    with tempfile.TemporaryDirectory() as directory:
        name = f"acl_imapd_growth_{uuid.uuid4().hex[:12]}"
        if kind == "postgresql":
            _postgresql(f"CREATE DATABASE {name}")
        url = _url(name) if kind == "postgresql" else f"sqlite:///{directory}/site.db"
        database = Database.open(url, blob_dir=Path(directory) / "blobs")
        try:
            grow(database, **size)
            yield database
        finally:
            database.close()
            if kind == "postgresql":
                _postgresql(f"DROP DATABASE {name} WITH (FORCE)")


def median_ms(run: Callable[[], Any], *, before: Callable[[], Any] = lambda: None, runs: int = 31) -> float:
    """The median time of *run*, each time after *before*, in milliseconds; the first run does not count."""
    took = []
    for number in range(runs + 1):
        before()
        begun = time.perf_counter()
        run()
        if number:
            took.append((time.perf_counter() - begun) * 1000)
    return statistics.median(took)


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


def lists(database: Database) -> dict[str, float]:
    """What LIST "" "*" costs the user who sees 20 folders."""
    world = World(database)
    client = world.client(SUBJECT)
    answer = client.ok('LIST "" "*"')
    assert len(answer.untagged) == SEES, answer

    def run() -> None:
        client.ok('LIST "" "*"')

    somebody = f"user5@{5 % 7}.example"
    found = {
        "LIST, nothing changed": median_ms(run),
        "LIST after a grant on one of the 20": median_ms(run, before=Toggle(database, "For0", somebody)),
        "LIST after a grant elsewhere": median_ms(run, before=Toggle(database, "Tree1", somebody)),
    }

    def rename() -> None:
        database.write_now(accounts.set_password_hash, _ACTOR, somebody, "x")

    found["LIST after another user changed"] = median_ms(run, before=rename)
    world.close()
    return found


_ACTOR = accounts.Actor("bench", "cli")


def reports(database: Database) -> dict[str, float]:
    """The other measurements, in milliseconds."""

    def asked(fn: Callable[[Connection], Any]) -> float:
        return median_ms(lambda: database.read_now(fn), runs=11)

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


def written(database: Database) -> dict[str, int]:
    """How many rows of which table a grant on the root of the large tree inserts, changes or removes."""
    counts: dict[str, int] = {}

    def count(_conn: Any, cursor: Any, statement: str, *_rest: Any) -> None:
        verb, _, rest = statement.partition(" ")
        if verb in ("INSERT", "UPDATE", "DELETE"):
            table = rest.split()[1] if verb != "UPDATE" else rest.split()[0]
            counts[table.strip('"')] = counts.get(table, 0) + max(cursor.rowcount, 1)

    event.listen(database.engine, "after_cursor_execute", count)
    Toggle(database, BIG, f"user8@{8 % 7}.example")()
    event.remove(database.engine, "after_cursor_execute", count)
    return counts


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
        with site(kind, **SMALL) as database:
            small_lists = lists(database)
        with site(kind, **large) as database:
            print(f"\n{kind}: {large}")
            print(f"{'':40}{SMALL['folders']:>10,} {args.folders:>10,}   ratio")
            for name, took in lists(database).items():
                print(f"{name:40}{small_lists[name]:10.2f} {took:10.2f} ms {took / small_lists[name]:5.2f}")
            print(f"rows written by the grant: {written(database)}")
            for name, took in reports(database).items():
                print(f"{name:40}{'':10} {took:10.2f} ms")


if __name__ == "__main__":
    main()
