"""The summary of a run as one frozen value, and as JSON. Pure; its schema is ``run-summary.schema.json``."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from lexport.aws.redact import clean_line, cut_urls
from lexport.model import __version__

if TYPE_CHECKING:
    from lexport.dataset.manifest import Manifest
    from lexport.dataset.retire import RetiredScope
    from lexport.extract.cluster.coordinate import WorkerCounts
    from lexport.extract.progress import Progress

FORMAT = "lexport-run-summary/1"
KINDS_KEPT = 100
NOTES_KEPT = 20
MOST_CHARACTERS = 2_000  # of a text
PUBLISHED_CODES = (0, 3)

Status = Literal["running", "complete", "partial", "refused", "failed", "interrupted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What the run read; None where that is not known, because the run ended before."""

    account_regions: int | None = None
    functions: int | None = None
    versions: int | None = None
    aliases: int | None = None
    packages: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureCount:
    """Failures of one kind in one account-region."""

    account_id: str
    region: str
    stage: str
    operation: str | None
    error_code: str
    is_gap: bool
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTime:
    """A part of the run, and how long it took."""

    stage: str
    started_at: datetime
    duration_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """What one worker did."""

    worker: str
    account_regions: int
    calls: int
    versions: int
    packages: int
    stored_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Retired:
    """An account-region that was retired after the run, with the functions of its last whole reading."""

    account_id: str
    region: str
    functions: int
    last_read_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """One run of a command, at its start or at its end. Without any secret."""

    format: str = FORMAT
    command: str
    dest: str | None = None
    lexport_version: str = __version__
    snapshot_id: str | None = None
    status: Status
    published: bool = False
    exit_code: int | None = None
    error: str | None = None
    started_at: datetime
    ended_at: datetime | None = None
    duration_s: float = 0.0
    counts: Counts = field(default_factory=Counts)
    gaps: int | None = None
    failures: tuple[FailureCount, ...] = ()
    packages_by_status: dict[str, int] = field(default_factory=dict)
    calls: int = 0
    calls_by_operation: dict[str, int] = field(default_factory=dict)
    throttles: int = 0
    retries: int = 0
    published_rows: int = 0
    published_bytes: int = 0
    downloaded_bytes: int = 0
    stages: tuple[StageTime, ...] = ()
    workers: tuple[Worker, ...] = ()
    retired: tuple[Retired, ...] = ()
    notes: tuple[str, ...] = ()


def to_json(summary: RunSummary) -> bytes:
    """Write the summary as JSON for people and machines."""
    import msgspec

    return msgspec.json.format(msgspec.json.encode(summary), indent=1) + b"\n"


def redact(text: str) -> str:
    """Remove what may be a secret from a text: signed links, queries and users of URLs, secrets of this process.

    What is no Unicode, such as a byte of a path, is escaped.
    """
    text = cut_urls(clean_line(text.encode(errors="backslashreplace").decode()))
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]} [...]"


def status_of(exit_code: int, *, is_refused: bool, is_interrupted: bool) -> Status:
    """Return how a run ended. ``is_refused`` says that it was not published because something could not be read."""
    if is_interrupted:
        return "interrupted"
    if exit_code in PUBLISHED_CODES:
        return "partial" if exit_code else "complete"
    return "refused" if is_refused else "failed"


def facts_of(progress: Progress | None, result: Any, manifest: Manifest | None, ended_at: datetime) -> dict[str, Any]:
    """Return the fields that say what a run has done, as far as it came.

    ``result`` is a RunResult, that of a run that was not published too; ``manifest`` is the commit.
    """
    facts: dict[str, Any] = {}
    if progress is not None:
        facts |= _progress_facts(progress, ended_at)
    if result is not None:
        manifest = result.manifest
        facts["failures"] = tuple(
            FailureCount(
                account_id=kind.scope.account_id,
                region=kind.scope.region,
                stage=kind.stage,
                operation=kind.operation,
                error_code=kind.error_code,
                is_gap=kind.is_gap,
                count=count,
            )
            for kind, count, _ in result.failures[:KINDS_KEPT]
        )
        facts["notes"] = tuple(map(redact, result.notes[:NOTES_KEPT]))
        facts["workers"] = tuple(map(_worker, getattr(result, "workers", ())))
        facts["retired"] = tuple(map(_retired, getattr(result, "retired", ())[:KINDS_KEPT]))
    if manifest is not None:
        facts |= _manifest_facts(manifest, packages=facts["counts"].packages if "counts" in facts else None)
    return facts


def _progress_facts(progress: Progress, ended_at: datetime) -> dict[str, Any]:
    calls, packages = progress.calls(), progress.packages
    by_status: dict[str, int] = {}
    for kind, count in packages.kinds.items():
        if kind.what == "package":
            by_status[kind.status] = by_status.get(kind.status, 0) + count
    ends = [*(stage.started_at for stage in progress.stages[1:]), ended_at]
    return {
        "snapshot_id": progress.snapshot_id or None,
        "counts": Counts(
            account_regions=progress.kept.shards or None,
            versions=sum(shard.fetched for shard in progress.shards) if progress.shards else None,
            packages=sum(by_status.values()) if by_status else None,
        ),
        "packages_by_status": by_status,
        "calls": calls.by_operation.total(),
        "calls_by_operation": dict(sorted(calls.by_operation.items())),
        "throttles": calls.throttles,
        "retries": calls.retries,
        "downloaded_bytes": packages.moved_bytes(),
        "stages": tuple(
            StageTime(
                stage=redact(stage.name),
                started_at=stage.started_at,
                duration_s=round(max(0.0, (end - stage.started_at).total_seconds()), 6),
            )
            for stage, end in zip(progress.stages, ends, strict=True)
        ),
        "notes": tuple(map(redact, progress.notes[:NOTES_KEPT])),
    }


def _manifest_facts(manifest: Manifest, *, packages: int | None) -> dict[str, Any]:
    scopes = manifest.scopes
    counts = Counts(packages=packages)
    if scopes:
        counts = Counts(
            account_regions=len(scopes),
            functions=sum(scope.functions for scope in scopes),
            versions=sum(scope.versions for scope in scopes),
            aliases=sum(scope.aliases for scope in scopes),
            packages=packages,
        )
    return {
        "snapshot_id": manifest.snapshot_id,
        "counts": counts,
        "gaps": manifest.gaps,
        "published_rows": sum(entry.rows for entry in manifest.files),
        "published_bytes": sum(entry.size_bytes for entry in manifest.files),
    }


def _retired(scope: RetiredScope) -> Retired:
    return Retired(
        account_id=scope.account_id,
        region=scope.region,
        functions=scope.functions,
        last_read_at=scope.last_read_at,
    )


def _worker(counts: WorkerCounts) -> Worker:
    return Worker(
        worker=counts.worker,
        account_regions=counts.shards,
        calls=counts.calls,
        versions=counts.versions,
        packages=counts.packages,
        stored_bytes=counts.bytes,
    )
