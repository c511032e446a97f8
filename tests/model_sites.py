"""The small sites that tests/test_model.py begins with: in databases, and the same in the model."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from acl_imapd.storage import accounts, mailboxes, migrate
from acl_imapd.storage.database import Connection, Database
from tests.conftest import ACTOR, PASSWORD_HASH, TimeOfDay, create_database, database_url, drop_database, give
from tests.model import Entry, Member, Site, letters

SHARED = ("Team", "Team/a", "Team/a/b", "Team/c", "Ops", "Ops/a", "ops", "Ops/a/Team")
PERSONAL = ("INBOX", "INBOX/q", "Work", "Work/a", "Work/a/b")
USERS = ("ann", "bob", "cat@x.example", "dan@x.example", "eve@y.example")
TEAMS = ("crew", "leads", "all")
ROLES = ("reader", "editor", "auditor")
AT_FIRST = 3  # of USERS
SPECIAL = ("INBOX", "Drafts", "Sent", "Junk", "Trash")


def begin(conn: Connection) -> None:
    """ann, bob and cat with an INBOX each; bob in crew, crew in leads, which ann manages; a tree of leads'."""
    for name in USERS[:AT_FIRST]:
        accounts.insert_user(conn, ACTOR, name, PASSWORD_HASH, special_folders={})
    for name in TEAMS[:2]:
        accounts.insert_team(conn, ACTOR, name)
    accounts.join_team(conn, ACTOR, "crew", "bob")
    accounts.join_team(conn, ACTOR, "leads", "group:crew")
    accounts.join_team(conn, ACTOR, "leads", "ann", manager=True)
    leads = accounts.read_team(conn, "leads")
    assert leads is not None
    for path in ("Team", "Team/a", "Team/a/b"):
        made = mailboxes.create_mailbox(conn, ACTOR, None, path, owner_team=leads.id)
        if path != "Team/a/b":
            give(conn, made.id, "group:leads", "lrswite")


def modelled(now: float) -> Site:
    """The same in the model."""
    site = Site(now)
    ann, bob, _ = (site.add_user(name, ("INBOX",)) for name in USERS[:AT_FIRST])
    crew, leads = (site.add_team(name) for name in TEAMS[:2])
    site.join(crew, Member(("user", bob), False))
    site.join(leads, Member(("team", crew), False))
    site.join(leads, Member(("user", ann), True))
    for path in ("Team", "Team/a", "Team/a/b"):
        folder = site.folders[site.add_folder(None, path, ("team", leads))]
        if path != "Team/a/b":
            site.grant(folder, Entry(("team", leads), False, letters("lrswite")))
    return site


@pytest.fixture(params=["sqlite", "postgresql"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Database]]:
    """Makes small sites, each in a database of its own."""
    made: list[str] = []
    request.getfixturevalue(f"{request.param}_template")  # skips where there is no PostgreSQL

    def fill_template(url: str) -> None:
        database = Database.open(url, blob_dir=tmp_path / "blobs")
        migrate.upgrade(database)
        database.write_now(begin)
        database.close()

    if request.param == "sqlite":
        template = tmp_path / "template.db"
        fill_template(f"sqlite:///{template}")

        def fresh() -> Database:
            path = tmp_path / f"{uuid.uuid4().hex}.db"
            shutil.copy(template, path)
            return Database.open(f"sqlite:///{path}", now=TimeOfDay())

    else:
        made.append(f"acl_imapd_test_{uuid.uuid4().hex[:12]}")
        create_database(made[0])
        fill_template(database_url(made[0]))

        def fresh() -> Database:
            made.append(f"acl_imapd_test_{uuid.uuid4().hex[:12]}")
            create_database(made[-1], made[0])
            return Database.open(database_url(made[-1]), blob_dir=tmp_path / "blobs", now=TimeOfDay())

    yield fresh
    for name in made:
        drop_database(name)
