"""A review of access as one page: nothing of it comes from elsewhere, everything in it is escaped."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import IO, Any

from acl_imapd.access.lints import KINDS
from acl_imapd.access.review import Finding, ReviewedFolder, Source
from acl_imapd.storage.reviewed import ReviewedTeam

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #1c1c1c; background: #fff; margin: 2rem auto; max-width: 76rem;
  padding: 0 1rem }
h1 { font-size: 1.5rem; margin: 0 } h2 { font-size: 1.2rem; margin: 2.2rem 0 .4rem }
h3 { font-size: 1rem; margin: 1.6rem 0 .2rem; overflow-wrap: anywhere }
p { margin: .2rem 0 .5rem } .quiet { color: #5a5a5a }
table { border-collapse: collapse; width: 100%; margin: .3rem 0 1rem }
th { text-align: left; font-weight: 600; background: #f0f1f3 } thead { display: table-header-group }
th, td { border: 1px solid #d3d6da; padding: .25rem .5rem; vertical-align: top; overflow-wrap: anywhere }
td.rights { font-family: ui-monospace, monospace; white-space: nowrap }
.look { border-left: 4px solid #b45309; background: #fff7ed; padding: .3rem .7rem; margin: .3rem 0 }
.kind { font-weight: 600 } tr.marked td { background: #fff7ed }
section { break-inside: auto } tr, .look { break-inside: avoid } h2, h3 { break-after: avoid }
@media print { body { font-size: 10pt; margin: 0; max-width: none } a { color: inherit; text-decoration: none } }
"""


def _row(cells: Iterable[Any], tag: str = "td", marked: bool = False) -> str:
    inner = "".join(f"<{tag}>{cell}</{tag}>" for cell in cells)
    return f'<tr class="marked">{inner}</tr>' if marked else f"<tr>{inner}</tr>"


def _table(heads: Sequence[str], rows: Iterable[str]) -> str:
    return f"<table><thead>{_row(heads, 'th')}</thead><tbody>{''.join(rows)}</tbody></table>\n"


def _lines(values: Iterable[str | None]) -> str:
    found = [escape(value or "") for value in values]
    return "<br>".join(found) if any(found) else ""


class Page:
    """Folders and teams as they come go to a file of their own; what is at the top is known when all have come."""

    def __init__(
        self, file: IO[str], *, day: Callable[[int | None], str], why: Callable[[Source], str],
        shown: Callable[[float | None], str | None],
    ) -> None:  # fmt: skip
        self._file = file
        self._body = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115  # closed by close
        self._day, self._why, self._shown = day, why, shown
        self._in_teams = False

    def folder(self, one: ReviewedFolder) -> None:
        """A section: what needs a look, then who has what."""
        below = f" These rights hold for {one.folders} folders." if one.folders > 1 else ""
        self._body.write(
            f'<section><h3>{escape(one.name)}</h3><p class="quiet">Owner: {escape(one.owner or "nobody")}.{below}</p>\n'
        )
        for finding in one.findings:
            self._body.write(_look(finding))
        rows = (
            _row(
                (
                    escape(row.who), f"<code>{escape(row.rights) or '–'}</code>",
                    _lines([*(self._why(each) for each in row.sources), *(f"less {each}" for each in row.less)]),
                    _lines(" ".join(filter(None, (self._date(each.granted_at), each.granted_by)))
                           for each in row.sources),
                    _lines(each.reason for each in row.sources),
                    _lines(self._span(each) for each in row.sources), self._day(row.last_used),
                ),
                marked=bool(row.kinds),
            )
            for row in one.rows
        )  # fmt: skip
        if one.rows:
            heads = ("Who", "Rights", "Why", "Granted", "Reason", "From, until", "Last used")
            self._body.write(_table(heads, rows))
        else:
            self._body.write("<p>Nobody has rights here.</p>\n")
        self._body.write("</section>\n")

    def _date(self, moment: float | None) -> str:
        return (self._shown(moment) or "")[:10]

    def _span(self, source: Source) -> str:
        since = f"from {self._shown(source.since)}" if source.since is not None else ""
        until = f"until {self._shown(source.until)}" if source.until is not None else ""
        return " ".join(filter(None, (since, until)))

    def team(self, one: ReviewedTeam) -> None:
        """A section: the members and how long they are."""
        if not self._in_teams:
            self._body.write("<h2>Teams</h2>\n")
            self._in_teams = True
        self._body.write(
            f'<section><h3>group:{escape(one.name)}</h3><p class="quiet">'
            f"Named by the rights of {one.folders} folders; owns {one.owns}.</p>\n"
        )
        rows = (
            _row(
                (
                    escape(each.name), "yes" if each.manager else "", escape(self._shown(each.since) or ""),
                    escape(self._shown(each.until) or ""), escape(self._date(each.added_at)),
                    escape(each.added_by or ""), escape(each.reason or ""),
                )
            )
            for each in one.members
        )  # fmt: skip
        if one.members:
            self._body.write(_table(("Member", "Manages", "From", "Until", "Added", "By", "Reason"), rows))
        self._body.write("</section>\n")

    def finding(self, one: Finding) -> None:
        """A folder's stand in its section; a team's come after it."""
        if one.where.startswith("group:"):
            self._body.write(_look(one))

    def close(
        self, scope: str, at: str, upto: str, folders: int, counts: Counter[str], ending: Sequence[dict[str, Any]]
    ) -> None:
        """Write the page: what it is of, what to look at, what ends, then the sections."""
        title = "Review of access" + (f": {scope}" if scope != "all" else "")
        write = self._file.write
        write(
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
            f'<meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
            f"<style>{STYLE}</style></head><body>\n"
            f'<h1>{escape(title)}</h1><p class="quiet">As of {escape(at)}. {folders} folders have rights of their own; '
            "folders below them that follow are not listed.</p>\n<h2>To look at</h2>\n"
        )
        rows = (_row((count, f"<b>{kind}</b>", escape(KINDS[kind]))) for kind, count in counts.most_common())
        write(_table(("Found", "What", "Meaning"), rows) if counts else "<p>Nothing.</p>\n")
        write(f"<h2>Ends by {escape(upto[:10])}</h2>\n")
        heads = ("Where", "Who", "Rights", "Until", "Granted by", "Granted", "Reason")
        cells = (_row(escape(str(value)) if value is not None else "" for value in one.values()) for one in ending)
        write(_table(heads, cells) if ending else "<p>Nothing.</p>\n")
        write("<h2>Folders</h2>\n")
        self._body.seek(0)
        shutil.copyfileobj(self._body, self._file)
        self._body.close()
        write("</body></html>\n")


def _look(finding: Finding) -> str:
    who = ", ".join(finding.who[:20]) + (f" and {len(finding.who) - 20} more" if len(finding.who) > 20 else "")
    detail = f" ({finding.detail})" if finding.detail else ""
    about = f" {escape(who)}" if finding.who != ("-",) else ""
    return (
        f'<p class="look"><span class="kind">{finding.kind}</span>{about}: {escape(KINDS[finding.kind] + detail)}</p>\n'
    )
