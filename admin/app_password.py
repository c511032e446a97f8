"""acl-imapd-admin user app-password …"""

from __future__ import annotations

import click

from acl_imapd.auth.app_passwords import new_app_password
from acl_imapd.auth.passwords import hash_password
from acl_imapd.storage import app_passwords

from .output import Site, must_user, pass_site, with_json
from .when import When, shown


@click.group("app-password")
def app_password() -> None:
    """Passwords for single programs of a user; each can be revoked alone.

    Example: acl-imapd-admin user app-password list bob
    """


@app_password.command()
@click.argument("user")
@click.argument("name")
@click.option("--until", type=When(day_ends=True), help="When it ends: 2026-12-31 (that day still counts), 90d.")
@with_json
@pass_site
def add(site: Site, user: str, name: str, until: float | None) -> None:
    """Make a password for a program of USER, called NAME, and print it this once.

    Example: acl-imapd-admin user app-password add bob phone --until 2026-12-31
    """
    site.read(must_user, user)
    lookup, password = new_app_password()
    site.write(app_passwords.insert_app_password, site.actor, user, name, lookup, hash_password(password), until)
    site.done(
        f"Password {name} of {user} made.  Password: {password}",
        user=user, name=name, until=shown(until), password=password,
    )  # fmt: skip


@app_password.command("list")
@click.argument("user")
@with_json
@pass_site
def list_(site: Site, user: str) -> None:
    """List the passwords of USER's programs, when they end and when they were last used; never the passwords.

    Example: acl-imapd-admin user app-password list bob --json
    """
    site.read(must_user, user)
    rows = [
        {
            "name": one.name,
            "created": shown(one.created_at),
            "until": shown(one.until),
            "last_used": shown(one.used_at),
        }
        for one in site.read(app_passwords.list_app_passwords, user)
    ]
    site.rows(["name", "created", "until", "last_used"], rows)


@app_password.command()
@click.argument("user")
@click.argument("name")
@with_json
@pass_site
def revoke(site: Site, user: str, name: str) -> None:
    """Let nobody log in with that password any more.

    Example: acl-imapd-admin user app-password revoke bob phone
    """
    site.read(must_user, user)
    site.write(app_passwords.revoke_app_password, site.actor, user, name)
    site.done(f"Password {name} of {user} revoked.", user=user, name=name)
