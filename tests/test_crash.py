"""Promise 1: what was acknowledged is there after kill -9, whatever was going on."""

from __future__ import annotations

import imaplib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

from acl_imapd.storage import audit, check, mailboxes
from acl_imapd.storage.database import Database
from tests.conftest import ACTOR, give

CLIENTS = 10
# More by hand: ACL_IMAPD_CRASHES=20 pytest tests/test_crash.py
CRASHES = int(os.environ.get("ACL_IMAPD_CRASHES", "3"))
LOAD_S = 0.6


class Worker:
    """One client in a folder of its own, and what it was told was done."""

    def __init__(self, number: int) -> None:
        self.name = f"Shared Folders/Load{number}"
        self.there: dict[int, tuple[str, bool]] = {}  # UID → subject, flagged
        self.unsure: set[int] = set()
        self.subjects: dict[int, str] = {}
        self.rights = ""
        self.rights_unsure = ""
        self.count = 0

    def work(self, port: int) -> None:
        try:
            self._work(port)
        except (OSError, imaplib.IMAP4.error):
            pass  # the server was killed

    def _work(self, port: int) -> None:
        client = imaplib.IMAP4("127.0.0.1", port)
        client.login("ann", "pass")
        client.select(f'"{self.name}"')
        while True:
            self.count += 1
            subject = f"{self.name}-{self.count}"
            _, data = client.append(f'"{self.name}"', "", "", f"Subject: {subject}\r\n\r\nx\r\n".encode())
            uid = int(data[0].split(b"]")[0].split()[-1])
            assert self.subjects.setdefault(uid, subject) == subject  # no UID twice
            self.there[uid] = (subject, False)
            self.unsure.add(uid)
            client.uid("STORE", str(uid), "+FLAGS", "(\\Flagged)")
            self.unsure.discard(uid)
            self.there[uid] = (subject, True)
            if self.count % 3 == 0:
                self.unsure.add(uid)
                client.uid("STORE", str(uid), "+FLAGS", "(\\Deleted)")
                client.expunge()
                self.unsure.discard(uid)
                del self.there[uid]
            if self.count % 4 == 0:
                self.rights_unsure = "lr" if self.rights == "lrs" else "lrs"
                client.setacl(f'"{self.name}"', "bob", self.rights_unsure)
                self.rights, self.rights_unsure = self.rights_unsure, ""

    def verify(self, client: imaplib.IMAP4) -> None:
        client.select(f'"{self.name}"')
        _, rows = client.uid("FETCH", "1:*", "(UID FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        found = {}
        for row in rows:
            if isinstance(row, tuple):
                uid = int(row[0].split(b"UID ")[1].split()[0])
                found[uid] = (row[1].split(b": ")[1].strip().decode(), b"\\Flagged" in row[0])
        for uid, (subject, flagged) in self.there.items():
            if uid in self.unsure:
                continue
            assert found.get(uid) == (subject, flagged)
        for uid, (subject, _) in found.items():
            assert self.subjects.setdefault(uid, subject) == subject
        if self.rights and not self.rights_unsure:
            _, acl = client.getacl(f'"{self.name}"')
            assert f"bob {self.rights}".encode() in acl[0]
        # What was under way is now known; but what is marked deleted goes with the next EXPUNGE.
        _, marked = client.uid("SEARCH", "DELETED")
        self.there = {uid: found[uid] for uid in found if str(uid).encode() not in (marked[0] or b"").split()}
        self.unsure.clear()
        self.rights_unsure = self.rights = ""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_kill_9_under_load_loses_nothing_acknowledged(sqlite_template, tmp_path):
    path = tmp_path / "site.db"
    shutil.copy(sqlite_template, path)
    workers = [Worker(number) for number in range(CLIENTS)]
    database = Database.open(f"sqlite:///{path}")

    def make(conn):
        for worker in workers:
            made = mailboxes.create_mailbox(conn, ACTOR, None, worker.name.partition("/")[2])
            give(conn, made.id, "ann", "lrswipkxtea")

    database.write_now(make)
    database.close()
    for _ in range(CRASHES):
        port = free_port()
        server = start(path, port)
        threads = [threading.Thread(target=worker.work, args=(port,)) for worker in workers]
        for thread in threads:
            thread.start()
        time.sleep(LOAD_S)  # the load itself, not a wait for something
        server.send_signal(signal.SIGKILL)
        server.wait()
        for thread in threads:
            thread.join()

        server = start(path, port)
        client = imaplib.IMAP4("127.0.0.1", port)
        client.login("ann", "pass")
        for worker in workers:
            worker.verify(client)
        client.logout()
        server.terminate()
        assert server.wait(20) == 0
        database = Database.open(f"sqlite:///{path}")
        assert database.read_now(check.check, database.blobs) == []
        database.read_now(audit.verify_chain)
        database.close()
    assert sum(worker.count for worker in workers) > CLIENTS


def start(path, port) -> subprocess.Popen[bytes]:
    environ = {
        **os.environ,
        "ACL_IMAPD_DATABASE_URL": f"sqlite:///{path}",
        "ACL_IMAPD_IMAP_LISTEN": f"127.0.0.1:{port}",
        "ACL_IMAPD_IMAP_LISTEN_TLS": "",
    }
    server = subprocess.Popen([sys.executable, "-m", "acl_imapd", "serve"], env=environ, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert server.poll() is None, "the server did not start"
            time.sleep(0.02)  # another process: there is nothing to wait on
        else:
            return server
    raise AssertionError("the server does not listen")
