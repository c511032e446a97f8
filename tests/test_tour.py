"""The examples in docs/administration.md, run in their order on one site.

    ACL_IMAPD_TOUR=write pytest tests/test_tour.py

writes what the commands print now into the document; read the difference before you commit it.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from acl_imapd_admin.cli import main

DOCUMENT = Path(__file__).parent.parent / "docs/administration.md"
BEGUN = datetime(2026, 11, 24, 10, 56, tzinfo=UTC).timestamp()


@dataclass
class Example:
    """A command of the document, and what it says comes of it."""

    line: int  # of the prompt, from 0
    indent: str
    command: str
    document: list[str] = field(default_factory=list)  # a here-document's lines
    output: list[str] = field(default_factory=list)
    end: int = 0  # the line after it


def examples(text: str) -> Iterator[Example]:
    """What follows ``$`` in the indented blocks."""
    lines = text.split("\n")
    number = 0
    while number < len(lines):
        found = re.fullmatch(r"( {4,})\$ (.+)", lines[number])
        if found is None:
            number += 1
            continue
        one = Example(number, found[1], found[2])
        number += 1
        marker = re.search(r"<<\s*'?(\w+)'?$", one.command)
        while marker and lines[number].strip() != marker[1]:
            one.document.append(lines[number][len(one.indent) :])
            number += 1
        number += bool(marker)
        while number < len(lines) and lines[number].startswith(one.indent) and lines[number][len(one.indent)] != "$":
            one.output.append(lines[number][len(one.indent) :])
            number += 1
        one.end = number
        yield one


def normal(lines: list[str]) -> list[str]:
    """What must be the same each time: without times of day, passwords, numbers of rows, widths of columns."""
    text = "\n".join(line.rstrip() for line in lines if line.strip())
    for pattern, instead in (
        (r"(\d{4}-\d\d-\d\d)[T ](?!00:00(?::00)?\b)\d\d:\d\d(:\d\d)?", r"\1 TIME"),
        (r"(Password: +)\S+", r"\1PASSWORD"),
        (r"(?m)^( *uidvalidity +)\d+", r"\1N"),
        (r"\b0\d\d\d\b", "SCHEMA"),
        (r"(?m)^ *\d+ +(?=\d{4}-)", "ROW "),
        (r"\bAll \d+ rows\b", "All N rows"),
        (r"\b[0-9a-f]{16,}\b", "HASH"),
        (r"─+", "─"),
        (r" {2,}", " "),
        (r"(?m)^ +(?=\S)", " "),
    ):
        text = re.sub(pattern, instead, text)
    return text.split("\n")


class Shell:
    """As much of one as the examples need: ``echo … |``, ``>``, ``cat``, ``<< END`` and ``echo $?``."""

    def __init__(self, capture: Callable[[], str], monkeypatch: pytest.MonkeyPatch, now: Callable[[], float]) -> None:
        self._capture = capture
        self._now = now
        self._monkeypatch = monkeypatch
        self.code = 0

    def run(self, example: Example) -> str:
        """What the terminal shows."""
        command, _, target = re.sub(r"<<.*", "", example.command).partition(" > ")
        given = "\n".join(example.document) + "\n" if example.document else ""
        shown = ""
        for part in re.split(r" \| ", command):
            shown = given = self._part(shlex.split(part), given)
        if target:
            Path(target.strip()).write_text(shown)
            return ""
        return shown

    def _part(self, words: list[str], given: str) -> str:
        if words[0] == "echo":
            return " ".join(str(self.code) if word == "$?" else word for word in words[1:]) + "\n"
        if words[0] == "cat":
            self.code = 0
            return "".join(Path(word).read_text() for word in words[1:]) or given
        assert words[0] == "acl-imapd-admin", f"the examples' shell does not know {words[0]!r}"
        self.code = 0
        self._monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given.encode()), encoding="utf-8"))
        try:
            main(words[1:], self._now)
        except SystemExit as stop:
            self.code = int(stop.code or 0)
        return self._capture()


@pytest.fixture
def shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[tuple[Shell, list[float]]]:
    """A shell on an empty site, in a directory of its own, and the time of its day."""
    (tmp_path / "site.toml").write_text(f'[database]\nurl = "sqlite:///{tmp_path}/site.db"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ACL_IMAPD_CONFIG", str(tmp_path / "site.toml"))
    monkeypatch.setenv("SUDO_USER", "ines")
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    now = [BEGUN]
    yield Shell(lambda: "".join(capsys.readouterr()), monkeypatch, lambda: now[0]), now
    monkeypatch.undo()
    time.tzset()


def test_the_examples_of_the_administrators_document_do_what_it_says(shell):
    """In one site, from the top to the bottom; a command that ends other than with 0 is followed by ``echo $?``."""
    terminal, now = shell
    lines = DOCUMENT.read_text().split("\n")
    found = list(examples("\n".join(lines)))
    differing = []
    for example, following in zip(found, [*found[1:], None], strict=True):
        now[0] += 1
        shown = terminal.run(example).rstrip("\n").split("\n")
        told = following is not None and following.command == "echo $?" and following.line == example.end
        if normal(shown) != normal(example.output) or (terminal.code and example.command != "echo $?" and not told):
            differing.append((example, [line.rstrip() for line in shown if line.strip()]))

    if os.environ.get("ACL_IMAPD_TOUR") == "write":
        for example, shown in reversed(differing):
            lines[example.end - len(example.output) : example.end] = [example.indent + line for line in shown]
        DOCUMENT.write_text("\n".join(lines))
    assert found
    assert not differing, "\n".join(
        f"docs/administration.md:{example.line + 1}: $ {example.command}\nprints\n" + "\n".join(shown)
        for example, shown in differing
    )
