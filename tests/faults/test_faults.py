"""Whatever fails between lexport and a server, or below it: a whole dataset or none, the right exit code, nothing left.

Each row of a table is one case. ``make faults`` (LEXPORT_FAULTS=whole) waits as long as lexport does for its users;
here all waits and time-outs are a twentieth, and the rows that still take long are left out.
"""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Callable
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest
from anyio.from_thread import start_blocking_portal
from fault_proxy import (
    Fault,
    answered,
    changed,
    changed_bytes,
    closed_after,
    cut_off,
    dripped,
    fault,
    hung,
    open_fault_proxy,
    refused,
    reset_after,
    reset_before_headers,
    reset_in_body,
    skewed,
    throttled,
    too_long,
    too_short_length,
)

from lexport.model import Scope
from lexport.simulator import Fleet, FleetSpec, open_simulator
from lexport.simulator.canaries import CANARIES

pytestmark = pytest.mark.slow

IS_WHOLE = os.environ.get("LEXPORT_FAULTS") == "whole"
WITHIN_S = 3600.0 if IS_WHOLE else 60.0
SECRETS = [value.encode() for value, rule in CANARIES.values() if rule is not None and len(value) > 8]
SIGNED = (b"X-Amz-Signature=", b"X-Amz-Credential=", b"AWS4-HMAC-SHA256")
ACCOUNT, REGIONS = "111122223333", ("us-east-1", "eu-west-1")
HTML = b"<html><head><title>502 Bad Gateway</title></head><body>no</body></html>"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One case: what goes wrong, and how the run ends.

    ``rows`` is "all" where the dataset equals the oracle and "none" where there is none; or a function that takes the
    rows of the oracle to those that are there. ``is_slow`` rows run only in ``make faults``.
    """

    faults: tuple[Fault, ...] = ()
    code: int = 0
    says: tuple[str, ...] = ()
    rows: str | Callable[[str, dict[str, Any]], bool] = "all"
    flags: tuple[str, ...] = ()
    fleet: Callable[[], Fleet] = lambda: Fleet(FleetSpec(functions=18, versions=5, regions=REGIONS))
    scopes: tuple[tuple[str, str], ...] = ((ACCOUNT, "us-east-1"),)
    variables: dict[str, str | None] = field(default_factory=dict)
    disk: dict[str, Any] | None = None
    tls: str | None = None
    endpoint: str | None = None
    files: int | None = None
    is_slow: bool = False


# --- between lexport and Lambda ---------------------------------------------------------------------------------------

TEMPORARY = {
    "a throttle storm with Retry-After": [
        fault("GetFunction", throttled("0.1"), times=60),
        fault("ListFunctions", throttled("0"), times=5),
    ],
    "a throttle storm with a date in Retry-After": [fault("GetFunction", throttled("date"), times=5)],
    "a throttle storm without Retry-After": [
        fault("GetFunction", throttled(), times=60),
        fault("ListAliases", throttled(), times=20),
    ],
    "throttled with a wrong Retry-After": [fault("GetFunction", throttled("soon"), times=5)],
    **{
        f"HTTP {status}": [
            fault("GetFunction", refused(status, code), times=3),
            fault("ListFunctions", refused(status, code), times=2),
            fault("ListAliases", answered(status), times=2),
        ]
        for status, code in {
            500: "ServiceException",
            502: "BadGateway",
            503: "ServiceUnavailable",
            504: "GatewayTimeout",
        }.items()
    },
    **{
        name: [fault("GetFunction", act, after=3, times=2), fault("ListFunctions", act), fault("ListAliases", act)]
        for name, act in {
            "reset before headers": reset_before_headers,
            "reset in the body": reset_in_body,
            "keep-alive closed": closed_after,
            "answer lost": reset_after,
            "cut off": cut_off,
            "longer than its Content-Length": too_long,
            "longer than its Content-Length, then closed": too_short_length,
            "JSON cut off": changed_bytes(lambda body: body[: len(body) // 2]),
            "HTML with 200": answered(200, HTML, content_type="text/html"),
            "empty with 200": answered(200),
            "hangs": hung,
            "one byte a second": dripped(0.05 if not IS_WHOLE else 1.0),
        }.items()
    },
    "every connection is closed after one response": [fault("Lambda", closed_after, times=None)],
    "answers of 16 MB": [
        fault("GetFunction", changed_bytes(lambda body: body + b" " * 16_000_000)),
        fault("ListFunctions", changed(lambda page: page | {"Padding": "x" * 16_000_000})),
    ],
}


def region_denied(exchange_of: str) -> Fault:
    """Refuse every call of Lambda in a Region."""
    denied = refused(403, "AccessDeniedException", "User is not authorized to perform this in a Region")
    return fault(rf"GET .* {exchange_of}/lambda ", denied, times=None)


EXPIRED = refused(403, "ExpiredTokenException", "The security token included in the request is expired")
DENIED = refused(403, "AccessDeniedException", "User is not authorized to perform: lambda:Something")

FINAL = {
    "throttled without end": Row(
        faults=(fault("GetFunction", throttled("0.05"), times=None),), code=1, says=("TooManyRequestsException",)
    ),
    "throttled for hours": Row(
        faults=(fault("ListFunctions", throttled("3600"), times=None),),
        code=1,
        says=("TooManyRequestsException",),
        is_slow=True,
    ),
    **{
        f"HTTP {status} without end": Row(
            faults=(fault("ListFunctions", refused(status, code), times=None),), code=1, says=(code, str(status))
        )
        for status, code in {500: "ServiceException", 503: "ServiceUnavailable"}.items()
    },
    "HTML without end": Row(
        faults=(fault("Lambda", answered(200, HTML, content_type="text/html"), times=None),),
        code=1,
        says=("an HTML page",),
    ),
    "JSON cut off without end": Row(
        faults=(fault("ListFunctions", changed_bytes(lambda body: body[:100]), after=1, times=None),),
        code=1,
        says=("ListFunctions", "JSON"),
    ),
    "empty without end": Row(
        faults=(fault("GetFunction", answered(200), after=9, times=None),), code=1, says=("GetFunction",)
    ),
    "reset without end": Row(
        faults=(fault("Lambda", reset_before_headers, times=None),),
        code=1,
        says=("closed the connection without a response",),
    ),
    "cut off without end": Row(faults=(fault("ListAliases", cut_off, times=None),), code=1, says=("was cut off",)),
    "one byte a second without end": Row(
        faults=(fault("ListFunctions", dripped(1.0), times=None),),
        code=1,
        says=("did not answer in time",),
        is_slow=True,
    ),
    "hangs without end": Row(
        faults=(fault("ListFunctions", hung, times=None),), code=1, says=("did not answer in time",), is_slow=True
    ),
    "the clock is two hours behind": Row(
        faults=(fault("any", skewed(timedelta(hours=2)), times=None),),
        code=1,
        says=("clock", "2 hours behind AWS's"),
    ),
    "the clock is three days ahead, and STS does not say so": Row(
        faults=(fault("Lambda", skewed(timedelta(days=-3)), times=None),),
        code=1,
        says=("clock", "3 days ahead of AWS's"),
    ),
    "credentials that expire": Row(
        faults=(fault("GetFunction", EXPIRED, after=20, times=None),), code=5, says=("expired",)
    ),
    "credentials that are expired": Row(
        faults=(fault("any", refused(403, "ExpiredToken", "The security token is expired"), times=None),),
        code=5,
        says=("expired",),
    ),
    "no call is allowed": Row(
        faults=(fault("Lambda", DENIED, times=None),), code=5, says=("nothing may be read", "lexport iam-policy")
    ),
    "aliases are denied": Row(
        faults=(fault("ListAliases", DENIED, times=None),),
        code=3,
        flags=("--allow-partial",),
        rows=lambda table, _: not table.startswith("alias"),
        says=("AccessDeniedException in ListAliases",),
    ),
    "aliases are denied, and nothing may be missing": Row(
        faults=(fault("ListAliases", DENIED, times=None),), code=1, says=("AccessDeniedException in ListAliases",)
    ),
    "a Region is denied": Row(
        faults=(region_denied("eu-west-1"),),
        code=3,
        flags=("--allow-partial", "--region", ",".join(REGIONS)),
        rows=lambda _, row: row["region"] == "us-east-1",
        scopes=tuple((ACCOUNT, region) for region in REGIONS),
        says=("AccessDeniedException", "eu-west-1"),
    ),
    "a Region is denied, and nothing may be missing": Row(
        faults=(region_denied("eu-west-1"),),
        code=1,
        flags=("--region", ",".join(REGIONS)),
        says=("AccessDeniedException", "eu-west-1"),
    ),
    "an account is denied": Row(
        faults=(fault("Action=AssumeRole.*444455556666", refused(403, "AccessDenied", "no"), times=None),),
        code=3,
        flags=("--allow-partial", "--account-role", "reader", "--accounts", f"{ACCOUNT},444455556666"),
        fleet=lambda: Fleet(FleetSpec(functions=6, versions=2, accounts=(ACCOUNT, "444455556666"))),
        says=("AccessDenied", "444455556666"),
    ),
    "a marker that repeats": Row(
        faults=(fault("ListFunctions", changed(lambda page: page | {"NextMarker": "again"}), times=None),),
        code=1,
        says=("ListFunctions",),
    ),
    "markers without end": Row(
        faults=(
            fault(
                "ListAliases",
                changed(lambda page: page | {"NextMarker": f"{time.monotonic_ns()}"}),
                times=None,
            ),
        ),
        code=1,
        says=("ListAliases",),
    ),
    "an answer of 40 MB": Row(
        faults=(fault("ListFunctions", changed(lambda page: page | {"Padding": "x" * 40_000_000}), times=None),),
        code=1,
        says=("more than 33,554,432 bytes",),
    ),
    "a name that DNS does not know": Row(
        endpoint="http://lambda.region.invalid",
        code=1,
        says=("cannot resolve lambda.region.invalid", "check the network"),
    ),
    "a port that nobody listens on": Row(endpoint="http://127.0.0.1:9", code=1, says=("cannot reach 127.0.0.1:9",)),
    "TLS": Row(tls="good"),
    **{
        f"TLS: {kind}": Row(tls=kind, code=1, says=("TLS with 127.0.0.1", reason, "AWS_CA_BUNDLE"))
        for kind, reason in {
            "unknown CA": "unable to get local issuer certificate",
            "wrong name": "IP address mismatch",
            "expired": "certificate has expired",
        }.items()
    },
    "256 files": Row(
        files=256,
        flags=("--region", "all"),
        fleet=lambda: Fleet(FleetSpec(functions=3, versions=1)),
        scopes=(),
    ),
    "the disk is read-only": Row(
        disk={"at": 1, "error": errno.EROFS, "sticky": True}, code=2, says=("Read-only file system",)
    ),
    "the disk becomes read-only": Row(
        disk={"at": 30, "error": errno.EROFS, "sticky": True}, code=1, says=("Read-only file system",)
    ),
    "the disk is full": Row(
        disk={"at": 25, "error": errno.ENOSPC, "sticky": True}, code=1, says=("No space left on device",)
    ),
    "a sync fails": Row(disk={"denied": "fsync", "denied_error": errno.EIO}, code=1, says=("Input/output error",)),
}
ROWS = {name: Row(faults=tuple(faults)) for name, faults in TEMPORARY.items()} | FINAL


@pytest.mark.timeout(4000 if IS_WHOLE else 300)
@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if IS_WHOLE or not row.is_slow])
def test_fault(bench, name):
    """A run ends with the expected code, leaves a dataset that equals the oracle or none, and nothing else."""
    row = ROWS[name]
    fleet = row.fleet()
    with bench.between(fleet, row) as proxy:
        done = bench.snapshot(row, proxy)
    bench.judge(done, row, fleet, proxy)


# --- how a case is run and judged ------------------------------------------------------------------------------------


@pytest.fixture
def bench(forks, certificates, disk, look, flags):
    """What a case needs."""
    return Bench(forks, certificates, disk, look, flags)


class Bench:
    """Runs cases, and judges them."""

    def __init__(self, forks, certificates, disk, look, flags) -> None:
        self.forks, self.disk, self.look, self.flags = forks, disk, look, flags
        self.certificates, self.ca_file = certificates
        self.dest = forks.folder / "fleet"

    def between(self, fleet, row):
        """Serve a fleet and the proxy in front of it, in a thread; gives the proxy."""
        return served(fleet, row, self.certificates.get(row.tls))

    def snapshot(self, row, proxy):
        """Run one snapshot to its end."""
        arguments = self.flags(row.endpoint or proxy.url, *row.flags)
        variables = {"AWS_CA_BUNDLE": self.ca_file} if row.tls else {}
        with self.failing(row):
            return self.forks.wait(
                self.forks.start(
                    "snapshot",
                    "fleet",
                    *arguments,
                    leftovers="leftovers",
                    files=row.files,
                    **variables,
                    **row.variables,
                ),
                WITHIN_S,
            )

    def failing(self, row):
        """Let the disk of DEST fail as the row says."""
        if row.disk is None:
            return nullcontext()
        return self.disk.failing(self.dest, **row.disk)

    def judge(self, done, row, fleet, proxy) -> None:
        """Assert everything that holds after every run."""
        assert done.code == row.code, done.err
        assert "Traceback" not in done.err
        assert "internal error" not in done.err
        for text in row.says:
            assert text in done.err, done.err
        assert not row.faults or proxy.happened, proxy.lines
        self.judge_dataset(done, row, fleet)
        self.judge_files(done)
        left = json.loads((self.forks.folder / "leftovers").read_text())
        assert left == {"sockets": [], "threads": [], "tasks": [], "children": []}
        assert proxy.open == set()

    def judge_dataset(self, done, row, fleet) -> None:
        """Compare the dataset with the oracle; without a commit there is none."""
        commits = [*self.dest.glob("_runs/*.json")]
        assert len(commits) == (done.code in (0, 3)), done.err
        if not commits:
            return
        found = self.look.read_rows(self.dest)
        read = [(each["account_id"], each["region"]) for each in found["scopes"] if each["status"] == "complete"]
        scopes = row.scopes or read
        expected = self.look.expected_rows(fleet, *(Scope(account_id=a, region=r) for a, r in sorted(scopes)))
        for table, rows in expected.items():
            wanted = rows if row.rows == "all" else [each for each in rows if row.rows(table, each)]
            assert self.look.facts(found[table]) == wanted, table
        assert (done.code == 0) == (found["errors"] == [] or not any(each["is_gap"] for each in found["errors"]))
        verified = self.forks.run("verify", "fleet", "--data")
        assert verified.code == 0, verified.err

    def judge_files(self, done) -> None:
        """Assert that there is no secret in any file, and no file beside the dataset."""
        folder = self.forks.folder
        named = {f"fleet/{path}" for path in named_files(self.dest)}
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            relative = str(path.relative_to(folder))
            for secret in (*SECRETS, *SIGNED):
                assert secret not in readable(path), (relative, secret)
            is_kept = relative.startswith("fleet/_staging/") and done.code not in (0, 3)
            assert relative in named or is_kept or relative in ("out", "err", "leftovers"), relative
        assert done.code not in (0, 3) or list((self.dest / "_staging").glob("*")) == []


def named_files(dest: Path) -> set[str]:
    """The files of the commits of a dataset, and the commits themselves."""
    named = set()
    for path in dest.glob("_runs/*.json"):
        named |= {f"_runs/{path.name}", "_latest.json"} | {f["path"] for f in json.loads(path.read_bytes())["files"]}
    return named | {str(path.relative_to(dest)) for path in dest.glob("snapshots/**/*.parquet")}


def readable(path: Path) -> bytes:
    """The bytes of a file, and those that its compression hides."""
    data = path.read_bytes()
    if path.suffix == ".parquet":
        return data + repr(pq.ParquetFile(path).read().to_pydict()).encode()
    if data.startswith(b"ARROW1"):
        with suppress(pa.ArrowInvalid):  # the disk failed before its end
            return data + repr(pa.ipc.open_file(data).read_all().to_pydict()).encode()
    return data


@contextmanager
def served(fleet, row, tls):
    """Serve a fleet and the proxy in front of it in a thread; gives the proxy."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(open_simulator(fleet, quotas=False)) as simulator,
        portal.wrap_async_context_manager(open_fault_proxy(simulator.url, *row.faults, tls=tls)) as proxy,
    ):
        yield proxy
