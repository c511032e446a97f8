"""acl-imapd-admin db …"""

from __future__ import annotations

from typing import Any

import click

from acl_imapd.errors import Refused
from acl_imapd.storage import audit, migrate
from acl_imapd.storage import check as checks
from acl_imapd.storage.bodies import sweep_bodies

from .output import Site, pass_site, with_json


@click.group()
def db() -> None:
    """The database itself."""


@db.command()
@with_json
@pass_site
def upgrade(site: Site) -> None:
    """Make the database, or bring it to the schema this program needs.

    Example: acl-imapd-admin db upgrade
    """
    migrate.upgrade(site.open())
    site.done(f"The database has schema {migrate.head()}.", current=migrate.head())


@db.command()
@with_json
@pass_site
def current(site: Site) -> None:
    """Show the schema the database has, and the one the program needs.

    Example: acl-imapd-admin db current
    """
    site.one({"current": migrate.current(site.open()), "needed": migrate.head()})


@db.command("check")
@click.option("--repair", is_flag=True, help="Put right what can be put right.")
@with_json
@pass_site
def check_(site: Site, repair: bool) -> None:
    """Look whether the database holds together, the audit log's chain and the files of large messages included.

    Example: acl-imapd-admin db check
    """
    database = site.database
    run = site.write if repair else site.read
    problems = run(checks.check, database.blobs, repair=repair)
    site.read(audit.verify_chain)
    swept = site.write(sweep_bodies, database.blobs) if repair else 0
    rows: list[dict[str, Any]] = [{"problem": one.text, "repairable": one.repairable} for one in problems]
    site.rows(["problem", "repairable"], rows, empty="The database is sound.")
    if repair and not site.as_json:
        click.echo(f"Counters put right, stray files removed; {swept} bodies without a message removed.")
    if problems and not (repair and all(one.repairable for one in problems)):
        raise Refused(
            "The database has faults."
            if repair
            else "The database has faults; --repair mends counters and removes stray files."
        )
