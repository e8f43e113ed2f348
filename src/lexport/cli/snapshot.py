"""``lexport snapshot DEST``: read the fleet and publish a snapshot in the dataset."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from lexport.aws.logs import say
from lexport.cli._dest_options import dest_options
from lexport.cli._fleet_options import (
    cluster_options,
    fleet_options,
    fleet_settings,
    publication_options,
    reading_options,
)
from lexport.cli._options import argument, declare_command, duration, option, parsed_by
from lexport.cli._outputs.options import output_options
from lexport.cli._outputs.record import current_record
from lexport.cli._package_options import package_lines, package_options, package_settings
from lexport.cli._resource_options import require_option, resource_options
from lexport.errors import IncompleteError, RunError
from lexport.model import is_ulid
from lexport.settings import NEWEST, Destination
from lexport.tables.text import agree, first_of, plural

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from lexport.artifacts.packages import PackagesResult
    from lexport.dataset.retire import RetiredScope
    from lexport.extract.cluster.coordinate import WorkerCounts
    from lexport.extract.failures import FailureKind
    from lexport.extract.progress import Progress, Report
    from lexport.model import Failure
    from lexport.pipeline import SnapshotResult

Result = TypeVar("Result", "SnapshotResult", "PackagesResult")

FAILURES_SHOWN = 10
SCOPES_SHOWN = 20
NOTES_SHOWN = 20
_URGENCY = ("denied", "partial", "complete", "unavailable")


def _parse_run(text: str) -> str:
    if text == NEWEST or is_ulid(text):
        return text
    raise ValueError(f"{text} is not the whole id of a run, which lexport status shows; write DEST before --resume")


@declare_command(
    "snapshot",
    "lexport snapshot fleet --region eu-west-1,us-east-1",
    "lexport snapshot fleet --region all --incremental --refresh-after 7d",
)
@argument("dest")
@fleet_options
@reading_options
@resource_options
@option("Packages", "--packages", "Download the deployment packages too, each once.")
@package_options
@option(
    "Interrupted runs",
    "--resume [RUN]",
    "Go on with this unfinished run; without RUN, with the newest that read the same, if there is one. DEST goes before"
    " it.",
    type=parsed_by(_parse_run),
    is_flag=False,
    flag_value=NEWEST,
)
@option(
    "Interrupted runs",
    "--resume-max-age AGE",
    "Begin a new run if the unfinished one is older than this.",
    type=duration,
    default="24h",
)
@option(
    "Interrupted runs",
    "--deadline AGE",
    "End the run after this time, e.g. 5h: exit 1, and --resume goes on with it.",
    type=duration,
)
@cluster_options
@require_option
@option(
    "Publication",
    "--retire-after AGE",
    "Then retire what was not read whole for this long, e.g. 14d, and has left --organization or, with --region all, is"
    " a Region that is switched off.",
    type=duration,
)
@publication_options
@dest_options(writes=True)
@output_options
def command(dest: Destination, **options: Any) -> int:
    """Read every function and version of the fleet, and publish a snapshot in DEST.

    DEST is a folder, or with lexport[cloud] s3://bucket/prefix, gs://bucket/prefix or az://container/prefix.
    """
    # Arrow's default allocator retains about 50 MB of unused memory. pyarrow reads the variable on import.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    from lexport.pipeline import snapshot

    packages = package_settings(options, is_downloading=options.pop("packages"))
    settings = fleet_settings(options | {"packages": packages})
    return run_and_summarize(lambda report: snapshot(dest, settings, report=report), summarize)


def run_and_summarize(run: Callable[[Report], Awaitable[Result]], summarize: Callable[[Result], None]) -> int:
    """Run, print the summary, also that of an incomplete result, and return the exit code."""
    from lexport.cli._async import choose_report, run_async
    from lexport.extract.event_loop import allow_many_files

    record = current_record()
    report = record.watch(choose_report())
    allow_many_files()
    try:
        result = run_async(
            lambda: run(report), on_interrupt=lambda: f"nothing was published{_how_to_go_on(record.progress)}"
        )
    except RunError as error:
        if isinstance(error, IncompleteError):
            summarize(cast("Result", error.result))
        error.add_note(_how_to_go_on(record.progress))
        raise
    record.result = result
    summarize(result)
    return 3 if result.manifest.status == "partial" else 0


def _how_to_go_on(progress: Progress | None) -> str:
    """Return what is kept of a run that was not published, and the command that goes on with it; "" for nothing."""
    run = progress.kept if progress is not None else None
    if run is None or not run.snapshot_id:
        return ""
    given: list[str] = []
    for word in click.get_current_context().find_root().obj:
        if given and given[-1] == "--resume" and is_ulid(word):
            continue
        given.append(word)
    given = [word for word in given if word.partition("=")[0] != "--resume"]
    if run.is_read_whole:
        command = shlex.join(["lexport", *given, "--resume", run.snapshot_id, "--allow-partial"])
        return f"; what was read is kept, and nothing more may be read; publish it with: {command}"
    command = shlex.join(["lexport", *given, "--resume", run.snapshot_id])
    return (
        f"; what was read is kept, with {run.shards_done:,} of {plural(run.shards, 'account-region')} finished; go on"
        f" with: {command}"
    )


def print_summary(*lines: str) -> None:
    """Print lines on standard error."""
    for line in lines:
        say(line)


def summarize(result: SnapshotResult) -> None:
    """Print on standard error what was read, how many calls it took, and what is missing and why."""
    manifest = result.manifest
    shown = manifest.scopes
    if len(shown) > SCOPES_SHOWN:  # the scopes with gaps first
        shown = tuple(sorted(shown, key=lambda scope: _URGENCY.index(scope.status))[:SCOPES_SHOWN])
    lines = note_lines(result.notes)
    lines += [
        f"{scope.account_id} {scope.region}: {scope.status}, {plural(scope.functions, 'function')},"
        f" {plural(scope.versions, 'version')}, {plural(scope.aliases, 'alias', 'aliases')};"
        f" {scope.get_function_calls:,} GetFunction and {scope.list_calls:,} List*"
        f" {agree(scope.list_calls, 'call')}, {scope.throttles:,} throttled"
        for scope in shown
    ]
    if len(shown) < len(manifest.scopes):
        by_status = Counter(scope.status for scope in manifest.scopes)
        counts = ", ".join(f"{count:,} {status}" for status, count in sorted(by_status.items()))
        lines.append(f"... {len(manifest.scopes):,} account-regions in all: {counts}; the table scopes lists them all")
    lines += failure_lines(result.failures)
    if result.packages is not None:
        lines += package_lines(result.packages, manifest, is_gap=misses_packages(result.failures))
    lines += worker_lines(result.workers)
    lines += retired_lines(result.retired)
    functions = sum(scope.functions for scope in manifest.scopes)
    versions = sum(scope.versions for scope in manifest.scopes)
    verdict = f"published, {manifest.status}" if result.published else "NOT published"
    lines.append(
        f"snapshot {result.snapshot_id} {verdict}: {plural(functions, 'function')}, {plural(versions, 'version')}"
        f" in {result.duration_s:,.1f} s"
    )
    print_summary(*lines)


def worker_lines(workers: Sequence[WorkerCounts]) -> list[str]:
    """Return one line for each worker: what it read, and what it downloaded."""
    lines = []
    for worker in workers:
        read = (
            f"{plural(worker.shards, 'account-region')}, {plural(worker.calls, 'call')},"
            f" {plural(worker.versions, 'version')}"
        )
        downloaded = f"{plural(worker.packages, 'package')} of {worker.bytes:,} bytes"
        parts = [text for text, count in ((read, worker.shards), (downloaded, worker.packages)) if count]
        lines.append(f"{worker.worker}: {', '.join(parts) or 'nothing'}")
    return lines


def retired_lines(retired: Sequence[RetiredScope]) -> list[str]:
    """Return one line for each of the first account-regions that were retired."""
    lines = [
        f"{scope.account_id} {scope.region}: retired with {plural(scope.functions, 'function')}, last read whole"
        f" {scope.last_read_at:%Y-%m-%d}"
        for scope in retired[:SCOPES_SHOWN]
    ]
    more = f"... {plural(len(retired), 'account-region')} retired in all; the view scope_ages lists them all"
    return lines + [more] * (len(retired) > SCOPES_SHOWN)


def note_lines(notes: Sequence[str]) -> list[str]:
    """Return the first notes of a run as lines; warnings come first and have their own prefix."""
    more = [f"note: ... and {len(notes) - NOTES_SHOWN:,} more"] if len(notes) > NOTES_SHOWN else []
    return [note if note.startswith("warning: ") else f"note: {note}" for note in notes[:NOTES_SHOWN]] + more


def misses_packages(failures: Sequence[tuple[FailureKind, int, Failure]]) -> bool:
    """Return whether a package that was not stored is a gap."""
    return any(kind.is_gap and kind.stage == "packages" for kind, _, _ in failures)


def failure_lines(failures: Sequence[tuple[FailureKind, int, Failure]]) -> list[str]:
    """Return one line for each of the first kinds of failures, with one example."""
    kinds: dict[tuple[str, str, str], list[tuple[FailureKind, int, Failure]]] = {}
    for failure in failures:  # a kind is one, in however many account-regions
        kind = failure[0]
        kinds.setdefault((_label(kind), kind.error_code, kind.operation or kind.stage), []).append(failure)
    lines = []
    for (label, code, operation), found in [*kinds.items()][:FAILURES_SHOWN]:
        _, _, example = found[0]
        item = ":".join(part for part in (example.function_name, example.qualifier) if part)
        where = first_of([str(kind.scope) for kind, _, _ in found])
        count = sum(count for _, count, _ in found)
        lines.append(
            f"{label}: {count:,} x {code} in {operation}, {where}, e.g. {item and item + ': '}{example.message}"
        )
    if len(kinds) > FAILURES_SHOWN:
        lines.append(f"... and {plural(len(kinds) - FAILURES_SHOWN, 'more kind')}; the table errors lists them all")
    return lines


def _label(kind: FailureKind) -> str:
    """Return how a failure is announced: what was asked for with ``--with`` and cannot be read is worth a warning."""
    if kind.is_gap:
        return "missing"
    from lexport.extract.failures import GONE
    from lexport.tables.registry import fleet_resources

    is_lost = kind.stage == "discover" and kind.error_code != GONE
    asked_for = (resource for resource in fleet_resources() if not resource.default)
    return "warning" if is_lost and any(kind.operation == each.call.operation for each in asked_for) else "noted"
