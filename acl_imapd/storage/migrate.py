"""The schema of a database: which it has, which the program needs, and the way from one to the other."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from acl_imapd.storage.database import Database
from alembic import command


def _config() -> Config:
    """Alembic's settings; the scripts are those installed beside the program, or those of the checkout."""
    try:
        spec = find_spec("acl_imapd_migrations.env")
    except ModuleNotFoundError:
        spec = None
    if spec is not None and spec.origin is not None:
        directory = Path(spec.origin).parent
    else:
        directory = Path(__file__).resolve().parents[2] / "alembic"
    config = Config()
    config.set_main_option("script_location", str(directory).replace("%", "%%"))
    return config


def upgrade(database: Database) -> None:
    """Bring the schema to what the program needs; nothing where it has that."""
    if database.kind == "sqlite":
        Path(database.engine.url.database or "").parent.mkdir(parents=True, exist_ok=True)
    config = _config()
    with database.engine.begin() as connection:
        # One transaction for all of it, and one program at a time: a second one finds it done.
        if database.kind == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.execute(_LOCK)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


_LOCK = text("SELECT pg_advisory_xact_lock(7236836)")


def current(database: Database) -> str | None:
    """The revision the database has; None where it has none of our tables."""
    with database.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def head() -> str:
    """The revision the program needs."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    assert revision is not None
    return revision
