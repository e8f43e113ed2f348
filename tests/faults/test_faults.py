"""Whatever fails between lexport and a server, or below it: a whole dataset or none, the right exit code, nothing left.

Each row of a table is one case. ``make faults`` (LEXPORT_FAULTS=whole) waits as long as lexport does for its users;
here all waits and time-outs are a twentieth, and the rows that still take long are left out.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count, cycle, product, repeat
from pathlib import Path
from typing import Any
from zlib import crc32

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
    failed_after,
    fault,
    followed_by,
    hung,
    looped,
    open_fault_proxy,
    refused,
    refused_by_s3,
    renamed,
    reset_after,
    reset_before_headers,
    reset_in_body,
    reset_in_upload,
    skewed,
    throttled,
    too_long,
    too_short_length,
)

from lexport.dataset.open_store import open_store
from lexport.dataset.runs import read_sections
from lexport.errors import ReadError
from lexport.model import Scope
from lexport.settings import Destination
from lexport.simulator import Change, Fleet, FleetSpec, open_simulator
from lexport.simulator.canaries import CANARIES

pytestmark = pytest.mark.slow

IS_WHOLE = os.environ.get("LEXPORT_FAULTS") == "whole"
WAITS = 1.0 if IS_WHOLE else 0.05
WITHIN_S = 3600.0 if IS_WHOLE else 60.0
SECRETS = [value.encode() for value, rule in CANARIES.values() if rule is not None and len(value) > 8]
OURS = ("out", "err", "leftovers", "cache/")
"""What may be in the folder of a test beside the dataset."""
SIGNED = (b"X-Amz-Signature=", b"X-Amz-Credential=", b"AWS4-HMAC-SHA256")
ACCOUNT, REGIONS = "111122223333", ("us-east-1", "eu-west-1")
HTML = b"<html><head><title>502 Bad Gateway</title></head><body>no</body></html>"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One case: what goes wrong, and how the run ends.

    ``faults`` may be a function of the fleet. The dataset equals the rows of the oracle that ``keeps`` keeps, as
    ``change`` changes them, in all tables but those ``besides``. ``way`` "forward" has the proxy in HTTP_PROXY.
    With ``store_faults``, DEST is in a bucket, behind a proxy of its own; ``leaves_files``: the
    commit may exist, so its files stay.
    ``again`` are the options with which a failed run is whole once nothing fails: what was denied stays so in --resume.
    None: it would fail again.
    ``is_slow`` rows run only in ``make faults``.
    """

    faults: tuple[Fault, ...] | Callable[[Fleet], tuple[Fault, ...]] = ()
    code: int = 0
    says: tuple[str, ...] = ()
    keeps: Callable[[str, dict[str, Any]], bool] = lambda *_: True
    change: Callable[[Fleet, dict[str, Any]], dict[str, Any]] | None = None
    besides: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    fleet: Callable[[], Fleet] = lambda: Fleet(FleetSpec(functions=12, versions=5, regions=REGIONS))
    scopes: tuple[tuple[str, str], ...] = ((ACCOUNT, "us-east-1"),)
    variables: dict[str, str | None] = field(default_factory=dict)
    disk: dict[str, Any] | None = None
    tls: str | None = None
    endpoint: str | None = None
    files: int | None = None
    is_signed: bool = True
    store_faults: tuple[Fault, ...] | None = None
    leaves_files: bool = False
    again: tuple[str, ...] | None = ("--resume",)
    way: str = "direct"
    is_slow: bool = False


# --- between lexport and Lambda ---------------------------------------------------------------------------------------

TEMPORARY = {
    "a throttle storm with Retry-After": [
        fault("GetFunction", throttled("0.1"), times=30),
        fault("ListFunctions", throttled("0"), times=5),
    ],
    "a throttle storm with a date in Retry-After": [fault("GetFunction", throttled("date"), times=5)],
    "a throttle storm without Retry-After": [
        fault("GetFunction", throttled(), times=30),
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
        }.items()
    },
    "hangs": [fault("GetFunction", hung, after=3, times=2), fault("ListAliases", hung)],
    "one byte a second": [fault("GetFunction", dripped(WAITS), after=3)],
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
        keeps=lambda table, _: not table.startswith("alias"),
        says=("AccessDeniedException in ListAliases",),
    ),
    "aliases are denied, and nothing may be missing": Row(
        faults=(fault("ListAliases", DENIED, times=None),),
        code=1,
        says=("AccessDeniedException in ListAliases",),
        again=(),
    ),
    "a Region is denied": Row(
        faults=(region_denied("eu-west-1"),),
        code=3,
        flags=("--allow-partial", "--region", ",".join(REGIONS)),
        keeps=lambda _, row: row["region"] == "us-east-1",
        scopes=tuple((ACCOUNT, region) for region in REGIONS),
        says=("AccessDeniedException", "eu-west-1"),
    ),
    "a Region is denied, and nothing may be missing": Row(
        faults=(region_denied("eu-west-1"),),
        code=1,
        again=(),
        flags=("--region", ",".join(REGIONS)),
        scopes=tuple((ACCOUNT, region) for region in sorted(REGIONS)),
        says=("AccessDeniedException", "eu-west-1"),
    ),
    "an account is denied": Row(
        faults=(fault("Action=AssumeRole.*444455556666", refused(403, "AccessDenied", "no"), times=None),),
        code=3,
        flags=("--allow-partial", "--account-role", "reader", "--accounts", f"{ACCOUNT},444455556666"),
        fleet=lambda: Fleet(FleetSpec(functions=6, versions=2, accounts=(ACCOUNT, "444455556666"))),
        says=("AccessDenied", "444455556666"),
    ),
    **{
        what: Row(
            faults=lambda _, markers=markers: (fault("ListFunctions", looped(markers()), times=None),),
            code=1,
            says=(code, "ListFunctions"),
        )
        for what, markers, code in (
            ("a marker that repeats", lambda: repeat("again"), "repeated_marker"),
            ("two markers in turn", lambda: cycle(("A", "B")), "repeated_marker"),
            ("markers without end", lambda: map(str, count()), "endless_listing"),
        )
    },
    "STS is down": Row(faults=(fault("GetCallerIdentity", answered(503), times=None),), says=("STS",)),
    "STS is denied": Row(
        faults=(fault("GetCallerIdentity", refused(403, "AccessDenied", "no"), times=None),), says=("STS",)
    ),
    "the settings of the account are denied": Row(
        faults=(fault("GetAccountSettings", DENIED, times=None),), besides=("account_settings",)
    ),
    "an answer of 40 MB": Row(
        faults=(fault("ListFunctions", answered(200, bytes(40_000_000)), times=None),),
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
        f"TLS: {kind}": Row(tls=kind, code=1, again=None, says=("TLS with 127.0.0.1", reason, "AWS_CA_BUNDLE"))
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


def changing(kind: str, **more: Any) -> Callable[[Fleet], tuple[Fault, ...]]:
    """Change the first function when it was listed, before it is read."""

    def faults(fleet: Fleet) -> tuple[Fault, ...]:
        change = Change(
            kind=kind, scope=Scope(account_id=ACCOUNT, region="us-east-1"), function_name=fleet.name(0), **more
        )
        return (fault("ListFunctions", followed_by(lambda: fleet.apply(change))),)

    return faults


def with_one_deleted(index: int) -> Callable[[], Fleet]:
    """Make a fleet one of whose functions does not exist yet."""

    def make() -> Fleet:
        fleet = Fleet(FleetSpec(functions=18, versions=5))
        scope = Scope(account_id=ACCOUNT, region="us-east-1")
        fleet.apply(Change(kind="delete_function", scope=scope, function_name=fleet.name(index)))
        return fleet

    return make


def creating(index: int) -> Callable[[Fleet], tuple[Fault, ...]]:
    """Create a function when the first page was made."""

    def faults(fleet: Fleet) -> tuple[Fault, ...]:
        scope = Scope(account_id=ACCOUNT, region="us-east-1")
        change = Change(kind="recreate_function", scope=scope, function_name=fleet.name(index))
        return (fault("ListFunctions", followed_by(lambda: fleet.apply(change))),)

    return faults


COUNTED = ("account_settings",)
"""It has the number of functions, at a moment of its own."""
MOVING = {
    "a function is deleted": Row(faults=changing("delete_function"), besides=COUNTED),
    "a function is created anew": Row(faults=changing("recreate_function"), besides=COUNTED),
    "a function is updated": Row(faults=changing("update_config", memory_mb=3008, description="new"), besides=COUNTED),
    "its code is updated": Row(faults=changing("update_code"), besides=COUNTED),
    "a function is created behind the listing": Row(
        faults=creating(0),
        fleet=with_one_deleted(0),
        keeps=lambda _, row: row.get("function_name") != Fleet(FleetSpec(functions=18, versions=5)).name(0),
        besides=COUNTED,
    ),
    "a function is created before the listing": Row(faults=creating(17), fleet=with_one_deleted(17), besides=COUNTED),
}

NAMES = {
    "ANSI": "\x1b[31mred\x1b[0m",
    "HTML": "<script>alert(1)</script>",
    "a path": "../../etc/passwd",
    "right to left": "\u202egnp.exe",
    "a query": "a?b=c&d#e%41",
}
IMPOSSIBLE = {
    "NUL": ("a\x00b", "a\ufffdb"),
    "a lone surrogate": ("a\ud800b", "a\ufffdb"),
    "two lines": ("one\ntwo", "invalid_item"),
    "..": ("..", "no name of a function"),
}
"""Names that no request or no table can hold: a gap each, with what is said of it."""


def named(name: str) -> Callable[[Fleet], tuple[Fault, ...]]:
    """Give the second function another name, in all responses."""
    return lambda fleet: (fault("Lambda", renamed(fleet.name(1), name), times=None),)


def with_name(name: str) -> Callable[[Fleet, dict[str, Any]], dict[str, Any]]:
    """Return the row as it is with that name."""

    def change(fleet: Fleet, row: dict[str, Any]) -> dict[str, Any]:
        old = fleet.name(1)
        return {key: value.replace(old, name) if isinstance(value, str) else value for key, value in row.items()}

    return change


HOSTILE = {
    f"a hostile name: {what}": Row(
        faults=named(name),
        change=with_name(name),
        besides=("aliases", "alias_routes") if "." in name else (),  # Lambda knows no aliases of such names
        is_signed=False,
    )
    for what, name in NAMES.items()
} | {
    f"a hostile name: {what}": Row(faults=named(name), code=1, says=(says,), is_signed=False)
    for what, (name, says) in IMPOSSIBLE.items()
}

PACKAGES = {
    f"packages: {what}": Row(
        faults=(fault("GetObject of a package", act, after=2),),
        flags=("--packages",),
        fleet=lambda: Fleet(FleetSpec(functions=4, versions=3, seed=3)),
    )
    for what, act in {
        "reset before headers": reset_before_headers,
        "reset in the body": reset_in_body,
        "cut off": cut_off,
        "other bytes": changed_bytes(lambda body: body[:-1] + bytes((body[-1] ^ 1,))),
        "503 SlowDown": refused_by_s3(503, "SlowDown", "Please reduce your request rate."),
        "hangs": hung,
        "HTML with 200": answered(200, HTML, content_type="text/html"),
    }.items()
}
FORWARD = {
    f"{name}, through HTTP_PROXY": Row(faults=tuple(TEMPORARY[name]), way="forward")
    for name in (
        *("HTTP 503", "reset before headers", "reset in the body", "keep-alive closed", "cut off", "hangs"),
        *("longer than its Content-Length", "HTML with 200", "one byte a second"),
    )
    if IS_WHOLE or name in ("HTTP 503", "reset in the body", "cut off")
}
# --- between lexport and an object store ------------------------------------------------------------------------------

STORE = {
    **{
        f"bucket, {name}": Row(
            store_faults=(fault("PutObject", act, after=2, times=2), fault("PutObject of the commit", act))
        )
        for name, act in {
            "503 SlowDown": refused_by_s3(503, "SlowDown"),
            "500": refused_by_s3(500, "InternalError"),
            "409": refused_by_s3(409, "ConditionalRequestConflict"),
            "reset in the upload": reset_in_upload,
            "reset before headers": reset_before_headers,
            "answer lost after success": reset_after,
            "500 after success": failed_after(500, "InternalError"),
            "answer cut off": cut_off,
            "keep-alive closed": closed_after,
            "HTML with 200": answered(200, HTML, content_type="text/html"),
            "empty with 200": answered(200),
            "hangs": hung,
        }.items()
    },
    **{
        f"bucket, listings: {name}": Row(store_faults=(fault("ListObjects", act, times=2),))
        for name, act in {
            "503 SlowDown": refused_by_s3(503, "SlowDown"),
            "HTML with 200": answered(200, HTML, content_type="text/html"),
            "cut off": cut_off,
            "one byte a second": dripped(WAITS),
        }.items()
    },
    "bucket, reads: reset in the body": Row(store_faults=(fault("GetObject", reset_in_body, times=2),)),
    "bucket, reads: longer than its Content-Length": Row(store_faults=(fault("GetObject", too_long, times=2),)),
    "bucket, one of each": Row(
        store_faults=(
            fault("PutObject", refused_by_s3(503, "SlowDown"), after=2),
            fault("PutObject", refused_by_s3(409, "ConditionalRequestConflict"), after=3),
            fault("PutObject", reset_after, after=4),
            fault("PutObject", reset_in_upload, after=5),
            fault("PutObject", failed_after(500, "InternalError"), after=6),
            fault("PutObject", answered(200, HTML, content_type="text/html"), after=7),
            fault("PutObject of the commit", reset_after),
            fault("ListObjects", answered(200, HTML, content_type="text/html"), after=1),
            fault("GetObject", reset_in_body),
            fault("GetObject", too_long),
        )
    ),
    "bucket, 503 without end": Row(
        store_faults=(fault("PutObject", refused_by_s3(503, "SlowDown"), after=8, times=None),),
        code=1,
        says=("SlowDown",),
    ),
    "bucket, a table cannot be written": Row(
        store_faults=(fault("PutObject of a table", refused_by_s3(500, "InternalError"), after=3, times=None),),
        code=1,
        says=("InternalError",),
    ),
    "bucket, the commit exists": Row(
        store_faults=(fault("PutObject of the commit", refused_by_s3(412, "PreconditionFailed"), times=None),),
        code=6,
        says=("exists",),
    ),
    "bucket, the commit is refused": Row(
        store_faults=(fault("PutObject of the commit", refused_by_s3(403, "AccessDenied"), times=None),),
        code=5,
        says=("AccessDenied",),
    ),
    "bucket, the answer to the commit is never known": Row(
        store_faults=(fault("PutObject of the commit", reset_before_headers, times=None),),
        leaves_files=True,
        code=1,
        says=("it is not known whether",),
    ),
    "bucket, the clock is two hours behind": Row(
        store_faults=(fault("PutObject", skewed(timedelta(hours=2), is_s3=True), after=3, times=None),),
        code=1,
        says=("2 hours behind S3's",),
    ),
    "bucket, credentials that expire": Row(
        store_faults=(fault("PutObject", refused_by_s3(400, "ExpiredToken"), after=8, times=None),),
        code=5,
        says=("ExpiredToken",),
    ),
    **{
        f"bucket, TLS: {kind}": Row(store_faults=(), tls=kind, code=1, again=None, says=("TLS with 127.0.0.1", reason))
        for kind, reason in {
            "unknown CA": "unable to get local issuer certificate",
            "wrong name": "IP address mismatch",
            "expired": "certificate has expired",
        }.items()
    },
    "bucket, TLS": Row(store_faults=(), tls="good"),
    "bucket, a name that DNS does not know": Row(
        store_faults=(),
        variables={"AWS_ENDPOINT_URL_S3": "http://s3.region.invalid"},
        code=1,
        again=None,
        says=("cannot resolve s3.region.invalid",),
    ),
    "bucket, nobody may list it": Row(
        store_faults=(fault("S3", refused_by_s3(403, "AccessDenied"), times=None),), code=5, says=("AccessDenied",)
    ),
    "bucket, listings: HTML without end": Row(
        store_faults=(fault("ListObjects", answered(200, HTML, content_type="text/html"), times=None),),
        code=1,
        says=("an HTML page",),
    ),
}
IN_SAMPLE = {
    *("bucket, one of each", "bucket, 503 without end", "bucket, the commit exists"),
    *("bucket, the answer to the commit is never known", "bucket, listings: HTML without end"),
    *("bucket, TLS: expired", "bucket, a name that DNS does not know"),
}
LEFT_OUT = {
    *(STORE.keys() - IN_SAMPLE),
    *("HTTP 502", "HTTP 504", "HTTP 500 without end", "answer lost", "throttled with a wrong Retry-After"),
    *("longer than its Content-Length, then closed", "packages: hangs", "packages: reset before headers"),
    *("empty without end", "HTTP 503 without end", "a hostile name: a query", "a hostile name: ..", "TLS: wrong name"),
    *("a hostile name: two lines", "a hostile name: NUL", "its code is updated", "STS is denied"),
}
"""Rows that differ little from others: ``make faults`` runs them."""
ROWS = {
    **{name: Row(faults=tuple(faults)) for name, faults in TEMPORARY.items()},
    **FINAL,
    **MOVING,
    **HOSTILE,
    **PACKAGES,
    **FORWARD,
    **STORE,
}


@pytest.mark.timeout(4000 if IS_WHOLE else 300)
@pytest.mark.parametrize(
    "name", [name for name, row in ROWS.items() if IS_WHOLE or not (row.is_slow or name in LEFT_OUT)]
)
def test_fault(bench, name):
    """A run ends with the expected code, leaves a dataset that equals the oracle or none, and nothing else."""
    row = ROWS[name]
    fleet = row.fleet()
    with bench.between(fleet, row) as proxy:
        done = bench.snapshot(row, proxy)
        bench.judge(done, row, fleet, proxy)
        if (
            row.code not in (0, 3)
            and row.again is not None
            and (IS_WHOLE or name in STORE or crc32(name.encode()) % 3 == 0)
        ):
            bench.judge_resume(row, fleet, proxy)


# --- readers of a bucket ----------------------------------------------------------------------------------------------

READS = {
    "503 SlowDown": (refused_by_s3(503, "SlowDown"), "SlowDown"),
    "reset in the body": (reset_in_body, "the connection broke"),
    "longer than its Content-Length": (too_long, "the answer cannot be used"),
    "HTML with 200": (answered(200, HTML, content_type="text/html"), ""),
    "empty with 200": (answered(200), ""),
    "other bytes": (changed_bytes(lambda body: bytes((body[0] ^ 1,)) + body[1:]), ""),
}


READS_IN_SAMPLE = {
    ("HTML with 200", "ListObjects", 1),
    ("HTML with 200", "ListObjects", None),
    ("longer than its Content-Length", "GetObject", 1),
    ("other bytes", "GetObject", None),
}


def test_readers(bench):
    """What fails once between a reader and a bucket changes no answer; what fails without end is exit 1, never less."""
    row = Row(store_faults=())
    fleet = row.fleet()
    ask = ("sql", "SELECT count(*) FROM functions")
    with bench.between(fleet, row) as proxy:
        assert bench.snapshot(row, proxy).code == 0
        for (name, (act, says)), on, times in product(READS.items(), ("ListObjects", "GetObject"), (1, None)):
            if not IS_WHOLE and (name, on, times) not in READS_IN_SAMPLE:
                continue
            shutil.rmtree(bench.forks.folder / "cache", ignore_errors=True)
            opening = open_fault_proxy(bench.bucket.endpoint, fault(on, act, times=times))
            with bench.portal.wrap_async_context_manager(opening) as store:
                variables = {"AWS_ENDPOINT_URL_S3": store.url, "LEXPORT_DEST_TIMEOUT": f"{30 * WAITS}s"}
                done = bench.forks.run(ask[0], bench.where, ask[1], "--output", "csv", **variables, within_s=WITHIN_S)
            assert store.happened, (name, on)
            if name == "other bytes" and times == 1:
                assert (done.code, "72" in done.out) in ((0, True), (1, False)), (name, on, done)
            elif times == 1:
                assert (done.code, done.out.split()[-1:]) == (0, ["72"]), (name, on, done)
            else:
                assert (done.code, done.out) == (1, ""), (name, on, done)
                assert says in done.err, done.err


@pytest.mark.parametrize("look_into", ["names", "files"])
def test_listing_cut_after_a_full_page(bucket, aws, look_into):
    """A listing that ends after a full page, as one whose next page was lost does, is made again."""
    bucket.client.put_object(Bucket=bucket.name, Key="_runs/last", Body=b"1")
    items = "".join(
        f"<Contents><Key>_runs/{number:04}</Key><LastModified>2026-01-01T00:00:00Z</LastModified><Size>1</Size></Contents>"
        for number in range(1000)
    )
    page = f"<ListBucketResult><Name>{bucket.name}</Name><IsTruncated>false</IsTruncated>{items}</ListBucketResult>"
    cut = fault("ListObjects", answered(200, page.encode(), content_type="application/xml"))
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(open_fault_proxy(bucket.endpoint, cut)) as proxy,
    ):
        aws.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
        store = open_store(Destination(bucket.url, timeout_s=5))
        found = store.names("_runs") if look_into == "names" else [file.path for file in store.files("_runs")]

    assert proxy.happened == 1
    assert [path.rpartition("/")[2] for path in found][-1:] == ["last"]


# --- credentials ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_renewed", [True, False], ids=["renewed", "not renewed"])
def test_credentials_expire(bench, is_renewed):
    """Credentials that expire in the middle are renewed once; where the helper has no others, the run ends with 5."""
    folder = bench.forks.folder
    row = Row(
        faults=(fault("GetFunction", EXPIRED, after=20, times=1 if is_renewed else None),),
        code=0 if is_renewed else 5,
        says=() if is_renewed else ("expired",),
        variables={"AWS_CONFIG_FILE": str(folder / "home" / "config"), "AWS_ACCESS_KEY_ID": ""},
    )
    fleet = row.fleet()
    with bench.between(fleet, row) as proxy:
        for number in (1, 2):
            caller = bench.simulator._keys.issue(
                ACCOUNT, f"arn:aws:sts::{ACCOUNT}:assumed-role/reader/{number if is_renewed else 1}", 900
            )
            keys = {"AccessKeyId": caller.key_id, "SecretAccessKey": caller.secret, "SessionToken": caller.token}
            (folder / f"{number}.json").write_text(json.dumps({"Version": 1} | keys))
        helper = f"sh -c 'echo x >> {folder}/asked; cat {folder}/$(wc -l < {folder}/asked).json'"
        (folder / "home" / "config").write_text(f"[default]\ncredential_process = {helper}\n")
        done = bench.snapshot(row, proxy)
    secrets = [caller.secret.encode(), caller.token.encode()]
    for name in ("1.json", "2.json", "asked", "home/config"):
        (folder / name).unlink()
    bench.judge(done, row, fleet, proxy, secrets=secrets)


# --- signals ----------------------------------------------------------------------------------------------------------


def until(look, within_s=30.0):
    """Wait until this is so."""
    end_s = time.monotonic() + within_s
    while not look():
        assert time.monotonic() < end_s, look
        time.sleep(0.005)


def test_stopped(bench):
    """A run that is stopped for three minutes, while its connections break, goes on and is whole."""
    row = Row(faults=(fault("GetFunction", hung, after=30, times=6),))
    fleet = row.fleet()
    with bench.between(fleet, row) as proxy:

        def stop(pid):
            until(lambda: proxy.happened)
            os.kill(pid, signal.SIGSTOP)
            bench.portal.call(proxy.drop_connections)
            time.sleep(180 * WAITS)
            os.kill(pid, signal.SIGCONT)

        done = bench.snapshot(row, proxy, stop)
    bench.judge(done, row, fleet, proxy)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_signal(bench, number):
    """A signal ends a run with its code and one line that says what was kept."""
    row = Row(faults=(fault("GetFunction", hung, after=30, times=None),), code=128 + number, says=(number.name,))
    fleet = row.fleet()
    with bench.between(fleet, row) as proxy:

        def interrupt(pid):
            until(lambda: proxy.happened)
            os.kill(pid, number)

        done = bench.snapshot(row, proxy, interrupt)
        bench.judge(done, row, fleet, proxy)
        (run,) = (path.name for path in bench.dest.glob("_staging/0*"))
        assert "what was read is kept" in done.last
        assert f"--resume {run}" in done.last
        bench.judge_resume(row, fleet, proxy)


# --- how a case is run and judged ------------------------------------------------------------------------------------


@pytest.fixture
def bench(forks, certificates, disk, look, flags, request):
    """What a case needs."""
    return Bench(forks, certificates, disk, look, flags, lambda: request.getfixturevalue("bucket"))


class Bench:
    """Runs cases, and judges them."""

    def __init__(self, forks, certificates, disk, look, flags, make_bucket) -> None:
        self.forks, self.disk, self.look, self.flags = forks, disk, look, flags
        self.certificates, self.ca_file = certificates
        self.dest = forks.folder / "fleet"
        self.make_bucket, self.bucket, self.store_proxy = make_bucket, None, None

    @contextmanager
    def between(self, fleet, row):
        """Serve a fleet and the proxy in front of it, in a thread; gives the proxy."""
        with (
            start_blocking_portal() as self.portal,
            self.portal.wrap_async_context_manager(
                open_simulator(fleet, quotas=False, verify=row.is_signed)
            ) as self.simulator,
        ):
            faults = row.faults(fleet) if callable(row.faults) else row.faults
            tls = self.certificates.get(row.tls) if row.store_faults is None else None
            opening = open_fault_proxy(self.simulator.url, *faults, tls=tls)
            with self.portal.wrap_async_context_manager(opening) as proxy:
                self.simulator._presigned.base_url = proxy.url
                with self.before_bucket(row):
                    yield proxy

    @contextmanager
    def before_bucket(self, row):
        """Serve a proxy before the server of an empty bucket, where the row has one."""
        if row.store_faults is None:
            yield
            return
        self.bucket = self.make_bucket()
        opening = open_fault_proxy(self.bucket.endpoint, *row.store_faults, tls=self.certificates.get(row.tls))
        with self.portal.wrap_async_context_manager(opening) as self.store_proxy:
            yield

    @property
    def where(self) -> str:
        """DEST as the commands get it."""
        return "fleet" if self.bucket is None else f"{self.bucket.url}/fleet"

    def snapshot(self, row, proxy, meanwhile=None, more=()):
        """Run one snapshot to its end; ``meanwhile`` gets its process id."""
        variables = {"AWS_CA_BUNDLE": self.ca_file} if row.tls else {}
        if row.way == "forward":
            variables |= {"HTTP_PROXY": proxy.url, "NO_PROXY": ""}
        url = row.endpoint or (proxy.upstream if row.way == "forward" else proxy.url)
        arguments = self.flags(url, *row.flags, *more)
        if self.bucket is not None:
            variables |= {"AWS_ENDPOINT_URL_S3": self.store_proxy.url, "LEXPORT_DEST_TIMEOUT": f"{30 * WAITS}s"}
        variables |= row.variables
        with self.failing(row):
            pid = self.forks.start(
                "snapshot", self.where, *arguments, leftovers="leftovers", files=row.files, **variables
            )
            if meanwhile is not None:
                meanwhile(pid)
            return self.forks.wait(pid, WITHIN_S)

    def failing(self, row):
        """Let the disk of DEST fail as the row says."""
        if row.disk is None:
            return nullcontext()
        return self.disk.failing(self.dest, **row.disk)

    def judge(self, done, row, fleet, proxy, *, secrets=()) -> None:
        """Assert everything that holds after every run."""
        assert done.code == row.code, done.err
        assert "Traceback" not in done.err
        assert "internal error" not in done.err
        for text in row.says:
            assert text in done.err, done.err
        assert not any(char in done.err for char in "\x00\x1b\u202e"), done.err
        assert not row.faults or proxy.happened, proxy.lines
        if self.bucket is not None:
            assert self.store_proxy.happened or not row.store_faults, self.store_proxy.lines
            assert self.bucket.uploads() == []
            self.fetch()
        self.judge_dataset(done, row, fleet)
        self.judge_files(done, row, secrets)
        left = json.loads((self.forks.folder / "leftovers").read_text())
        if self.bucket is not None:  # its client keeps connections until the process ends
            left["sockets"] = []
        assert left == {"sockets": [], "threads": [], "tasks": [], "children": []}
        until(lambda: not proxy.open and not (self.store_proxy and self.store_proxy.open))

    def judge_resume(self, row, fleet, proxy) -> None:
        """Once nothing fails any more, the next run publishes the oracle, whatever the one before had come to."""
        proxy.end_faults()
        if self.store_proxy is not None:
            self.store_proxy.end_faults()
        flags = tuple(flag for flag in row.flags if flag != "--allow-partial")
        again = Row(
            flags=flags,
            fleet=row.fleet,
            scopes=row.scopes,
            is_signed=row.is_signed,
            variables=row.variables,
            leaves_files=row.again == (),  # those of the run before
            store_faults=None if self.bucket is None else (),
        )
        self.judge(self.snapshot(again, proxy, more=row.again), again, fleet, proxy)

    def fetch(self) -> None:
        """Copy the bucket into the folder, to look into its objects."""
        shutil.rmtree(self.dest, ignore_errors=True)
        for key in sorted(self.bucket.keys()):
            path = self.forks.folder / key
            path.parent.mkdir(parents=True, exist_ok=True)
            self.bucket.client.download_file(self.bucket.name, key, str(path))

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
            if table not in row.besides:
                wanted, got = [each for each in rows if row.keeps(table, each)], self.look.facts(found[table])
                if row.change:
                    wanted = in_any_order(row.change(fleet, each) for each in wanted)
                    got = in_any_order(got)
                assert got == wanted, table
        assert (done.code == 0) == (found["errors"] == [] or not any(each["is_gap"] for each in found["errors"]))
        assert {each["status"] for each in found.get("packages", ())} <= {"stored"}
        store = {} if self.bucket is None else {"AWS_ENDPOINT_URL_S3": self.bucket.endpoint}
        verified = self.forks.run("verify", self.where, "--data", **store)
        assert verified.code == 0, verified.err

    def judge_files(self, done, row, secrets) -> None:
        """Assert that there is no secret in any file, and no file beside the dataset."""
        folder = self.forks.folder
        named = {f"fleet/{path}" for path in named_files(self.dest)}
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            relative = str(path.relative_to(folder))
            for secret in (*SECRETS, *SIGNED, *secrets):
                assert secret not in readable(path), (relative, secret)
            is_kept = row.leaves_files or (done.code not in (0, 3) and relative.startswith("fleet/_staging/"))
            assert relative in named or is_kept or relative.startswith(OURS), relative
        left = {path.name for path in (self.dest / "_staging").glob("*")}
        assert (
            done.code not in (0, 3) or row.leaves_files or left <= {"packages"}
        )  # the folder of unfinished downloads, which is empty


def in_any_order(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows in an order that no name decides."""
    return sorted(rows, key=repr)


def named_files(dest: Path) -> set[str]:
    """The files of the commits of a dataset, and the commits themselves."""
    named = set()
    for path in dest.glob("_runs/*.json"):
        named |= {f"_runs/{path.name}", "_latest.json"} | {f["path"] for f in json.loads(path.read_bytes())["files"]}
    for path in dest.glob("packages/**/*.parquet"):
        named |= {each for each in pq.ParquetFile(path).read(["path"]).column("path").to_pylist() if each}
    return named | {str(path.relative_to(dest)) for path in dest.glob("snapshots/**/*.parquet")}


def readable(path: Path) -> bytes:
    """The bytes of a file, and those that its compression hides."""
    data = path.read_bytes()
    if path.suffix == ".parquet":
        return data + repr(pq.ParquetFile(path).read().to_pydict()).encode()
    if path.suffix == ".run":
        with suppress(ReadError):  # the disk failed before its end
            blocks = [block.to_pydict() for section in read_sections(path) for block in section.blocks()]
            return data + repr(blocks).encode()
    return data
