"""``lexport publish`` against a REST catalog, that of SeaweedFS, whose answers are lost or late."""

import http.client
import http.server
import json
import threading
import time
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from object_servers import make_table_bucket
from pyiceberg.catalog import load_catalog

AT = datetime(2026, 11, 22, 2, tzinfo=UTC)
TIMEOUT_S = 2


class Faults:
    """What a proxy does to the first commit of a table, and how many commits of each table passed it."""

    def __init__(self):
        self.planned = {"functions": self.lose, "tags": self.refuse, "aliases": self.fail, "layers": self.delay}
        self.commits = Counter()
        self.late = []

    def lose(self, send, _answer):
        """The catalog commits, and the connection ends without an answer."""
        assert send()[0] == 200

    def refuse(self, _send, answer):
        """Another writer was faster."""
        answer(409, b'{"error": {"message": "changed", "type": "CommitFailedException", "code": 409}}')

    def fail(self, send, answer):
        """The catalog commits, and a server before it has a time-out of its own."""
        assert send()[0] == 200
        answer(504, b'{"error": {"message": "slow", "type": "ServiceUnavailable", "code": 504}}')

    def delay(self, send, _answer):
        """The commit arrives after the client has given up and repeated it."""
        until = time.monotonic() + 30
        while self.commits["layers"] < 2 and time.monotonic() < until:
            time.sleep(0.01)
        self.late.append(send()[0])


@contextmanager
def open_proxy(target, faults):
    """Pass requests on to a catalog, but for those that a fault is planned for."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _handle(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))

            def send():
                connection = http.client.HTTPConnection(target.removeprefix("http://"), timeout=30)
                connection.request(self.command, self.path, body, dict(self.headers))
                found = connection.getresponse()
                content = found.read()
                connection.close()
                return found.status, content

            def answer(status, content):
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            table = self.path.partition("/tables/")[2].partition("?")[0]
            is_commit = self.command == "POST" and b'"add-snapshot"' in body
            fault = faults.planned.pop(table, None) if is_commit else None
            if fault is None:
                answer(*send())
                faults.commits[table] += is_commit
                return
            faults.commits[table] += 1
            fault(send, answer)
            self.close_connection = True

        do_GET = do_POST = do_HEAD = do_DELETE = _handle  # noqa: N815 - names of the library

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.slow
@pytest.mark.asyncio
async def test_lost_answers(tmp_path, bucket, hand_written, run_lexport, monkeypatch):
    """Where answers of a catalog are lost, late or say that another writer was faster, each file is there once."""
    versions = [{"function_name": f"f{number}", "version": "$LATEST"} for number in range(3)]
    alias = {"function_name": "f1", "alias": "live"}
    night = {"at": AT, "functions": versions, "aliases": [alias], "tags": [{"function_name": "f1", "key": "team"}]}
    night["layers"] = [{"function_name": "f1", "version": "$LATEST", "position": 0, "layer_arn": "l:1"}]
    hand_written.write_dataset(tmp_path / "fleet", [night])
    for path in (tmp_path / "fleet").rglob("*"):
        if path.is_file():
            bucket.client.upload_file(str(path), bucket.name, str(path.relative_to(tmp_path)))
    warehouse, url = make_table_bucket(bucket.endpoint)
    properties = {"type": "rest", "warehouse": warehouse, "rest.sigv4-enabled": "true"}
    properties |= {"rest.signing-name": "s3tables", "rest.signing-region": "us-east-1"}
    faults = Faults()
    with open_proxy(url, faults) as proxy:
        catalog = {
            f"PYICEBERG_CATALOG__WEED__{name.upper().replace('.', '__').replace('-', '_')}": value
            for name, value in (properties | {"uri": proxy}).items()
        }
        command = ("publish", f"{bucket.url}/fleet", "iceberg", "--catalog", "weed", "--output", "json")
        command += ("--dest-timeout", f"{TIMEOUT_S}s")
        done = await run_lexport(*command, **catalog)
        again = await run_lexport(*command, **catalog)

    assert (done.code, again.code, faults.planned) == (0, 0, {}), done.err + again.err
    assert faults.late == [409]
    assert faults.commits["functions"] == faults.commits["aliases"] == 1
    assert faults.commits["tags"] == faults.commits["layers"] == 2
    told = {line["table"]: line["rows_added"] for line in json.loads(done.out)}
    assert {name: told[name] for name in ("functions", "aliases", "tags", "layers", "snapshots")} == {
        "functions": 3, "aliases": 1, "tags": 1, "layers": 1, "snapshots": 1,
    }  # fmt: skip
    assert {line["rows_added"] for line in json.loads(again.out)} == {0}
    assert "testing" not in done.out + done.err
    keys = {"s3.endpoint": bucket.endpoint, "s3.access-key-id": "testing", "s3.secret-access-key": "testing"}
    opened = load_catalog("weed", **properties, **keys, uri=url, **{"s3.region": "us-east-1"})
    rows = opened.load_table("lexport.functions").scan().to_arrow()
    assert rows.column("function_name").to_pylist() == ["f0", "f1", "f2"]
    assert opened.load_table("lexport.functions").schema().find_field("function_name").doc == ("Name of the function.")
