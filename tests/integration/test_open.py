"""``lexport open``: another program gets the terminal, with a database of views that is removed afterwards."""

import signal
import sys
from datetime import UTC, datetime

import pytest
from terminal import Terminal, is_canonical

pytestmark = pytest.mark.slow

SHELL = """\
#!{python}
import os, signal, sys, termios, tty, duckdb
with duckdb.connect(sys.argv[-1], read_only="-readonly" in sys.argv) as connection:
    print("versions:", connection.execute("SELECT sum(versions) FROM runtimes").fetchone()[0])
print(sys.argv[1:], oct(os.stat(os.path.dirname(sys.argv[-1])).st_mode)[-3:], flush=True)
tty.setraw(0, termios.TCSANOW)
print("ready", flush=True)
os._exit(int(os.read(0, 1)))
"""


@pytest.fixture
def folder(tmp_path, write_dataset):
    """A folder with the dataset ``fleet``, and with a program ``duckdb``: Python's DuckDB, in raw mode."""
    write_dataset(tmp_path / "fleet", [{"at": datetime.now(UTC), "functions": [{"function_name": "f"}]}])
    program = tmp_path / "bin" / "duckdb"
    program.parent.mkdir()
    program.write_text(SHELL.format(python=sys.executable))
    program.chmod(0o755)
    (tmp_path / "tmp").mkdir()
    return tmp_path


def open_fleet(folder, path="/usr/bin:/bin"):
    """Open the dataset on a terminal."""
    return Terminal("open", "fleet", cwd=folder, columns=200, PATH=path, TMPDIR=str(folder / "tmp"))


@pytest.mark.parametrize(("key", "code"), [("3", 1), (signal.SIGTERM, 143)])
def test_open(folder, key, code):
    """The program has the views in a private folder, which is removed however it ends; the terminal is as before."""
    with open_fleet(folder, f"{folder}/bin:/usr/bin:/bin") as terminal:
        lines = terminal.until("ready")
        assert "versions: 1" in lines
        assert any(line.startswith("['-readonly', ") and line.endswith(" 700") for line in lines)
        if isinstance(key, str):
            terminal.type(key)
        else:
            terminal.process.kill(key)

        assert terminal.end() == code
        assert is_canonical(terminal.process.child_fd)
        assert list((folder / "tmp").iterdir()) == []


def test_no_program(folder):
    """Without the program, the error says how to install it and what else to use."""
    with open_fleet(folder) as terminal:
        assert terminal.end() == 1
        assert "there is no program duckdb on PATH; install" in terminal.lines()[-1]


def test_no_terminal(forks):
    """Without a terminal the commands that do the same are printed, with the options of DEST."""
    done = forks.run("open", "s3://bucket/a fleet", "--dest-profile", "me", "--cache-values")

    assert done.code == 0
    assert done.out == (
        "lexport views 's3://bucket/a fleet' --dest-profile me --cache-values --db fleet.duckdb"
        " && duckdb -readonly fleet.duckdb\n"
    )
