"""acl-imapd-admin folder …"""

from __future__ import annotations

from typing import Any

import click

from acl_imapd.access.explain import folder_name, owner_name
from acl_imapd.access.namespaces import valid_new_path
from acl_imapd.errors import Refused
from acl_imapd.storage import accounts, mailboxes, rights
from acl_imapd.storage.database import Connection
from acl_imapd.storage.visible import read_user_names

from .output import (
    Site,
    confirm,
    must_folder,
    must_team,
    must_user,
    pass_site,
    spelling,
    team_part,
    with_json,
)

SPECIAL_USES = ("All", "Archive", "Drafts", "Flagged", "Junk", "Sent", "Trash")


@click.group()
def folder() -> None:
    """Folders, named as IMAP shows them: "Shared Folders/Project X", "Other Users/alice/Work"."""


def owner_ids(conn: Connection, who: str) -> dict[str, Any]:
    """The owner that ``alice``, ``group:project-x`` or ``none`` means."""
    if who == "none":
        return {"user_id": None, "team_id": None}
    team = team_part(who)
    if team is not None:
        return {"user_id": None, "team_id": must_team(conn, team).id}
    return {"user_id": must_user(conn, who).id, "team_id": None}


@folder.command()
@click.argument("path")
@click.option("--owner", default="none", help="Who owns it: a user, group:TEAM (its managers), or none.")
@click.option(
    "--special-use",
    type=click.Choice(SPECIAL_USES, case_sensitive=False),
    help="What the folder is for (RFC 6154): a personal one, or one below a shared one for logins as USER%FOLDER.",
)
@with_json
@pass_site
def add(site: Site, path: str, owner: str, special_use: str | None) -> None:
    """Make a folder.  Nobody but its owner sees it until somebody is granted something.

    Example: acl-imapd-admin folder add "Shared Folders/Project X" --owner group:project-x
    """
    namespaces = site.namespaces
    place = namespaces.place(path, None)
    if place is None:
        raise Refused(f"No folder can have the name {path!r}. {spelling(namespaces, path)}")
    valid_new_path(place.path)
    ids = site.read(owner_ids, owner)
    home_id = site.read(must_user, place.home).id if place.home is not None else None
    if home_id is not None and owner != "none":
        raise Refused("A personal folder belongs to its user; leave --owner out.")
    if home_id is None and special_use is not None and "/" not in place.path:
        # LIST tells it of one's own folders, and beside INBOX of a tree that is presented alone (bob%Support).
        raise Refused("A shared folder at the top has no special use; leave --special-use out.")
    site.write(
        mailboxes.create_mailbox,
        site.actor,
        home_id,
        place.path,
        owner_user=ids["user_id"],
        owner_team=ids["team_id"],
        special_use=f"\\{special_use}" if special_use is not None else None,
    )
    site.done(f"Folder {path} made; `acl grant` lets somebody in.", folder=path)


@folder.command("list")
@click.option("--user", "user_name", help="The personal folders of this user instead of the shared ones.")
@with_json
@pass_site
def list_(site: Site, user_name: str | None) -> None:
    """List shared folders, or a user's own.

    Example: acl-imapd-admin folder list
    """

    def rows(conn: Connection) -> list[dict[str, Any]]:
        if user_name is None:
            found = mailboxes.list_shared(conn)
        else:
            user_id = must_user(conn, user_name).id
            found = sorted(mailboxes.read_home_mailboxes(conn, user_id), key=lambda one: one.path)
        users = read_user_names(conn, sorted({one.owner_user_id for one in found if one.owner_user_id is not None}))
        teams = {one.id: one.name for one in accounts.list_teams(conn)}
        return [
            {
                "folder": site.namespaces.name(user_name, one.path, None),
                "owner": user_name
                or (users.get(one.owner_user_id) if one.owner_user_id is not None else None)
                or (f"group:{teams[one.owner_team_id]}" if one.owner_team_id is not None else None),
                "messages": one.messages,
                "size_bytes": one.size_bytes,
                "own_acl": bool(one.acl_own),
                "seen": "shared" if one.seen_shared else "private",
            }
            for one in found
        ]

    site.rows(["folder", "owner", "messages", "size_bytes", "own_acl", "seen"], site.read(rows))


@folder.command()
@click.argument("path")
@with_json
@pass_site
def show(site: Site, path: str) -> None:
    """Show a folder's properties.

    Example: acl-imapd-admin folder show "Shared Folders/Project X"
    """

    def values(conn: Connection) -> dict[str, Any]:
        found = must_folder(conn, site.namespaces, path)
        return {
            "folder": folder_name(conn, site.namespaces, found),
            "owner": owner_name(conn, found),
            "acl": "own" if found.acl_own else "inherited",
            "seen": "shared" if found.seen_shared else "private",
            "messages": found.messages,
            "size_bytes": found.size_bytes,
            "uidvalidity": found.uidvalidity,
            "uidnext": found.uidnext,
            "special_use": found.special_use,
            "folders_below": len(mailboxes.read_descendants(conn, found)),
        }

    site.one(site.read(values))


@folder.command()
@click.argument("path")
@click.argument("new_path")
@with_json
@pass_site
def rename(site: Site, path: str, new_path: str) -> None:
    """Give a folder another name in the same tree; messages, rights and subscriptions stay.

    Example: acl-imapd-admin folder rename "Shared Folders/X" "Shared Folders/Archive/X"
    """
    found = site.read(must_folder, site.namespaces, path)
    old_place, place = site.namespaces.place(path, None), site.namespaces.place(new_path, None)
    if place is None or old_place is None or place.home != old_place.home:
        raise Refused("A folder stays in the tree it is in; begin the new name with the same prefix.")
    valid_new_path(place.path)
    site.write(mailboxes.rename_mailbox, site.actor, found.id, place.path)
    site.done(f"Folder {path} is {new_path} now.", folder=new_path)


@folder.command()
@click.argument("path")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_json
@pass_site
def remove(site: Site, path: str, yes: bool) -> None:
    """Remove a folder and its messages.  Folders below it must go first.

    Example: acl-imapd-admin folder remove "Shared Folders/Old" --yes
    """
    found = site.read(must_folder, site.namespaces, path)
    confirm(f"Remove {path} with {found.messages} messages?", yes=yes)
    site.write(mailboxes.delete_mailbox, site.actor, found.id)
    site.done(f"Folder {path} removed.", folder=path)


@folder.command()
@click.argument("path")
@click.argument("who")
@with_json
@pass_site
def owner(site: Site, path: str, who: str) -> None:
    """Give a shared folder, and those below it, to a user, to group:TEAM or to none.

    Example: acl-imapd-admin folder owner "Shared Folders/Project X" group:project-x
    """
    found = site.read(must_folder, site.namespaces, path)
    site.write(rights.set_owner, site.actor, found.id, **site.read(owner_ids, who))
    site.done(f"Folder {path} belongs to {who}.", folder=path, owner=who)


@folder.command("set")
@click.argument("path")
@click.option("--seen", type=click.Choice(["private", "shared"]), required=True, help=r"Whose \Seen is it?")
@with_json
@pass_site
def set_(site: Site, path: str, seen: str) -> None:
    r"""Say whether \Seen is each user's own or common to all, here and below.

    Example: acl-imapd-admin folder set "Shared Folders/Support" --seen shared
    """
    found = site.read(must_folder, site.namespaces, path)
    site.write(mailboxes.set_seen_mode, site.actor, found.id, shared=seen == "shared")
    site.done(f"What is seen in {path} is {seen} now.", folder=path, seen=seen)
