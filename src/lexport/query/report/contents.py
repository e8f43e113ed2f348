"""Decide what the report shows, and in which order: its head, its numbers and its figures."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import PurePosixPath
from xml.etree import ElementTree as ET

from lexport.model import __version__
from lexport.query.catalog import Catalog, location
from lexport.query.checks.definition import Check
from lexport.query.checks.finding import CheckResult
from lexport.query.report import around, figures, findings, history, progress
from lexport.query.report.charts import sparkline
from lexport.query.report.figures import Figure
from lexport.query.report.format import count
from lexport.query.report.labels import Labels
from lexport.query.report.nights import Night
from lexport.query.report.page import Page, Section, Tile
from lexport.query.report.questions import Answer
from lexport.tables.text import plural
from lexport.tables.units import short_size


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a report is made of. ``checked`` is None where no account-region has a whole reading to show."""

    catalog: Catalog
    answers: Mapping[str, Answer]
    checked: CheckResult | None
    nights: tuple[Night, ...]
    checks: tuple[Check, ...]
    labels: Labels
    title: str | None
    owner_tag: str | None
    owners_query: str
    written_at: datetime
    damaged: tuple[str, ...]


def dataset_mark(url: str) -> str:
    """Return the hash that identifies a dataset in a report: of its ``location``, which the report does not contain."""
    return hashlib.sha256(os.fsencode(url)).hexdigest()[:16]


def make_page(contents: Contents) -> Page:
    """Return the page of a report."""
    catalog, checked, fleet = contents.catalog, contents.checked, contents.answers["glance"].rows[0]
    newest, url = catalog.newest, location(catalog.store)
    incomplete = [row for row in contents.answers["parts"].rows if row["status"] not in {"complete", "unavailable"}]
    read_at, oldest_at = fleet["newest_at"] or newest.snapshot_at, fleet["oldest_at"]
    written = f"Written {contents.written_at:%d %b %Y %H:%M} UTC by lexport {__version__}"
    return Page(
        title=contents.title or f"Lambda fleet · {PurePosixPath(url).name}",
        dataset=dataset_mark(url),
        read_at=read_at,
        oldest_at=oldest_at if oldest_at and oldest_at.date() != read_at.date() else None,
        subtitle=f"{written} from {plural(len(catalog.snapshots), 'snapshot')}.",
        notices=(*(_why_unread(catalog) if checked is None else checked.notices), *contents.damaged),
        is_loud=bool(incomplete) or newest.status != "complete" or checked is None,
        tiles=() if checked is None else _tiles(contents.answers, checked),
        steps=None if checked is None else findings.first_steps(checked, contents.labels),
        sections=_unread(contents) if checked is None else _sections(contents, checked),
        labels=contents.labels,
        footer=(
            "Links lead to the AWS console and open only where you are signed in to the account.",
            "Not read: aliases of Lambda@Edge replicas, Lambda Web Functions, $LATEST.PUBLISHED.",
            "Each SQL above gives the same rows on the command line: lexport sql DEST '…'.",
            "A dash is NULL. Texts that begin like a formula are copied with an apostrophe before them.",
        ),
    )


def _why_unread(catalog: Catalog) -> tuple[str, ...]:
    absence = catalog.absence() or ""
    why = f"{absence[:1].upper()}{absence[1:]}, so there is no fleet to report about"
    return (*catalog.damage(), f"{why}." if catalog.is_ended else f"{why}; lexport errors says what failed.")


def _unread(contents: Contents) -> tuple[Section, ...]:
    """Return what there is to show where no reading is shown: what was tried."""
    answer = contents.answers["parts"]
    figure = figures.parts(answer) if answer.rows else Figure(answer=answer, is_wide=True)
    return (
        Section(
            name="parts",
            title="Nothing is left" if contents.catalog.is_ended else "Nothing was read whole yet",
            figures=(figure,),
        ),
    )


def _sections(contents: Contents, checked: CheckResult) -> tuple[Section, ...]:
    answers, labels = contents.answers, contents.labels
    today = contents.catalog.newest.snapshot_at.date()

    def figure(name: str, draw: Callable[[Answer], Figure], empty: str | None = None) -> Figure:
        answer = answers[name]
        return draw(answer) if answer.rows else Figure(answer=answer, empty=empty)

    def listing(name: str, *, is_open: bool, empty: str | None = None) -> Figure:
        return figure(name, lambda answer: Figure(answer=answer, is_open=is_open, is_wide=True), empty)

    unchanged = history.why_unchanged(contents.catalog)
    owned = (
        ()
        if contents.owner_tag is None
        else (findings.owners(checked, labels, contents.owner_tag, contents.owners_query),)
    )
    return (
        Section(
            name="findings",
            title="Findings",
            figures=(
                findings.findings_by_check(checked),
                progress.findings_by_night(contents.nights, contents.checks),
                progress.what_got_better(contents.nights, contents.checks),
                *owned,
                findings.worst_functions(checked, labels),
                findings.finding_list(checked, labels),
            ),
        ),
        _around(answers, labels),
        Section(
            name="runtimes",
            title="Runtimes",
            figures=(
                figure("runtimes", partial(figures.runtimes, today=today)),
                listing("deprecated", is_open=True),
            ),
        ),
        Section(
            name="changes",
            title="Last night",
            figures=(
                figure("changes", history.changes, unchanged),
                figure("changes_by_night", history.changes_by_night),
                listing("change_list", is_open=False, empty=unchanged),
            ),
        ),
        Section(name="trends", title="Trends", figures=(figure("trends", history.trends),)),
        Section(
            name="fleet",
            title="Fleet",
            figures=(
                figure("places", partial(figures.places, labels=labels)),
                figure("memory", figures.memory),
                figure("storage", partial(figures.storage, labels=labels)),
                figure("big_functions", partial(figures.big_functions, labels=labels)),
                figure("roles", partial(figures.roles, labels=labels)),
                figure("packages", figures.packages),
                figure("tag_keys", figures.tag_keys),
                figure("parts", figures.parts),
            ),
        ),
    )


def _around(answers: Mapping[str, Answer], labels: Labels) -> Section:
    """Return what a policy, a URL and CloudWatch say, and what of it was not read."""
    unread = answers["around"].rows[0]
    return Section(
        name="around",
        title="Exposed, unused, cost",
        short_title="Exposed",
        figures=(
            around.exposure(answers["exposure"], unread=unread),
            around.listing(answers["exposed_functions"], unread=unread, of="policies"),
            around.listing(answers["open_urls"], unread=unread, of="urls"),
            around.listing(answers["unused"], unread=unread, of="use"),
            around.cost(answers["cost"], unread=unread, labels=labels),
        ),
    )


def _tiles(answers: Mapping[str, Answer], checked: CheckResult) -> tuple[Tile, ...]:
    """Return eight numbers: they fill rows of two, four and eight."""
    fleet = answers["glance"].rows[0]
    nights = answers["trends"].rows[::-1]

    def shape(name: str) -> ET.Element | None:
        return sparkline([row[name] for row in nights])

    worst = findings.count_functions(findings.worst_severity(checked).values())
    ended = sum(row["functions"] for row in answers["runtimes"].rows if _is_ended(row["status"]))
    gaps = answers["parts"].total_of("gaps")
    unknown_in = fleet["code_unknown_in"]
    of_all = f"of {plural(fleet['functions'] or 0, 'function')}"
    return (
        Tile(
            name="Functions with critical findings",
            value=count(worst["critical"]),
            note=of_all,
            is_alarm=bool(worst["critical"]),
        ),
        Tile(
            name="Functions with high findings",
            value=count(worst["high"]),
            note="and none critical",
            is_alarm=bool(worst["high"]),
        ),
        Tile(name="Functions on deprecated runtimes", value=count(ended), note=of_all, is_alarm=bool(ended)),
        Tile(
            name="Missing data",
            value=plural(gaps, "gap") if gaps else "none",
            note="could not be read" if gaps else plural(fleet["errors"], "other error"),
            is_alarm=bool(gaps),
        ),
        Tile(name="Functions", value=count(fleet["functions"] or 0), spark=shape("functions")),
        Tile(name="Versions", value=count(fleet["versions"] or 0), note="with $LATEST", spark=shape("versions")),
        Tile(
            name="Accounts",
            value=count(fleet["accounts"]),
            note=f"in {plural(fleet['regions'], 'Region')}, {plural(fleet['account_regions'], 'account-region')}",
        ),
        Tile(
            name="Code storage",
            value="not known" if fleet["code_bytes"] is None else short_size(fleet["code_bytes"]),
            note=f"not known for {plural(unknown_in, 'account-region')}" if unknown_in else "",
            spark=shape("code_bytes"),
        ),
    )


def _is_ended(status: str | None) -> bool:
    return status in {"deprecated", "create_blocked", "update_blocked"}
