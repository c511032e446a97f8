"""acl-imapd-admin role …"""

from __future__ import annotations

import click

from acl_imapd.errors import Refused
from acl_imapd.storage import rights as stored
from acl_imapd.storage.database import Connection

from .acl import is_letters, parse_letters
from .output import Site, confirm, near, pass_site, with_json


@click.group()
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
    """Make a role, or change what it stands for, at once, in every ACL entry that holds it.

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
    """Forget a role; entries that hold it keep its letters.

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
