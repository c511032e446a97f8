"""The demo site of ``make run``: something worth seeing in any client."""

from __future__ import annotations

import shutil
import time
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

from acl_imapd.access.rights import parse_rights
from acl_imapd.auth.passwords import hash_password
from acl_imapd.auth.scram import scram_of
from acl_imapd.mail.mime import parsed
from acl_imapd.net.tls import make_self_signed
from acl_imapd.storage import accounts, mailboxes, migrate, rights
from acl_imapd.storage.accounts import Actor
from acl_imapd.storage.database import Connection, Database
from acl_imapd.storage.messages import NewMessage, insert_messages
from acl_imapd.types import MailboxId

ACTOR = Actor("quickstart", "cli")
USERS = ("alice", "bob", "carol", "dave")
CONFIG = """# The demo site.  Every setting is told of in etc/acl-imapd.toml.
[database]
url = "sqlite:///acl-imapd.db"

[imap]
listen = ["127.0.0.1:1143"]
listen_tls = ["127.0.0.1:1993"]

[tls]
certificate = "tls.crt"
key = "tls.key"

[log]
pid_file = "acl-imapd.pid"
"""


def ensure(directory: Path) -> None:
    """Make the site in *directory* unless there is one.  It appears whole or not at all."""
    if (directory / "acl-imapd.toml").exists():
        return
    directory.parent.mkdir(parents=True, exist_ok=True)
    directory.mkdir(exist_ok=True)
    draft = directory / "draft"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    make_self_signed(draft)
    database = Database.open(f"sqlite:///{draft / 'acl-imapd.db'}")
    migrate.upgrade(database)
    database.write_now(_fill, database)
    database.close()
    (draft / "acl-imapd.toml").write_text(CONFIG)
    # The settings last: they say that all the rest is there.
    for path in sorted(draft.iterdir(), key=lambda path: path.suffix == ".toml"):
        path.replace(directory / path.name)
    draft.rmdir()


def how_to_try(directory: Path) -> str:
    """What ``make run`` says on the screen."""
    config = directory / "acl-imapd.toml"
    binary = ".venv/bin/" if Path(".venv/bin/acl-imapd-admin").exists() else ""
    return f"""
acl-imapd demo site in {directory}/: users alice, bob, carol, dave, password "pass"
IMAP with STARTTLS on 127.0.0.1:1143, IMAPS on 127.0.0.1:1993 (a certificate of its own making)

What bob sees, and a message of the team's folder:
  curl -s --user bob:pass 'imap://127.0.0.1:1143/'
  curl -s --user bob:pass 'imap://127.0.0.1:1143/Shared%20Folders/Project%20X;MAILINDEX=1'

Take bob's access away, and ask why carol still has hers:
  {binary}acl-imapd-admin --config {config} acl deny 'Shared Folders/Project X' bob lrswipkxtea
  {binary}acl-imapd-admin --config {config} acl explain carol 'Shared Folders/Project X'
  {binary}acl-imapd-admin --config {config} acl who-can r 'Shared Folders/Support'

Stop it with Ctrl-C.  Remove {directory}/ to start afresh.
"""


def _fill(conn: Connection, database: Database) -> None:
    password_hash = hash_password("pass")
    secret = accounts.read_secret(conn)
    users = {
        name: accounts.insert_user(conn, ACTOR, name, password_hash, scram=scram_of("pass", secret, name))
        for name in USERS
    }
    teams = {
        "project-x": (("alice", True), ("bob", False), ("carol", False)),
        "support": (("bob", True), ("carol", False), ("dave", False)),
    }
    team_ids = {}
    for team, members in teams.items():
        team_ids[team] = accounts.insert_team(conn, ACTOR, team).id
        for member, manager in members:
            accounts.join_team(conn, ACTOR, team, member, manager=manager)

    def shared(path: str, owner: str | None = None, **grants: str) -> MailboxId:
        made = mailboxes.create_mailbox(
            conn, ACTOR, None, path, owner_team=team_ids[owner] if owner is not None else None
        )
        for who, letters in grants.items():
            _grant(conn, made.id, who.replace("group_", "group:").replace("_", "-"), letters)
        return made.id

    project = shared("Project X", "project-x", group_project_x="lrswipkte", dave="lrs")
    specs = shared("Project X/Specs")
    shared("Project X/Archive/2026")
    support = shared("Support", "support", group_support="lrswipte")
    mailboxes.set_seen_mode(conn, ACTOR, support, shared=True)
    board = shared("Management", alice="lrswipkxtea")
    news = shared("Announcements", authenticated="lrs", alice="lrswipkxte")
    plans = mailboxes.create_mailbox(conn, ACTOR, users["alice"].id, "Work/Plans").id
    _grant(conn, plans, "bob", "lrs")

    def put(mailbox_id: MailboxId, *messages: bytes, by: str = "alice") -> None:
        now = int(time.time())
        new = [
            NewMessage(one, parsed(one), 0, (), now - 3600 * (len(messages) - age), 60, False)
            for age, one in enumerate(messages)
        ]
        insert_messages(conn, mailbox_id, users[by].id, new, blobs=database.blobs)

    put(project, *_thread())
    put(specs, *(_message("carol", "project-x", f"Entwurf {n}: Größen und Maße", _TEXT, n) for n in range(1, 6)))
    put(specs, _with_attachment(), _html())
    put(support, *(_message(who, "support", subject, _TEXT, n) for n, (who, subject) in enumerate(_TICKETS)))
    put(board, _message("alice", "board", "Budget 2027, vertraulich", _TEXT, 1))
    put(news, _message("alice", "all", "Willkommen! ようこそ! Bienvenue !", _TEXT, 1), _html())
    put(plans, _message("alice", "alice", "Plan for the quarter", _TEXT, 1))
    for name in USERS:
        inbox = mailboxes.read_mailbox(conn, users[name].id, "INBOX")
        assert inbox is not None
        put(inbox.id, *(_message("dave", name, subject, _TEXT, n) for n, subject in enumerate(_PERSONAL)), by=name)
        put(inbox.id, _forwarded(name), by=name)


def _grant(conn: Connection, mailbox_id: MailboxId, who: str, letters: str) -> None:
    identifier = rights.resolve_identifier(conn, who, allow_anyone=False)
    rights.change_entry(
        conn,
        ACTOR,
        mailbox_id,
        identifier,
        negative=False,
        op="set",
        rights=parse_rights(letters),
        terms_=rights.Terms(reason="demo"),
    )


_TEXT = "Hello,\n\nthis message is part of the demo site. Flag it, move it, delete it: nobody minds.\n\nRegards\n"
_TICKETS = (
    ("erin", "Where is my order 4711?"),
    ("frank", "Rückgabe: die Lampe flackert"),
    ("grace", "Invoice sent twice"),
    ("heidi", "Préférences de livraison"),
    ("ivan", "Не приходит письмо"),
    ("judy", "Thank you!"),
)
_PERSONAL = ("Lunch on Thursday?", "Your new desk", "Photos from the summer party", "Reminder: timesheets")


def _message(sender: str, to: str, subject: str, text: str, number: int) -> bytes:
    return _bytes(_new(sender, to, subject, number), text)


def _new(sender: str, to: str, subject: str, number: int) -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    message["From"] = Address(sender.capitalize(), sender, "example.com")
    message["To"] = Address(to, to, "example.com")
    message["Subject"] = subject
    message["Date"] = f"Mon, {number % 27 + 1:02d} Jun 2026 09:{number % 60:02d}:00 +0200"
    message["Message-ID"] = f"<{abs(hash((sender, to, subject))) % 10**12}.{number}@example.com>"
    return message


def _bytes(message: EmailMessage, text: str | None = None) -> bytes:
    if text is not None:
        message.set_content(text)
    return message.as_bytes()


def _thread() -> list[bytes]:
    """A question, its answers, and an answer to one of these."""
    first = _new("bob", "project-x", "Which valve do we take?", 1)
    second = _new("carol", "project-x", "Re: Which valve do we take?", 2)
    third = _new("alice", "project-x", "Re: Which valve do we take?", 3)
    second["In-Reply-To"] = second["References"] = first["Message-ID"]
    third["In-Reply-To"] = second["Message-ID"]
    third["References"] = f"{first['Message-ID']} {second['Message-ID']}"
    texts = ("The brass one or the steel one?", "Steel: it survives the salt.", "Agreed. Bob, please order twelve.")
    return [_bytes(one, text) for one, text in zip((first, second, third), texts, strict=True)]


def _with_attachment() -> bytes:
    message = _new("alice", "project-x", "Stückliste als CSV", 9)
    message.set_content("The list of parts is attached.\n")
    message.add_attachment(b"part;count\nvalve;12\nhose;3\n", maintype="text", subtype="csv", filename="Stückliste.csv")
    message.add_attachment(bytes(range(256)) * 40, maintype="application", subtype="octet-stream", filename="draft.bin")
    return message.as_bytes()


def _html() -> bytes:
    message = _new("alice", "all", "Minutes of Monday's meeting", 12)
    message.set_content("Minutes: see the HTML part.\n")
    message.add_alternative("<h1>Minutes</h1><p>We take the <b>steel</b> valve.</p>", subtype="html")
    return message.as_bytes()


def _forwarded(name: str) -> bytes:
    inner = _new("erin", "support", "Where is my order 4711?", 1)
    inner.set_content("I have been waiting for two weeks.\n")
    message = _new("bob", name, "Fwd: Where is my order 4711?", 2)
    message.set_content("Could you look into this?\n")
    message.add_attachment(inner)
    return message.as_bytes()
