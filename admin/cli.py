"""acl-imapd-admin: people, teams, folders and rights."""

from __future__ import annotations

import json
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import click
from sqlalchemy.exc import ArgumentError, DBAPIError

from acl_imapd import __version__
from acl_imapd.config import DEFAULT_PATH, ConfigError
from acl_imapd.errors import ImapError, Refused
from acl_imapd.storage import audit, migrate
from acl_imapd.storage import check as checks
from acl_imapd.storage import rights as stored
from acl_imapd.storage.bodies import sweep_bodies
from acl_imapd.storage.database import Connection, unreachable

from .acl import acl, is_letters, parse_letters
from .folder import folder
from .output import Site, confirm, near, pass_site, with_json
from .team import team
from .user import user


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config", type=click.Path(path_type=Path), envvar="ACL_IMAPD_CONFIG", help=f"Settings; by default {DEFAULT_PATH}."
)
@click.option("--database", help="Another database: sqlite:///path or postgresql://…")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.version_option(__version__, prog_name="acl-imapd-admin")
@click.pass_context
def cli(context: click.Context, config: Path | None, database: str | None, as_json: bool) -> None:
    """Manage people, teams, folders and rights.  Works with the server running or stopped; changes hold at once."""
    context.obj = Site(config, database, as_json=as_json)
    context.call_on_close(context.obj.close)


@cli.group()
def role() -> None:
    """Roles: rights with a name."""


@role.command("list")
@with_json
@pass_site
def role_list(site: Site) -> None:
    """List the roles.

    Example: acl-imapd-admin role list
    """
    rows = [{"name": one.name, "rights": one.rights} for one in site.read(stored.list_roles)]
    site.rows(["name", "rights"], rows)


@role.command("set")
@click.argument("name")
@click.argument("rights")
@with_json
@pass_site
def role_set(site: Site, name: str, rights: str) -> None:
    """Make a role, or change what it stands for in grants to come.

    Example: acl-imapd-admin role set auditor lr
    """
    if is_letters(name):
        raise Refused(f"{name!r} is letters of rights; give the role a name that cannot be taken for them.")
    made = site.write(lambda conn: stored.set_role(conn, site.actor, name, parse_letters(conn, rights)))
    site.done(f"Role {name} is {made.rights}.", name=name, rights=made.rights)


@role.command("remove")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_json
@pass_site
def role_remove(site: Site, name: str, yes: bool) -> None:
    """Forget a role; rights granted by it stay.

    Example: acl-imapd-admin role remove auditor --yes
    """
    site.read(_must_role, name)
    confirm(f"Remove role {name}?", yes=yes)
    site.write(stored.remove_role, site.actor, name)
    site.done(f"Role {name} removed.", name=name)


def _must_role(conn: Connection, name: str) -> None:
    names = [one.name for one in stored.list_roles(conn)]
    if name not in names:
        raise Refused(f"There is no role {name!r}; there are {', '.join(names)}.{near(name, names)}")


@cli.group()
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


@cli.group("audit")
def audit_() -> None:
    """The log of every change of access."""


@audit_.command("list")
@click.option(
    "--limit", type=click.IntRange(1, 10**9), default=50, show_default=True, help="How many, the newest first."
)
@with_json
@pass_site
def audit_list(site: Site, limit: int) -> None:
    """List the newest changes.

    Example: acl-imapd-admin audit list --limit 3
    """
    rows = [audit.as_json(one) for one in site.read(audit.list_audit, limit=limit)]
    if not site.as_json:
        for row in rows:
            row["at"] = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(row["at"]))
            row.update({key: None if row[key] is None else _short(row[key]) for key in ("before", "after")})
    site.rows(["id", "at", "actor", "channel", "action", "object", "before", "after"], rows)


def _short(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@audit_.command("verify")
@with_json
@pass_site
def audit_verify(site: Site) -> None:
    """Check that no row was changed or taken out.

    Example: acl-imapd-admin audit verify
    """
    count = site.read(audit.verify_chain)
    site.done(f"All {count} rows are as they were written.", rows=count)


for group in (user, team, folder, acl):
    cli.add_command(group)


def main(arguments: list[str] | None = None) -> None:
    """The entry point.  0 done, 1 refused with one line on stderr, 2 usage."""
    try:
        cli.main(arguments, prog_name="acl-imapd-admin", standalone_mode=False)
    except click.exceptions.Abort:
        _fail("Stopped before it was done.")
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (Refused, ConfigError) as error:
        _fail(str(error))
    except ImapError as error:
        _fail(error.text)
    except Exception as error:
        _fail(failure(error))


def failure(error: Exception) -> str:
    """One line for what no command foresaw.  What is our bug says where, so that it can be reported."""
    first = (str(error.__cause__ or error).splitlines() or [""])[0]
    if unreachable(error):
        return f"The database cannot be reached: {first}"
    if isinstance(error, ArgumentError):
        return "The database's URL is not understood; write sqlite:///path or postgresql://user@host/name."
    if isinstance(error, UnicodeError):
        return "What was given is not UTF-8; look at the locale and at what standard input holds."
    if isinstance(error, OSError):
        return f"{error.filename or 'The system'}: {error.strerror or first}"
    if isinstance(error, DBAPIError):
        return f"The database refuses: {first}"
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(last.filename).name}:{last.lineno}"
    return f"A fault of this program, please report it: {type(error).__name__} at {where}: {first}"


def _fail(text: str) -> None:
    click.echo(f"acl-imapd-admin: {text}", err=True)
    sys.exit(1)


if __name__ == "__main__":
    main()
