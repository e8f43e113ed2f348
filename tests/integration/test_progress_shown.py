"""Progress as people see it: on a terminal, after a resize, while nothing answers, in a file and in a notebook."""

from __future__ import annotations

import json
import os
import re
import time

import pexpect
import pyte
import pytest
from anyio.from_thread import start_blocking_portal

from lexport.simulator import Fleet, FleetSpec, open_simulator

pytestmark = pytest.mark.slow

REGIONS = ("us-east-1", "eu-west-1")
LOUD = {"TERM": "xterm-256color", "LANG": "C.UTF-8"}


@pytest.fixture
def aws_url():
    """A simulator in a thread of its own, with 40 functions in each of two Regions."""
    fleet = Fleet(FleetSpec(functions=40, versions=1, regions=REGIONS))
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(open_simulator(fleet, quotas=False)) as aws,
    ):
        yield aws.url


class Terminal:
    """A command on a terminal, and its screen."""

    def __init__(self, command, environment, folder, *, rows=24, columns=120):
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.sent = b""
        self.child = pexpect.spawn(
            command[0], command[1:], env=environment, cwd=str(folder), dimensions=(rows, columns), timeout=20
        )

    def read_until(self, is_there, within_s=20.0):
        """Read what the command draws until the screen shows something; return the lines of the screen."""
        end = time.monotonic() + within_s
        while not is_there(self.lines()):
            assert time.monotonic() < end, "\n".join(self.lines())
            try:
                chunk = self.child.read_nonblocking(65536, timeout=0.2)
            except pexpect.TIMEOUT:
                continue
            except pexpect.EOF:
                break
            self.sent += chunk
            self._stream.feed(chunk)
        return self.lines()

    def end(self):
        """Read to the end; return the lines of the screen and the exit code."""
        lines = self.read_until(lambda _lines: False)
        self.child.close()
        return lines, self.child.exitstatus

    def lines(self):
        return [line.rstrip() for line in self.screen.display if line.strip()]

    def resize(self, rows, columns):
        self.screen.resize(rows, columns)
        self.child.setwinsize(rows, columns)


def snapshot(lexport_path, url, *more, rate="25"):
    regions = [part for region in REGIONS for part in ("--region", region)]
    slow = ("--get-function-rate", rate, "--list-rate", "8")
    return [lexport_path, "snapshot", "fleet", "--endpoint-url", url, *regions, *slow, *more]


def bars_of(lines, name):
    return [line for line in lines if line.startswith(name) and "/" in line]


def test_bars_after_a_resize(lexport_path, aws_url, environment, tmp_path):
    """Each bar is on the screen once, whatever happens to the size of the terminal; phases and aliases are named."""
    terminal = Terminal(snapshot(lexport_path, aws_url), environment | LOUD, tmp_path)
    terminal.read_until(lambda lines: any("versions, " in line and "left" in line for line in lines))
    for rows, columns in ((24, 70), (12, 100), (30, 140)):
        before = len(terminal.sent)
        terminal.resize(rows, columns)
        names = ("total", *(f"111122223333 {region}" for region in REGIONS))
        lines = terminal.read_until(  # not in the middle of a frame
            lambda lines, before=before, names=names: (
                len(terminal.sent) > before + 3000 and all(bars_of(lines, name) for name in names)
            )
        )
        for name in names:
            assert len(bars_of(lines, name)) == 1, "\n".join(lines)
        assert all(len(line) <= columns for line in lines)
    lines, code = terminal.end()

    assert code == 0, lines
    assert lines[-1].startswith("snapshot ")
    assert b"aliases " in terminal.sent
    for region in REGIONS:
        assert len(bars_of(lines, f"111122223333 {region}")) == 1, "\n".join(lines)


def test_interrupted_bars(lexport_path, aws_url, environment, tmp_path):
    """Ctrl-C ends a run within seconds: the bars stay once, below them one line says what is kept, exit 130."""
    terminal = Terminal(snapshot(lexport_path, aws_url, rate="5"), environment | LOUD, tmp_path)
    terminal.read_until(lambda lines: any("left" in line for line in bars_of(lines, "total")))
    terminal.child.sendintr()
    lines, code = terminal.end()

    assert code == 130
    assert len(bars_of(lines, "total")) == 1
    said = " ".join(lines)
    assert "snapshot was interrupted by SIGINT; nothing was published" in said
    assert "--resume" in said


@pytest.mark.parametrize("variables", [{"TERM": "dumb"}, {"TERM": "xterm", "NO_COLOR": "1"}])
def test_no_colours(lexport_path, aws_url, environment, tmp_path, variables):
    """A dumb terminal gets no escape sequence, and NO_COLOR no colour."""
    terminal = Terminal(snapshot(lexport_path, aws_url, rate="1000"), environment | variables, tmp_path)
    _, code = terminal.end()

    assert code == 0
    if variables["TERM"] == "dumb":
        assert b"\x1b" not in terminal.sent
    else:
        assert not re.search(rb"\x1b\[[0-9;]*3[0-9]m", terminal.sent)


def test_calls_that_fail_are_shown(lexport_path, environment, tmp_path):
    """While nothing can be reached, the bars say so, and show no time that is left."""
    fleet = Fleet(FleetSpec(functions=40, versions=1, regions=REGIONS))
    with start_blocking_portal() as portal:
        with portal.wrap_async_context_manager(open_simulator(fleet, quotas=False)) as aws:
            terminal = Terminal(snapshot(lexport_path, aws.url, rate="10"), environment | LOUD, tmp_path, columns=160)
            terminal.read_until(lambda lines: any("left" in line for line in bars_of(lines, "total")))
        lines = terminal.read_until(lambda lines: any("failing: cannot connect; retrying" in line for line in lines))
        assert any(re.search(r"\d+ failing: cannot connect; retrying", line) for line in bars_of(lines, "total"))
        terminal.child.sendintr()
        terminal.end()


NOTEBOOK = """
import lexport
settings = lexport.SnapshotSettings(
    endpoint_url={url!r}, regions=("us-east-1",), get_function_rate_per_s=30.0, list_rate_per_s=100.0
)
result = await lexport.snapshot({dest!r}, settings)
result.published
"""


def test_bars_in_a_notebook(aws_url, environment, tmp_path, monkeypatch):
    """``await lexport.snapshot(...)`` shows the bars below the cell while it runs, one display that is updated."""
    import nbformat  # here, because it takes seconds, which each worker of pytest would wait for
    from nbclient import NotebookClient

    for name, value in (environment | {"PATH": os.environ["PATH"]}).items():
        monkeypatch.setenv(name, value)
    (tmp_path / "home").mkdir()
    cell = nbformat.v4.new_code_cell(NOTEBOOK.format(url=aws_url, dest=str(tmp_path / "fleet")))
    NotebookClient(nbformat.v4.new_notebook(cells=[cell]), timeout=60, kernel_name="python3").execute()
    shown = [output for output in cell.outputs if output.output_type == "display_data"]

    assert len(shown) == 1, json.dumps(cell.outputs)
    (line,) = (
        line for line in shown[0]["data"]["text/plain"].splitlines() if line.startswith("111122223333 us-east-1")
    )
    assert "done" in line
    assert "━" in line
    assert not [output for output in cell.outputs if output.output_type in ("stream", "error")]
    assert cell.outputs[-1]["data"]["text/plain"] == "True"
