"""acl-imapd-admin acl review"""

from __future__ import annotations

import csv
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import IO, Any, Protocol

import click

from acl_imapd.access import review
from acl_imapd.access.lints import KINDS
from acl_imapd.access.review import Ending, Finding, ReviewedFolder, Source
from acl_imapd.storage.database import Connection
from acl_imapd.storage.reviewed import ReviewedTeam, read_acls_of_team, read_reviewed_teams
from acl_imapd.storage.roster import Person

from .output import Site, must_folder, must_team, must_user, pass_site, team_part, with_json
from .review_page import Page
from .when import When, shown

MAX_SHOWN = 100
COLUMNS = (
    "folder", "owner", "folders", "who", "rights", "why", "less", "granted_by", "granted_at", "reason", "since",
    "until", "last_used", "attention",
)  # fmt: skip


def day(number: int | None) -> str:
    """A day since 1970 as people write it."""
    return "" if number is None else time.strftime("%Y-%m-%d", time.gmtime(number * review.DAY_S))


def why(source: Source) -> str:
    """``group:project-x by berlin → project-x``."""
    role = f" ({source.role})" if source.role is not None else ""
    by = source.via if source.what == "owner" else source.via[:-1]
    return f"{source.what}{role}" + (f" by {' → '.join(by)}" if by else "")


class Sink(Protocol):
    """What becomes of a review, piece by piece."""

    def folder(self, one: ReviewedFolder) -> None: ...
    def team(self, one: ReviewedTeam) -> None: ...
    def finding(self, one: Finding) -> None: ...


class Table:
    """One line for each folder and user, for a spreadsheet."""

    def __init__(self, file: IO[str]) -> None:
        self._writer = csv.writer(file, lineterminator="\n")
        self._writer.writerow(COLUMNS)

    def folder(self, one: ReviewedFolder) -> None:
        """Its lines; one without users where there are none."""
        for row in one.rows:
            sources = row.sources
            self._write(
                one.name, one.owner or "", one.folders, row.who, row.rights, _all(why(each) for each in sources),
                _all(row.less), _all(each.granted_by for each in sources),
                _all(shown(each.granted_at) for each in sources), _all(each.reason for each in sources),
                _all(shown(each.since) for each in sources), _all(shown(each.until) for each in sources),
                day(row.last_used), _all(row.kinds),
            )  # fmt: skip
        rest = [each.kind for each in one.findings if not {row.who for row in one.rows} >= set(each.who)]
        if rest or not one.rows:
            self._write(one.name, one.owner or "", one.folders, *[""] * (len(COLUMNS) - 4), _all(dict.fromkeys(rest)))

    def _write(self, *cells: Any) -> None:
        # A spreadsheet takes what begins so for a formula, and would run it.
        texts = map(str, cells)
        self._writer.writerow([f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text for text in texts])

    def team(self, one: ReviewedTeam) -> None:
        """Teams are told by their folders."""

    def finding(self, one: Finding) -> None:
        """Told with the folder."""


def _all(values: Iterable[str | None]) -> str:
    found = [value or "" for value in values]
    return "; ".join(found) if any(found) else ""


def _as_json(one: Finding) -> dict[str, Any]:
    return {
        "where": one.where, "kind": one.kind, "who": list(one.who), "detail": one.detail, "means": KINDS[one.kind],
    }  # fmt: skip


class Attention:
    """What needs a look, on the screen: the first of it as a table, or all as JSON."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._kept: list[dict[str, Any]] = []
        self._count = 0

    def folder(self, one: ReviewedFolder) -> None:
        """Told by its findings."""

    def team(self, one: ReviewedTeam) -> None:
        """Told by its findings."""

    def finding(self, one: Finding) -> None:
        """Print it, or keep it for the table."""
        self._count += 1
        if self._site.as_json:
            text = json.dumps(_as_json(one), ensure_ascii=False, indent=2).replace("\n", "\n  ")
            click.echo(("[\n  " if self._count == 1 else ",\n  ") + text, nl=False)
        elif self._count <= MAX_SHOWN:
            more = f" and {len(one.who) - 3} more" if len(one.who) > 3 else ""
            detail = f" ({one.detail})" if one.detail else ""
            self._kept.append(
                {
                    "where": one.where, "finding": one.kind, "who": ", ".join(one.who[:3]) + more,
                    "what_it_means": KINDS[one.kind] + detail,
                }
            )  # fmt: skip

    def close(self) -> None:
        """The rest of the output."""
        if self._site.as_json:
            click.echo("\n]" if self._count else "[]")
            return
        if self._kept:
            self._site.rows(list(self._kept[0]), self._kept)
        if self._count > MAX_SHOWN:
            click.echo(f"{self._count - MAX_SHOWN} more; --json, --csv or --html tell all.")


@dataclass
class Scope:
    """Which part of the site is reviewed."""

    name: str
    folders: Callable[[], Iterator[ReviewedFolder]]
    ends: Callable[[Ending], bool]
    team: Callable[[str, set[str]], bool]  # by its name and those met in the folders


def _scope(
    site: Site, conn: Connection, terms: review.Terms, folder: str | None, team: str | None, user: str | None
) -> Scope:
    if folder is not None:
        found = must_folder(conn, site.namespaces, folder)
        return Scope(
            folder,
            lambda: review.review_folders(conn, terms, below=found),
            lambda one: one.where == folder or one.where.startswith(f"{folder}/"),
            lambda name, met: name in met,
        )
    if team is not None:
        team = team_part(team) or team
        of_team = f"group:{team}"
        team_acls = read_acls_of_team(conn, must_team(conn, team).id)
        return Scope(
            of_team,
            lambda: _parts(review.review_folders(conn, terms, acl_ids=team_acls), review.part_of_team, team),
            lambda one: of_team in (one.where, one.who, one.who.removeprefix("-")),
            lambda name, _: name == team,
        )
    if user is not None:
        account = must_user(conn, user)
        person = Person(account.id, account.name, account.disabled)
        acls, teams = review.acls_of_user(conn, person, terms)
        names = {user, f"-{user}", *(f"group:{name}" for name in teams)}
        return Scope(
            user,
            lambda: _parts(review.review_folders(conn, terms, acl_ids=acls), review.part_of_user, user),
            lambda one: one.who in names,
            lambda name, _: name in teams,
        )
    return Scope("all", lambda: review.review_folders(conn, terms), lambda _: True, lambda _, __: True)


def _parts(
    folders: Iterable[ReviewedFolder], part: Callable[[ReviewedFolder, str], ReviewedFolder | None], name: str
) -> Iterator[ReviewedFolder]:
    for one in folders:
        found = part(one, name)
        if found is not None:
            yield found


def _run(conn: Connection, scope: Scope, sinks: Iterable[Sink]) -> tuple[int, Counter[str]]:
    """Give the whole review to the sinks; how many folders, and how many findings of each kind."""
    folders = 0
    counts: Counter[str] = Counter()
    met: set[str] = set()
    for one in scope.folders():
        folders += 1
        met |= one.teams
        counts.update(finding.kind for finding in one.findings)
        for sink in sinks:
            sink.folder(one)
            for finding in one.findings:
                sink.finding(finding)
    for each in read_reviewed_teams(conn):
        if scope.team(each.name, met):
            for sink in sinks:
                sink.team(each)
            if not each.members:
                counts["empty-team"] += 1
                for sink in sinks:
                    sink.finding(Finding(f"group:{each.name}", "empty-team", (f"group:{each.name}",), ""))
    return folders, counts


def _ending(one: Ending) -> dict[str, Any]:
    return {
        "where": one.where, "who": one.who, "rights": one.rights, "until": shown(one.until),
        "granted_by": one.granted_by, "granted_at": shown(one.granted_at), "reason": one.reason,
    }  # fmt: skip


@click.command("review")
@click.argument("folder", required=False)
@click.option("--team", help="What is had by this team.")
@click.option("--user", help="What this user has.")
@click.option("--csv", "csv_path", metavar="FILE", help="Write a line for each folder and user; - is the screen.")
@click.option("--html", "html_path", metavar="FILE", help="Write a page to read and to print.")
@click.option("--ends-within", type=When(day_ends=True), help="What ends by then: 30d, 2026-12-31.")
@click.option("--unused", type=When(back=True), help="Tell who last used a folder before then: 90d.")
@with_json
@pass_site
def review_(
    site: Site, folder: str | None, team: str | None, user: str | None, csv_path: str | None, html_path: str | None,
    ends_within: float | None, unused: float | None,
) -> None:  # fmt: skip
    """Tell who has access to what and why, and what of it needs a look.

    Of the whole site, of FOLDER and what is below it, of a team or of a user.  Without --csv or --html it lists what
    needs a look; with --ends-within the entries and memberships that end soon.

    \b
    Examples:
      acl-imapd-admin acl review
      acl-imapd-admin acl review "Shared Folders/Project X" --csv review.csv
      acl-imapd-admin acl review --unused 90d --html review.html
      acl-imapd-admin acl review --ends-within 30d
    """
    if sum(one is not None for one in (folder, team, user)) > 1:
        raise click.UsageError("Review one of them: a FOLDER, a --team or a --user.")
    if csv_path == html_path == "-":
        raise click.UsageError("Only one of --csv and --html can go to the screen.")
    if ends_within is not None and csv_path is not None:
        raise click.UsageError("--ends-within goes with --html, not with --csv.")
    terms = review.Terms(site.namespaces, site.allow_anyone, site.now(), unused)

    def run(conn: Connection) -> None:
        scope = _scope(site, conn, terms, folder, team, user)
        if ends_within is not None and html_path is None:
            ending = [_ending(one) for one in review.endings(conn, terms, ends_within) if scope.ends(one)]
            columns = ["where", "who", "rights", "until", "granted_by", "granted_at", "reason"]
            site.rows(columns, ending, empty="Nothing ends by then.")
        elif csv_path is None and html_path is None:
            shown_ = Attention(site)
            folders, counts = _run(conn, scope, [shown_])
            shown_.close()
            if not site.as_json:
                click.echo(_summary(folders, counts))
        else:
            _write(site, conn, scope, terms, csv_path, html_path, ends_within)

    site.read(run)


def _write(
    site: Site, conn: Connection, scope: Scope, terms: review.Terms, csv_path: str | None, html_path: str | None,
    ends_within: float | None,
) -> None:  # fmt: skip
    upto = ends_within if ends_within is not None else terms.now + 30 * review.DAY_S
    with ExitStack() as files:

        def opened(path: str) -> IO[str]:
            """What is written whole, or not at all."""
            return files.enter_context(click.open_file(path, "w", encoding="utf-8", atomic=path != "-"))

        page = Page(opened(html_path), day=day, why=why, shown=shown) if html_path is not None else None
        table = Table(opened(csv_path)) if csv_path is not None else None
        folders, counts = _run(conn, scope, [sink for sink in (page, table) if sink is not None])
        if page is not None:
            ending = [_ending(one) for one in review.endings(conn, terms, upto) if scope.ends(one)]
            page.close(scope.name, shown(terms.now) or "", shown(upto) or "", folders, counts, ending)
    if "-" not in (csv_path, html_path):
        written = [path for path in (csv_path, html_path) if path is not None]
        site.done(
            f"{_summary(folders, counts)}  Written: {', '.join(written)}.",
            folders=folders, findings=dict(counts), written=written,
        )  # fmt: skip


def _summary(folders: int, counts: Counter[str]) -> str:
    what = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
    noun = "folder has" if folders == 1 else "folders have"
    return f"{folders} {noun} rights of their own; to look at: {what or 'nothing'}."
