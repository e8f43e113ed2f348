"""The summary of a run as a Prometheus textfile, as node_exporter's textfile collector reads it. Pure.

Every series has the labels ``command`` and ``dest``, so that the files of several runs can stand in one folder.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from lexport.cli._outputs.summary import RunSummary, Status

Labels = dict[str, str]
_SUCCESS = "lexport_run_last_success_timestamp_seconds"
_PUBLISHED = "lexport_run_last_published_timestamp_seconds"
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


@dataclass(frozen=True, slots=True)
class LastRuns:
    """When a run last succeeded, and when one last published, in seconds since 1970; None where that is not known."""

    success_s: float | None = None
    published_s: float | None = None


def last_runs(former: str, summary: RunSummary) -> LastRuns:
    """Read the times from the text that an earlier run of the same command and DEST left.

    A command line without DEST, which is an error, takes over those of any DEST, and hands them on.
    """
    own = _own(summary)
    labels = {_labels(own), _labels(own | {"dest": ""})}

    def find(name: str) -> float | None:
        for found in re.finditer(rf"^{name}(\{{.*\}}) (\S+)$", former, re.MULTILINE):
            if found[1] in labels or (summary.dest is None and found[1].startswith(_labels(own)[: -len('"}')])):
                with suppress(ValueError):
                    return value if math.isfinite(value := float(found[2])) else None
        return None

    return LastRuns(find(_SUCCESS), find(_PUBLISHED))


def to_prometheus(summary: RunSummary, last: LastRuns) -> bytes:
    """Write the summary as metrics. ``last`` counts where this run did not succeed, or did not publish."""
    own, ended_s = _own(summary), _seconds(summary.ended_at)
    lines: list[str] = []

    def add(
        name: str,
        text: str,
        samples: Iterable[tuple[Labels, float | None]],
        kind: Literal["gauge", "counter"] = "gauge",
    ) -> None:
        shown = [(labels, value) for labels, value in samples if value is not None]
        if shown:
            lines.extend((f"# HELP {name} {text}", f"# TYPE {name} {kind}"))
            lines.extend(f"{name}{_labels(own | labels)} {_number(value)}" for labels, value in shown)

    def one(name: str, text: str, value: float | None, kind: Literal["gauge", "counter"] = "gauge") -> None:
        add(f"lexport_run_{name}", text, [({}, value)], kind)

    info = {"version": summary.lexport_version, "snapshot_id": summary.snapshot_id or ""}
    add("lexport_run_info", "The release of lexport, and the id of the run.", [(info, 1)])
    add(
        "lexport_run_status",
        "1 for the status that the run has.",
        [({"status": status}, int(status == summary.status)) for status in get_args(Status)],
    )
    one("exit_code", "The exit code of the command; absent while it runs.", summary.exit_code)
    one("started_timestamp_seconds", "When the run began.", _seconds(summary.started_at))
    one("ended_timestamp_seconds", "When the run ended; absent while it runs.", ended_s)
    one("duration_seconds", "How long the run took.", None if ended_s is None else summary.duration_s)
    success_s = ended_s if summary.status == "complete" else last.success_s
    published_s = ended_s if summary.published else last.published_s
    add(_SUCCESS, "When a run last ended with exit code 0.", [({}, success_s)])
    add(_PUBLISHED, "When a run last published, with gaps or without.", [({}, published_s)])
    for name in ("account_regions", "functions", "versions", "aliases", "packages"):
        one(name, f"How many {name.replace('_', '-')} the run read.", getattr(summary.counts, name))
    one("gaps", "How many items could not be read.", summary.gaps)
    by_kind: Counter[tuple[str, str, str]] = Counter()
    for failure in summary.failures:
        if failure.is_gap:
            by_kind[failure.stage, failure.operation or "", failure.error_code] += failure.count
    names = ("stage", "operation", "error_code")
    kinds = ((dict(zip(names, kind, strict=True)), count) for kind, count in sorted(by_kind.items()))
    add("lexport_run_gaps_by_kind", "How many items of a kind could not be read.", kinds)
    statuses = (({"status": status}, count) for status, count in sorted(summary.packages_by_status.items()))
    add("lexport_run_packages_by_status", "What became of the packages.", statuses)
    calls = (({"operation": operation}, count) for operation, count in summary.calls_by_operation.items())
    add("lexport_run_calls_total", "Calls to Lambda, retries included.", calls, "counter")
    one("throttles_total", "Calls that AWS throttled.", summary.throttles, "counter")
    one("retries_total", "Calls that repeat a failed one.", summary.retries, "counter")
    one("published_rows", "Rows of all tables of the snapshot.", summary.published_rows)
    one("published_bytes", "Bytes of all files of the snapshot.", summary.published_bytes)
    one("downloaded_bytes_total", "Bytes of packages that were received.", summary.downloaded_bytes, "counter")
    stages: Counter[str] = Counter()
    for stage in summary.stages:
        stages[stage.stage] += stage.duration_s  # type: ignore[assignment]  # a Counter adds any numbers
    took = (({"stage": stage}, seconds) for stage, seconds in stages.items())
    add("lexport_run_stage_duration_seconds", "How long a part of the run took.", took)
    for name in ("account_regions", "calls", "versions", "packages", "stored_bytes"):
        # Workers are numbered: their addresses are others every night, and each would be a new series.
        by_worker = (({"worker": str(number)}, getattr(each, name)) for number, each in enumerate(summary.workers))
        add(f"lexport_worker_{name}", f"The {name.replace('_', '-')} of one worker.", by_worker)
    return ("\n".join(lines) + "\n").encode()


def _own(summary: RunSummary) -> dict[str, str]:
    return {"command": summary.command, "dest": summary.dest or ""}


def _labels(labels: Labels) -> str:
    return "{" + ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in labels.items()) + "}"


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else repr(float(value))


def _seconds(at: datetime | None) -> float | None:
    return None if at is None else at.timestamp()
