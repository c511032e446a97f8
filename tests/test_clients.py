"""Clients nobody here wrote, against a server of its own: imapclient always, mbsync where it is installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from imapclient import IMAPClient

from acl_imapd.storage import mailboxes
from acl_imapd.storage.database import Database
from tests.test_crash import free_port, start


@pytest.fixture
def site(sqlite_template, tmp_path):
    """(port, database URL) of a running server."""
    path = tmp_path / "site.db"
    shutil.copy(sqlite_template, path)
    port = free_port()
    server = start(path, port)
    yield port, f"sqlite:///{path}"
    server.terminate()
    assert server.wait(20) == 0


def client(port, user):
    made = IMAPClient("127.0.0.1", port, ssl=False)
    made.login(user, "pass")
    return made


def test_imapclient_works_with_rights_and_is_cut_off_in_idle(site):
    """Promise 3: the administrator's command in another process ends IDLE."""
    port, url = site
    ann, bob = client(port, "ann"), client(port, "bob")
    assert ann.namespace().shared == (("Shared Folders/", "/"),)
    ann.append("Shared Folders/Team", b"Subject: x\r\n\r\nx\r\n")
    ann.setacl("Shared Folders/Team", "bob", "lrs")
    assert (b"bob", b"lrs") in ann.getacl("Shared Folders/Team")
    bob.select_folder("Shared Folders/Team")
    bob.idle()

    admin = [sys.executable, "-m", "acl_imapd_admin.cli", "--database", url, "acl"]
    subprocess.run([*admin, "deny", "Shared Folders/Team", "bob", "lr"], check=True, capture_output=True)
    told = bob.idle_check(timeout=5)

    assert any(part[0] == b"BYE" for part in told)


MBSYNC = """
IMAPAccount bob
Host 127.0.0.1
Port {port}
User bob
Pass pass
AuthMechs LOGIN
{tls}

IMAPStore far
Account bob
UseNamespace no
Path "{prefix}"

MaildirStore near
Path {root}/
Inbox {root}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Near
Expunge Both
SyncState *
"""


@pytest.mark.skipif(shutil.which("mbsync") is None, reason="mbsync is not installed")
@pytest.mark.parametrize("prefix", ["", "Shared Folders/"])
def test_mbsync_goes_both_ways_and_finds_nothing_to_do_the_second_time(site, tmp_path, prefix):
    port, url = site
    bob = client(port, "bob")
    folder = f"{prefix}Team" if prefix else "Drafts"
    for number in range(3):
        bob.append(folder, f"Subject: {number}\r\nMessage-ID: <{number}@x>\r\n\r\nx\r\n".encode())
    root = tmp_path / "mail"
    root.mkdir()
    config = tmp_path / "mbsyncrc"
    config.write_text(MBSYNC.format(port=port, root=root, prefix=prefix, tls="SSLType None"))

    sync(config)
    local = sorted(path for path in (root / folder.rpartition("/")[2]).rglob("*") if ",U=" in path.name)
    assert len(local) == 3
    before = state(url)
    sync(config)
    assert state(url) == before

    base = local[0].name.partition(":2,")[0]
    local[0].rename(root / folder.rpartition("/")[2] / "cur" / f"{base}:2,F")
    sync(config)
    bob.select_folder(folder)
    assert len(bob.search("FLAGGED")) == 1


def sync(config: Path) -> None:
    done = subprocess.run(["mbsync", "-c", config, "-a"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def state(url: str) -> list[tuple[str, int, int]]:
    """What any change of any folder would show in."""
    database = Database.open(url)
    found = [(one.path, one.uidnext, one.highest_modseq) for one in database.read_now(mailboxes.list_all)]
    database.close()
    return found
