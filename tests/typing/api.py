"""What a user of the library may write. Type-checked, never run."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import lexport
from lexport import (
    CheckResult,
    Finding,
    IncompleteError,
    ItemError,
    LexportError,
    RunError,
    SettingsError,
    SnapshotResult,
    SnapshotSettings,
    SnapshotStatus,
)


async def take() -> None:
    settings = SnapshotSettings(
        regions=("eu-west-1",), qualifiers="latest", env="none", snapshot_at=datetime.now(UTC), allow_partial=True
    )
    result: SnapshotResult = await lexport.snapshot(Path("fleet"), settings)
    identity: str = result.snapshot_id
    lost: int = result.manifest.gaps
    print(identity, lost)


async def read() -> None:
    answer = await lexport.sql("fleet", "SELECT 1 AS one")
    values: dict[str, int] = {"least": 1024}
    wide = await lexport.sql("fleet", "FROM functions WHERE memory_size >= $least", parameters=values)
    print(answer.num_rows, len(wide))
    await lexport.views("fleet", db="fleet.duckdb")
    fed = await lexport.feed("fleet", "s3://bucket/feeds/1", output="csv", compress="zstd", write_mode="scd2")
    cursor: str = (await lexport.feed("fleet", Path("next"), since=fed.next_since)).next_since
    print(cursor, [(part.path, part.sha256) for part in fed.parts], [scope.mode for scope in fed.scopes])
    page: str = (await lexport.report("fleet", title="Our fleet", owner_tag="team")).html
    print(page)
    newest: SnapshotStatus = (await lexport.status("fleet"))[0]
    print(newest)
    left: list[str] = [run.state for run in await lexport.unfinished("fleet") if run.shards_done == run.shards_total]
    print(left)
    lost: lexport.RunFailures = await lexport.failures("fleet", newest.snapshot_id)
    print([(group.error_code, group.errors) for group in lost.groups if group.is_gap], lost.state)


async def remove() -> None:
    planned: lexport.PruneResult = await lexport.prune(
        "fleet", keep_within=timedelta(days=30), keep_last=7, dry_run=True
    )
    gone: tuple[lexport.PruneItem, ...] = planned.having("remove", "snapshot")
    print([(item.name, item.at, item.reason) for item in gone], planned.notes)


def look() -> None:
    dataset = lexport.Dataset(Path("fleet"), as_of="2026-11-20")
    print(dataset.sql("SELECT 1 AS one").num_rows, dataset.table("tags", space="history").schema)
    changed = dataset.sql(
        "FROM functions WHERE fetched_at > $since AND runtime IN $runtimes",
        parameters={"since": datetime.now(UTC), "runtimes": ["python3.9", None]},
    )
    print(
        [row["function_name"] for row in changed], dataset.df("FROM tags WHERE key = $key", parameters={"key": "team"})
    )
    questions: list[str] = [view.question for view in dataset.views.values()]
    print(questions)


async def judge() -> None:
    waiver = lexport.Waiver(check="untagged", reason="legacy", expires=date(2027, 1, 31), region="eu-*")
    result: CheckResult = await lexport.check(
        "fleet", own=["checks"], skip=["tracing_off"], thresholds={"not_modified": {"days": 365}}, waivers=[waiver]
    )
    worst: tuple[Finding, ...] = result.at_least("high")
    print([(finding.check.title, finding.arn, finding.fingerprint) for finding in worst], result.notices)


def fail(error: LexportError) -> int:
    if isinstance(error, SettingsError):
        option: str | None = error.option
        return len(option or "")
    if isinstance(error, IncompleteError):
        print([(count, example.message) for _, count, example in error.result.failures])
    if isinstance(error, RunError):
        return error.exit_code
    assert isinstance(error, ItemError)
    code: str = error.code
    return len(code)
