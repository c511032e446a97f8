"""Settings: a TOML file, then the environment.  What is unknown is an error that names what is nearest."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

DEFAULT_PATH = Path("/etc/acl-imapd/acl-imapd.toml")
PREFIX = "ACL_IMAPD_"


class ConfigError(Exception):
    """The settings cannot be used; the text says which and what to do."""


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the file."""


class DatabaseSettings(Section, frozen=True):
    url: str = "sqlite:////var/lib/acl-imapd/acl-imapd.db"
    blob_dir: str = ""
    inline_limit_bytes: int = 131_072


class ImapSettings(Section, frozen=True):
    listen: list[str] = msgspec.field(default_factory=lambda: ["0.0.0.0:143"])
    listen_tls: list[str] = msgspec.field(default_factory=lambda: ["0.0.0.0:993"])
    login_timeout_s: float = 60.0
    idle_timeout_s: float = 1860.0
    max_connections: int = 20_000
    max_connections_per_user: int = 100
    announce_folders: bool = True


class TlsSettings(Section, frozen=True):
    certificate: str = ""
    key: str = ""
    client_ca: str = ""


class AuthSettings(Section, frozen=True):
    plaintext_on_loopback: bool = True
    cache_s: float = 60.0
    failure_delay_s: float = 1.0


class OauthSettings(Section, frozen=True):
    jwks: str = ""
    issuer: str = ""
    audience: list[str] = msgspec.field(default_factory=list)
    user_claim: str = "email"
    algorithms: list[str] = msgspec.field(default_factory=lambda: ["RS256", "ES256"])
    clock_skew_s: float = 60.0
    cache_s: float = 3600.0
    scope: str = ""
    openid_configuration: str = ""


class LimitSettings(Section, frozen=True):
    max_line_bytes: int = 65536
    max_literal_bytes: int = 65536
    max_append_bytes: int = 50 * 2**20
    max_command_bytes: int = 2**20
    max_multiappend_bytes: int = 100 * 2**20
    prelogin_line_bytes: int = 8192
    prelogin_literal_bytes: int = 1024
    max_bad_in_a_row: int = 20
    literal_minus: bool = False


class NamespaceSettings(Section, frozen=True):
    other_users: str = "Other Users/"
    shared: str = "Shared Folders/"


class AclSettings(Section, frozen=True):
    allow_anyone: bool = False
    auto_subscribe: bool = True


class LogSettings(Section, frozen=True):
    format: str = "console"
    pid_file: str = ""


class Settings(Section, frozen=True):
    """Every setting there is; etc/acl-imapd.toml tells what each does."""

    database: DatabaseSettings = DatabaseSettings()
    imap: ImapSettings = ImapSettings()
    tls: TlsSettings = TlsSettings()
    auth: AuthSettings = AuthSettings()
    oauth: OauthSettings = OauthSettings()
    limits: LimitSettings = LimitSettings()
    namespaces: NamespaceSettings = NamespaceSettings()
    acl: AclSettings = AclSettings()
    log: LogSettings = LogSettings()


_SECTIONS = {field.name: field.type for field in msgspec.structs.fields(Settings)}


def load_settings(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """The settings of *path* (None: none but the defaults) with those of the environment over them.

    ``ACL_IMAPD_DATABASE_URL`` is ``url`` in ``[database]``.  Relative paths are from the file's directory.
    """
    values: dict[str, Any] = {}
    if path is not None:
        try:
            values = tomllib.loads(path.read_text("utf-8"))
        except OSError as error:
            raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} is no TOML: {error}") from error
    for name, text in environ.items():
        if name.startswith(PREFIX) and name not in ("ACL_IMAPD_CONFIG", "ACL_IMAPD_REQUIRE_POSTGRESQL"):
            section, _, key = name[len(PREFIX) :].lower().partition("_")
            if section in _SECTIONS:
                values.setdefault(section, {})[key] = text
    for section, table in values.items():
        _check(section, _SECTIONS, "section")
        if not isinstance(table, dict):
            raise ConfigError(f"{section} is a section: write [{section}]")
        known = {field.name: field for field in msgspec.structs.fields(_SECTIONS[section])}
        for key, value in table.items():
            _check(key, known, f"setting in [{section}]")
            if isinstance(value, str) and "list" in str(known[key].type):
                table[key] = [part.strip() for part in value.split(",") if part.strip()]
    try:
        settings = msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path or 'the environment'}: {error}") from error
    for name in (settings.namespaces.other_users, settings.namespaces.shared):
        if not name.endswith("/") or len(name) < 2:
            raise ConfigError(f"The prefix {name!r} of a namespace must end in /")
    return _absolute(settings, path.resolve().parent if path is not None else Path.cwd())


def _check(name: str, known: Mapping[str, Any], noun: str) -> None:
    if name not in known:
        near = difflib.get_close_matches(name, known, 1, 0.5)
        hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(known)}"
        raise ConfigError(f"There is no {noun} {name!r}{hint}")


def _absolute(settings: Settings, base: Path) -> Settings:
    def path(text: str) -> str:
        return str(base / text) if text else ""

    url = settings.database.url
    if url.startswith("sqlite:///") and not url.startswith("sqlite:////"):
        url = f"sqlite:///{base / url[len('sqlite:///') :]}"
    replace = msgspec.structs.replace
    return replace(
        settings,
        database=replace(settings.database, url=url, blob_dir=path(settings.database.blob_dir)),
        tls=replace(
            settings.tls,
            certificate=path(settings.tls.certificate),
            key=path(settings.tls.key),
            client_ca=path(settings.tls.client_ca),
        ),
        oauth=replace(
            settings.oauth, jwks=settings.oauth.jwks if "://" in settings.oauth.jwks else path(settings.oauth.jwks)
        ),
        log=replace(settings.log, pid_file=path(settings.log.pid_file)),
    )
