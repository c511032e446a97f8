"""A site of any size, written in bulk: what the measurements of growth are made on.

    python bench/grow.py --database sqlite:////tmp/grown.db --folders 100000 --teams 2000 --users 10000

One user, ``subject``, sees just 20 folders whatever the size, by each of the ways there are: its own, a team, a team
in a team, its name, everybody.  ``Shared Folders/Big`` is a tree of a tenth of all folders under one ACL.  The rest are
trees of ten, each with an ACL that names a team and a user, and another on one folder below.  There are no messages,
and no audit rows of what is made.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, insert, select, text

from acl_imapd.access.rights import IdentifierKind
from acl_imapd.auth.passwords import hash_password
from acl_imapd.storage import migrate, schema
from acl_imapd.storage.database import Database
from acl_imapd.storage.epochs import bump

SUBJECT = "subject"
PASSWORD = "pass"
SEES = 20
BIG = "Big"
MEMBERS = 10
NOW = 1_790_000_000.0


class Site:
    """The rows, table by table, with ids of our own."""

    def __init__(self, *, folders: int, teams: int, users: int, seed: int = 1) -> None:
        self.rows: dict[str, list[dict[str, Any]]] = {}
        self._ids: dict[str, int] = {}
        self._dice = random.Random(seed)
        self._teams = teams
        self._users = users
        self._folders = folders
        self._fill()

    def _add(self, table: str, **values: Any) -> int:
        ident = self._ids[table] = self._ids.get(table, 0) + 1
        self.rows.setdefault(table, []).append({"id": ident, **values})
        return ident

    def _fill(self) -> None:
        hashed = hash_password(PASSWORD)
        names = [SUBJECT, *(f"user{number}@{number % 7}.example" for number in range(2, self._users + 1))]
        for name in names:
            domain = name.partition("@")[2] or None
            self._add(
                "user_account", name=name, password_hash=hashed if name == SUBJECT else None, disabled=False,
                created_at=NOW, domain=domain,
            )  # fmt: skip
        self._fill_teams()
        for home in range(1, self._users + 1):
            acl_id = self._acl((IdentifierKind.USER, home, "lrswipkxtea"))
            self._folder("INBOX", acl_id, home=home)
        self._fill_subject()
        self._fill_big()
        self._fill_rest()

    def _fill_teams(self) -> None:
        for number in range(1, self._teams + 1):
            self._add("team", name=f"team{number}", created_at=NOW)
        self._member(1, user=1, manager=False)
        self._member(2, team=1)
        for number in range(3, self._teams + 1):
            users = self._dice.sample(range(2, self._users + 1), min(MEMBERS, self._users - 1))
            for place, user in enumerate(users):
                until = NOW + 90 * 86_400 * self._dice.random() * 10 if place == 1 else None
                self._member(number, user=user, manager=place == 0, until=until)
            if number % 10 == 0:
                self._member(number, team=number - 1)

    def _member(
        self, of: int, *, user: int | None = None, team: int | None = None, manager: bool = False,
        until: float | None = None,
    ) -> None:  # fmt: skip
        self._add(
            "team_member", team_id=of, user_id=user, member_team_id=team, manager=manager, since=None, until=until,
            reason=None, added_by="grow", added_at=NOW,
        )  # fmt: skip

    def _fill_subject(self) -> None:
        announcements = self._acl((IdentifierKind.AUTHENTICATED, 0, "lr"))
        self._folder("Announcements", announcements)
        ways = [(IdentifierKind.TEAM, 1), (IdentifierKind.TEAM, 2), (IdentifierKind.USER, 1)]
        for number in range(SEES - 2):
            kind, ident = ways[number % 3]
            if number < 3:
                root_acl = self._acl((kind, ident, "lrswipte"), (IdentifierKind.USER, 2, "lrswipkxtea"))
                self._roots = [*getattr(self, "_roots", []), (self._folder(f"For{number}", root_acl), root_acl)]
            else:
                parent, acl_id = self._roots[number % 3]
                self._folder(f"For{number % 3}/Sub{number}", acl_id, parent=parent)

    def _fill_big(self) -> None:
        acl_id = self._acl((IdentifierKind.TEAM, 3, "lrswipkxte"))
        root = self._folder(BIG, acl_id, team=3)
        left = self._folders // 10 - 1
        for outer in range(left):
            if left <= 0:
                return
            middle = self._folder(f"{BIG}/{outer}", acl_id, parent=root, team=3)
            left -= 1
            for inner in range(min(99, left)):
                self._folder(f"{BIG}/{outer}/{inner}", acl_id, parent=middle, team=3)
                left -= 1

    def _fill_rest(self) -> None:
        dice = self._dice
        number = 0
        while self._ids["mailbox"] < self._folders:
            number += 1
            team, user = dice.randint(3, self._teams), dice.randint(2, self._users)
            acl_id = self._acl((IdentifierKind.TEAM, team, "lrswipte"), (IdentifierKind.USER, user, "lrs"))
            root = self._folder(f"Tree{number}", acl_id, team=team if number % 2 else None)
            for below in range(9):
                if self._ids["mailbox"] >= self._folders:
                    return
                own = below == 5
                of = self._acl((IdentifierKind.TEAM, dice.randint(3, self._teams), "lrs")) if own else acl_id
                self._folder(f"Tree{number}/{below}", of, parent=root, own=own, team=team if number % 2 else None)
                if below % 3 == 0:
                    day = int(NOW // 86_400) - dice.randrange(300)
                    used = {"mailbox_id": self._ids["mailbox"], "user_id": user, "day": day}
                    self.rows.setdefault("last_access", []).append(used)

    def _acl(self, *entries: tuple[IdentifierKind, int, str]) -> int:
        acl_id = self._add("acl", epoch=0)
        for kind, ident, letters in entries:
            self._add(
                "acl_entry", acl_id=acl_id, kind=int(kind), user_id=ident if kind == IdentifierKind.USER else None,
                team_id=ident if kind == IdentifierKind.TEAM else None, negative=False, rights=letters, role_id=None,
                domain=None, since=None, until=None, subscribe=True, granted_by="grow", granted_at=NOW, reason=None,
            )  # fmt: skip
        return acl_id

    def _folder(
        self, path: str, acl_id: int, *, home: int | None = None, parent: int | None = None, own: bool = False,
        team: int | None = None,
    ) -> int:  # fmt: skip
        number = self._ids.get("mailbox", 0) + 1
        return self._add(
            "mailbox", objectid=f"F{number:024x}", home_id=home, owner_user_id=None, owner_team_id=team,
            parent_id=parent, path=path, acl_id=acl_id, acl_own=own or parent is None, seen_shared=False,
            seen_own=parent is None, uidvalidity=number, uidnext=1, highest_modseq=1, recent_uid=0, messages=0,
            unseen=0, deleted=0, deleted_bytes=0, size_bytes=0, special_use=None,
        )  # fmt: skip

    def batches(self) -> Iterator[tuple[Any, list[dict[str, Any]]]]:
        """What to insert, in the order that the foreign keys want."""
        for table in schema.metadata.sorted_tables:
            rows = self.rows.get(table.name, [])
            for start in range(0, len(rows), 5_000):
                yield table, rows[start : start + 5_000]


def write(conn: Connection, site: Site) -> None:
    """Insert everything into an empty database that has the schema."""
    for table, rows in site.batches():
        conn.execute(insert(table), rows)
    conn.execute(schema.site.update().values(last_uidvalidity=len(site.rows["mailbox"])))
    bump(conn, acl=True, tree=True, identity=True)
    if conn.dialect.name == "postgresql":
        for table in ("user_account", "team", "team_member", "acl", "acl_entry", "mailbox"):
            conn.execute(text(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT MAX(id) FROM {table}))"))


def grow(database: Database, *, folders: int, teams: int, users: int) -> None:
    """Give the database its schema and the rows; PostgreSQL then looks at them, as it would by itself soon."""
    migrate.upgrade(database)
    if database.read_now(lambda conn: conn.execute(select(func.count()).select_from(schema.user)).scalar()):
        raise SystemExit("There are users in the database; name an empty one.")
    database.write_now(write, Site(folders=folders, teams=teams, users=users))
    if database.kind == "postgresql":
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            conn.execute(text("ANALYZE"))


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", required=True, help="sqlite:///path or postgresql://…, with nothing in it")
    parser.add_argument("--folders", type=int, default=100_000)
    parser.add_argument("--teams", type=int, default=2_000)
    parser.add_argument("--users", type=int, default=10_000)
    args = parser.parse_args()
    begun = time.perf_counter()
    database = Database.open(args.database, blob_dir=Path("/nonexistent"))
    grow(database, folders=args.folders, teams=args.teams, users=args.users)
    database.close()
    print(f"{args.folders} folders, {args.teams} teams, {args.users} users in {time.perf_counter() - begun:.1f} s")


if __name__ == "__main__":
    main()
