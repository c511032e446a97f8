"""The documents tell the truth."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import msgspec
import pytest
from acl_imapd_admin.cli import cli

from acl_imapd.access.lints import KINDS
from acl_imapd.commands.table import extension_table
from acl_imapd.config import Settings, load_settings

ROOT = Path(__file__).parent.parent


def test_readme_has_the_extensions_of_the_command_table():
    assert extension_table() in (ROOT / "README.md").read_text()


def test_the_sample_has_every_setting_and_its_default():
    sample = tomllib.loads((ROOT / "etc/acl-imapd.toml").read_text())

    assert {name: set(table) for name, table in msgspec.to_builtins(Settings()).items()} == {
        name: set(table) for name, table in sample.items()
    }
    load_settings(ROOT / "etc/acl-imapd.toml", {})


def test_every_administrators_verb_is_documented_and_has_an_example():
    text = (ROOT / "docs/administration.md").read_text()
    for noun, group in cli.commands.items():
        assert isinstance(group, click.Group)
        for verb, command in group.commands.items():
            assert f"`{noun} {verb}" in text, f"{noun} {verb}"
            assert f"acl-imapd-admin {noun} {verb}" in (command.help or ""), f"{noun} {verb}"


def test_every_finding_of_a_review_is_documented_with_its_meaning():
    text = (ROOT / "docs/administration.md").read_text()
    for kind, meaning in KINDS.items():
        assert f"| `{kind}` | {meaning} |" in text


def test_architecture_names_every_module():
    """The tree of the document is the tree there is; of commands/ it tells the rule alone."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    tree = text[text.index("## The tree") : text.index("`make lint`")]
    modules = (path for path in (ROOT / "acl_imapd").glob("*/*.py") if path.parent.name != "commands")

    missing = [path for path in modules if path.stem != "__init__" and path.stem not in tree.replace("/", " ").split()]

    assert missing == []


def test_no_document_keeps_both_sides_of_a_conflict():
    for path in [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        assert not re.search(r"^(<<<<<<<|>>>>>>>)", path.read_text(), re.MULTILINE), path


@pytest.mark.parametrize("script", ["bench/growth.py", "bench/revoke.py", "bench/grow.py"])
def test_what_the_benchmarks_were_made_with_can_be_called(script):
    module = script.replace("/", ".").removesuffix(".py")
    subprocess.run([sys.executable, "-m", module, "--help"], cwd=ROOT, check=True, capture_output=True)
