"""What the commands have in common: the site they work on, tables, JSON, one line for what goes wrong."""

from __future__ import annotations

import difflib
import getpass
import json
import os
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from acl_imapd.access.namespaces import Namespaces
from acl_imapd.config import DEFAULT_PATH, Settings, load_settings
from acl_imapd.errors import Cannot, Refused
from acl_imapd.storage import accounts, mailboxes, migrate, rights
from acl_imapd.storage.accounts import Actor
from acl_imapd.storage.database import Connection, Database
from acl_imapd.storage.mailboxes import Mailbox

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


class Site:
    """The settings and the database of one call."""

    def __init__(self, config: Path | None, url: str | None, now: Callable[[], float], *, as_json: bool) -> None:
        self._config = config
        self.now = now
        self._url = url
        self.as_json = as_json
        self._database: Database | None = None
        self._settings: Settings | None = None

    @property
    def settings(self) -> Settings:
        if self._settings is None:
            config = self._config
            if config is None and self._url is None and DEFAULT_PATH.exists():
                config = DEFAULT_PATH
            environ = dict(os.environ)
            if self._url is not None:
                environ["ACL_IMAPD_DATABASE_URL"] = self._url
            self._settings = load_settings(config, environ)
        return self._settings

    @property
    def namespaces(self) -> Namespaces:
        return Namespaces(self.settings.namespaces.other_users, self.settings.namespaces.shared)

    @property
    def allow_anyone(self) -> bool:
        return self.settings.acl.allow_anyone

    @property
    def actor(self) -> Actor:
        """Whoever runs the command."""
        return Actor(os.environ.get("SUDO_USER") or getpass.getuser(), "cli", socket.gethostname())

    def open(self) -> Database:
        """The database, whatever schema it has."""
        if self._database is None:
            blob_dir = self.settings.database.blob_dir
            self._database = Database.open(
                self.settings.database.url,
                blob_dir=Path(blob_dir) if blob_dir else None,
                inline_limit_bytes=self.settings.database.inline_limit_bytes,
                now=self.now,
            )
        return self._database

    @property
    def database(self) -> Database:
        """The database, with the schema the program needs."""
        if self._database is None:
            database = self.open()
            url = str(database.engine.url)  # without the password
            if database.kind == "sqlite" and not Path(database.engine.url.database or "").exists():
                raise Refused(f"There is no database {url}; name another with --config or --database, or `db upgrade`.")
            if migrate.current(database) != migrate.head():
                raise Refused(f"The database {url} has another schema than the program needs; run `db upgrade`.")
        assert self._database is not None
        return self._database

    def read(self, fn: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        return self.database.read_now(fn, *args, **kwargs)

    def write(self, fn: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        return self.database.write_now(fn, *args, **kwargs)

    def close(self) -> None:
        if self._database is not None:
            self._database.close()

    # -- output -------------------------------------------------------------------------------------------------

    def rows(self, columns: Sequence[str], rows: Sequence[dict[str, Any]], *, empty: str = "There are none.") -> None:
        """A table, or with --json the list of objects."""
        if self.as_json:
            click.echo(json.dumps(list(rows), ensure_ascii=False, indent=2))
        elif not rows:
            click.echo(empty)
        else:
            table = Table(*(column.replace("_", " ") for column in columns), box=SIMPLE_HEAD, pad_edge=False)
            for row in rows:
                table.add_row(*(_cell(row[column]) for column in columns))
            Console(width=None if sys.stdout.isatty() else 160, highlight=False, markup=False).print(table)

    def one(self, values: dict[str, Any]) -> None:
        """One thing's properties, or with --json the object."""
        if self.as_json:
            click.echo(json.dumps(values, ensure_ascii=False, indent=2))
        else:
            width = max(map(len, values), default=0)
            for key, value in values.items():
                click.echo(f"{key.replace('_', ' '):{width}}  {_cell(value)}")

    def done(self, text: str, **values: Any) -> None:
        """What was done, or with --json the object that came of it."""
        click.echo(json.dumps(values, ensure_ascii=False) if self.as_json else text)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "-"
    return str(value)


pass_site = click.make_pass_decorator(Site)


def with_json(function: F) -> F:
    """``--json`` after the verb too."""

    def turn_on(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
        if value:
            context.ensure_object(Site).as_json = True

    option = click.option(
        "--json", is_flag=True, expose_value=False, callback=turn_on, help="Print JSON.", is_eager=False
    )
    return option(function)


def confirm(question: str, *, yes: bool) -> None:
    """Go on only if somebody says so."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise Refused(f"{question} Say --yes to do it.")
    if not click.confirm(question):
        raise Refused("Nothing was changed.")


# -- looking things up ----------------------------------------------------------------------------------------------


def near(name: str, known: Sequence[str], *, cutoff: float = 0.6) -> str:
    """``; did you mean …?`` where something is near."""
    found = difflib.get_close_matches(name, known, 1, cutoff)
    return f" Did you mean {found[0]!r}?" if found else ""


def must_user(conn: Connection, name: str) -> accounts.User:
    """The user of that name."""
    found = accounts.read_user(conn, name)
    if found is None:
        raise Refused(f"There is no user {name!r}.{near(name, [one.name for one in accounts.list_users(conn)])}")
    return found


def spelling(namespaces: Namespaces, name: str) -> str:
    """How to write *name*, which stands for no place."""
    if name.startswith(namespaces.other_users):
        home = name[len(namespaces.other_users) :].partition("/")[0] or "USER"
        return f'"{namespaces.other_users}{home}" is the INBOX of {home}; the other folders are below it.'
    if not name or name == namespaces.shared or name in namespaces.roots():
        return f'Write "{namespaces.shared}NAME" or "{namespaces.other_users}USER/NAME".'
    return f'Write "{namespaces.shared}{name}" or "{namespaces.other_users}USER/{name}".'


def must_team(conn: Connection, name: str) -> accounts.Team:
    """The team of that name."""
    found = accounts.read_team(conn, name)
    if found is None:
        raise Refused(f"There is no team {name!r}.{near(name, [one.name for one in accounts.list_teams(conn)])}")
    return found


def team_part(who: str) -> str | None:
    """The team's name in ``group:x`` or ``$x``; None where a user is meant."""
    for prefix in ("group:", "$"):
        if who.startswith(prefix):
            return who[len(prefix) :]
    return None


def must_identifier(conn: Connection, who: str, *, allow_anyone: bool) -> rights.Identifier:
    """Whom an entry names; where there is nobody of that name, whoever is nearest."""
    if who.startswith("-"):
        raise Refused(f"Write {who[1:]!r}; to take rights away from it there is `acl deny`.")
    try:
        return rights.resolve_identifier(conn, who, allow_anyone=allow_anyone)
    except Cannot as error:
        if who == "anyone":
            raise
        teams = [f"group:{one.name}" for one in accounts.list_teams(conn)]
        users = [one.name for one in accounts.list_users(conn)]
        asked = team_part(who)
        if asked is not None:
            hint = near(f"group:{asked}", teams, cutoff=0.75)
        elif f"group:{who}" in teams:
            hint = f" Did you mean 'group:{who}'?"
        else:
            hint = near(who, [*users, "owner", "authenticated"])
        raise Refused(f"{error.text}.{hint}") from error


def must_folder(conn: Connection, namespaces: Namespaces, name: str) -> Mailbox:
    """The folder an administrator calls *name*: ``Shared Folders/Project X``, ``Other Users/alice/Work``."""
    place = namespaces.place(name, None)
    if place is None:
        raise Refused(f"There is no folder {name!r}. {spelling(namespaces, name)}")
    home_id = None
    if place.home is not None:
        home_id = must_user(conn, place.home).id
    found = mailboxes.read_mailbox(conn, home_id, place.path)
    if found is None:
        paths = mailboxes.read_paths_near(conn, home_id, place.path)
        names = [namespaces.name(place.home, path, None) for path in paths]
        raise Refused(f"There is no folder {name!r}.{near(name, names)}")
    return found
