"""Spans and counters for OpenTelemetry, as a collector receives them."""

from __future__ import annotations

import gzip
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import anyio
import pytest
from hidden_modules import without
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

import lexport
from lexport.simulator import Fault, Fleet, FleetSpec, open_simulator

pytestmark = [pytest.mark.slow, pytest.mark.asyncio]

WAITS = {"LEXPORT_TEST_WAITS": "0.2"}  # a second in place of five


class Collector(ThreadingHTTPServer):
    """Receives OTLP over HTTP; ``delay_s`` is how long it is silent before it answers."""

    daemon_threads = True

    def __init__(self, *, status=200, delay_s=0.0):
        collector = self
        self.spans, self.metrics, self.resources = [], {}, []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                body = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
                collector.take(self.path, body)
                time.sleep(delay_s)
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self):
        Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()

    def take(self, path, body):
        if path == "/v1/traces":
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                self.resources.append(values(resource.resource))
                self.spans += [span for scope in resource.scope_spans for span in scope.spans]
        else:
            assert path == "/v1/metrics"
            for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                self.resources.append(values(resource.resource))
                for metric in (each for scope in resource.scope_metrics for each in scope.metrics):
                    self.metrics[metric.name] = [(values(point), point.as_int) for point in metric.sum.data_points]

    def named(self, name):
        """The spans of a name."""
        return [span for span in self.spans if span.name == name]


def values(item):
    """Attributes as a dict."""
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in item.attributes}


async def test_a_run(run_lexport, flags, look, tmp_path):
    """A run is one trace: the run, its stages below it, each account-region below the reading."""
    fleet = Fleet(FleetSpec(functions=3, versions=1))
    with Collector() as collector:
        async with open_simulator(fleet, quotas=False) as aws:
            aws.inject(Fault(operation="ListAliases", kind="throttle", times=1))
            ended = await run_lexport(
                *("snapshot", "fleet", *flags(aws.url, "--region", "us-east-1,eu-west-1")),
                OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
                OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=test",
            )

    manifest = look.newest(tmp_path / "fleet")
    (run,), (reading,) = collector.named("lexport snapshot"), collector.named("read")
    stages = [span for span in collector.spans if span.parent_span_id == run.span_id]
    shards = collector.named("shard")
    assert (ended.code, len({span.trace_id for span in collector.spans}), run.parent_span_id) == (0, 1, b"")
    assert [span.name for span in sorted(stages, key=lambda span: span.start_time_unix_nano)] == [
        "plan",
        "read",
        "commit",
        "publish",
    ]
    assert {values(span)["cloud.region"] for span in shards} == {"us-east-1", "eu-west-1"}
    assert all(span.parent_span_id == reading.span_id for span in shards)
    assert all(
        run.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano <= run.end_time_unix_nano
        for span in collector.spans
    )
    found = values(run)
    assert (found["lexport.snapshot_id"], found["lexport.status"]) == (manifest.snapshot_id, "complete")
    assert (found["process.exit.code"], run.status.code) == (0, 0)
    for resource in collector.resources:
        assert (resource["service.name"], resource["service.version"]) == ("lexport", lexport.__version__)
        assert resource["deployment.environment.name"] == "test"
    calls = {point["rpc.method"]: count for point, count in collector.metrics["lexport.calls"]}
    assert calls["GetFunction"] == sum(scope.get_function_calls for scope in manifest.scopes)
    assert sum(calls.values()) - calls["GetFunction"] == sum(scope.list_calls for scope in manifest.scopes)
    sums = {name: sum(count for _, count in points) for name, points in collector.metrics.items()}
    assert (sums["lexport.throttles"], sums["lexport.retries"]) == (1, 1)
    assert sums["lexport.rows"] == sum(entry.rows for entry in manifest.files)
    assert sums["lexport.published"] == sum(entry.size_bytes for entry in manifest.files)


async def test_a_failed_run(run_lexport, flags, environment):
    """The span of a failed run says why, without secrets; a run that never began is a span too."""
    with Collector() as collector:
        async with open_simulator(Fleet(FleetSpec(functions=2, versions=1)), quotas=False) as aws:
            secret = environment["LEXPORT_HASH_KEY"]
            message = f"{secret} https://bucket.s3.amazonaws.com/key?X-Amz-Signature=abcdef"
            for operation in ("ListFunctions", "GetAccountSettings"):
                aws.inject(Fault(operation=operation, kind="denied", message=message, times=None))
            variables = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{collector.url}/v1/traces"}
            denied = await run_lexport("snapshot", "fleet", *flags(aws.url), **variables)
        wrong = await run_lexport("packages", "fleet", "--nope", **variables)

    first, second = collector.named("lexport snapshot"), collector.named("lexport packages")
    assert (denied.code, wrong.code) == (5, 2)
    assert [(span.status.code, values(span)["process.exit.code"]) for span in (*first, *second)] == [(2, 5), (2, 2)]
    assert "AccessDenied" in first[0].status.message
    assert collector.metrics == {}
    sent = b"".join(span.SerializeToString() for span in collector.spans)
    assert secret.encode() not in sent
    assert b"abcdef" not in sent


@pytest.mark.parametrize("how", ["dead", "failing", "silent"])
async def test_a_collector_that_fails(run_lexport, how):
    """A collector that is gone, fails or is silent is a warning: the exit code stays, and the end waits for a limit."""
    with Collector(status=500 if how == "failing" else 200, delay_s=20 if how == "silent" else 0) as collector:
        url = "http://127.0.0.1:1" if how == "dead" else collector.url
        started_s = time.monotonic()
        ended = await run_lexport("snapshot", "fleet", "--nope", OTEL_EXPORTER_OTLP_ENDPOINT=url, **WAITS)
        took_s = time.monotonic() - started_s

    lines = ended.err.splitlines()
    assert (ended.code, len(lines)) == (2, 3), ended.err
    for line, signal in zip(lines[1:], ("traces", "metrics"), strict=True):
        assert line.startswith(f"lexport: warning: sending {signal} to OpenTelemetry failed: ")
        assert "internal error" not in line
    assert took_s < 10


async def test_without_the_extra_and_without_the_variable(run_lexport, environment, tmp_path):
    """Without the extra, one line says what to install; without the variable, nothing of OpenTelemetry is imported."""
    hidden = without(tmp_path / "hidden", "opentelemetry")
    ended = await run_lexport("snapshot", "fleet", "--nope", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1", **hidden)
    switched_off = await run_lexport("snapshot", "fleet", "--nope", OTEL_SDK_DISABLED="true", **hidden)
    command = [sys.executable, "-X", "importtime", "-m", "lexport", "snapshot", "fleet", "--summary-file", "x"]
    imported = await anyio.run_process(command, env=environment, cwd=tmp_path, check=False)

    assert ended.code == 2
    assert "pip install 'lexport[otel]'" in ended.last
    assert switched_off.err.count("\n") == 1
    assert b"lexport.cli._outputs.record" in imported.stderr
    assert b"opentelemetry" not in imported.stderr
