"""A policy as YAML: text → a document that knows its lines, and back.  Pure: it knows no site.

Read from the nodes of PyYAML's safe composer, never constructed: a scalar is the text that stands there, so that
``on`` or ``007`` may be the name of a team.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import yaml

MAX_BYTES = 64 * 1024 * 1024
MAX_DEPTH = 20
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_NOTHING = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {"true": True, "True": True, "yes": True, "false": False, "False": False, "no": False}


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, and in which line of the file, from 1."""

    line: int
    text: str


class PolicyError(Exception):
    """All that is wrong with a file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(set(problems), key=lambda one: (one.line, one.text))
        super().__init__("; ".join(f"line {one.line}: {one.text}" for one in self.problems))


@dataclass(frozen=True, slots=True)
class Terms:
    """What a membership and a grant have in common; moments in seconds since 1970."""

    since: float | None = None
    until: float | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """*name*: ``bob`` or ``group:berlin``."""

    name: str
    manager: bool = False
    terms: Terms = Terms()
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Entry:
    """*rights*: letters, or the name of a role."""

    identifier: str
    negative: bool
    rights: str
    terms: Terms = Terms()
    subscribe: bool = True
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Team:
    name: str
    members: tuple[Member, ...] | None  # None: the file says nothing of them
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Role:
    name: str
    rights: str
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Folder:
    """What is None is not said.  *entries* and *inherit* exclude each other."""

    name: str
    owner: str | None = None  # alice, group:x or none
    seen: str | None = None  # private or shared
    inherit: bool = False
    entries: tuple[Entry, ...] | None = None
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Policy:
    """A section that is None is not in the file."""

    roles: tuple[Role, ...] | None = None
    teams: tuple[Team, ...] | None = None
    folders: tuple[Folder, ...] | None = None


def near(name: str, known: Iterable[str]) -> str:
    """`` Did you mean …?`` where something is near."""
    found = difflib.get_close_matches(name, list(known), 1)
    return f" Did you mean {found[0]!r}?" if found else ""


# -- reading ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Document:
    """What of a file could be understood, and what not: whoever compares it with a site may find more."""

    policy: Policy
    problems: tuple[Problem, ...]


def read_document(text: str, now: float) -> Document:
    """The document; PolicyError where it is no YAML that we take.  What ended before *now* is left out."""
    reader = _Reader(now)
    policy = reader.policy(_compose(text))
    return Document(policy, tuple(reader.problems))


def parse_policy(text: str, now: float) -> Policy:
    """The policy; PolicyError has everything that is wrong in it."""
    found = read_document(text, now)
    if found.problems:
        raise PolicyError(found.problems)
    return found.policy


def _compose(text: str) -> yaml.Node | None:
    """The tree of nodes: one document, without anchors, tags or endless nesting, of bounded size."""
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise PolicyError([Problem(1, f"The file is longer than {MAX_BYTES} bytes.")])
    try:
        depth = documents = 0
        for event in yaml.parse(text, Loader=_LOADER):
            line = event.start_mark.line + 1 if event.start_mark is not None else 1
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
                raise PolicyError([Problem(line, "Anchors and aliases (& and *) have no place here; quote the text.")])
            tag = getattr(event, "tag", None)
            if tag is not None:
                raise PolicyError([Problem(line, f"Tags ({tag}) have no place here; quote the text.")])
            documents += isinstance(event, yaml.DocumentStartEvent)
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH or documents > 1:
                what = "a second document" if documents > 1 else "nested too deep"
                raise PolicyError([Problem(line, f"This is {what}.")])
        found: yaml.Node | None = yaml.compose(text, Loader=_LOADER)
        return found
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise PolicyError([Problem(mark.line + 1 if mark else 1, f"This is not YAML: {error.problem}.")]) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise PolicyError([Problem(line, f"This is not YAML: {error.reason}.")]) from error
    except yaml.YAMLError as error:
        raise PolicyError([Problem(1, f"This is not YAML: {error}.")]) from error


class _Reader:
    def __init__(self, now: float) -> None:
        self._now = now
        self.problems: list[Problem] = []

    def wrong(self, node: yaml.Node, text: str) -> None:
        self.problems.append(Problem(node.start_mark.line + 1, text))

    def policy(self, node: yaml.Node | None) -> Policy:
        if node is None:
            return Policy()
        parts = self.known(node, ("roles", "teams", "folders"), "a policy")
        return Policy(
            self.each(parts.get("roles"), "roles", self.role),
            self.each(parts.get("teams"), "teams", self.team),
            self.each(parts.get("folders"), "folders", self.folder),
        )

    def each(self, node: yaml.Node | None, what: str, read: Callable[..., Any]) -> Any:
        if node is None:
            return None
        found = [read(name, key, value) for name, key, value in self.mapping(node, what)]
        return tuple(one for one in found if one is not None)

    def mapping(self, node: yaml.Node, what: str) -> list[tuple[str, yaml.Node, yaml.Node]]:
        """The pairs of a mapping, or none of nothing; no key twice."""
        if _is_nothing(node):
            return []
        if not isinstance(node, yaml.MappingNode):
            self.wrong(node, f"Write {what} as a mapping: NAME: ….")
            return []
        found: dict[str, tuple[str, yaml.Node, yaml.Node]] = {}
        for key, value in node.value:
            name = self.scalar(key, "a key")
            if name is None:
                continue
            if name in found:
                self.wrong(key, f"{name!r} stands here a second time; first in line {_line(found[name][1])}.")
                continue
            found[name] = (name, key, value)
        return list(found.values())

    def known(self, node: yaml.Node, keys: Sequence[str], what: str) -> dict[str, yaml.Node]:
        """The values of a mapping that has no other keys than these."""
        found = {}
        for name, key, value in self.mapping(node, what):
            if name not in keys:
                self.wrong(key, f"There is no {name!r} in {what}; there are {', '.join(keys)}.{near(name, keys)}")
            else:
                found[name] = value
        return found

    def scalar(self, node: yaml.Node, what: str) -> str | None:
        if not isinstance(node, yaml.ScalarNode):
            self.wrong(node, f"A text must stand here as {what}.")
            return None
        return str(node.value)

    def word(self, node: yaml.Node | None, what: str) -> str | None:
        """A text; None where nothing is said."""
        return None if node is None or _is_nothing(node) else self.scalar(node, what)

    def boolean(self, node: yaml.Node | None, what: str, default: bool) -> bool:
        text = self.word(node, what)
        if text is None or node is None:
            return default
        if text not in _BOOLEANS:
            self.wrong(node, f"{what} is true or false, not {text!r}.")
        return _BOOLEANS.get(text, default)

    def role(self, name: str, key: yaml.Node, node: yaml.Node) -> Role | None:
        text = self.scalar(node, "the rights of a role")
        return None if text is None else Role(name, text, _line(key))

    def team(self, name: str, key: yaml.Node, node: yaml.Node) -> Team:
        parts = self.known(node, ("members",), "a team")
        return Team(name, self._distinct(self.each(parts.get("members"), "members", self.member)), _line(key))

    def member(self, name: str, key: yaml.Node, node: yaml.Node) -> Member | None:
        parts = self.known(node, ("manager", "since", "until", "reason"), "a membership")
        manager = self.boolean(parts.get("manager"), "manager", False)
        terms = self.terms(parts)
        return Member(_identifier(name), manager, terms, _line(key)) if terms is not None else None

    def folder(self, name: str, key: yaml.Node, node: yaml.Node) -> Folder:
        parts = self.known(node, ("owner", "seen", "inherit", "grants", "denies"), "a folder")
        seen = self.word(parts.get("seen"), "seen")
        if seen not in (None, "private", "shared"):
            self.wrong(parts["seen"], f"seen is private or shared, not {seen!r}.")
            seen = None
        inherit = self.boolean(parts.get("inherit"), "inherit", False)
        entries: tuple[Entry, ...] | None = None
        if inherit and ("grants" in parts or "denies" in parts):
            self.wrong(key, f"{name!r} either inherits or has grants and denies of its own.")
            inherit = False
        elif "grants" in parts or "denies" in parts:
            grants = self.each(parts.get("grants"), "grants", self.grant) or ()
            denies = self.each(parts.get("denies"), "denies", self.deny) or ()
            entries = (*(self._distinct(grants) or ()), *(self._distinct(denies) or ()))
        elif "inherit" in parts and not inherit:
            self.wrong(parts["inherit"], "Where a folder does not inherit, write its grants: {} for none.")
        owner = self.word(parts.get("owner"), "an owner")
        return Folder(name, None if owner is None else _identifier(owner), seen, inherit, entries, _line(key))

    def grant(self, name: str, key: yaml.Node, node: yaml.Node) -> Entry | None:
        return self.entry(name, key, node, negative=False)

    def deny(self, name: str, key: yaml.Node, node: yaml.Node) -> Entry | None:
        return self.entry(name, key, node, negative=True)

    def entry(self, name: str, key: yaml.Node, node: yaml.Node, *, negative: bool) -> Entry | None:
        """``bob: lrs``, or a mapping with what else there is to say."""
        parts: Mapping[str, yaml.Node] = {"rights": node}
        if not isinstance(node, yaml.ScalarNode):
            keys = ("rights", "since", "until", "reason") + (() if negative else ("subscribe",))
            parts = self.known(node, keys, "a deny" if negative else "a grant")
        if name.startswith("-"):
            self.wrong(key, f"Write {name[1:]!r} below denies to take rights away from it.")
        rights = self.word(parts.get("rights"), "rights")
        if not rights:
            self.wrong(key, f"What are the rights of {name!r}? Write letters or a role.")
        subscribe = self.boolean(parts.get("subscribe"), "subscribe", True)
        terms = self.terms(parts)
        if terms is None or not rights:
            return None
        return Entry(_identifier(name), negative, rights, terms, subscribe, _line(key))

    def terms(self, parts: Mapping[str, yaml.Node]) -> Terms | None:
        """None of what has ended."""
        since = self.moment(parts.get("since"), day_ends=False)
        until = self.moment(parts.get("until"), day_ends=True)
        if until is not None and since is not None and until <= since:
            self.wrong(parts["until"], "It would end before it begins.")
        if until is not None and until <= self._now:
            return None
        return Terms(since, until, self.word(parts.get("reason"), "a reason"))

    def moment(self, node: yaml.Node | None, *, day_ends: bool) -> float | None:
        text = self.word(node, "a moment")
        if text is None or node is None:
            return None
        try:
            return parse_moment(text, day_ends=day_ends)
        except (ValueError, OverflowError, OSError):
            self.wrong(node, f"{text!r} is no moment; write 2026-12-31 or 2026-12-31T18:00.")
            return None

    def _distinct(self, found: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
        """``$x`` and ``group:x`` are one."""
        seen: set[str] = set()
        for one in found or ():
            name = one.name if isinstance(one, Member) else one.identifier
            if name in seen:
                self.problems.append(Problem(one.line, f"{name!r} stands here a second time."))
            seen.add(name)
        return found


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _is_nothing(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and not node.style and node.value in _NOTHING


def _identifier(name: str) -> str:
    if name.startswith("$"):
        return "group:" + name[1:]
    return name.lower() if name.startswith("domain:") else name


def parse_moment(text: str, *, day_ends: bool) -> float:
    """Seconds since 1970; ValueError where it is none.  A day alone means all of it, in this machine's zone."""
    moment = datetime.fromisoformat(text)
    if len(text) == len("2026-12-31") and day_ends:
        moment += timedelta(days=1)
    return moment.astimezone().timestamp()


def format_moment(moment: float) -> str:
    """The same in UTC, so that the file means the same everywhere."""
    return datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")


def same_moment(one: float | None, other: float | None) -> bool:
    """True where a file cannot tell them apart: it has microseconds, a database more."""
    if one is None or other is None:
        return one is other
    return format_moment(one) == format_moment(other)


# -- writing -----------------------------------------------------------------------------------------------------


def format_policy(policy: Policy) -> str:
    """The document as YAML: sorted, the same for the same policy."""
    document = {
        "roles": {one.name: one.rights for one in _sorted(policy.roles)},
        "teams": {one.name: {"members": _members(one)} for one in _sorted(policy.teams)},
        "folders": {one.name: _folder(one) for one in _sorted(policy.folders)},
    }
    text = yaml.dump(document, Dumper=_DUMPER, sort_keys=False, allow_unicode=True, width=110)
    return str(text)


def _sorted(found: Iterable[Any] | None) -> list[Any]:
    return sorted(found or (), key=lambda one: one.name)


def _terms(terms: Terms) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if terms.since is not None:
        found["since"] = format_moment(terms.since)
    if terms.until is not None:
        found["until"] = format_moment(terms.until)
    if terms.reason is not None:
        found["reason"] = terms.reason
    return found


def _members(team: Team) -> dict[str, Any]:
    return {one.name: _member(one) for one in _sorted(team.members)}


def _member(member: Member) -> dict[str, Any]:
    return {**({"manager": True} if member.manager else {}), **_terms(member.terms)}


def _folder(folder: Folder) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if folder.owner is not None:
        found["owner"] = folder.owner
    if folder.seen is not None:
        found["seen"] = folder.seen
    if folder.inherit:
        found["inherit"] = True
    if folder.entries is not None:
        by_name = sorted(folder.entries, key=lambda one: one.identifier)
        found["grants"] = {one.identifier: _entry(one) for one in by_name if not one.negative}
        denies = {one.identifier: _entry(one) for one in by_name if one.negative}
        if denies:
            found["denies"] = denies
    return found


def _entry(entry: Entry) -> Any:
    more = _terms(entry.terms)
    if not entry.subscribe and not entry.negative:
        more["subscribe"] = False
    return {"rights": entry.rights, **more} if more else entry.rights
