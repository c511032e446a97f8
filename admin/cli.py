"""acl-imapd-admin: people, teams, folders and rights."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import click
from sqlalchemy.exc import ArgumentError, DBAPIError

from acl_imapd import __version__
from acl_imapd.config import DEFAULT_PATH, ConfigError
from acl_imapd.errors import ImapError, Refused
from acl_imapd.storage.database import unreachable

from .acl import acl
from .audit import audit
from .db import db
from .folder import folder
from .output import Site
from .policy import policy
from .review import review_
from .role import role
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
    context.obj = Site(config, database, context.obj or time.time, as_json=as_json)
    context.call_on_close(context.obj.close)


acl.add_command(review_)
for group in (user, team, role, folder, acl, policy, audit, db):
    cli.add_command(group)


def main(arguments: list[str] | None = None, now: Callable[[], float] = time.time) -> None:
    """The entry point.  0 done, 1 refused with one line on stderr, 2 usage.  *now*: the time of day."""
    try:
        cli.main(arguments, prog_name="acl-imapd-admin", standalone_mode=False, obj=now)
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
