"""The first steps of a new user work with the installed command."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from datetime import date, timedelta
from itertools import pairwise

import pytest
from commands import completed

from lexport.model import Scope
from lexport.simulator import Fleet, FleetSpec

REGIONS = ("eu-west-1", "us-east-1")

pytestmark = pytest.mark.slow


def ask(folder, *arguments):
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "XDG_STATE_HOME": str(folder / "state")}
    done = completed(*arguments, env=environment, cwd=folder)
    return subprocess.CompletedProcess(arguments, done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    return folder, ask(folder, "demo", folder / "fleet")


@pytest.mark.wheel
def test_the_demo_ends_with_a_committed_dataset_and_printed_answers(demo):
    """`lexport demo` takes whole snapshots of two Regions on three nights and prints the answers to its questions."""
    folder, done = demo

    assert done.returncode == 0, done.stderr
    assert len(list((folder / "fleet" / "_runs").glob("*.json"))) == 3
    assert "Which runtimes are in use?" in done.stdout
    assert "nodejs22.x" in done.stdout
    assert done.stderr.count("complete") == 9
    assert "\n  + " in done.stdout.partition("$ lexport diff")[2]
    assert "function_failed" in done.stdout.partition("$ lexport check")[2]


def test_sql_answers_over_the_demo(demo):
    """The latest snapshot is the fleet two nights after the first, and the nights are a day apart."""
    folder, _ = demo
    query = (
        "SELECT region, COUNT(DISTINCT function_name) AS functions, COUNT(*) AS versions"
        " FROM functions GROUP BY region ORDER BY region"
    )
    last = Fleet(FleetSpec(functions=30, versions=3, night=2, drift=0.1))
    counts = {region: last.counts(Scope(account_id="111122223333", region=region)) for region in REGIONS}

    done = ask(folder, "sql", "fleet", query, "--output", "json")
    nights = ask(folder, "sql", "fleet", "SELECT DISTINCT snapshot_at FROM history.scopes", "--output", "csv")
    dates = sorted(date.fromisoformat(line[:10]) for line in nights.stdout.splitlines()[1:])

    assert json.loads(done.stdout) == [
        {"region": region, "functions": each.functions, "versions": each.versions} for region, each in counts.items()
    ]
    assert [later - earlier for earlier, later in pairwise(dates)] == [timedelta(days=1)] * 2


def test_the_commands_of_the_demo_are_commands(demo):
    """Each step is printed as a user would type it, and the shown commands are accepted by a shell and by lexport."""
    folder, done = demo
    shown = re.findall(r"^\$ (lexport (?:diff|check|report) .*)$", done.stdout, re.MULTILINE)
    served = re.findall(r"^\$ lexport simulate (.*) &$", done.stdout, re.MULTILINE)

    assert [ask(folder, *shlex.split(line)[1:]).returncode for line in shown] == [0, 4, 0]
    assert [re.search(r"--night (\d)", line)[1] for line in served] == ["0", "1", "2"]


@pytest.mark.wheel
def test_the_shipped_views_come_with_the_package(demo):
    """Every shipped view answers, and `lexport views` writes them into a DuckDB file."""
    folder, _ = demo

    answered = ask(folder, "sql", "fleet", "SELECT COUNT(*) AS kinds FROM completeness", "--output", "csv")
    written = ask(folder, "views", "fleet", "--db", "fleet.duckdb")

    assert (answered.returncode, answered.stdout.splitlines()) == (0, ["kinds", "2"])
    assert written.returncode == 0, written.stderr
    assert (folder / "fleet.duckdb").exists()


@pytest.mark.wheel
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
        (("fleet", "-o", "missing/fleet.html"), 2, "-o missing/fleet.html: there is no folder {folder}/missing"),
        (("fleet", "-o", "fleet"), 2, "-o fleet is not a file"),
        (("other",), 2, "other.html exists and is not a report about other; give another name with -o"),
    ],
)
def test_a_report_that_cannot_be_written_says_why(demo, arguments, code, said):
    """`lexport report` names an error in one line."""
    folder, _ = demo
    (folder / "other.html").write_bytes((folder / "fleet.html").read_bytes())

    done = ask(folder, "report", *arguments)

    assert (done.returncode, done.stderr) == (code, f"lexport: {said.format(folder=folder.resolve())}\n")


@pytest.mark.parametrize("added", ["fleet/notes.txt", "fleet/_runs/01KAG00000000000000000000A.json"])
def test_the_demo_keeps_what_is_not_its_own(demo, added):
    """A folder of the demo to which somebody added a file or a snapshot is left as it is."""
    folder, _ = demo
    (folder / added).write_text("{}")
    before = sorted(folder.rglob("*"))
    done = ask(folder, "demo", "fleet")
    after = sorted(folder.rglob("*"))
    (folder / added).unlink()

    assert (done.returncode, done.stdout, before) == (2, "", after)
    assert "that the demo did not make; choose a new folder" in done.stderr


def test_the_demo_may_be_run_again(demo):
    """`lexport demo` replaces its own snapshots and its report in a folder that it made."""
    folder, _ = demo
    before = {path.name for path in (folder / "fleet" / "_runs").glob("*.json")}
    again = ask(folder, "demo", "fleet")
    after = {path.name for path in (folder / "fleet" / "_runs").glob("*.json")}

    assert again.returncode == 0, again.stderr
    assert (len(after), after & before) == (3, set())


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
