"""Shards of a run as readers leave them: run files in the store, and their results."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

from lexport.dataset import layout
from lexport.dataset.local import hash_file
from lexport.dataset.runs import RunWriter, row_counts
from lexport.dataset.staging import begin_run, write_result
from lexport.extract.rows import Children, Rows
from lexport.model import References, RunSpec, Scope, Shard, ShardResult, StagedRun
from lexport.tables.aliases import ALIASES
from lexport.tables.functions import FUNCTIONS
from lexport.tables.registry import BY_NAME
from lexport.tables.run import ERRORS
from lexport.tables.staged import ANSWER, staged_names

RUN = "01KB0000000000000000000000"
AT = datetime(2026, 11, 22, 3, tzinfo=UTC)
ACCOUNT = "111122223333"


def scope_of(number):
    """Account-regions whose order is that of their numbers."""
    return Scope(account_id=f"{111122220000 + number // 3}", region=("eu-west-1", "us-east-1", "us-west-2")[number % 3])


def begin(store, run=RUN):
    """Begin a run, so that tasks find its claim."""
    spec = RunSpec(
        snapshot_id=run, snapshot_at=AT, settings_fingerprint="", hash_key_id=None, lexport_version="", shards=()
    )
    begin_run(store, spec)


def _row(table, scope, **values):
    told = {"account_id": scope.account_id, "region": scope.region} | values
    return [told.get(name) for name in staged_names(table)]


def stage_shard(store, folder, number, parts, *, run=RUN, status="complete", scope=None):
    """Stage one shard: for each run file its versions, as (name, version, rank, layers). Return its result.

    The first version of a file has an alias too, and each file a row of ``errors``.
    """
    scope, counts, staged = scope or scope_of(number), Counter(), []
    for place, versions in enumerate(parts):
        rows = Rows()
        for serial, (name, version, rank, layers) in enumerate(versions):
            answer = f"{rank}{place:04d}{serial:012x}"
            told = {"function_name": name, "version": version, "description": answer, "fetched_at": AT, ANSWER: answer}
            children = Children(
                layers=[(at, answer, None, None, None, None) for at in range(layers)],
                subnets=[f"subnet-{at}" for at in range(layers // 2)],
            )
            rows.versions.append((_row(FUNCTIONS, scope, **told), children))
        if versions:
            told = {"function_name": versions[0][0], "alias": "live", ANSWER: f"0{place:04d}"}
            rows.append(ALIASES, *_row(ALIASES, scope, **told))
            told = {"stage": "fetch", "error_code": "gone", "is_gap": False, "attempts": 1, "occurred_at": AT}
            rows.append(ERRORS, *_row(ERRORS, scope, message=f"{scope} {place}", **told, **{ANSWER: ""}))
        writer = RunWriter(folder)
        for table, batch in rows.take().items():
            counts.update(row_counts(BY_NAME[table], batch))
            writer.collect(BY_NAME[table], batch)
        path = writer.flush()
        if path is not None:
            sha256 = hash_file(path)
            target = layout.run_file_path(run, scope, 1 + place % 2, place, sha256)
            store.place(path, target, sha256=sha256)
            staged.append(StagedRun(path=target, size_bytes=path.stat().st_size, sha256=sha256))
    result = ShardResult(
        shard=Shard(scope=scope),
        status=status,
        references=References(listed=counts["functions"], rows=counts["functions"]),
        started_at=AT,
        ended_at=AT,
        runs=tuple(staged),
        rows={**+counts},
    )
    return write_result(store, run, result)
