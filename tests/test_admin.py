"""The administrator's commands, through their entry point."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest
from acl_imapd_admin.cli import main


@pytest.fixture
def admin(sqlite_template, tmp_path, capsys, monkeypatch):
    """Runs a command on a copy of the small site: (exit code, standard output, standard error)."""
    path = tmp_path / "site.db"
    shutil.copy(sqlite_template, path)
    monkeypatch.setattr("sys.stdin", open("/dev/null"))  # noqa: SIM115  # closed with the process

    def run(*arguments):
        code = 0
        try:
            main(["--database", f"sqlite:///{path}", *arguments])
        except SystemExit as stop:
            code = stop.code
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def ok(result):
    assert result[0] == 0, result
    return result[1]


TEAM = "Shared Folders/Team"


def test_from_nothing_to_a_team_that_reads(admin):
    assert "Password:" in ok(admin("user", "add", "dan", "--generate"))
    ok(admin("team", "add", "new"))
    ok(admin("team", "join", "new", "dan", "--manager"))
    ok(admin("team", "join", "new", "group:crew"))
    ok(admin("folder", "add", "Shared Folders/New", "--owner", "group:new"))
    ok(admin("acl", "grant", "Shared Folders/New", "group:new", "reader", "--reason", "kick-off"))

    held = json.loads(ok(admin("acl", "what-can", "bob", "--json")))

    assert {"folder": "Shared Folders/New", "rights": "lrs"} in held
    assert {"user": "dan", "rights": "lrsa"} in json.loads(
        ok(admin("--json", "acl", "who-can", "r", "Shared Folders/New"))
    )


def test_explain_tells_the_whole_chain(admin):
    ok(admin("folder", "add", f"{TEAM}/Sub"))
    ok(admin("acl", "deny", TEAM, "bob", "te", "--reason", "leaves soon"))

    told = ok(admin("acl", "explain", "bob", f"{TEAM}/Sub"))

    assert f"inherited from {TEAM}" in told
    assert "bob → crew" in told
    assert "leaves soon" in told
    assert told.endswith("= lrswipk\n")
    as_json = json.loads(ok(admin("acl", "explain", "bob", f"{TEAM}/Sub", "--json")))
    assert as_json["rights"] == "lrswipk"
    assert [one["via"] for one in as_json["matched"]] == [["bob", "crew"], ["bob"]]


def test_revoke_names_who_is_not_there(admin):
    ok(admin("acl", "revoke", TEAM, "group:crew"))

    assert "no rights" in ok(admin("acl", "explain", "bob", TEAM))
    code, _, err = admin("acl", "revoke", TEAM, "group:crew")
    assert (code, err.count("\n")) == (1, 1)


def test_inherit_returns_to_the_parents_rights(admin):
    ok(admin("folder", "add", f"{TEAM}/Sub"))
    ok(admin("acl", "grant", f"{TEAM}/Sub", "bob", "lr"))
    ok(admin("acl", "revoke", f"{TEAM}/Sub", "group:crew"))
    assert "= lr\n" in ok(admin("acl", "explain", "bob", f"{TEAM}/Sub"))

    ok(admin("acl", "inherit", f"{TEAM}/Sub"))

    assert "= lrswipkte\n" in ok(admin("acl", "explain", "bob", f"{TEAM}/Sub"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("user", "show", "bobb"), "Did you mean 'bob'?"),
        (("acl", "grant", TEAM, "eve", "lr"), "no user 'eve'"),
        (("acl", "grant", TEAM, "bob", "read"), "Did you mean 'reader'?"),
        (("acl", "grant", TEAM, "anyone", "lr"), "switched off"),
        (("folder", "add", "Plain"), "Shared Folders/Plain"),
        (("folder", "add", TEAM), "already"),
        (("folder", "remove", TEAM), "--yes"),
        (("user", "add", "anyone", "--generate"), "reserved"),
        (("team", "join", "crew", "group:crew"), "cannot join"),
        (("acl", "inherit", TEAM), "at the top"),
        (("folder", "rename", TEAM, "Other Users/bob/Team"), "stays in the tree"),
    ],
)
def test_refusals_are_one_line_that_says_what_to_do(admin, arguments, says):
    code, out, err = admin(*arguments)

    assert (code, out) == (1, "")
    assert says in err
    assert err.count("\n") == 1


def test_usage_errors_exit_2(admin):
    assert admin("acl", "grant")[0] == 2
    assert admin("nonsense")[0] == 2


@pytest.mark.parametrize(
    "arguments",
    [("user", "list"), ("team", "list"), ("team", "show", "crew"), ("role", "list"), ("folder", "list"),
     ("folder", "show", TEAM), ("user", "show", "bob"), ("acl", "show", TEAM), ("audit", "list"), ("db", "current"),
     ("db", "check")],
)  # fmt: skip
def test_whatever_lists_or_shows_speaks_json(admin, arguments):
    assert json.loads(ok(admin(*arguments, "--json"))) is not None


def test_removing_people_leaves_nothing_dangling(admin):
    ok(admin("acl", "grant", TEAM, "bob", "lr"))
    ok(admin("user", "remove", "bob", "--yes"))
    ok(admin("team", "remove", "crew", "--yes"))

    assert [one["identifier"] for one in json.loads(ok(admin("acl", "show", TEAM, "--json")))] == ["ann"]
    assert "sound" in ok(admin("db", "check"))
    assert "as they were written" in ok(admin("audit", "verify"))


def test_a_changed_audit_row_is_found(admin, tmp_path):
    """Promise 4."""
    import sqlite3

    with sqlite3.connect(tmp_path / "site.db") as connection:
        connection.execute("UPDATE audit SET actor = 'somebody' WHERE id = 3")

    code, _, err = admin("audit", "verify")

    assert code == 1
    assert "Row 3" in err


def test_a_new_database_is_made_by_upgrade(tmp_path):
    """The installed program, in a process of its own."""
    command = [sys.executable, "-m", "acl_imapd_admin.cli"]
    url = f"sqlite:///{tmp_path}/new/site.db"

    refused = subprocess.run([*command, "--database", url, "user", "list"], capture_output=True, text=True, check=False)
    made = subprocess.run([*command, "--database", url, "db", "upgrade"], capture_output=True, text=True, check=False)

    assert refused.returncode == 1
    assert "db upgrade" in refused.stderr
    assert made.returncode == 0, made.stderr
