"""Reviews of access: who, why, since and until when, when last used, and what needs a look."""

from __future__ import annotations

import csv
import io
import json
import re
import time

import pytest
from acl_imapd_admin.cli import main

from acl_imapd.access import review
from acl_imapd.access.explain import what_can
from acl_imapd.access.lints import KINDS, letter_lints
from acl_imapd.access.namespaces import Namespaces
from acl_imapd.storage import accounts, mailboxes, rights
from acl_imapd.storage.last_access import write_last_access
from bench.grow import Site, write

from .conftest import ACTOR, give
from .test_explain import tangle  # noqa: F401  # a fixture

DAY = 86_400.0
NAMESPACES = Namespaces()


def reviewed(database, **scope):
    """The reviewed folders by the ends of their names."""
    unused_since = scope.pop("unused_since", None)

    def run(conn):
        terms = review.Terms(NAMESPACES, False, database.now(), unused_since)
        return {one.name.rpartition("/")[2]: one for one in review.review_folders(conn, terms, **scope)}

    return database.read_now(run)


def kinds(folder):
    return {(one.kind, *one.who) for one in folder.findings}


def test_a_review_agrees_with_what_everybody_can(tangle):  # noqa: F811
    folders = reviewed(tangle)

    def held(conn):
        return {
            (one.name, held.folder.rpartition("/")[2]): held.rights
            for one in accounts.list_users(conn)
            for held in what_can(conn, NAMESPACES, one.id, allow_anyone=False)
        }

    expected = tangle.read_now(held)
    told = {(row.who, name): row.rights for name, folder in folders.items() for row in folder.rows if row.rights}

    # Whoever has something only as one of a domain, or of everybody, is not told one by one.
    assert told
    for (who, name), letters in told.items():
        if who != "authenticated" and not who.startswith("domain:"):
            assert expected[who, name] == letters
    broad = {(row.who, name) for name, folder in folders.items() for row in folder.rows if row.who not in
             {who for who, _ in expected}}  # fmt: skip
    for (who, name), letters in expected.items():
        if name in folders and (who, name) not in told:
            assert {("authenticated", name), ("domain:a.example", name)} & broad, (who, name, letters)


def test_a_row_tells_every_way_by_which_its_user_has_rights(database):
    until = database.now() + DAY

    def change(conn):
        accounts.insert_team(conn, ACTOR, "berlin")
        accounts.join_team(conn, ACTOR, "crew", "group:berlin", until=until)
        accounts.join_team(conn, ACTOR, "berlin", "ann")
        found = mailboxes.read_mailbox(conn, None, "Team")
        rights.set_owner(conn, ACTOR, found.id, user_id=accounts.read_user(conn, "ann").id)
        give(conn, found.id, "ann", "te", negative=True)
        write_last_access(conn, [(found.id, accounts.read_user(conn, "ann").id)], 20_000)

    database.write_now(change)

    (row,) = [row for row in reviewed(database)["Team"].rows if row.who == "ann"]

    assert [(one.what, one.via, one.until) for one in row.sources] == [
        ("group:crew", ("berlin", "crew"), until), ("ann", (), None), ("owner", (), None),
    ]  # fmt: skip
    assert (row.rights, row.less, row.last_used) == ("lrswipkxa", ("-ann te",), 20_000)


def test_a_personal_folder_is_reviewed_only_where_somebody_else_is_named(database):
    def change(conn):
        home = accounts.read_user(conn, "ann").id
        give(conn, mailboxes.read_mailbox(conn, home, "Sent").id, "bob", "lr")

    database.write_now(change)

    assert set(reviewed(database)) == {"Team", "Sent"}


def test_a_folder_that_follows_is_reviewed_with_the_one_it_follows_unless_its_owner_differs(database):
    def change(conn):
        for path in ("Team/A", "Team/B"):
            mailboxes.create_mailbox(conn, ACTOR, None, path)
        theirs = mailboxes.read_mailbox(conn, None, "Team/B").id
        rights.set_owner(conn, ACTOR, theirs, user_id=accounts.read_user(conn, "cat").id)

    database.write_now(change)
    folders = reviewed(database)

    assert set(folders) == {"Team", "B"}
    assert folders["Team"].folders == 3
    assert "lrswipktea" in {row.rights for row in folders["B"].rows if row.who == "cat"}


@pytest.mark.parametrize(
    ("letters", "expected"),
    [
        ("lrs", []), ("lrswipte", []), ("lrt", ["t-without-e"]), ("lre", ["e-without-t"]), ("li", ["i-without-r"]),
        ("l", ["l-without-r"]), ("lk", []), ("r", ["r-without-l"]), ("lsw", ["without-r"]),
        ("p", ["p-without-address"]), ("lrp", ["p-without-address"]), ("lrip", []),
    ],
)  # fmt: skip
def test_letters_that_do_not_go_together_are_told(letters, expected):
    assert letter_lints(letters) == expected


def test_what_needs_a_look_is_found(database):
    def change(conn):
        for name in ("dan@x.example", *(f"u{number}" for number in range(6))):
            accounts.insert_user(conn, ACTOR, name, None, special_folders={})
        accounts.insert_team(conn, ACTOR, "idle")
        accounts.set_disabled(conn, ACTOR, "u5", True)
        orphan = mailboxes.create_mailbox(conn, ACTOR, None, "Orphan").id
        for who, letters in (("group:idle", "lr"), ("authenticated", "l"), ("u5", "lr"), ("dan@x.example", "lrs")):
            give(conn, orphan, who, letters)
        give(conn, orphan, "u1", "x", negative=True)
        give(conn, orphan, "authenticated", "l", negative=True)
        many = mailboxes.create_mailbox(conn, ACTOR, None, "Orphan/Many").id
        for who in ("ann", "bob", "cat", "u0", "u1", "u2"):
            give(conn, many, who, "lrka")
        give(conn, many, "group:crew", "lrk")
        give(conn, many, "cat", "l")

    database.write_now(change)
    folders = reviewed(database)

    assert kinds(folders["Orphan"]) >= {
        ("no-owner", "-"), ("empty-team", "group:idle"), ("authenticated", "authenticated"), ("disabled", "u5"),
        ("outsider", "dan@x.example"), ("takes-nothing", "-u1"),
    }  # fmt: skip
    assert ("takes-nothing", "-authenticated") not in kinds(folders["Orphan"])
    many = {one.kind: one for one in folders["Many"].findings}
    assert ("covered", "cat") in kinds(folders["Many"])
    assert "many-admins" not in many  # five are not many
    assert set(many["k-below-hidden"].who) == {"ann", "bob", "cat", "u0", "u1", "u2"}
    assert all(one.kind in KINDS for folder in folders.values() for one in folder.findings)


def test_who_did_not_use_a_folder_for_long_is_told_but_not_who_has_it_only_since(database):
    now = database.now()

    def change(conn):
        found = mailboxes.read_mailbox(conn, None, "Team")
        bob = accounts.read_user(conn, "bob")
        write_last_access(conn, [(found.id, bob.id)], int((now + 100 * DAY) // DAY))

    database.write_now(change)

    assert not [one for one in reviewed(database, unused_since=now - DAY)["Team"].findings if one.kind == "unused"]
    (unused,) = [
        one for one in reviewed(database, unused_since=now + 90 * DAY)["Team"].findings if one.kind == "unused"
    ]
    assert set(unused.who) == {"ann", "cat"}


def test_what_ends_soon_is_told_the_next_first(database):
    now = database.now()

    def change(conn):
        accounts.insert_team(conn, ACTOR, "berlin")
        accounts.join_team(conn, ACTOR, "berlin", "group:crew", manager=True, until=now + 2 * DAY, reason="fair")
        identifier = rights.resolve_identifier(conn, "bob", allow_anyone=False)
        for days, path in ((3, "A"), (1, "B"), (40, "C")):
            made = mailboxes.create_mailbox(conn, ACTOR, None, path)
            rights.change_entry(
                conn, ACTOR, made.id, identifier, negative=False, op="set", rights=rights.parse_rights("lr"),
                terms_=rights.Terms(until=now + days * DAY),
            )  # fmt: skip
        return None

    database.write_now(change)

    found = database.read_now(review.endings, review.Terms(NAMESPACES, False, now), now + 30 * DAY)

    assert [(one.where, one.who, one.rights, one.reason) for one in found] == [
        ("Shared Folders/B", "bob", "lr", None), ("group:berlin", "group:crew", "manager", "fair"),
        ("Shared Folders/A", "bob", "lr", None),
    ]  # fmt: skip


def test_a_batch_takes_as_many_statements_however_many_folders_it_has(database):
    """Cost follows the folders reviewed, in sets of some hundred."""
    asked: list[str] = []
    database.write_now(lambda conn: conn.exec_driver_sql("DELETE FROM acl_entry"))
    database.write_now(lambda conn: conn.exec_driver_sql("DELETE FROM user_account"))
    database.write_now(lambda conn: conn.exec_driver_sql("DELETE FROM mailbox"))
    database.write_now(lambda conn: conn.exec_driver_sql("DELETE FROM acl"))
    database.write_now(lambda conn: conn.exec_driver_sql("DELETE FROM team"))
    database.write_now(write, Site(folders=700, teams=20, users=40))
    from sqlalchemy import event

    event.listen(database.engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    folders = reviewed(database)

    assert len(folders) > 30
    assert len(asked) < 20


# -- the command ------------------------------------------------------------------------------------------------


@pytest.fixture
def admin(sqlite_template, tmp_path, capsys):
    """Runs a command on a site with something odd in each corner; what it prints."""
    import shutil

    path = tmp_path / "site.db"
    shutil.copy(sqlite_template, path)

    def run(*arguments, code=0):
        stopped = 0
        try:
            main(["--database", f"sqlite:///{path}", *arguments])
        except SystemExit as stop:
            stopped = stop.code
        captured = capsys.readouterr()
        assert stopped == code, captured.err
        return captured.out if not code else captured.err

    run("user", "add", "<i>@evil.example", "--generate")
    run("acl", "grant", "Shared Folders/Team", "<i>@evil.example", "lr", "--reason", "=1+1", "--until", "20d")
    run("acl", "deny", "Shared Folders/Team", "bob", "te")
    return run


def test_the_table_says_what_needs_a_look_and_json_the_same(admin):
    told = admin("acl", "review")

    assert re.search(r"Shared Folders/Team +outsider +<i>@evil.example +somebody of another domain", told)
    assert "1 folder has rights of their own; to look at: 1 outsider." in told
    assert json.loads(admin("acl", "review", "--json")) == [
        {"where": "Shared Folders/Team", "kind": "outsider", "who": ["<i>@evil.example"], "detail": "",
         "means": KINDS["outsider"]}
    ]  # fmt: skip


def test_the_spreadsheet_has_a_line_for_each_folder_and_user_and_no_formula(admin, tmp_path):
    lines = list(csv.DictReader(io.StringIO(admin("acl", "review", "--csv", "-"))))

    assert [(one["folder"], one["who"], one["rights"]) for one in lines] == [
        ("Shared Folders/Team", "<i>@evil.example", "lr"), ("Shared Folders/Team", "ann", "lrswipkxtea"),
        ("Shared Folders/Team", "bob", "lrswipk"), ("Shared Folders/Team", "cat", "lrswipkte"),
    ]  # fmt: skip
    assert lines[0]["reason"] == "'=1+1"
    assert (lines[2]["why"], lines[2]["less"]) == ("group:crew", "'-bob te")
    assert lines[0]["until"].startswith(time.strftime("%Y-", time.localtime(time.time() + 20 * DAY)))


def test_the_page_is_escaped_and_needs_nothing_from_elsewhere(admin, tmp_path):
    written = tmp_path / "review.html"
    told = admin("acl", "review", "--html", str(written))
    page = written.read_text()

    assert "Written:" in told
    assert "&lt;i&gt;@evil.example" in page
    assert "<i>" not in page
    assert not re.search(r"(src|href)=|url\(|@import|<script", page)
    assert "group:crew" in page
    assert "Ends by" in page


def test_a_part_of_the_site_is_reviewed_alone(admin):
    admin("folder", "add", "Shared Folders/Other", "--owner", "cat")
    admin("acl", "grant", "Shared Folders/Other", "ann", "lr")

    def folders(*scope):
        lines = csv.DictReader(io.StringIO(admin("acl", "review", *scope, "--csv", "-")))
        return [(one["folder"].rpartition("/")[2], one["who"]) for one in lines]

    assert folders("Shared Folders/Other") == [("Other", "ann"), ("Other", "cat")]
    assert folders("--user", "ann") == [("Other", "ann"), ("Team", "ann")]
    assert folders("--team", "crew") == [("Team", "bob"), ("Team", "cat")]


def test_what_ends_within_a_span_is_listed_and_filtered(admin):
    admin("team", "join", "crew", "ann", "--until", "10d")

    def where(*scope):
        return [
            (one["where"], one["who"])
            for one in json.loads(admin("acl", "review", "--ends-within", "30d", "--json", *scope))
        ]

    assert where() == [("group:crew", "ann"), ("Shared Folders/Team", "<i>@evil.example")]
    assert where("--user", "ann") == [("group:crew", "ann")]
    assert where("--team", "crew") == [("group:crew", "ann")]
    assert where("Shared Folders/Team") == [("Shared Folders/Team", "<i>@evil.example")]


def test_a_review_of_nothing_that_is_there_says_so(admin, tmp_path):
    assert "There is no folder" in admin("acl", "review", "Shared Folders/Tam", code=1)
    assert "There is no team" in admin("acl", "review", "--team", "screw", code=1)
    assert "There is no user" in admin("acl", "review", "--user", "nobody", code=1)
    assert "one of them" in admin("acl", "review", "--user", "ann", "--team", "crew", code=2)
    assert "No such file" in admin("acl", "review", "--csv", str(tmp_path / "no" / "such.csv"), code=1)
