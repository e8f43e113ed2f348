"""Send a run to an OpenTelemetry collector: a span for the run, each stage and each account-region, and counters.

Spans and counters are made when the run has ended, and sent at once: nothing is done for them during the run. The SDK
reads the variables ``OTEL_…`` for endpoint, headers, certificates, compression, sampler and resource attributes.
"""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from lexport.cli._outputs.send import LIMIT_S, Send
from lexport.cli._outputs.summary import RunSummary
from lexport.model import __version__

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricsData
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan

    from lexport.extract.progress import ShardProgress

    Attributes = dict[str, str | int | float | bool]

SIGNALS = ("traces", "metrics")
SPANS_AT_ONCE = 512
STAGES = {
    "choosing targets": "plan",
    "waiting for workers": "plan",
    "reading": "read",
    "writing Parquet": "commit",
    "publishing": "publish",
    "uploading": "publish",
    "looking for packages": "packages",
    "fetching packages": "packages",
    "looking into packages": "packages",
}
"""The names of spans, which stay where a stage is shown under another name; others are ``other``."""


def signals(environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Return what the variables ask for: spans, metrics, both or nothing."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return ()
    general = environment.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    return tuple(
        signal
        for signal in SIGNALS
        if (general or environment.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT"))
        and environment.get(f"OTEL_{signal.upper()}_EXPORTER", "otlp") != "none"
    )


def is_installed() -> bool:
    """Return whether the extra ``otel`` is there."""
    try:
        return importlib.util.find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    except ImportError:
        return False


def senders(asked: Sequence[str], summary: RunSummary, shards: Sequence[ShardProgress]) -> dict[str, Send]:
    """Return what sends the signals that are asked for."""
    all_senders = {"traces": lambda: _send_spans(summary, shards), "metrics": lambda: _send_metrics(summary)}
    return {f"sending {signal} to OpenTelemetry": all_senders[signal] for signal in asked}


def _send_spans(summary: RunSummary, shards: Sequence[ShardProgress]) -> str:
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # what fails is returned, in one line
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import SpanExportResult

    exporter, spans = OTLPSpanExporter(timeout=0.9 * LIMIT_S), spans_of(summary, shards)
    batches = (spans[first : first + SPANS_AT_ONCE] for first in range(0, len(spans), SPANS_AT_ONCE))
    is_sent = all(exporter.export(batch) is SpanExportResult.SUCCESS for batch in batches)
    return "" if is_sent else "the collector did not take the spans"


def _send_metrics(summary: RunSummary) -> str:
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics.export import MetricExportResult

    exporter = OTLPMetricExporter(timeout=0.9 * LIMIT_S)
    is_sent = exporter.export(counters_of(summary)) is MetricExportResult.SUCCESS
    return "" if is_sent else "the collector did not take the counters"


def spans_of(summary: RunSummary, shards: Sequence[ShardProgress]) -> list[ReadableSpan]:
    """Make the span of the run, of its stages below it, and of its account-regions below the stage that read them."""
    from opentelemetry import trace
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from opentelemetry.trace import Span, Status, StatusCode

    ended: list[ReadableSpan] = []

    class Keep(SpanProcessor):
        def on_end(self, span: ReadableSpan) -> None:
            ended.append(span)

    provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
    provider.add_span_processor(Keep())
    tracer = provider.get_tracer("lexport", __version__)
    ended_at = summary.ended_at or summary.started_at

    def begin(name: str, start: datetime, attributes: Attributes, parent: Span | None) -> Span:
        context = None if parent is None else trace.set_span_in_context(parent)
        return tracer.start_span(name, context, start_time=_nanoseconds(start), attributes=attributes)

    run = begin(f"lexport {summary.command}", summary.started_at, _run_attributes(summary), None)
    if summary.error is not None:
        run.set_status(Status(StatusCode.ERROR, summary.error))
    reading = run
    stages: list[tuple[Span, datetime]] = []
    ends = [*(stage.started_at for stage in summary.stages[1:]), ended_at]
    for stage, end in zip(summary.stages, ends, strict=False):  # a run that never began has no stages
        name = STAGES.get(stage.stage, "other")
        span = begin(name, stage.started_at, {"lexport.stage": stage.stage}, run)
        reading = span if name == "read" else reading
        stages.append((span, end))
    for shard in shards:
        span = begin("shard", shard.started_at, _shard_attributes(shard), reading)
        if shard.ended_at is None:
            span.set_status(Status(StatusCode.ERROR, "it was not read to the end"))
        span.end(_nanoseconds(shard.ended_at or ended_at))
    for span, end in stages:
        span.end(_nanoseconds(end))
    run.end(_nanoseconds(ended_at))
    return ended


def counters_of(summary: RunSummary) -> MetricsData:
    """Make the counters of the run."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader], resource=_resource(), shutdown_on_exit=False)
    meter = provider.get_meter("lexport", __version__)
    own: Attributes = {"lexport.command": summary.command, "lexport.dest": summary.dest or ""}
    calls = meter.create_counter("lexport.calls", "{call}", "Calls to Lambda, retries included.")
    for operation, count in summary.calls_by_operation.items():
        calls.add(count, own | {"rpc.method": operation})
    for name, unit, text, amount in (
        ("lexport.throttles", "{call}", "Calls that AWS throttled.", summary.throttles),
        ("lexport.retries", "{call}", "Calls that repeat a failed one.", summary.retries),
        ("lexport.rows", "{row}", "Rows of all tables that were published.", summary.published_rows),
        ("lexport.published", "By", "Bytes of all files that were published.", summary.published_bytes),
        ("lexport.downloaded", "By", "Bytes of packages that were received.", summary.downloaded_bytes),
    ):
        meter.create_counter(name, unit, text).add(amount, own)
    data = reader.get_metrics_data()
    assert data is not None
    return data


def _resource() -> Resource:
    """Return the resource; OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win."""
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource

    own = Resource({"service.name": "lexport", "service.version": __version__})
    return Resource.get_empty().merge(own).merge(OTELResourceDetector().detect())


def _run_attributes(summary: RunSummary) -> Attributes:
    counts = summary.counts
    attributes: dict[str, Any] = {
        "lexport.command": summary.command,
        "lexport.dest": summary.dest,
        "lexport.snapshot_id": summary.snapshot_id,
        "lexport.status": summary.status,
        "lexport.published": summary.published,
        "process.exit.code": summary.exit_code,
        "lexport.account_regions": counts.account_regions,
        "lexport.functions": counts.functions,
        "lexport.versions": counts.versions,
        "lexport.gaps": summary.gaps,
        "lexport.calls": summary.calls,
        "lexport.throttles": summary.throttles,
        "lexport.workers": len(summary.workers) or None,
    }
    return {name: value for name, value in attributes.items() if value is not None}


def _shard_attributes(shard: ShardProgress) -> Attributes:
    return {
        "cloud.provider": "aws",
        "cloud.account.id": shard.scope.account_id,
        "cloud.region": shard.scope.region,
        "lexport.versions_listed": shard.listed,
        "lexport.versions_read": shard.fetched,
        "lexport.throttles": shard.throttles,
    }


def _nanoseconds(at: datetime) -> int:
    return int(at.timestamp() * 1_000_000) * 1_000
