"""What the administrator's program says when it is asked for what cannot be: one line, never a traceback."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest
from acl_imapd_admin.acl import parse_letters
from acl_imapd_admin.cli import failure, main
from sqlalchemy import event

from acl_imapd.access.explain import what_can, who_can
from acl_imapd.access.namespaces import Namespaces
from acl_imapd.access.rights import Rights
from acl_imapd.storage import accounts, mailboxes
from acl_imapd.storage.accounts import Actor
from acl_imapd.storage.database import Database

TEAM = "Shared Folders/Team"
ACTOR = Actor("test", "cli")


@pytest.fixture
def site_path(sqlite_template, tmp_path):
    path = tmp_path / "site.db"
    shutil.copy(sqlite_template, path)
    return path


@pytest.fixture
def admin(site_path, capsys, monkeypatch):
    """Runs a command on a copy of the small site: (exit code, standard output, standard error)."""
    monkeypatch.setattr("sys.stdin", open("/dev/null"))  # noqa: SIM115  # closed with the process

    def run(*arguments, url=f"sqlite:///{site_path}"):
        code = 0
        try:
            main(["--database", url, *arguments])
        except SystemExit as stop:
            code = stop.code
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def ok(result):
    assert result[0] == 0, result
    return result[1]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("acl", "grant", TEAM, "bobb", "lr"), "Did you mean 'bob'?"),
        (("acl", "grant", TEAM, "group:crw", "lr"), "Did you mean 'group:crew'?"),
        (("acl", "grant", TEAM, "$crw", "lr"), "Did you mean 'group:crew'?"),
        (("acl", "grant", TEAM, "crew", "lr"), "Did you mean 'group:crew'?"),
        (("acl", "grant", TEAM, "--", "-bob", "lr"), "`acl deny`"),
        (("acl", "revoke", TEAM, "bobb"), "Did you mean 'bob'?"),
        (("team", "join", "crew", "annn"), "Did you mean 'ann'?"),
        (("team", "leave", "crew", "group:crw"), "Did you mean 'crew'?"),
        (("role", "remove", "reder", "--yes"), "Did you mean 'reader'?"),
        (("acl", "show", "Other Users/bob/INBOX"), '"Other Users/bob" is the INBOX'),
        (("folder", "add", "Shared Folders/"), '"Shared Folders/NAME"'),
        (("folder", "add", "Shared Folders/Old", "--special-use", "Archive"), "leave --special-use out"),
    ],
)
def test_a_refusal_names_what_was_meant(admin, arguments, says):
    code, out, err = admin(*arguments)

    assert (code, out) == (1, "")
    assert says in err
    assert err.count("\n") == 1


def test_what_no_command_foresaw_is_one_line_too(admin, tmp_path):
    garbage = tmp_path / "garbage.db"
    garbage.write_bytes(b"garbage " * 500)

    for result in (
        admin("user", "list", url=f"sqlite:///{garbage}"),
        admin("user", "list", url="nonsense"),
        admin("db", "upgrade", url=f"sqlite:///{garbage}/below/a/file.db"),
        admin("user", "show", "\udcff"),
    ):
        code, out, err = result
        assert (code, out) == (1, "")
        assert "Traceback" not in err
        assert err.count("\n") == 1


def test_a_fault_of_ours_says_where_it_is():
    try:
        raise KeyError("x")
    except KeyError as error:
        told = failure(error)

    assert "KeyError at test_admin_errors.py:" in told
    assert "\n" not in told


def test_a_quota_that_no_database_holds_is_a_usage_error(admin):
    assert admin("user", "add", "dan", "--generate", "--quota", "99999999999999T")[0] == 2
    assert "no user 'dan'" in admin("user", "show", "dan")[2]


def test_bytes_that_are_no_utf8_are_refused_in_a_process_of_its_own(site_path):
    command = [sys.executable, "-m", "acl_imapd_admin.cli", "--database", f"sqlite:///{site_path}"]

    done = subprocess.run(
        [*command, "user", "passwd", "bob", "--password-stdin"], input=b"\xff\xfe\n", capture_output=True, check=False
    )

    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1


def test_a_role_cannot_take_the_name_of_letters(admin):
    """A role "lrs" that stands for lr would change what everybody means by lrs."""
    code, _, err = admin("role", "set", "lrs", "lr")

    assert code == 1
    assert "cannot be taken for them" in err
    ok(admin("acl", "grant", TEAM, "cat", "lrs"))
    assert {"identifier": "cat", "rights": "lrs"}.items() <= json.loads(ok(admin("acl", "show", TEAM, "--json")))[
        -1
    ].items()


def test_letters_in_their_order_are_letters_whatever_roles_there_are(admin, site_path):
    ok(admin("role", "set", "lrsx-auditor", "l"))
    ok(admin("role", "set", "lrs1", "l"))
    database = Database.open(f"sqlite:///{site_path}")

    assert database.read_now(parse_letters, "lrs") == Rights.l | Rights.r | Rights.s
    database.close()


def test_the_password_of_the_database_is_not_printed(admin, monkeypatch):
    """A refusal that names the database goes to logs and tickets."""
    monkeypatch.setattr("acl_imapd.storage.migrate.current", lambda database: None)

    code, _, err = admin("user", "list", url="postgresql://admin:s3cret@127.0.0.1:1/site")

    assert code == 1
    assert "127.0.0.1" in err
    assert "s3cret" not in err


def test_a_personal_folder_can_have_a_special_use(admin):
    ok(admin("folder", "add", "Other Users/ann/Old", "--special-use", "archive"))

    assert json.loads(ok(admin("folder", "show", "Other Users/ann/Old", "--json")))["special_use"] == "\\Archive"


def test_explain_tells_the_teams_where_no_entry_matches(admin):
    ok(admin("team", "add", "all"))
    ok(admin("team", "join", "all", "group:crew"))
    ok(admin("acl", "revoke", TEAM, "group:crew"))

    told = ok(admin("acl", "explain", "bob", TEAM))

    assert "in crew, all (by crew)" in told
    assert json.loads(ok(admin("acl", "explain", "bob", TEAM, "--json")))["teams"] == [["crew"], ["crew", "all"]]


def test_reports_cost_the_same_however_many_there_are(database, engine_statements):
    """who-can and what-can: sets, never a statement for each folder or user."""
    namespaces = Namespaces()

    def ask():
        def run(conn):
            place = mailboxes.read_mailbox(conn, None, "Team")
            bob = accounts.read_user(conn, "bob")
            assert who_can(conn, place, Rights.r, allow_anyone=False)
            assert what_can(conn, namespaces, bob.id, allow_anyone=False)

        with engine_statements(database) as statements:
            database.read_now(run)
        return len(statements)

    few = ask()

    def grow(conn):
        for number in range(12):
            accounts.insert_user(conn, ACTOR, f"user{number}", None)
            accounts.join_team(conn, ACTOR, "crew", f"user{number}")
            mailboxes.create_mailbox(conn, ACTOR, None, f"Team/Sub{number}")

    database.write_now(grow)

    assert ask() == few


@pytest.fixture
def engine_statements():
    class Statements(list):
        def __init__(self, database):
            super().__init__()
            self.engine = database.engine

        def _note(self, _conn, _cursor, statement, *_rest):
            if statement.lstrip().upper().startswith(("SELECT", "WITH")):
                self.append(statement)

        def __enter__(self):
            event.listen(self.engine, "before_cursor_execute", self._note)
            return self

        def __exit__(self, *_):
            event.remove(self.engine, "before_cursor_execute", self._note)

    return Statements
