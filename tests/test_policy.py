"""``policy``: a site's rights as a file."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
from acl_imapd_admin.policy import make_plan
from acl_imapd_admin.policy_file import PolicyError, format_policy, parse_policy, read_document
from acl_imapd_admin.policy_state import read_policy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acl_imapd.access.explain import what_can
from acl_imapd.access.namespaces import Namespaces
from acl_imapd.access.rights import parse_rights
from acl_imapd.storage import accounts, audit, mailboxes, rights
from acl_imapd.storage.accounts import Actor
from acl_imapd.storage.database import Database

from .test_admin import admin, ok  # noqa: F401  # a fixture

NAMES = Namespaces()
POLICY = """\
teams:
  new:
    members:
      bob: {manager: true, until: 2100-01-01, reason: stands in}
      group:crew:
folders:
  Shared Folders/New:
    owner: group:new
    seen: shared
    grants:
      group:new: editor
      ann: {rights: lr, since: 2000-01-01T00:00:00Z, reason: "x", subscribe: false}
    denies:
      cat: t
  Shared Folders/New/Sub:
    inherit: true
"""


def actor():
    return Actor("root", "policy", "here", audit.new_group())


def export(database):
    return format_policy(database.read_now(read_policy, NAMES))


def run(database, text, *, keep, prune=False, expected=None):
    wanted = read_document(text, database.now())
    return database.write_now(
        make_plan, actor(), NAMES, wanted, allow_anyone=False, prune=prune, keep=keep, expected=expected
    )


def held(database):
    """(user, folder) → rights, of everybody on everything."""

    def read(conn):
        return {
            (one.name, has.folder): has.rights
            for one in accounts.list_users(conn)
            for has in what_can(conn, NAMES, one.id, allow_anyone=False)
        }

    return database.read_now(read)


def shifts(plan):
    return {
        (one.user, folder): (one.before, one.after)
        for found in plan.impacts
        for folder in found.folders
        for one in found.shifts
    }


def difference(before, after):
    keys = before.keys() | after.keys()
    return {key: (before.get(key, ""), after.get(key, "")) for key in keys if before.get(key) != after.get(key)}


def test_a_plan_changes_nothing_and_what_is_applied_is_what_it_said(database):
    before, rows = held(database), export(database)

    plan = run(database, POLICY, keep=False)

    assert (before, rows) == (held(database), export(database))
    applied = run(database, POLICY, keep=True, expected=plan.changes)
    assert applied.changes == plan.changes
    assert difference(before, held(database)) == shifts(plan)
    assert shifts(plan)["bob", "Shared Folders/New/Sub"] == ("", "lrswiptea")
    assert not run(database, POLICY, keep=False).changes


def test_what_is_applied_is_one_group_of_the_audit_log(database):
    run(database, POLICY, keep=True)

    rows = [row for row in database.read_now(audit.list_audit) if row.channel == "policy"]

    assert {"team-add", "team-join", "folder-add", "folder-seen", "acl-set"} <= {row.action for row in rows}
    assert len({row.group_id for row in rows}) == 1
    database.read_now(audit.verify)


def test_every_error_is_told_with_its_line_and_nothing_is_done(database):
    text = """\
roles:
  lrs: lr
teams:
  crew:
    members:
      bobb:
  outer: {members: {group:crew: }}
  inner: {members: {group:outer: }}
folders:
  Shared Folders/Team:
    grants:
      bob: editr
      group:crw: lrs
      domain:nowhere.example: lrs
  Shared Folders/New/Below: {owner: nobody, grants: {anyone: l}}
  Elsewhere: {}
  Shared Folders/Team/Odd: {colour: red}
"""
    before = export(database)

    with pytest.raises(PolicyError) as error:
        run(database, text.replace("bobb:", "bobb:\n      group:inner:"), keep=True)

    told = {one.line: one.text for one in error.value.problems}
    assert {2, 6, 13, 14, 15, 16, 17, 18} <= told.keys()
    assert "Did you mean 'bob'?" in told[6]
    assert "Did you mean 'editor'?" in told[13]
    assert "Did you mean 'crew'?" in told[14]
    assert any("cannot join" in one for one in told.values())
    assert before == export(database)


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ("teams: {}\nfoldrs: {}", 2, "'folders'"),
        ("teams:\n  x: {}\n  x: {}", 3, "second time"),
        ("folders:\n  a:\n    grants: {$x: l, group:x: r}", 3, "second time"),
        ("teams: &a {}\nfolders: *a", 1, "Anchors"),
        ("teams: !!python/name:os.system {}", 1, "Tags"),
        ("folders:\n  a:\n    grants:\n      b: {rights: l, until: soon}", 4, "no moment"),
        ("folders:\n  a:\n    grants:\n      b: {rights: l, since: 2101-01-01, until: 2100-01-01}", 4, "it begins"),
        ("folders:\n  a: {inherit: true, grants: {}}", 2, "either"),
        ("folders:\n  a: {seen: maybe}", 2, "private or shared"),
        ("folders:\n  a: {grants: {b: }}", 2, "rights"),
        ("teams: [a]", 1, "mapping"),
        ("a: 'b\n", 1, "not YAML"),
        ("a: {\n  b: ]", 2, "not YAML"),
        ("a: \x00", 1, "not YAML"),
        ("[" * 30, 1, "nested"),
        ("--- {}\n--- {}", 2, "second document"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_policy_is_refused_with_the_line(text, line, part):
    with pytest.raises(PolicyError) as error:
        parse_policy(text, 0)

    found = error.value.problems[0]
    assert part in found.text
    assert found.line == line or part == "not YAML"


@given(st.text(alphabet=" \n\t:{}[],-&*!|>'\"%@`#?abc0~roles", max_size=60))
@settings(max_examples=200, deadline=None)
def test_any_text_is_a_policy_or_refused_with_lines(text):
    try:
        parse_policy(text, 0)
    except PolicyError as error:
        assert all(one.line >= 1 for one in error.problems)


def test_what_has_ended_is_as_if_it_were_not_there(database):
    text = "folders: {Shared Folders/Team: {grants: {bob: {rights: lrs, until: 2001-01-01}}}}"

    assert not run(database, text, keep=False).changes


def test_only_prune_removes_and_it_removes_no_folder(database):
    run(database, POLICY, keep=True)
    less = "roles: {editor: lrswipte}\nteams: {crew: {members: {bob: }}}\n" + (
        "folders:\n  Shared Folders/New: {grants: {ann: lr}}\n"
    )

    gone = {(one.what, one.who or one.name) for one in run(database, less, keep=False).changes if one.after is None}
    pruned = run(database, less, keep=False, prune=True)

    assert gone == set()
    removed = {(one.what, one.who or one.name) for one in pruned.changes if one.after is None}
    assert {("team", "new"), ("role", "reader"), ("entry", "-cat"), ("entry", "group:new")} <= removed
    assert "Shared Folders/Team" in pruned.kept
    assert "Shared Folders/New/Sub" in pruned.kept


def test_a_folder_that_gets_rights_of_its_own_has_just_those_of_the_file(database):
    run(database, POLICY, keep=True)
    text = "folders: {Shared Folders/New/Sub: {grants: {ann: lr}}}"
    plan = run(database, text, keep=False)
    before = held(database)

    run(database, text, keep=True)

    assert difference(before, held(database)) == shifts(plan)
    assert ("ann", "Shared Folders/New/Sub") in held(database)
    assert held(database)["bob", "Shared Folders/New/Sub"] == "la"  # the owner's


def test_another_change_between_plan_and_apply_is_noticed(database):
    plan = run(database, POLICY, keep=False)
    database.write_now(accounts.insert_team, actor(), "new")

    with pytest.raises(Exception, match="has changed since"):
        run(database, POLICY, keep=True, expected=plan.changes)

    assert not any(one.path == "New" for one in database.read_now(mailboxes.list_shared))


def test_a_session_that_loses_rights_by_apply_is_cut_off(world):
    (bob,) = world.selected("Shared Folders/Team", "bob")
    bob.idle()

    run(world.database, "folders: {Shared Folders/Team: {denies: {bob: lrswipkxtea}}}", keep=True)
    world.notice()

    assert "* BYE" in bob.take()
    assert bob.transport.lost


def test_exit_codes_and_json_of_the_commands(admin, tmp_path):  # noqa: F811
    file = tmp_path / "p.yaml"
    file.write_text(ok(admin("policy", "export")))
    assert "Nothing" in ok(admin("policy", "plan", str(file)))
    file.write_text("teams: {fresh: {members: {bob: }}}")

    code, out, _ = admin("policy", "plan", str(file), "--json")

    assert code == 3
    found = json.loads(out)
    assert {"what": "team", "name": "fresh", "who": None, "before": None, "after": True} in found["changes"]
    assert set(found) == {"changes", "impacts", "kept"}
    assert admin("policy", "apply", str(file))[0] == 1  # nobody to ask
    assert admin("policy", "plan", str(file))[0] == 3
    ok(admin("policy", "apply", str(file), "--yes"))
    assert admin("policy", "plan", str(file))[0] == 0
    file.write_text("teams:\n  fresh: {members: {bbo: }}")
    code, _, err = admin("policy", "apply", str(file), "--yes")
    assert code == 1
    assert f"{file}:2: There is no user 'bbo'. Did you mean 'bob'?" in err


# -- any site ---------------------------------------------------------------------------------------------------

USERS = ("ann", "bob", "cat")
TEAMS = ("t0", "t1", "t2")
PATHS = ("A", "A/B", "A/B/C", "D")
LETTERS = st.sampled_from(["l", "lr", "lrs", "lrswipkxtea", "ka", "reader", "editor"])
WHO = st.sampled_from([*USERS, *(f"group:{one}" for one in TEAMS), "owner", "authenticated"])
MEMBER = st.sampled_from([*USERS, "group:t0", "group:t1"])
STEP = st.one_of(
    st.tuples(st.just("set"), st.sampled_from(PATHS), WHO, st.booleans(), LETTERS, st.integers(0, 3)),
    st.tuples(st.just("inherit"), st.sampled_from(PATHS)),
    st.tuples(st.just("owner"), st.sampled_from(PATHS), st.sampled_from([*USERS, *TEAMS, "none"])),
    st.tuples(st.just("join"), st.sampled_from(TEAMS), MEMBER, st.booleans()),
    st.tuples(st.just("seen"), st.sampled_from(PATHS), st.booleans()),
)  # fmt: skip


def take(conn, step):
    """One step; what is refused is not done."""
    found = {one.path: one for one in mailboxes.list_shared(conn)}
    verb, what, *more = step
    try:
        if verb == "set":
            who, negative, letters, terms = more
            role = rights.read_role(conn, letters)
            limits = rights.Terms(
                rights.read_role_id(conn, letters) if role else None,
                since=1e9 + 0.1234567 if terms & 1 else None,
                until=4e9 + 0.7654321 if terms & 2 else None,
                reason="because: #" if terms == 3 else None,
                subscribe=terms != 1,
            )
            identifier = rights.resolve_identifier(conn, who, allow_anyone=False)
            letters = role.rights if role else letters
            rights.change_entry(
                conn, actor(), found[what].id, identifier, negative=negative, op="set",
                rights=parse_rights(letters), terms_=limits,
            )  # fmt: skip
        elif verb == "inherit":
            rights.inherit_acl(conn, actor(), found[what].id)
        elif verb == "owner":
            user, team = accounts.read_user(conn, more[0]), accounts.read_team(conn, more[0])
            ids = {"user_id": user.id if user else None, "team_id": team.id if team else None}
            rights.set_owner(conn, actor(), found[what].id, **ids)
        elif verb == "join":
            accounts.join_team(conn, actor(), what, more[0], manager=more[1])
        else:
            mailboxes.set_seen_mode(conn, actor(), found[what].id, shared=more[0])
    except rights.Refused:
        pass


def begin(conn):
    for name in TEAMS:
        accounts.insert_team(conn, actor(), name)
    for path in PATHS:
        mailboxes.create_mailbox(conn, actor(), None, path)


@given(st.lists(STEP, max_size=12), st.lists(STEP, max_size=6))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_site_can_be_made_anew_from_its_file_and_every_plan_tells_the_truth(sqlite_template, tmp_path, first, then):
    def site(name):
        path = tmp_path / name
        path.unlink(missing_ok=True)
        for suffix in ("-wal", "-shm"):
            (tmp_path / (name + suffix)).unlink(missing_ok=True)
        shutil.copy(sqlite_template, path)
        return Database.open(f"sqlite:///{path}")

    source, target = site("source.db"), site("target.db")
    try:
        source.write_now(begin)
        for step in first:
            source.write_now(take, step)
        for _ in range(2):  # onto an empty site, then onto one that was like the one before the steps
            text = export(source)
            assert not run(source, text, keep=False, prune=True).changes
            before = held(target)
            plan = run(target, text, keep=False, prune=True)
            run(target, text, keep=True, prune=True, expected=plan.changes)
            assert export(target) == text
            assert held(target) == held(source)
            assert shifts(plan) == difference(before, held(target))
            assert not run(target, text, keep=True, prune=True).changes
            for step in then:
                source.write_now(take, step)
    finally:
        source.close()
        target.close()


def test_ownership_planned_for_a_tree_is_told_once_where_the_child_keeps_its_owner(database):
    run(database, POLICY, keep=True)
    text = "folders: {Shared Folders/New: {owner: ann}, Shared Folders/New/Sub: {owner: group:new}}"

    plan = run(database, text, keep=False)

    assert [(one.what, one.name) for one in plan.changes] == [("owner", "Shared Folders/New")]
    assert replace(plan.changes[0]).after == "ann"
