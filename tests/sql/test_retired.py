"""``lexport retire``: every name, view and command agrees that an account-region is gone, and history keeps it."""

import json
import os
import re
import subprocess
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import duckdb
import pytest

import lexport
from lexport.cli.main import run as main
from lexport.dataset.claims import take_claim
from lexport.dataset.commits import read_commit
from lexport.dataset.local import LocalStore
from lexport.dataset.manifest import Manifest, ManifestError, NewerFormatError
from lexport.dataset.retire import retire_scopes
from lexport.errors import PublishError, ReadError
from lexport.query.catalog import open_catalog
from lexport.query.sql import open_query_session

KEPT, GONE, REGION, OTHER = "111122223333", "444455556666", "eu-west-1", "us-east-1"
DOCS = Path(__file__).parents[2] / "docs"
FIRST = datetime(2026, 11, 1, 2, tzinfo=UTC)


def function(account, name, version="$LATEST", region=REGION):
    return {
        "account_id": account,
        "region": region,
        "function_name": name,
        "version": version,
        "code_sha256": name,
        "function_arn": f"arn:aws:lambda:{region}:{account}:function:{name}",
    }


def night(day, *scopes, **rows):
    """A night that read these account-regions whole, each with its functions."""
    read = [{"account_id": account, "region": region, "functions": count} for account, region, count in scopes]
    return {"at": FIRST + timedelta(days=day), "scopes": read, **rows}


def nights():
    kept = function(KEPT, "stays")
    gone = [function(GONE, "b"), function(GONE, "b", "1"), function(GONE, "c", region=OTHER)]
    of_gone = {"account_id": GONE, "function_name": "b"}
    return [
        night(
            0,
            (KEPT, REGION, 1),
            (GONE, REGION, 1),
            (GONE, OTHER, 1),
            functions=[kept, *gone],
            aliases=[of_gone | {"alias": "live"}],
            env_vars=[of_gone | {"version": "1", "name": "A"}],
            event_source_mappings=[{"account_id": GONE, "uuid": "u-1"}],
        ),
        night(1, (KEPT, REGION, 1), functions=[kept]),
        night(2)
        | {
            "scopes": [{"account_id": GONE, "region": REGION, "status": "denied"}],
            "status": "partial",
            "errors": [{"account_id": GONE, "stage": "discover", "error_code": "denied", "is_gap": True}],
        },
    ]


@pytest.fixture
def open_asking():
    """Return a function that opens a dataset, and returns what asks it queries."""
    with ExitStack() as stack:

        def open_it(dest, **options):
            session = stack.enter_context(open_query_session(dest, **options))
            return lambda query: [tuple(row.values()) for row in session.read(query).read_all().to_pylist()]

        yield open_it


@pytest.fixture
def dest(tmp_path, write_dataset):
    write_dataset(tmp_path / "fleet", nights())
    return tmp_path / "fleet"


@pytest.fixture
def command(lexport_path, tmp_path):
    """Run the installed command."""

    def run(*arguments):
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
        return subprocess.run(
            [lexport_path, *map(str, arguments)], env=environment, capture_output=True, text=True, check=False
        )

    return run


def test_the_command_retires_an_account(dest, command, capsys):
    """A dry run and the run name the account-regions; what was never read whole or is retired already is refused."""
    before = sorted(path.name for path in dest.glob("_runs/*"))
    assert main(["retire", str(dest), GONE, "--dry-run", "--output", "jsonl"]) == 0
    tried = capsys.readouterr().out
    assert (tried != "", sorted(path.name for path in dest.glob("_runs/*"))) == (True, before)
    done = command("retire", dest, GONE, "--output", "jsonl")
    (run,) = {path.stem for path in dest.glob("_runs/*")} - {name.removesuffix(".json") for name in before}

    assert done.returncode == 0, done.stderr
    assert tried == done.stdout
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {
            "account_id": GONE,
            "region": region,
            "functions": 1,
            "versions": versions,
            "last_read_at": "2026-11-01T02:00:00Z",
            "last_snapshot_id": before[0].removesuffix(".json"),
        }
        for region, versions in ((REGION, 2), (OTHER, 1))
    ]
    assert done.stderr == f"lexport: 2 account-regions with 2 functions retired in {run}\n"
    assert [*(dest / "_staging").iterdir()] == []
    assert not (dest / "_latest.json").exists() or run not in (dest / "_latest.json").read_text()

    for arguments, code, words in (
        ((GONE,), 2, f"{GONE} is retired already, in {run} at "),
        ((GONE, OTHER), 2, f"not retired are {KEPT} {REGION}"),
        (
            (KEPT, OTHER),
            2,
            f"no whole reading of {KEPT} {OTHER}, so there is nothing to retire: it has readings of {KEPT}",
        ),
        (("999999999999",), 2, "there is nothing to retire: it has readings of"),
        (("44445555666",), 2, "is no account: 12 digits"),
        ((KEPT, "EU"), 2, "is no Region"),
    ):
        assert main(["retire", str(dest), *arguments]) == code
        out, err = capsys.readouterr()
        assert (out, words in err) == ("", True), err
    assert main(["retire", str(dest / "nowhere"), KEPT]) == 2
    for names in ((444455556666,), ("12",), ("",), (KEPT, ""), (KEPT, 1)):
        with pytest.raises(lexport.SettingsError, match=r"is no account: 12 digits|is no Region"):
            anyio.run(lexport.retire, dest, *names)
    assert main(["errors", str(dest)]) == 0  # of the last run that read something
    assert f"{before[-1].removesuffix('.json')} (published with gaps): 1 error" in capsys.readouterr().err
    assert anyio.run(lambda: lexport.verify(dest, data=True)) == ()


@pytest.fixture
def retired(dest):
    """The dataset with that account retired."""
    done = anyio.run(lexport.retire, dest, GONE)
    return dest, done.snapshot_id


def test_every_name_agrees(retired, open_asking, tmp_path, capsys):
    """Plain names and views show it as gone, ``snapshot`` is as before, and history and earlier moments have it all."""
    dest, run = retired
    ask = open_asking(dest)
    names = "SELECT account_id, function_name, version FROM {}functions ORDER BY ALL"
    gone = [(GONE, "b", "$LATEST"), (GONE, "b", "1"), (GONE, "c", "$LATEST")]
    kept = (KEPT, "stays", "$LATEST")

    assert ask(names.format("")) == [kept]
    assert ask(names.format("history.")) == [kept, kept, *gone]
    assert ask("SELECT DISTINCT status FROM snapshot.scopes") == [("denied",)]
    assert open_asking(dest, as_of="2026-11-02")(names.format("")) == [kept, *gone]
    assert open_asking(dest, as_of=run)(names.format("")) == [kept]
    assert ask("SELECT count(*) FROM aliases UNION ALL SELECT count(*) FROM event_source_mappings") == [
        (0,),
        (0,),
    ]
    first = ask("SELECT min(snapshot_id) FROM history.snapshots")[0]
    assert ask("SELECT kind, table_name, key, previous_snapshot_id, snapshot_id FROM history.changes ORDER BY ALL") == [
        ("removed", "event_source_mappings", "u-1", *first, run),
        ("removed", "functions", "b/$LATEST", *first, run),
        ("removed", "functions", "b/1", *first, run),
        ("removed", "functions", "c/$LATEST", *first, run),
    ]
    guide = (DOCS / "guides/open-table-formats.md").read_text(encoding="utf-8")
    latest = re.search(r"```sql\n(.*?)```", guide[guide.index("For the latest whole reading") :], re.DOTALL)
    rows = ask(re.sub(r"FROM (functions|scopes)", r"FROM history.\1", latest[1]))
    assert [row[4] for row in rows] == ["stays"], rows
    lifetimes = "SELECT function_name, is_deleted, versions, last_seen_at FROM function_lifetimes ORDER BY ALL"
    assert ask(lifetimes) == [
        ("b", True, 0, FIRST),
        ("c", True, 0, FIRST),
        ("stays", False, 1, FIRST + timedelta(days=1)),
    ]
    deleted = "SELECT function_name, versions, is_back, snapshot_id FROM deleted_functions ORDER BY ALL"
    assert ask(deleted) == [("b", 2, False, run), ("c", 1, False, run)]
    assert ask("SELECT DISTINCT account_id FROM completeness") == [(KEPT,)]
    assert ask("SELECT account_id, region, age_days, last_status, is_retired FROM scope_ages ORDER BY ALL") == [
        (KEPT, REGION, 1, "complete", False),
        (GONE, REGION, 2, "denied", True),
        (GONE, OTHER, 2, "complete", True),
    ]
    assert main(["status", str(dest), "--scopes", "--output", "jsonl"]) == 0
    shown = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    columns = ("account_id", "region", "last_whole_at", "last_status", "is_retired", "functions")
    assert [tuple(row[name] for name in columns) for row in shown] == [
        (GONE, REGION, "2026-11-01T02:00:00Z", "denied", True, 1),
        (GONE, OTHER, "2026-11-01T02:00:00Z", "complete", True, 1),
        (KEPT, REGION, "2026-11-02T02:00:00Z", "complete", False, 1),
    ]
    catalog = open_catalog(dest)
    assert (catalog.unread(), catalog.newest.snapshot_id < run, len(catalog.retired())) == ({}, True, 2)
    assert all("retired" not in line for line in catalog.notices())
    compared = anyio.run(lexport.diff, dest)
    assert {(scope.account_id, scope.state) for scope in compared.scopes} == {(KEPT, "compared"), (GONE, "retired")}
    assert len(compared.changes) == 4

    anyio.run(lambda: lexport.views(dest, db=tmp_path / "fleet.duckdb"))
    with duckdb.connect(tmp_path / "fleet.duckdb") as connection:
        connection.execute("SET TimeZone = 'UTC'")
        assert connection.execute(names.format("")).fetchall() == [kept]
        assert connection.execute("SELECT DISTINCT status FROM snapshot.scopes").fetchall() == [("denied",)]
        assert connection.execute(lifetimes.replace(", last_seen_at", "")).fetchall()[0] == ("b", True, 0)


def test_a_retirement_stays_as_long_as_it_hides_something(retired, open_asking):
    """It frees the last whole reading; it goes itself with the prune after that, and is refused before by name."""
    dest, run = retired
    first = min(path.stem for path in dest.glob("_runs/*"))
    with pytest.raises(lexport.SettingsError, match=f"it retires {GONE} {REGION}, {GONE} {OTHER}"):
        anyio.run(lambda: lexport.prune(dest, snapshot=run))
    age = timedelta(days=3)
    rules = {"keep_within": age}

    def commits():
        return sorted(path.stem for path in dest.glob("_runs/*"))

    anyio.run(lambda: lexport.prune(dest, snapshot=first))
    assert (first in commits(), run in commits()) == (False, True)
    assert open_asking(dest)("SELECT DISTINCT account_id FROM functions") == [(KEPT,)]
    denied = commits()[1]
    anyio.run(lambda: lexport.prune(dest, **rules))
    assert run in commits()  # the denied attempt is older, and would be shown as the last word
    anyio.run(lambda: lexport.prune(dest, snapshot=denied))
    assert run in commits()
    pruned = anyio.run(lambda: lexport.prune(dest, **rules))
    assert [item.kind for item in pruned.having("remove") if item.name == run] == ["retirement"]
    assert run not in commits()


def test_where_everything_has_ended(dest, capsys, tmp_path):
    """Where no snapshot is left, everything is empty, says that all is retired, and the retirement stays."""
    old, _, partial = (path.stem for path in sorted(dest.glob("_runs/*")))
    for account in (GONE, KEPT):
        assert main(["retire", str(dest), account]) == 0
    base, target = tmp_path / "feed.jsonl", tmp_path / "all.jsonl"
    anyio.run(lambda: lexport.prune(dest, snapshot=old))
    assert main(["feed", str(dest), "--since", partial, "-o", str(base)]) == 0
    assert "to delete, and all rows of 3 account-regions that ended; next:" in capsys.readouterr().err
    for path in sorted(dest.glob("_runs/*"))[:2]:
        anyio.run(lambda name=path.stem: lexport.prune(dest, snapshot=name))
    kept = [anyio.run(lambda: lexport.prune(dest, keep_last=1)) for _ in range(2)][1].having("keep")
    assert {item.kind for item in kept} == {"retirement"}
    capsys.readouterr()

    assert main(["prune", str(dest), "--keep-last", "1"]) == 0
    assert "0 snapshots and 2 retirements kept, 0 removed" in capsys.readouterr().err
    sentence = "every account-region is retired"
    page = tmp_path / "page.html"
    for arguments, code, words in (
        (("sql", "SELECT (SELECT count(*) FROM functions), (SELECT count(*) FROM snapshot.functions)"), 0, sentence),
        (("check",), 0, sentence),
        (("report", "-o", str(page)), 0, sentence),
        (("status",), 1, sentence),
        (("diff",), 0, "no account-region has a whole reading"),
        (("views", "--db", str(tmp_path / "fleet.duckdb")), 0, ""),
        (("feed", "-o", str(target)), 0, ""),
    ):
        command, *more = arguments
        assert main([command, str(dest), *more]) == code, arguments
        assert words in capsys.readouterr().err, arguments
    assert "Every account-region is retired, so there is no fleet" in page.read_text()
    records = [json.loads(line) for line in target.read_text().splitlines()]
    assert {record["mode"] for record in records if record["type"] == "scope"} == {"gone"}


def test_of_two_retirements_at_once_one_is_committed(dest, lexport_path):
    """Of three retirements at once one commits; the others end with 6, or with 2 where they came later."""
    runs = [
        subprocess.Popen([lexport_path, "retire", dest, GONE, *more], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        for more in ((), (), (REGION,))
    ]
    errors = [run.communicate()[1] for run in runs]
    codes = sorted(run.returncode for run in runs)

    assert codes[-1] == 6 or 2 in codes, errors
    retirements = [commit for commit in open_catalog(dest).manifests if commit.is_retirement]
    retired = [entry.scope for commit in retirements for entry in commit.scopes]
    assert (len(retired) > 0, len(retired)) == (True, len({*retired})), errors
    assert codes.count(0) == len(retirements)
    assert [*(dest / "_staging").iterdir()] == []


def test_a_retirement_looks_again_before_it_commits(dest):
    """A reading that another process claims, and one that is not the newest word any more, is not retired."""
    store = LocalStore(dest, group_readable=False)
    readings = {scope: commit for scope, commit in open_catalog(dest).latest().items() if scope.account_id == GONE}
    (reading,) = {commit.snapshot_id for commit in readings.values()}
    take_claim(store, reading, 1)
    with pytest.raises(PublishError, match=f"another process is at work on {reading}"):
        anyio.run(retire_scopes, store, readings)
    store.remove_folder(f"_staging/{reading}")
    done, _ = anyio.run(retire_scopes, store, readings)
    with pytest.raises(PublishError, match=f"{GONE} {REGION} was retired in {done.snapshot_id} meanwhile"):
        anyio.run(retire_scopes, store, readings)

    assert (len(list(dest.glob("_runs/*"))), [*(dest / "_staging").iterdir()]) == (4, [])


def test_a_damaged_last_reading_is_not_retired(dest):
    """Where the changes cannot be written, nothing is retired and nothing is left behind."""
    next(dest.glob("functions/*/01K00000000000000000000001-*.parquet")).write_bytes(b"PAR1")
    with pytest.raises(ReadError, match=r"01K00000000000000000000001, is damaged, so nothing was retired"):
        anyio.run(lexport.retire, dest, GONE)

    assert (len(list(dest.glob("_runs/*"))), [*(dest / "_staging").iterdir()]) == (3, [])
    assert not list(dest.glob("scopes/*/01M*"))


def test_a_retirement_does_nothing_else(retired):
    """A manifest that mixes retired and read account-regions, or retires with counts or other files, is damaged."""
    dest, run = retired
    good = json.loads((dest / "_runs" / f"{run}.json").read_bytes())
    assert good["format"] == "lexport-manifest/2"
    first = json.loads(min(dest.glob("_runs/*")).read_bytes())

    def damaged(**changed):
        return json.dumps(good | changed).encode()

    one, other = good["scopes"]
    for body in (
        damaged(scopes=[one, other | {"status": "complete"}]),
        damaged(format="lexport-manifest/1"),
        damaged(scopes=[one, other | {"get_function_calls": 1}]),
        damaged(scopes=[one, other | {"coverage": "selection"}]),
        damaged(
            files=[
                *good["files"],
                {
                    **good["files"][0],
                    "table": "errors",
                    "rows": 0,
                    "path": good["files"][0]["path"].replace("changes", "errors"),
                },
            ]
        ),
        damaged(status="partial", gaps=1),
        json.dumps(first | {"format": "lexport-manifest/2"}).encode(),
    ):
        with pytest.raises(ManifestError):
            Manifest.from_json(body)
    with pytest.raises(NewerFormatError):
        Manifest.from_json(damaged(format="lexport-manifest/3"))
    assert read_commit(LocalStore(dest, group_readable=False), run).is_retirement
