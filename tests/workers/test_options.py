"""The options that name workers: what is wrong with them is said before anything is done, and nothing costs dask."""

from __future__ import annotations

import pytest
from hidden_modules import without

from lexport.extract.cluster_options import check_cluster_options
from lexport.settings import SnapshotSettings

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


@pytest.mark.parametrize(
    ("command", "missing", "arguments"),
    [
        ("snapshot", "distributed", ["--dask", "tcp://127.0.0.1:1"]),
        ("packages", "distributed", ["--processes", "2"]),
        ("snapshot", "cryptography", ["--processes", "2"]),
    ],
)
async def test_without_the_extra(simulator, environment, run_lexport, tmp_path, command, missing, arguments):
    """One line says what to install, before the first call and before anything is planned or made."""
    environment |= without(tmp_path / "python", missing)
    del environment["LEXPORT_HASH_KEY"]  # a run makes one where there is none
    before = sorted(tmp_path.rglob("*"))
    async with simulator(functions=1) as server:
        url = ["--endpoint-url", server.url, "--region", "us-east-1"]
        done = await run_lexport(command, tmp_path / "fleet", *url, *arguments)
        assert not +server.calls
    assert (done.code, done.out) == (2, ""), done.err
    assert f"{arguments[0]} needs {missing}" in done.last
    assert "pip install 'lexport[distributed]'" in done.last
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--dask", "http://127.0.0.1:8786"], 2, "takes the address of a scheduler"),
        (["--dask", "tcp://127.0.0.1:1"], 1, "no scheduler answers there"),
        (["--processes", "0"], 2, "is from 1 to"),
        (["--processes", "2", "--dask", "tcp://127.0.0.1:1"], 2, "exclude each other"),
        (["--processes", "2", "--shard-retries", "-1"], 2, "is 0 or more"),
    ],
)
async def test_wrong_options(simulator, environment, run_lexport, flags, tmp_path, arguments, code, says):
    """One line says what is wrong, and nothing is left at the destination."""
    environment["LEXPORT_TEST_WAITS"] = "0.05"
    async with simulator(functions=1) as server:
        done = await run_lexport("snapshot", tmp_path / "fleet", *flags(server.url), *arguments)
        assert bool(+server.calls) == (code == 1)
    assert (done.code, says in done.last) == (code, True), done.err
    assert not list((tmp_path / "fleet").rglob("*.parquet"))
    assert (tmp_path / "fleet").exists() == (code == 1)


@pytest.mark.parametrize(
    ("address", "is_warned"),
    [
        ("tcp://192.0.2.1:8786", True),
        ("tcp://scheduler:8786", True),
        ("tcp://[2001:db8::1]:8786", True),
        ("tls://192.0.2.1:8786", False),
        ("tcp://127.0.0.1:8786", False),
        ("tcp://[::1]:8786", False),
        ("tcp://localhost:8786", False),
    ],
)
async def test_an_address_that_anybody_can_use(address, is_warned):
    """A scheduler in the network without TLS is warned about; with TLS, or on this machine, it is not."""
    notes = []
    check_cluster_options(SnapshotSettings(dask=address), notes.append)
    assert bool(notes) == is_warned
    assert all("is not encrypted, and whoever reaches the scheduler can run code on its" in note for note in notes)


UNUSED = {
    "dask",
    "distributed",
    "duckdb",
    "logging.handlers",
    "opentelemetry",
    "prompt_toolkit",
    "pygments",
    "rich",
    "sqlglot",
    "tornado",
    *(f"lexport.cli._outputs.{name}" for name in ("prometheus", "send", "summary", "telemetry", "webhook")),
    "lexport.cli._shell",
}
"""What a run in one process without a terminal and without outputs for machines does not need."""


@pytest.mark.parametrize("command", [["snapshot", "--help"], ["snapshot"]])
async def test_nothing_is_imported_that_a_plain_run_does_not_need(simulator, run_lexport, flags, tmp_path, command):
    """Help and a plain run import nothing of workers, bars, the SQL shell, webhooks and OpenTelemetry."""
    async with simulator(functions=1) as server:
        arguments = [*command, *(() if "--help" in command else (tmp_path / "fleet", *flags(server.url)))]
        done = await run_lexport(*arguments, PYTHONPROFILEIMPORTTIME="1")
    assert done.code == 0, done.err
    imported = {line.rpartition("|")[2].strip() for line in done.err.splitlines() if "|" in line}
    assert "lexport.cli._outputs.record" in imported
    assert not imported & UNUSED  # pyarrow imports cloudpickle where it is there
