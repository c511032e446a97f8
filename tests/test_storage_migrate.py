"""The way to the schema the program needs."""

from __future__ import annotations

import subprocess
import sys

import pytest
from sqlalchemy import inspect
from sqlalchemy.exc import OperationalError

from acl_imapd.storage import migrate, rights
from acl_imapd.storage.database import Database
from acl_imapd.storage.schema import metadata

UPGRADE = """
import sys
from acl_imapd.storage import migrate
from acl_imapd.storage.database import Database
database = Database.open(sys.argv[1])
migrate.upgrade(database)
database.close()
"""


def test_an_upgraded_database_has_every_table_and_column(database):
    assert migrate.current(database) == migrate.head()

    found = inspect(database.engine)
    for table in metadata.sorted_tables:
        assert {column["name"] for column in found.get_columns(table.name)} == set(table.c.keys()), table.name


def test_upgrading_again_changes_nothing(database):
    before = database.read_now(rights.read_epochs)

    migrate.upgrade(database)

    assert migrate.current(database) == migrate.head()
    assert database.read_now(rights.read_epochs) == before


def test_an_empty_database_has_no_schema_and_its_directory_is_made(tmp_path):
    database = Database.open(f"sqlite:///{tmp_path}/new/site.db")

    migrate.upgrade(database)

    assert migrate.current(database) == migrate.head()
    assert database.read_now(rights.list_roles) == list(rights.BUILTIN_ROLES)
    database.close()


def test_an_upgrade_that_fails_leaves_the_database_as_it_was(tmp_path):
    """Or half a schema stays, and no later upgrade gets past it."""
    database = Database.open(f"sqlite:///{tmp_path}/site.db")
    with database.engine.begin() as conn:
        conn.exec_driver_sql("CREATE TABLE role (something_else)")

    with pytest.raises(OperationalError):
        migrate.upgrade(database)

    assert inspect(database.engine).get_table_names() == ["role"]
    assert migrate.current(database) is None
    database.close()


def test_programs_that_upgrade_at_once_all_find_it_done(tmp_path):
    """The service and the administrator, both started on a new machine."""
    url = f"sqlite:///{tmp_path}/site.db"
    running = [subprocess.Popen([sys.executable, "-c", UPGRADE, url], stderr=subprocess.PIPE) for _ in range(3)]

    errors = [process.communicate(timeout=60)[1].decode() for process in running]

    assert errors == [""] * 3
    database = Database.open(url)
    assert migrate.current(database) == migrate.head()
    database.close()
