"""Write one HTML file about a dataset: the fleet, its problems and its changes. It needs no network to read.

``questions`` runs SQL, ``nights`` judges earlier nights, ``figures``, ``history``, ``findings`` and ``progress`` turn
the rows into charts, ``contents`` puts them in order, and ``page`` writes the HTML. All markup goes through ``markup``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from lexport.query.checks.definition import SEVERITIES, Check, Value, fill_thresholds, load_checks
from lexport.query.checks.finding import FunctionKey
from lexport.query.checks.run import judge
from lexport.query.checks.waivers import Waiver
from lexport.query.execute import Interruptible, run_interruptibly
from lexport.query.report.contents import Contents, make_page
from lexport.query.report.labels import NO_OWNER, UNREAD_OWNER, Labels
from lexport.query.report.nights import judge_nights, night_of
from lexport.query.report.page import write_page
from lexport.query.report.questions import Answer, answer_question, questions
from lexport.query.shipped_views import sql_dir
from lexport.query.sql import OFTEN_READ, open_query_session
from lexport.tables.text import did_you_mean, plural

_OF_ACCOUNTS, _OF_OWNERS = "account_names", "function_owners"


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetReport:
    """The text of an HTML file. ``notes`` are sentences for the user who wrote it.

    ``is_about_a_fleet`` is False where no account-region was ever read whole: the page then says only that. Where all
    are retired, the page and a note say so.
    """

    html: str = field(repr=False)
    is_about_a_fleet: bool
    notes: tuple[str, ...] = ()


async def report(
    dest: str | os.PathLike[str],
    *,
    title: str | None = None,
    owner_tag: str | None = None,
    account_names: Mapping[str, str] | None = None,
    thresholds: Mapping[str, Mapping[str, object]] | None = None,
    waivers: Sequence[Waiver] = (),
) -> FleetReport:
    """Write a report about a dataset, to be kept as one HTML file.

    ``owner_tag`` is the key of the tag that names the owner of a function. ``account_names`` has names by account id;
    they win over those that a run found in the organization. ``thresholds`` and ``waivers`` are those of ``check``.
    Cancelled: DuckDB is interrupted.
    """
    every = load_checks(sql_dir() / "checks")
    settings = _Settings(
        title=title,
        owner_tag=owner_tag,
        account_names=account_names or {},
        checks=tuple(check for check in every if check.is_default),
        thresholds=fill_thresholds(every, thresholds or {}),
        waivers=tuple(waivers),
    )
    return await run_interruptibly(partial(_write, dest, settings))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settings:
    title: str | None
    owner_tag: str | None
    account_names: Mapping[str, str]
    checks: tuple[Check, ...]
    thresholds: Mapping[str, Mapping[str, Value]]
    waivers: tuple[Waiver, ...]


def _write(dest: str | os.PathLike[str], settings: _Settings, running: list[Interruptible]) -> FleetReport:
    now = datetime.now(UTC)
    waivers = tuple(waiver for waiver in settings.waivers if waiver.holds(now.date()))
    notes: list[str] = []
    with open_query_session(dest, running=running) as session:
        session.kept.update(OFTEN_READ)
        wanted = questions()
        of_accounts, of_owners = wanted.pop(_OF_ACCOUNTS), wanted.pop(_OF_OWNERS)
        answers = {name: answer_question(session, question) for name, question in wanted.items()}
        names = answer_question(session, of_accounts)
        owners = None
        if settings.owner_tag is not None:
            of_owners = of_owners.with_values(owner_tag=settings.owner_tag)
            owners = _owners(answer_question(session, of_owners))
            notes += _tag_notes(owners, settings.owner_tag, answers["tag_keys"])
        catalog = session.catalog
        checked = known = None
        if catalog.latest():
            began_s = time.monotonic()
            checked = judge(session, settings.checks, settings.thresholds, waivers=settings.waivers, today=now.date())
            known = night_of(session, checked, took_s=time.monotonic() - began_s)
    labels = Labels(
        accounts={row["account_id"]: row["account_name"] for row in names.rows} | dict(settings.account_names),
        checks={check.name: check.title for check in settings.checks},
        owners=owners,
    )
    severe = tuple(check for check in settings.checks if SEVERITIES.index(check.severity) > 0)
    nights, damaged = judge_nights(catalog, severe, settings.thresholds, waivers, running, known=known)
    notes += damaged
    if nights:
        took_s = sum(night.took_s for night in nights)
        notes.append(f"judged {plural(len(nights), 'night')} in {took_s:.1f} s, each from its own files")
    contents = Contents(
        catalog=catalog,
        answers=answers,
        checked=checked,
        nights=nights,
        checks=severe,
        labels=labels,
        title=settings.title,
        owner_tag=settings.owner_tag,
        owners_query=of_owners.query,
        written_at=now,
        damaged=damaged,
    )
    if catalog.is_ended:
        notes.append("every account-region is retired, and the report says only that")
    return FleetReport(
        html=write_page(make_page(contents)),
        is_about_a_fleet=checked is not None or catalog.is_ended,
        notes=tuple(notes),
    )


def _owners(answer: Answer) -> dict[FunctionKey, str]:
    owners = {}
    for row in answer.rows:
        key = FunctionKey(row["account_id"], row["region"], row["function_name"])
        unknown = UNREAD_OWNER if row["tags_error_code"] else NO_OWNER
        owners[key] = (row["owner"] or "").strip() or unknown
    return owners


def _tag_notes(owners: Mapping[FunctionKey, str], tag: str, keys: Answer) -> list[str]:
    """Say where no function has the tag, with the keys that are like it."""
    if not owners or any(owner not in {NO_OWNER, UNREAD_OWNER} for owner in owners.values()):
        return []
    known = [row["tag_key"] for row in keys.rows]
    near = did_you_mean(tag, known) or (f"; the most frequent are {', '.join(known[:3])}" if known else "")
    return [f"no function has the tag {tag}, so every one is without an owner{near}"]
