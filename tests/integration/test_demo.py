"""The first steps of a new user work with the installed command."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sysconfig
from pathlib import Path

import pytest

LEXPORT = str(Path(sysconfig.get_path("scripts")) / "lexport")

pytestmark = [pytest.mark.wheel, pytest.mark.slow]


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "LEXPORT_"))} | {
        "XDG_STATE_HOME": str(folder / "state")
    }
    done = subprocess.run(
        [LEXPORT, "demo", str(folder / "fleet")],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
    )
    return folder, done


def ask(folder, *arguments):
    return subprocess.run([LEXPORT, *arguments], check=False, capture_output=True, text=True, cwd=folder, timeout=60)


def test_the_demo_ends_with_a_committed_dataset_and_printed_answers(demo):
    """`lexport demo` takes a whole snapshot of two Regions and prints the answers to its questions."""
    folder, done = demo

    assert done.returncode == 0, done.stderr
    assert len(list((folder / "fleet" / "_runs").glob("*.json"))) == 1
    assert "Which runtimes are in use?" in done.stdout
    assert "nodejs22.x" in done.stdout
    assert done.stderr.count("complete") == 3


def test_sql_answers_over_the_demo(demo):
    """`lexport sql` counts the simulated fleet: 60 functions and 240 versions in each of two Regions."""
    folder, _ = demo
    query = (
        "SELECT region, COUNT(DISTINCT function_name) AS functions, COUNT(*) AS versions"
        " FROM functions GROUP BY region ORDER BY region"
    )

    done = ask(folder, "sql", "fleet", query, "--output", "json")

    assert json.loads(done.stdout) == [
        {"region": "eu-west-1", "functions": 60, "versions": 240},
        {"region": "us-east-1", "functions": 60, "versions": 240},
    ]


def test_the_shipped_views_come_with_the_package(demo):
    """Every shipped view answers, and `lexport views` writes them into a DuckDB file."""
    folder, _ = demo

    answered = ask(folder, "sql", "fleet", "SELECT COUNT(*) AS kinds FROM completeness", "--output", "csv")
    written = ask(folder, "views", "fleet", "--db", "fleet.duckdb")

    assert (answered.returncode, answered.stdout.splitlines()) == (0, ["kinds", "2"])
    assert written.returncode == 0, written.stderr
    assert (folder / "fleet.duckdb").exists()


def test_the_demo_ends_with_a_report(demo):
    """`lexport demo` prints the path of its report, and `lexport report` writes the same page again."""
    folder, done = demo

    again = ask(folder, "report", "fleet", "-o", "again.html")
    piped = ask(folder, "report", "fleet", "-o", "-")

    assert f"Open {folder / 'fleet.html'} in a browser." in done.stdout
    assert (again.returncode, again.stdout) == (0, ""), again.stderr
    assert again.stderr.startswith("wrote again.html (")
    assert [(folder / name).stat().st_mode & 0o777 for name in ("fleet.html", "again.html")] == [0o600, 0o600]
    assert piped.stdout.startswith("<!doctype html>\n")
    assert steady((folder / "fleet.html").read_text()) == steady((folder / "again.html").read_text())
    assert steady(piped.stdout) == steady((folder / "again.html").read_text())


def steady(page):
    """Return a report without times."""
    return re.sub(r"Written [^<]* by", "", page)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("nowhere",), 2, "DEST nowhere does not exist"),
        (("fleet", "-o", "missing/fleet.html"), 1, "cannot write missing/fleet.html: No such file or directory"),
        (("fleet", "-o", "fleet"), 2, "-o fleet is not a file"),
        (("other",), 2, "other.html exists and is not a report about other; give another name with -o"),
    ],
)
def test_a_report_that_cannot_be_written_says_why(demo, arguments, code, said):
    """`lexport report` names an error in one line."""
    folder, _ = demo
    (folder / "other.html").write_bytes((folder / "fleet.html").read_bytes())

    done = ask(folder, "report", *arguments)

    assert (done.returncode, done.stderr) == (code, f"lexport: {said}\n")


def test_the_demo_may_be_run_again(demo):
    """`lexport demo` takes another snapshot into a folder that it made itself, and writes its report anew."""
    folder, _ = demo
    again = ask(folder, "demo", "fleet")

    assert again.returncode == 0, again.stderr
    assert len(list((folder / "fleet" / "_runs").glob("*.json"))) == 2


@pytest.mark.parametrize(
    ("dest", "said"),
    [
        ("real", "DEST real holds a dataset that the demo did not make; choose a new folder"),
        ("full", "DEST full holds something that the demo did not make; choose a new folder"),
        ("file", "DEST file is a file, not a folder"),
        ("mine", "mine.html exists and is not a report about mine; give another name with -o"),
        ("s3://bucket/fleet", "DEST s3://bucket/fleet: only local folders can be read and written here"),
    ],
)
def test_the_demo_writes_into_nothing_of_somebody_elses(tmp_path, dest, said):
    """A dataset, a folder, a file or a report that the demo did not make is refused before anything is started."""
    (tmp_path / "real/_runs").mkdir(parents=True)
    (tmp_path / "full").mkdir()
    for name in ("full/x", "file", "mine.html"):
        (tmp_path / name).touch()
    before = sorted(tmp_path.rglob("*"))
    done = ask(tmp_path, "demo", dest)

    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"lexport: {said}\n")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "command", [("snapshot",), ("plan",), ("packages",), ("sql", "SELECT 1"), ("status",), ("verify",)]
)
def test_dest_is_said_as_it_was_typed(tmp_path, command):
    """A wrong address of an object store is repeated as it is, by every command."""
    done = ask(tmp_path, command[0], "s3://bucket//fleet", *command[1:])

    assert done.returncode == 2
    assert "DEST s3://bucket//fleet: two slashes follow one another in it" in done.stderr
