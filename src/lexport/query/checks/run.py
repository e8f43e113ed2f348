"""Run checks over a dataset: findings, waivers, and the account-regions that could not be judged."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import duckdb
import pyarrow as pa

from lexport.errors import QueryError, RunError, SettingsError, ViewError
from lexport.model import LATEST
from lexport.query.catalog import Catalog
from lexport.query.checks.definition import SEVERITIES, Check, Severity, Value, choose, fill_thresholds, load_checks
from lexport.query.checks.finding import IDENTITY, CheckResult, Finding, FunctionKey, Unjudged
from lexport.query.checks.missing import missing_limits, unread_tables
from lexport.query.checks.waivers import Waiver
from lexport.query.execute import Interruptible, run_interruptibly
from lexport.query.shipped_views import sql_dir, tables_read
from lexport.query.sql import OFTEN_READ, QuerySession, open_query_session
from lexport.query.sql_text import UNPRINTED, one_line, quote_name
from lexport.tables.text import first_of, plural
from lexport.tables.units import format_age

_NOT_READ = "not_read_whole"


async def check(
    dest: str | os.PathLike[str],
    *,
    own: Sequence[str | os.PathLike[str]] = (),
    only: Collection[str] = (),
    skip: Collection[str] = (),
    min_severity: Severity = "low",
    frameworks: Collection[str] = (),
    thresholds: Mapping[str, Mapping[str, object]] | None = None,
    waivers: Sequence[Waiver] = (),
    today: date | None = None,
) -> CheckResult:
    """Run checks on the latest rows of each account-region.

    ``own`` are folders with the user's checks, ``only`` and ``skip`` names of checks, ``frameworks`` those of
    catalogues whose controls run (``prowler``, ``security-hub``, ``aws-config``, ``steampipe``). ``thresholds`` are
    values by check and name. A waiver is valid until the end of its day; ``today`` defaults to the present day in
    UTC. Raises SettingsError, QueryError or ViewError for a check that is wrong, RunError if no account-region was
    ever read completely; where all are retired, nothing is found. Cancelled: DuckDB is interrupted.
    """
    every = load_checks(sql_dir() / "checks", [Path(folder) for folder in own])
    values = fill_thresholds(every, thresholds or {})
    chosen = choose(every, only=only, skip=skip, min_severity=min_severity, frameworks=frameworks)
    work = partial(_run, dest, chosen, values, waivers=waivers, today=today or datetime.now(UTC).date())
    return await run_interruptibly(work)


def _run(
    dest: str | os.PathLike[str],
    checks: tuple[Check, ...],
    thresholds: Mapping[str, Mapping[str, Value]],
    running: list[Interruptible],
    *,
    waivers: Sequence[Waiver],
    today: date,
) -> CheckResult:
    with open_query_session(dest, running=running) as session:
        absence = session.catalog.absence()
        if absence is not None and not session.catalog.is_ended:
            raise RunError(f"{os.fspath(dest)}: {absence}, so there is nothing to check")
        return judge(session, checks, thresholds, waivers=waivers, today=today)


def judge(
    session: QuerySession,
    checks: tuple[Check, ...],
    thresholds: Mapping[str, Mapping[str, Value]],
    *,
    waivers: Sequence[Waiver],
    today: date,
) -> CheckResult:
    """Run checks over an open dataset. Blocking; raises as ``check`` for a check that is wrong."""
    session.kept.update(OFTEN_READ)
    partitions = _partitions(session)
    valid = tuple(waiver for waiver in waivers if waiver.holds(today))
    findings = []
    for item in sorted(checks, key=lambda check: (-SEVERITIES.index(check.severity), check.name)):
        rows = [*_rows(session, item, thresholds[item.name]), *_hidden_rows(session.catalog, item)]
        findings += sorted((_finding(item, row, partitions, valid) for row in rows), key=_order)
    left_out = tuple(_left_out(session, checks))
    return CheckResult(
        checks=checks,
        findings=tuple(findings),
        unjudged=(*_unread(session.catalog, checks), *left_out),
        notices=(
            *session.catalog.notices(),
            *session.tables.notes,
            *_missing_data(left_out),
            *_waiver_notices(waivers, findings, {check.name for check in checks}, today),
        ),
    )


def find_functions(
    session: QuerySession, check: Check, thresholds: Mapping[str, Value], waivers: Sequence[Waiver]
) -> frozenset[FunctionKey]:
    """Return the functions that break a rule, without those that the waivers accept. Blocking."""
    if "function_name" not in check.columns:
        return frozenset()
    _set_thresholds(session.connection, thresholds)
    names = "account_id, region, function_name"
    query = f"SELECT DISTINCT {names} FROM ({check.query}) WHERE function_name IS NOT NULL"  # noqa: S608 - our own text
    try:
        found = session.read(query, is_ours=check.is_shipped).read_all()
    except QueryError as error:
        _refuse(check, error, session.connection)
    own = [waiver for waiver in waivers if waiver.check == check.name]
    return frozenset(
        key
        for key in function_keys(found)
        if not any(waiver.covers(check=check.name, **key._asdict()) for waiver in own)
    )


def function_keys(rows: pa.Table) -> frozenset[FunctionKey]:
    """Return rows of account, Region and function name as keys."""
    return frozenset(FunctionKey(*key) for key in zip(*(column.to_pylist() for column in rows.columns), strict=True))


def _rows(session: QuerySession, check: Check, thresholds: Mapping[str, Value]) -> Iterator[dict[str, Any]]:
    """Run one check. Raises if it is not a SELECT, does not fit, or returns other columns than its head names."""
    _set_thresholds(session.connection, thresholds)
    try:
        reader = session.read(check.query, casts=UNPRINTED, is_ours=check.is_shipped)
        if sorted(reader.schema.names) != sorted(check.columns):
            returned = ", ".join(reader.schema.names)
            _refuse(check, QueryError(f"its head names the columns {', '.join(check.columns)}, it returns {returned}"))
        for batch in reader:
            yield from batch.to_pylist()
    except (QueryError, ValueError, OverflowError) as error:  # the last two: values that no Python value can represent
        _refuse(check, error, session.connection)


def _set_thresholds(connection: duckdb.DuckDBPyConnection, thresholds: Mapping[str, Value]) -> None:
    """Create the tables with a check's thresholds: numbers in ``thresholds``, lists in ``threshold_items``."""
    numbers = {name: value for name, value in thresholds.items() if not isinstance(value, tuple)}
    items = [(name, item) for name, value in thresholds.items() if isinstance(value, tuple) for item in value]
    columns = [
        f"?::{'DOUBLE' if isinstance(value, float) else 'BIGINT'} AS {quote_name(name)}"
        for name, value in numbers.items()
    ]
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE thresholds AS SELECT {', '.join(columns) or 'NULL AS none'}", [*numbers.values()]
    )
    connection.execute("CREATE OR REPLACE TEMP TABLE threshold_items (name VARCHAR, item VARCHAR)")
    if items:
        connection.executemany("INSERT INTO threshold_items VALUES (?, ?)", items)


def _refuse(check: Check, error: Exception, connection: duckdb.DuckDBPyConnection | None = None) -> NoReturn:
    """Raise an error that names the file, and the line if DuckDB reports one."""
    line = None if connection is None else _line(check, connection)
    position = check.path.name if line is None else f"{check.path.name}, line {line}"
    if check.is_shipped:
        raise ViewError(f"{position} does not fit the dataset: {one_line(error)}", sql_file=check.path.name) from error
    raise SettingsError(f"--checks {check.path.parent}: {position}: {one_line(error)}", option="--checks") from error


def _line(check: Check, connection: duckdb.DuckDBPyConnection) -> int | None:
    """Return the line of the file with the error. DuckDB reports lines for a statement, not for a relation."""
    try:
        connection.execute(f"EXPLAIN {check.query}")
    except duckdb.Error as error:
        match = re.search(r"\n\nLINE (\d+):", str(error))
        return check.query_line + int(match[1]) - 1 if match else None
    return None


def _finding(
    check: Check, row: dict[str, Any], partitions: Mapping[tuple[str, str], str], waivers: tuple[Waiver, ...]
) -> Finding:
    account_id, region, function_name, version, subject = (_text(row.get(name)) for name in IDENTITY)
    if account_id is None or region is None:
        _refuse(check, QueryError("a row has no account_id or no region"))
    arn = None
    if function_name is not None:
        arn = f"arn:{partitions.get((account_id, region), 'aws')}:lambda:{region}:{account_id}:function:{function_name}"
        arn += f":{version}" if version not in (None, LATEST) else ""
    finding = Finding(
        check=check,
        account_id=account_id,
        region=region,
        function_name=function_name,
        version=version,
        subject=subject,
        details={name: value for name, value in row.items() if name not in IDENTITY},
        arn=arn,
        waiver=None,
    )
    return replace(finding, waiver=next((waiver for waiver in waivers if _covers(waiver, finding)), None))


def _covers(waiver: Waiver, finding: Finding) -> bool:
    return waiver.covers(
        check=finding.check.name,
        account_id=finding.account_id,
        region=finding.region,
        function_name=finding.function_name,
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _order(finding: Finding) -> tuple[tuple[bool, int, str], ...]:
    """Return what findings are sorted by; those of one identity by their details, which no query has to order."""
    parts = (getattr(finding, name) for name in IDENTITY)
    by_identity = ((part is not None, int(part) if part and part.isdecimal() else -1, part or "") for part in parts)
    return (*by_identity, (True, -1, repr(finding.details)))


def _partitions(session: QuerySession) -> dict[tuple[str, str], str]:
    rows = session.read("SELECT account_id, region, MIN(function_arn) AS arn FROM functions GROUP BY ALL").read_all()
    return {
        (row["account_id"], row["region"]): row["arn"].split(":")[1]
        for row in rows.to_pylist()
        if row["arn"] is not None and row["arn"].count(":") > 1
    }


def _hidden_rows(catalog: Catalog, check: Check) -> Iterator[dict[str, Any]]:
    """Yield rows of ``not_read_whole`` for account-regions in a damaged snapshot, which SQL cannot read."""
    if check.name != _NOT_READ or not check.is_shipped:
        return
    shown, unread = catalog.latest(), catalog.unread()
    for scope, damaged in catalog.hidden().items():
        if scope not in unread:  # otherwise the check itself returns a row
            yield {
                **asdict(scope),
                "status": "damaged",
                "snapshot_id": damaged.snapshot_id,
                "last_whole_at": shown[scope].snapshot_at,
            }


def _unread(catalog: Catalog, checks: tuple[Check, ...]) -> Iterator[Unjudged]:
    """Yield the account-regions that were not read whole: they are not judged, or an older reading is."""
    names = tuple(check.name for check in checks)
    latest, unread = catalog.latest(), catalog.unread()
    for scope, (snapshot, entry) in sorted(unread.items()):
        reason = f"never read whole ({entry.status})"
        if scope in latest:
            older = format_age(snapshot.snapshot_at - latest[scope].snapshot_at)
            reason = f"its newest reading is {entry.status}; a reading {older} older is judged"
        yield Unjudged(**asdict(scope), checks=names, reason=reason, is_unread=True)
    for scope, damaged in sorted(catalog.hidden().items()):
        if scope not in unread:
            reason = f"the newer snapshot {damaged.snapshot_id} is damaged; the one before is judged"
            yield Unjudged(**asdict(scope), checks=names, reason=reason, is_unread=True)


def _left_out(session: QuerySession, checks: tuple[Check, ...]) -> Iterator[Unjudged]:
    """Yield the checks that look at data which the run left out, so that no check passes because data is missing."""
    reads = {check.name: tables_read(check.query) for check in checks}
    read_by_any = set[str]().union(*reads.values())
    missing = sorted(
        (*session.catalog.left_out(), *missing_limits(session), *unread_tables(session, read_by_any)),
        key=lambda item: item[0],
    )
    for scope, tables, reason in missing:
        names = tuple(name for name in reads if reads[name] & set(tables))
        if names:
            yield Unjudged(**asdict(scope), checks=names, reason=reason, is_unread=False)


def _missing_data(unjudged: Sequence[Unjudged]) -> Iterator[str]:
    """Yield a sentence for each kind of missing data: the account-regions and the checks that it concerns."""
    grouped: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for item in unjudged:
        grouped.setdefault((item.reason, item.checks), []).append(f"{item.account_id} {item.region}")
    for (reason, checks), scopes in grouped.items():
        yield f"{first_of(scopes)}: {reason}; not judged there in full: {first_of(checks)}"


def _waiver_notices(
    waivers: Sequence[Waiver], findings: Sequence[Finding], ran: Collection[str], today: date
) -> Iterator[str]:
    """Yield a sentence for each waiver that has expired, and for each that matches no finding."""
    for waiver in waivers:
        if waiver.check not in ran:
            continue
        matches = sum(_covers(waiver, finding) for finding in findings)
        if not waiver.holds(today):
            yield f"a waiver expired on {waiver.expires} and is not applied ({plural(matches, 'finding')}): {waiver}"
        elif not matches:
            yield f"a waiver matches no finding: {waiver}"
