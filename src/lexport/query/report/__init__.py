"""Write one HTML file about a dataset: the fleet, its problems and its changes. It needs no network to read.

``questions`` runs SQL, ``figures`` turns the rows into charts and ``page`` writes the HTML. All markup goes through
``markup``.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import PurePosixPath
from xml.etree import ElementTree as ET

from lexport.model import __version__
from lexport.query.catalog import Catalog, location
from lexport.query.checks.finding import CheckResult
from lexport.query.execute import Interruptible, run_interruptibly
from lexport.query.report import figures
from lexport.query.report.charts import sparkline
from lexport.query.report.figures import Figure
from lexport.query.report.findings import findings
from lexport.query.report.format import count
from lexport.query.report.page import Page, Section, Tile, write_page
from lexport.query.report.questions import Answer, answer_question, questions
from lexport.query.sql import open_query_session
from lexport.tables.text import plural
from lexport.tables.units import format_age, short_size


async def report(dest: str | os.PathLike[str], *, checked: CheckResult | None = None) -> str:
    """Write a report about a dataset as the text of one HTML file. ``checked`` is the result of ``check``, if it ran.

    Cancelled: DuckDB is interrupted.
    """
    return await run_interruptibly(partial(_write, dest, checked))


def dataset_mark(url: str) -> str:
    """Return the hash that identifies a dataset in a report: of its ``location``, which the report does not contain."""
    return hashlib.sha256(os.fsencode(url)).hexdigest()[:16]


def _write(dest: str | os.PathLike[str], checked: CheckResult | None, running: list[Interruptible]) -> str:
    with open_query_session(dest, running=running) as session:
        answers = {name: answer_question(session, question) for name, question in questions().items()}
        return write_page(_page(session.catalog, answers, checked, now=datetime.now(UTC)))


def _page(catalog: Catalog, answers: dict[str, Answer], checked: CheckResult | None, *, now: datetime) -> Page:
    newest, url = catalog.newest, location(catalog.store)
    incomplete = [row for row in answers["parts"].rows if row["status"] not in {"complete", "unavailable"}]
    return Page(
        title=f"Lambda fleet · {PurePosixPath(url).name}",
        dataset=dataset_mark(url),
        subtitle=(
            f"Snapshot of {newest.snapshot_at:%d %b %Y %H:%M} UTC, {count(len(catalog.snapshots))} in all. "
            f"Written {now:%d %b %Y %H:%M} UTC by lexport {__version__}."
        ),
        notices=catalog.notices(now=now) if checked is None else checked.notices,
        is_loud=bool(incomplete) or newest.status != "complete",
        tiles=_tiles(answers, checked, now=now),
        sections=_sections(catalog, answers, checked),
        footer=(
            "Not read: aliases of Lambda@Edge replicas, Lambda Web Functions, $LATEST.PUBLISHED.",
            "Each SQL above gives the same rows on the command line: lexport sql DEST '…'.",
            "A dash is NULL. Texts that begin like a formula are copied with an apostrophe before them.",
        ),
    )


def _sections(catalog: Catalog, answers: dict[str, Answer], checked: CheckResult | None) -> tuple[Section, ...]:
    today = catalog.newest.snapshot_at.date()

    def figure(name: str, draw: Callable[[Answer], Figure], empty: str | None = None) -> Figure:
        answer = answers[name]
        return draw(answer) if answer.rows else Figure(answer=answer, empty=empty)

    def listing(name: str, *, is_open: bool, empty: str | None = None) -> Figure:
        return figure(name, lambda answer: Figure(answer=answer, is_open=is_open, is_wide=True), empty)

    unchanged = figures.why_unchanged(catalog)
    judged = () if checked is None else (Section(name="findings", title="Findings", figures=findings(checked)),)
    return (
        Section(
            name="runtimes",
            title="Runtimes",
            figures=(figure("runtimes", partial(figures.runtimes, today=today)), listing("deprecated", is_open=True)),
        ),
        *judged,
        Section(
            name="changes",
            title="Last night",
            figures=(
                figure("changes", figures.changes, unchanged),
                figure("changes_by_night", figures.changes_by_night),
                listing("change_list", is_open=False, empty=unchanged),
            ),
        ),
        Section(name="trends", title="Trends", figures=(figure("trends", figures.trends),)),
        Section(
            name="fleet",
            title="Fleet",
            figures=(
                figure("places", figures.places),
                figure("memory", figures.memory),
                figure("storage", figures.storage),
                figure("big_functions", figures.big_functions),
                figure("roles", figures.roles),
                figure("packages", figures.packages),
                figure("parts", figures.parts),
            ),
        ),
    )


def _tiles(answers: dict[str, Answer], checked: CheckResult | None, *, now: datetime) -> tuple[Tile, ...]:
    fleet = answers["glance"].rows[0]
    nights = answers["trends"].rows[::-1]

    def shape(name: str) -> ET.Element | None:
        return sparkline([row[name] for row in nights])

    severe = 0 if checked is None else len(checked.at_least("high"))
    gaps = answers["parts"].total_of("gaps")
    unknown_in = fleet["code_unknown_in"]
    ages = [now - fleet[name] for name in ("newest_at", "oldest_at") if fleet[name]]
    return (
        Tile(name="Functions", value=count(fleet["functions"] or 0), spark=shape("functions")),
        Tile(name="Versions", value=count(fleet["versions"] or 0), note="with $LATEST", spark=shape("versions")),
        Tile(name="Accounts", value=count(fleet["accounts"]), note=plural(fleet["account_regions"], "account-region")),
        Tile(name="Regions", value=count(fleet["regions"])),
        Tile(
            name="Code storage",
            value="not known" if fleet["code_bytes"] is None else short_size(fleet["code_bytes"]),
            note=f"not known for {plural(unknown_in, 'account-region')}" if unknown_in else "",
            spark=shape("code_bytes"),
        ),
        Tile(
            name="Gaps",
            value=count(gaps),
            note="something is missing" if gaps else plural(fleet["errors"], "other error"),
            is_alarm=bool(gaps),
        ),
        *(
            ()
            if checked is None
            else (Tile(name="Findings", value=count(severe), note="high or critical", is_alarm=bool(severe)),)
        ),
        Tile(
            name="Age",
            value=format_age(ages[0]) if ages else "never read",
            note=f"oldest part {format_age(ages[-1])}" if ages and ages[-1] != ages[0] else "",
        ),
    )
