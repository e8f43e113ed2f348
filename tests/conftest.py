"""Shared fixtures: an environment without a real AWS, the simulator, moto in its own process, the installed command."""

from __future__ import annotations

import base64
import hmac
import importlib.util
import logging
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import anyio
import pyarrow.parquet as pq
import pytest
from commands import LEXPORT, Ended, completed_beside, own_logging, watched_log
from object_servers import Bucket, make_bucket, run_seaweed
from postgres_server import PostgresServer, postgres_programs, run_postgres

from lexport.dataset.manifest import Manifest
from lexport.model import Scope
from lexport.settings import SnapshotSettings
from lexport.simulator import Fault, Fleet, FleetSpec, Simulator, open_simulator

ACCOUNT = "111122223333"
REGION = "us-east-1"
HASH_KEY = b"a key that only the tests know.."
FAST = 1_000_000.0
SORTED_BY = {
    "functions": ("function_name", "version"),
    "aliases": ("function_name", "alias"),
    "alias_routes": ("function_name", "alias", "version"),
    "tags": ("function_name", "key"),
    "env_vars": ("function_name", "version", "name"),
    "layers": ("function_name", "version", "position"),
    "subnets": ("function_name", "version", "subnet_id"),
    "security_groups": ("function_name", "version", "security_group_id"),
    "file_systems": ("function_name", "version", "position"),
    "account_settings": (),
    "event_source_mappings": ("uuid",),
    "code_signing_configs": ("code_signing_config_arn",),
    "function_code_signing": ("function_name", "code_signing_config_arn"),
}
SORTED_BY_AROUND = {
    "function_urls": ("function_name", "qualifier"),
    "event_invoke_configs": ("function_name", "qualifier"),
    "recursion_configs": ("function_name",),
    "function_usage": ("function_name", "qualifier", "dimension", "executed_version", "day"),
    "usage_windows": (),
    "capacity_providers": ("capacity_provider_arn",),
    "policy_statements": ("function_name", "qualifier", "position"),
    "policy_conditions": ("function_name", "qualifier", "statement", "operator", "key", "value"),
    "provisioned_concurrency_configs": ("function_name", "qualifier"),
    "runtime_management_configs": ("function_name", "version"),
}
"""The same of what `--with` names."""
MOTO = """
import sys
from moto.server import ThreadedMotoServer

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print("http://%s:%s" % server.get_host_and_port(), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def fast_retries(monkeypatch) -> None:
    """Retry after a hundredth of a second, in botocore too, and new keys for half a second."""
    monkeypatch.setattr("lexport.aws.quota.retry.FIRST_BACKOFF_S", 0.01)
    monkeypatch.setattr("lexport.aws.quota.retry.REFUSED_FOR_S", 0.5)
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda _self, _context: 0.01)


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    """Leave the logging of this process as it was: some tests run a command in it."""
    with own_logging():
        yield


@pytest.fixture
def environment(tmp_path) -> dict[str, str]:
    """Return variables of a subprocess: the simulator's credentials, no files of the user, no way to a real AWS."""
    return {
        "PATH": "/usr/bin:/bin",
        "LC_ALL": "C.UTF-8",
        "HOME": str(tmp_path / "home"),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "LEXPORT_HASH_KEY": base64.b64encode(HASH_KEY).decode(),
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1",
        # botocore reads the bundle for each client: that of certifi, with 140 certificates, is a tenth of the CPU here.
        "AWS_CA_BUNDLE": str(Path(__file__).parent / "data" / "ca.pem"),
    }


@pytest.fixture
def aws(environment, monkeypatch) -> Iterator[pytest.MonkeyPatch]:
    """Set the same environment for this process; restore the levels of loggers."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "LEXPORT_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    for name, value in environment.items():
        if name not in ("PATH", "LC_ALL"):
            monkeypatch.setenv(name, value)
    before = {name: logging.getLogger(name).level for name in logging.root.manager.loggerDict}
    yield monkeypatch
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


@pytest.fixture(scope="session")
def hand_written() -> ModuleType:
    """The module ``sql/dataset.py``, which writes datasets from dict rows."""
    path = Path(__file__).parent / "sql" / "dataset.py"
    spec = importlib.util.spec_from_file_location("lexport_tests_dataset", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def write_dataset(hand_written: ModuleType) -> Callable[..., Any]:
    """Write a tiny dataset from dict rows; see ``sql/dataset.py``."""
    write: Callable[..., Any] = hand_written.write_dataset
    return write


@pytest.fixture(scope="session")
def make_old(hand_written: ModuleType) -> Callable[..., Any]:
    """Rewrite a commit as an older schema version wrote it; see ``sql/dataset.py``."""
    rewrite: Callable[..., Any] = hand_written.make_old
    return rewrite


@pytest.fixture(scope="session")
def package_commits(hand_written: ModuleType) -> tuple[Any, Any]:
    """Commits of packages between and after snapshots, and what queries over them answer."""
    return hand_written.PACKAGE_COMMITS, hand_written.PACKAGE_ANSWERS


@pytest.fixture(scope="session")
def lexport_path() -> str:
    """Return the path of the installed command."""
    return str(LEXPORT)


_EVENTS: dict[str, tuple[str, Callable[[], None]]] = {}
_HOOKS: list[Callable[[str, tuple[Any, ...]], None]] = []


@pytest.fixture
def at_event() -> Iterator[Callable[..., None]]:
    """Act right before this process makes a system call, once: ``at_event("os.link", act, on="part of an argument")``.

    The events are those of Python's audit hooks. A hook cannot be removed, so there is one, which mostly does nothing.
    """

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _EVENTS and _EVENTS[event][0] in repr(arguments):
            _EVENTS.pop(event)[1]()

    def plan(event: str, act: Callable[[], None], *, on: str = "") -> None:
        _EVENTS[event] = (on, act)
        if not _HOOKS:
            _HOOKS.append(hook)
            sys.addaudithook(hook)

    yield plan
    _EVENTS.clear()


# --- the command ----------------------------------------------------------------------------------------------------


@pytest.fixture
def run_lexport(environment, tmp_path) -> Callable[..., Any]:
    """Run the command to its end while the event loop runs, so that a simulator in this process can serve it.

    A keyword sets a variable, or unsets it if it is None.
    """

    async def run(*arguments: object, stdin: str = "", cwd: Path | None = None, **variables: str | None) -> Ended:
        merged = {name: value for name, value in (environment | variables).items() if value is not None}
        with watched_log(merged) as (variables_of_log, check):
            done = await completed_beside(*arguments, env=variables_of_log, cwd=cwd or tmp_path, stdin=stdin.encode())
            check(done.returncode)
        return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


@pytest.fixture
def start_lexport(environment, tmp_path) -> Callable[..., AbstractAsyncContextManager[Any]]:
    """Start the installed command and yield the process; it is killed if it still runs at the end of the test."""

    @asynccontextmanager
    async def start(*arguments: object) -> AsyncIterator[Any]:
        process = await anyio.open_process(
            [str(LEXPORT), *map(str, arguments)], env=environment, cwd=tmp_path, stdin=subprocess.DEVNULL
        )
        async with process:
            yield process
            if process.returncode is None:
                process.kill()

    return start


@pytest.fixture(scope="session")
def need_program() -> Callable[..., str]:
    """Find a program, or skip with the name of its Debian package, which LEXPORT_REQUIRE_ALL=1 makes a failure."""

    def find(*names: str, package: str) -> str:
        found = next((path for name in names if (path := shutil.which(name))), None)
        if found is None:
            give_up = pytest.fail if os.environ.get("LEXPORT_REQUIRE_ALL") == "1" else pytest.skip
            give_up(f"needs the Debian package {package}")
        return found

    return find


# --- servers --------------------------------------------------------------------------------------------------------


@pytest.fixture
def simulator() -> Callable[..., AbstractAsyncContextManager[Simulator]]:
    """Serve a fleet without quotas: ``async with simulator(functions=3, faults=[...]) as aws:``."""

    def serve(
        *faults: Fault,
        functions: int = 6,
        versions: int = 2,
        quotas: bool = False,
        fleet: Fleet | None = None,
        **more: Any,
    ) -> AbstractAsyncContextManager[Simulator]:
        served = fleet or Fleet(FleetSpec(functions=functions, versions=versions))
        return open_simulator(served, quotas=quotas, faults=faults, **more)

    return serve


@pytest.fixture(scope="session")
def moto_server() -> Iterator[str]:
    """The URL of moto in its own process; the process ends with its standard input."""
    quiet = {**os.environ, "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", MOTO],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=quiet,
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().decode().strip()
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture
def moto(moto_server) -> str:
    """The URL of an empty moto."""
    request = urllib.request.Request(f"{moto_server}/moto-api/reset", method="POST")
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
        assert answer.status == 200
    return moto_server


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory) -> Iterator[str]:
    """The URL of the S3 of SeaweedFS, in its own process."""
    with run_seaweed(tmp_path_factory.mktemp("seaweed")) as url:
        yield url


@pytest.fixture
def bucket(seaweed, aws, environment) -> Bucket:
    """An empty bucket on SeaweedFS, which this process and the command find."""
    environment["AWS_ENDPOINT_URL_S3"] = seaweed
    aws.setenv("AWS_ENDPOINT_URL_S3", seaweed)
    return make_bucket(seaweed)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL in its own process, or skip without one, which LEXPORT_REQUIRE_ALL=1 makes a failure."""
    programs = postgres_programs()
    if programs is None:
        give_up = pytest.fail if os.environ.get("LEXPORT_REQUIRE_ALL") == "1" else pytest.skip
        give_up("needs the Debian package postgresql")
    assert programs is not None
    with run_postgres(programs) as server:
        yield server


@pytest.fixture
def postgres(postgres_server) -> str:
    """The URL of an empty database, which needs no password."""
    url: str = postgres_server.create_database()
    return url


# --- what a run is asked for, and what it left ----------------------------------------------------------------------


@pytest.fixture
def settings() -> Callable[..., SnapshotSettings]:
    """Settings of a run against a URL, as fast as it goes."""

    def make(url: str, **more: Any) -> SnapshotSettings:
        options: dict[str, Any] = {
            "endpoint_url": url,
            "regions": (REGION,),
            "get_function_rate_per_s": FAST,
            "list_rate_per_s": FAST,
        }
        return SnapshotSettings(**options | more)

    return make


@pytest.fixture
def flags() -> Callable[..., tuple[str, ...]]:
    """The same as arguments of the command."""

    def make(url: str, *more: str) -> tuple[str, ...]:
        regions = () if "--region" in more else ("--region", REGION)
        rates = ("--get-function-rate", str(FAST), "--list-rate", str(FAST))
        return ("--endpoint-url", url, *regions, *rates, *more)

    return make


def newest(dest: Path) -> Manifest | None:
    """The newest commit of a dataset."""
    runs = sorted(dest.glob("_runs/*.json"))
    return Manifest.from_json(runs[-1].read_bytes()) if runs else None


def read_rows(dest: Path) -> dict[str, list[dict[str, Any]]]:
    """Every table that the newest commit has read, in the order of its file."""
    commit = newest(dest)
    assert commit is not None
    return {entry.table: pq.ParquetFile(dest / entry.path).read().to_pylist() for entry in commit.files if entry.read}


def facts(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows without the columns that differ between runs."""
    made = ("snapshot_id", "snapshot_at", "fetched_at")
    return [{name: value for name, value in row.items() if name not in made} for row in rows]


def hash_of(value: str) -> str:
    """The HMAC of a value under the tests' key, computed here once more."""
    return hmac.digest(HASH_KEY, value.encode(), "sha256")[:16].hex()


def hash_key_id() -> str:
    """The id of the tests' key."""
    return hmac.digest(HASH_KEY, b"lexport hash key id", "sha256")[:8].hex()


def expected_rows(
    fleet: Fleet, *scopes: Scope, env: str = "keys", with_resources: Collection[str] = ()
) -> dict[str, list[dict[str, Any]]]:
    """Return the expected rows of a snapshot of a simulated fleet, in the order of the contract."""
    rows: dict[str, list[dict[str, Any]]] = {table: [] for table in SORTED_BY}
    expected = partial(fleet.expected, env=env, value_hmac=hash_of, hash_key_id=hash_key_id())
    for scope in scopes or (Scope(account_id=ACCOUNT, region=REGION),):
        for table, row in expected(scope, with_resources=with_resources):
            rows.setdefault(table, []).append(row)
    for table, of_table in rows.items():
        key = (SORTED_BY | SORTED_BY_AROUND)[table]
        of_table.sort(key=lambda row, key=key: tuple(row[name] for name in ("account_id", "region", *key)))
    return rows


def tree(dest: Path) -> dict[str, bytes]:
    """Every file below a folder with its bytes."""
    return {str(path.relative_to(dest)): path.read_bytes() for path in sorted(dest.rglob("*")) if path.is_file()}


OF_THE_RUN = ("errors", "scopes", "scope_resources", "snapshots")
"""Tables that tell of the run itself."""


def table_bytes(dest: Path | None, files: Mapping[str, bytes] = {}) -> list[tuple[str, bytes]]:
    """The bytes of every table that does not tell of the run itself; the names of files have the attempt's numbers.

    Without ``dest``, ``files`` are those of a bucket.
    """
    return [
        (path.rpartition("-")[0], body)
        for path, body in (files if dest is None else tree(dest)).items()
        if path.endswith(".parquet") and path.split("/")[0] not in (*OF_THE_RUN, "_staging")
    ]


class Helpers:
    """The functions above, for tests: in importlib mode, tests cannot import this file."""

    newest = staticmethod(newest)
    read_rows = staticmethod(read_rows)
    facts = staticmethod(facts)
    hash_of = staticmethod(hash_of)
    hash_key_id = staticmethod(hash_key_id)
    expected_rows = staticmethod(expected_rows)
    tree = staticmethod(tree)
    table_bytes = staticmethod(table_bytes)
    account, region, sorted_by, fast = ACCOUNT, REGION, SORTED_BY, FAST
    sorted_by_around = SORTED_BY_AROUND
    scope = Scope(account_id=ACCOUNT, region=REGION)


@pytest.fixture(scope="session")
def look() -> type[Helpers]:
    """Return helpers that read a dataset."""
    return Helpers


@pytest.fixture(scope="session")
def zips() -> Any:
    """Return the module ``tests/zips.py``, which writes valid and hostile ZIP files by hand."""
    spec = importlib.util.spec_from_file_location("zips", Path(__file__).with_name("zips.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
