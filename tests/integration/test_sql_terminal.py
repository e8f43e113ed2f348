"""``lexport sql`` with a query on a real terminal: results fit the screen, a pager shows long ones."""

import json
import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest
from terminal import Terminal, children_of, is_canonical

pytestmark = pytest.mark.slow

HOSTILE = "\x1b]0;owned\x07\x9b31m\u202e\ttext"


@pytest.fixture(scope="module")
def folder(tmp_path_factory, write_dataset):
    """A folder with the dataset ``fleet``."""
    folder = tmp_path_factory.mktemp("terminal")
    rows = [
        {"function_name": f"function-{number:03}", "version": "$LATEST", "memory_size": 128, "description": HOSTILE}
        for number in range(50)
    ]
    write_dataset(folder / "fleet", [{"at": datetime.now(UTC), "functions": rows}])
    return folder


def shown(folder, query, *options, **settings):
    """Return the screen after a query."""
    with Terminal("sql", "fleet", query, *options, cwd=folder, **settings) as terminal:
        assert terminal.end() == 0
        assert b"\x9b" not in terminal.raw
        assert b"\x07" not in terminal.raw
        return terminal.lines()


def test_trimmed(folder):
    """A table is no wider than the terminal, and a line says what is left out and how to see all."""
    lines = shown(folder, "FROM functions LIMIT 3")

    assert all(len(line) <= 80 for line in lines)
    assert lines[0].startswith("snapshot_id")
    assert lines[2].endswith("…")
    assert lines[-2] == "77 columns, 4 shown; --output line or --no-trim shows all"
    assert lines[-1] == "(3 rows)"


def test_cut_values(folder):
    """Long values are cut by terminal cells, of which wide characters take two; short columns stay whole."""
    lines = shown(folder, "SELECT repeat('表', 60) AS wide, 123 AS short, repeat('x', 60) AS long", columns=70)

    assert lines[2].split() == ["表" * 15 + "…", "123", "x" * 29 + "…"]
    assert lines[3] == "long values are cut; --output line or --no-trim shows all"
    assert shown(folder, "SELECT repeat('x', 70) AS long", columns=70) == ["long", "-" * 70, "x" * 70, "(1 row)"]


def test_whole(folder):
    """--no-trim leaves out nothing; --output line shows one value a line. Neither steers the terminal."""
    whole = shown(
        folder, "SELECT description, * EXCLUDE (description) FROM functions LIMIT 1", "--no-trim", "--no-pager"
    )
    lines = shown(folder, "SELECT version, description FROM functions LIMIT 2", "--output", "line")

    assert not any("…" in line for line in whole)
    assert lines == [*("    version = $LATEST", r"description = \x1b]0;owned\x07\x9b31m\u202e\ttext") * 2, "(2 rows)"]


@pytest.mark.parametrize("output", ["json", "jsonl", "csv"])
def test_formats_of_programs(folder, output):
    """What a stranger wrote steers no terminal in the formats of programs either."""
    lines = shown(folder, "SELECT description FROM functions LIMIT 1", "--output", output)

    assert r"\x9b31m\u202e" in "".join(lines)


def test_pager(folder):
    """A long result goes through the pager; leaving it early is no error, and the terminal is as before."""
    with Terminal("sql", "fleet", "FROM range(1000000000)", cwd=folder) as terminal:
        assert "   20" in terminal.until("\n:")
        assert set(children_of(terminal.process.pid).values()) == {"less"}
        terminal.type("q")

        assert terminal.end() == 0
        assert is_canonical(terminal.process.child_fd)


def test_pager_of_the_user(folder):
    """PAGER chooses the pager. Short results, --no-pager and dumb terminals need none."""
    query = "SELECT range AS number FROM range(100)"
    with Terminal("sql", "fleet", query, cwd=folder, PAGER="sed s/^/mine:/") as terminal:
        assert terminal.end() == 0
        assert "mine:    99" in terminal.lines()
    for settings in ({"PAGER": "no-such-pager"}, {"TERM": "dumb"}, {"LEXPORT_NO_PAGER": "1"}):
        assert shown(folder, query, **settings)[-2:] == ["    99", "(100 rows)"]
    assert shown(folder, "SELECT 1 AS one", PAGER="sed s/^/mine:/")[0] == "one"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signal_in_the_pager(folder, number):
    """SIGTERM and SIGHUP end the pager and the command, and the terminal is as before."""
    with Terminal("sql", "fleet", "FROM range(1000000000)", cwd=folder) as terminal:
        terminal.until("\n:")
        (pager,) = children_of(terminal.process.pid)
        terminal.process.kill(number)

        assert terminal.end() == 128 + number
        assert is_canonical(terminal.process.child_fd)
        assert not Path(f"/proc/{pager}").exists()


def test_interrupt_in_the_pager(folder):
    """Ctrl-C ends the query once; what was read can be looked at until the pager is left."""
    with Terminal("sql", "fleet", "FROM range(1000000000)", cwd=folder) as terminal:
        terminal.until("\n:")
        terminal.type("\x03\x03")
        terminal.type("q")

        assert terminal.end() == 130
        assert is_canonical(terminal.process.child_fd)


def test_not_a_terminal(folder, forks):
    """In a pipe the same query is neither cut nor paged."""
    forks.folder = folder
    done = forks.run("sql", "fleet", "FROM functions", "--output", "jsonl")

    assert len(done.out.splitlines()) == 50
    assert json.loads(done.out.splitlines()[0])["description"] == HOSTILE
