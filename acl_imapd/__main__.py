"""The server's command line."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click
import structlog

from acl_imapd import __version__
from acl_imapd.config import DEFAULT_PATH, ConfigError, Settings, load_settings


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="acl-imapd")
def cli() -> None:
    """An IMAP server for shared mail folders whose access rights can be trusted."""


_CONFIG = click.option(
    "--config", type=click.Path(path_type=Path), envvar="ACL_IMAPD_CONFIG", help=f"Settings; by default {DEFAULT_PATH}."
)


def _settings(config: Path | None) -> Settings:
    if config is None and DEFAULT_PATH.exists():
        config = DEFAULT_PATH
    return load_settings(config, os.environ)


def _set_up_log(form: str) -> None:
    renderer = structlog.processors.JSONRenderer() if form == "json" else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            renderer,
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


@cli.command()
@_CONFIG
def serve(config: Path | None) -> None:
    """Serve until SIGTERM; SIGHUP reads the certificate again.

    Example: acl-imapd serve --config /etc/acl-imapd/acl-imapd.toml
    """
    _serve(_settings(config))


def _serve(settings: Settings) -> None:
    from acl_imapd.net import service

    _set_up_log(settings.log.format)
    service.serve(settings)


@cli.command("check-config")
@_CONFIG
def check_config(config: Path | None) -> None:
    """Read the settings, and say what is wrong with them.

    Example: acl-imapd check-config --config etc/acl-imapd.toml
    """
    settings = _settings(config)
    click.echo(f"The settings are good; the database is {settings.database.url}")


@cli.command()
@click.option("--directory", type=click.Path(path_type=Path), default=Path("var"), help="Where; by default ./var.")
@click.option("--serve", "serve_it", is_flag=True, help="Serve it then.")
def quickstart(directory: Path, serve_it: bool) -> None:
    """Make a demo site: four users, two teams, shared folders with mail in them.  One that is there is kept.

    Example: acl-imapd quickstart --directory var --serve
    """
    from acl_imapd import quickstart as demo

    demo.ensure(directory)
    click.echo(demo.how_to_try(directory))
    if serve_it:
        _serve(load_settings(directory / "acl-imapd.toml", {}))


def main() -> None:
    """The entry point: one line for what goes wrong."""
    from acl_imapd.errors import Refused

    try:
        cli(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (ConfigError, Refused) as error:
        click.echo(f"acl-imapd: {error}", err=True)
        sys.exit(1)
    except Exception as error:
        from acl_imapd.net.service import StartError

        if not isinstance(error, StartError):
            raise
        click.echo(f"acl-imapd: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
