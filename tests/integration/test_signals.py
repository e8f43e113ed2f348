"""SIGINT, SIGTERM and SIGHUP in the middle of each command: it ends at once, with its code and one line."""

import contextlib
import fcntl
import os
import signal
import struct
import termios
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal

from lexport.simulator import Fault, Fleet, FleetSpec, open_simulator

pytestmark = pytest.mark.slow

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
ENDLESS = "SELECT count(*) FROM range(1000000000000)"
ONE_VALUE = "SELECT length(repeat('a', 1000000000)) AS subject FROM range(100000)"  # no interrupt stops this
CHECK = """\
-- title: Slow
-- severity: low
-- remediation: Wait.
-- grain: one row
-- column account_id: account
-- column region: Region
-- column subject: what it is about
SELECT '111122223333' AS account_id, 'us-east-1' AS region, ({query})::VARCHAR AS subject
"""
PIPE_BYTES = 40_000  # what writes so much into a pipe soon stands still


@pytest.fixture(scope="module")
def aws():
    """A simulator in a thread of its own, in which no call of GetFunction ends."""
    fault = Fault(operation="GetFunction", kind="hang", times=None)
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(
            open_simulator(Fleet(FleetSpec(functions=4, versions=1)), quotas=False, faults=[fault])
        ) as simulator,
    ):
        yield simulator


@pytest.fixture
def fleet(forks, write_dataset):
    """Two nights of 1,500 functions, each of which has changed, and a slow check."""
    nights = [
        [
            {"function_name": f"function-{number:04}", "version": "$LATEST", "memory_size": size}
            for number in range(1500)
        ]
        for size in (128, 256)
    ]
    at = datetime.now(UTC)
    write_dataset(
        forks.folder / "fleet",
        [{"at": at - timedelta(days=2 - night), "functions": rows} for night, rows in enumerate(nights)],
    )
    (forks.folder / "checks").mkdir()
    (forks.folder / "checks" / "slow.sql").write_text(CHECK.format(query=ENDLESS))
    return forks


def until(look, within_s=10.0):
    """Wait until this is so."""
    end_s = time.monotonic() + within_s
    while not look():
        assert time.monotonic() < end_s, look
        time.sleep(0.005)


def takes_signals(pid, number=signal.SIGTERM):
    """Return whether a process has a handler for a signal."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("SigCgt:"):
            return bool(int(line.split()[1], 16) >> (number - 1) & 1)
    return False


def waiting_bytes(reader):
    """Count the bytes in a pipe."""
    return struct.unpack("i", fcntl.ioctl(reader, termios.FIONREAD, b"\0" * 4))[0]


def interrupt(forks, number, arguments, *, ready, left="", **streams):
    """Start a command, send the signal when it is ready, and check how it ends, and that it leaves nothing."""
    before = {path.name for path in forks.folder.iterdir()} | {"out", "err"}
    pid = forks.start(*arguments, **streams)
    try:
        until(lambda: takes_signals(pid) and ready())
        sent_s = time.monotonic()
        os.kill(pid, number)
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        raise
    finally:
        done = forks.wait(pid)

    assert done.code == 128 + number, done
    if left is None:  # it may not have known yet what it was to do
        assert done.err.splitlines()[-1].startswith("lexport: ")
        assert f" was interrupted by {number.name}" in done.err.splitlines()[-1]
    else:
        line, _, kept = done.err.splitlines()[-1].partition("; what was read is kept")
        assert line == f"lexport: {arguments[0]} was interrupted by {number.name}{left}"
        assert not kept or " go on with: lexport snapshot " in kept
    assert "Traceback" not in done.err
    assert {path.name for path in forks.folder.iterdir()} <= before
    return time.monotonic() - sent_s


def glimpse(forks, pattern):
    """Return a question: is there such a file by now?"""
    return lambda: any(forks.folder.glob(pattern))


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize(
    ("arguments", "sign"),
    [
        (("sql", "fleet", ENDLESS), "lexport-sql-*"),
        (("sql", "fleet", "SELECT a FROM range(300000000) t(a) ORDER BY hash(a)"), "lexport-sql-*"),
        (("sql", "fleet", "FROM range(1000000000000)", "-o", "x.csv"), ".x.csv.*"),
        (("check", "fleet", "--checks", "checks", "--check", "slow", "-o", "x.csv"), "lexport-sql-*"),
        (("report", "fleet", "-o", "x.html"), "lexport-sql-*"),
        (("views", "fleet", "--db", "v.duckdb"), ".v.duckdb.*"),
        (("feed", "fleet", "--output", "parquet", "-o", "rows"), ".rows.*"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_query(fleet, number, arguments, sign):
    """A command that asks DuckDB or writes files ends within a second or so; spill and drafts are gone."""
    took_s = interrupt(fleet, number, arguments, ready=glimpse(fleet, sign))

    assert took_s < 5  # one second, on a machine that does nothing else


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize(
    "arguments", [("sql", "fleet", "FROM functions"), ("diff", "fleet"), ("feed", "fleet")], ids=lambda value: value[0]
)
def test_reader_stands_still(fleet, number, arguments):
    """A command that waits for the reader of its output ends too."""
    os.mkfifo(fleet.folder / "pipe")
    reader = os.open(fleet.folder / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    interrupt(fleet, number, arguments, ready=lambda: waiting_bytes(reader) > PIPE_BYTES, stdout="pipe")
    os.close(reader)


@pytest.mark.parametrize("number", SIGNALS)
def test_run(forks, aws, number):
    """A run says that nothing was published, and leaves nothing but what it has read."""
    forks.environment |= {"LEXPORT_ENDPOINT_URL": aws.url, "LEXPORT_REGION": "us-east-1"}
    (forks.folder / "fleet").mkdir()
    aws.calls.clear()

    def has_begun():
        return any(name == "GetFunction" for *_, name in [*aws.calls])

    interrupt(forks, number, ("snapshot", "fleet"), ready=has_begun, left="; nothing was published")

    assert list(forks.folder.glob("fleet/_staging/*/.*")) == []
    assert [path.name for path in forks.folder.glob("fleet/*")] == ["_staging"]


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("command", ["packages", "plan"])
def test_accounts_from_a_pipe(fleet, number, command):
    """The other commands that ask AWS can be interrupted before they do."""
    os.mkfifo(fleet.folder / "accounts")
    left = "; nothing was published" if command == "packages" else ""
    arguments = (command, "fleet", "--accounts", "accounts", "--account-role", "reader")
    writers = []

    def is_reading():
        with contextlib.suppress(OSError):  # nobody has it open for reading
            writers.append(os.open(fleet.folder / "accounts", os.O_WRONLY | os.O_NONBLOCK))
        return writers

    interrupt(fleet, number, arguments, ready=is_reading, left=left, LEXPORT_REGION="us-east-1")
    for writer in writers:
        os.close(writer)


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize(
    "arguments", [("sql", "fleet", "-"), ("snapshot", "fleet", "--functions-from", "-")], ids=" ".join
)
def test_waiting_for_input(fleet, number, arguments):
    """A command that waits for a terminal or a pipe can be interrupted."""
    os.mkfifo(fleet.folder / "pipe")
    writer = os.open(fleet.folder / "pipe", os.O_RDWR)
    interrupt(fleet, number, arguments, ready=lambda: True, stdin="pipe", left=None, LEXPORT_REGION="us-east-1")
    os.close(writer)


@pytest.mark.parametrize("number", SIGNALS)
def test_simulate(forks, number):
    """The simulator ends with the signal's code; it has nothing to say."""
    pid = forks.start("simulate")
    until(lambda: (forks.folder / "out").is_file() and "--region" in (forks.folder / "out").read_text())
    os.kill(pid, number)
    done = forks.wait(pid)

    assert (done.code, done.err) == (128 + number, "")


def test_nohup(fleet):
    """A SIGHUP that was ignored at the start stays ignored."""
    pid = fleet.start("sql", "fleet", ENDLESS, ignored=[signal.SIGHUP])
    until(lambda: takes_signals(pid) and any(fleet.folder.glob("lexport-sql-*")))
    os.kill(pid, signal.SIGHUP)
    os.kill(pid, signal.SIGTERM)

    assert fleet.wait(pid).code == 143


def test_second_signal(fleet):
    """If the first signal has no effect, a later one ends the process; a second one at once is ignored."""
    (fleet.folder / "checks" / "slow.sql").write_text(CHECK.format(query=ONE_VALUE))
    pid = fleet.start("check", "fleet", "--checks", "checks", "--check", "slow")
    until(lambda: takes_signals(pid) and any(fleet.folder.glob("lexport-sql-*")))
    os.kill(pid, signal.SIGTERM)
    os.kill(pid, signal.SIGTERM)
    time.sleep(1.1)  # the second that tells a second signal from an echo of the first
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGINT)

    assert fleet.wait(pid).code in (130, 143)
