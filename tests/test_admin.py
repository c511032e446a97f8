"""The administrator's commands, through their entry point."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time

import pytest
from acl_imapd_admin.cli import main


@pytest.fixture
def admin(sqlite_template, tmp_path, capsys, monkeypatch):
    """Runs a command on a copy of the small site: (exit code, standard output, standard error)."""
    path = tmp_path / "site.db"
    shutil.copy(sqlite_template, path)
    monkeypatch.setattr("sys.stdin", open("/dev/null"))  # noqa: SIM115  # closed with the process

    def run(*arguments, now=time.time):
        code = 0
        try:
            main(["--database", f"sqlite:///{path}", *arguments], now)
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


def listed(admin, *filters):
    """The actions of the rows that `audit list` finds, the newest first."""
    return [row["action"] for row in json.loads(ok(admin("audit", "list", *filters, "--json")))]


def test_the_log_of_a_folder_follows_its_names_and_outlives_it(admin):
    ok(admin("folder", "add", f"{TEAM}/Sub"))
    ok(admin("acl", "grant", f"{TEAM}/Sub", "bob", "lr"))
    ok(admin("folder", "rename", TEAM, "Shared Folders/Crew"))
    ok(admin("acl", "revoke", "Shared Folders/Crew/Sub", "bob"))
    rows = ["acl-remove", "acl-set", "acl-own", "folder-add"]

    assert listed(admin, "--folder", "Shared Folders/Crew/Sub") == rows
    assert listed(admin, "--folder", f"{TEAM}/Sub") == rows
    assert listed(admin, "--folder", "Shared Folders/Crew", "--below")[:2] == ["acl-remove", "folder-rename"]
    assert "acl-own" not in listed(admin, "--folder", "Shared Folders/Crew")
    ok(admin("folder", "remove", "Shared Folders/Crew/Sub", "--yes"))
    assert listed(admin, "--folder", "Shared Folders/Crew/Sub") == ["folder-remove", *rows]
    assert listed(admin, "--folder", "Shared Folders/Nowhere") == []


def test_the_log_of_a_user_tells_account_entries_memberships_and_ownership(admin):
    ok(admin("acl", "grant", TEAM, "bob", "lr"))
    ok(admin("team", "leave", "crew", "bob"))
    ok(admin("folder", "owner", TEAM, "bob"))
    ok(admin("user", "rename", "bob", "robert"))
    rows = ["user-rename", "folder-owner", "team-leave", "acl-set"]

    assert listed(admin, "--user", "robert")[:4] == listed(admin, "--user", "bob")[:4] == rows
    ok(admin("user", "remove", "robert", "--yes"))
    gone = ["user-remove", "folder-owner", "acl-remove", *rows]
    assert listed(admin, "--user", "bob", "--since", "1h")[: len(gone)] == gone
    assert listed(admin, "--team", "crew") == ["team-leave", "acl-set", "team-join", "team-join", "team-add"]
    assert "team-add" not in listed(admin, "--user", "ann")


def test_the_log_is_filtered_by_who_how_when_and_what_was_made_as_one(admin):
    ok(admin("user", "remove", "cat", "--yes"))
    rows = json.loads(ok(admin("audit", "list", "--json")))
    group = rows[0]["group"]

    assert rows[0]["action"] == "user-remove"
    assert len(rows[0]["hash"]) == 64
    assert listed(admin, "--group", group)[:2] == ["user-remove", "team-leave"]
    assert listed(admin, "--by", "test", "--action", "team-add") == ["team-add"]
    assert listed(admin, "--by", "nobody") == listed(admin, "--channel", "policy") == []
    assert listed(admin, "--until", "1d") == []
    assert listed(admin, "--since", "1d", "--limit", "1") == ["user-remove"]
    assert admin("audit", "list", "--below")[0] == 2


def test_what_the_acl_was_is_shown_at_a_moment(admin):
    began = time.time() + 100
    moment = [began]

    def at_moment(*arguments):
        return admin(*arguments, now=lambda: moment[0])

    ok(at_moment("acl", "grant", TEAM, "bob", "lr", "--until", "1h", "--reason", "audit"))
    ok(at_moment("folder", "owner", TEAM, "group:crew"))
    ok(at_moment("folder", "add", f"{TEAM}/Sub"))
    moment[0] += 60
    ok(at_moment("acl", "revoke", TEAM, "group:crew"))
    ok(at_moment("folder", "rename", f"{TEAM}/Sub", "Shared Folders/Sub"))
    ok(at_moment("user", "remove", "bob", "--yes"))
    ok(at_moment("folder", "remove", TEAM, "--yes"))
    at = ["--at", time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(began + 30))]

    told = json.loads(ok(at_moment("acl", "show", TEAM, *at, "--json")))

    assert (told["folder"], told["owner"], told["inherited_from"]) == (TEAM, "group:crew", None)
    assert [(one["identifier"], one["rights"], one["reason"]) for one in told["entries"]] == [
        ("ann", "lrswipkxtea", None), ("bob", "lr", "audit"), ("group:crew", "lrswipkte", None),
    ]  # fmt: skip
    for name in (f"{TEAM}/Sub", "Shared Folders/Sub"):
        assert f"{TEAM}/Sub at 2" in (text := ok(at_moment("acl", "show", name, *at)))
        assert f"owner group:crew, with the ACL of {TEAM}" in text
    code, _, err = at_moment("acl", "show", TEAM)
    assert code == 1
    assert "no folder" in err
    assert "was no folder" in at_moment("acl", "show", "Shared Folders/Else", *at)[2]
    assert "nothing is known of before" in at_moment("acl", "show", TEAM, "--at", "2020-01-01")[2]
    assert "bob" not in ok(at_moment("acl", "show", "Shared Folders/Sub", "--at", "0m"))


def test_offboarding_shows_what_there_is_and_hands_it_over(admin):
    ok(admin("acl", "grant", "Other Users/bob/Sent", "cat", "lr"))
    ok(admin("acl", "grant", TEAM, "bob", "lr"))
    ok(admin("team", "add", "lead"))
    ok(admin("team", "join", "lead", "bob", "--manager"))
    ok(admin("folder", "owner", TEAM, "bob"))

    shown = ok(admin("user", "offboard", "bob", "--transfer-to", "ann", "--dry-run"))
    for line in (
        "hands over  Other Users/bob/Sent: 0 messages, shared with cat", f"hands over  {TEAM}, as its owner",
        "hands over  the management of team lead", "leaves      team crew", f"loses       lr (bob) on {TEAM}",
        "Nothing was changed",
    ):  # fmt: skip
        assert line in shown
    assert admin("user", "offboard", "bob", "--transfer-to", "ann")[0] == 1
    assert json.loads(ok(admin("user", "show", "bob", "--json")))["disabled"] is False

    done = json.loads(ok(admin("user", "offboard", "bob", "--transfer-to", "ann", "--yes", "--json")))

    assert (done["done"], done["folder"]) == (True, "Other Users/ann/From bob")
    assert json.loads(ok(admin("user", "show", "bob", "--json")))["disabled"] is True
    assert json.loads(ok(admin("folder", "show", TEAM, "--json")))["owner"] == "ann"
    assert admin("user", "offboard", "bob", "--transfer-to", "bob", "--yes")[0] == 1
    assert "sound" in ok(admin("db", "check"))
