"""``lexport demo``: take snapshots of a simulated fleet on three nights and query them, without an AWS account."""

from __future__ import annotations

import os
import shlex
import shutil
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from lexport.cli._options import argument, declare_command
from lexport.errors import SettingsError

REGIONS = ("eu-west-1", "us-east-1")
FUNCTIONS, VERSIONS, DRIFT = 30, 3, 0.1
NIGHTS = 3
MARK = ".lexport-demo"
"""A file that says the demo made this folder; it names the snapshots that the demo took, one a line."""
_CHECK = ("--check", "function_failed")
QUESTIONS = {
    "Which runtimes are in use?": """
SELECT runtime, SUM(functions) AS functions, SUM(versions) AS versions
FROM runtimes WHERE package_type = 'Zip'
GROUP BY runtime ORDER BY versions DESC, runtime LIMIT 5""",
    "Which functions have no tag, and not because we may not see them?": """
SELECT f.region, COUNT(*) AS untagged
FROM functions AS f LEFT JOIN tags AS t USING (account_id, region, function_name)
WHERE f.version = '$LATEST' AND f.tags_error_code IS NULL AND t.key IS NULL
GROUP BY f.region ORDER BY f.region""",
    "Which variables have one value in most functions? (values are known by their HMAC only)": """
SELECT name, value_hmac, COUNT(DISTINCT function_name) AS functions
FROM env_vars GROUP BY name, value_hmac
ORDER BY functions DESC, name, value_hmac LIMIT 3""",
}


@declare_command("demo", "lexport demo", "lexport demo /tmp/demo-fleet")
@argument("dest", default="demo-fleet")
def command(dest: str) -> None:
    """Simulate a fleet on three nights, publish snapshots in DEST (default demo-fleet), query them and write a report.

    DEST is a new folder, or a folder that an earlier demo made; the demo replaces the snapshots that it took there.
    """
    from lexport.cli._async import run_async

    folder = _check_folder(dest)
    # For this process only: the simulator's credentials, no profile of the user, and no proxy to the simulator.
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1",
    }
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _remove_snapshots(folder)
    run_async(lambda: _take_snapshots(folder))
    _show_snapshots(folder)


def _check_folder(dest: str) -> Path:
    """Return the folder. Raises SettingsError if it holds anything that the demo did not make."""
    from lexport.cli.report import check_replaceable
    from lexport.dataset.layout import LATEST_HINT, RUNS
    from lexport.dataset.local import local_folder

    folder = local_folder(dest)
    try:
        names = [path.name for path in folder.iterdir()]
    except FileNotFoundError:
        names = []
    except NotADirectoryError as error:
        raise SettingsError(f"DEST {dest} is a file, not a folder", option="DEST") from error
    except OSError as error:
        raise SettingsError(f"DEST {dest} cannot be read: {error.strerror}", option="DEST") from error
    own = (folder / MARK).read_text(encoding="utf-8").split() if MARK in names else []
    runs = {path.stem for path in (folder / RUNS).glob("*.json")}
    strangers = {name for name in names if not name.startswith(".")} - {*_dataset_folders(), LATEST_HINT}
    if strangers or not runs <= set(own) or (names and MARK not in names):
        what = "a dataset" if RUNS in names else "something"
        raise SettingsError(f"DEST {dest} holds {what} that the demo did not make; choose a new folder", option="DEST")
    check_replaceable(_page(folder), folder)
    return folder


def _page(folder: Path) -> Path:
    return (folder if folder.name not in {"", ".."} else folder.resolve()).with_name(f"{folder.resolve().name}.html")


def _remove_snapshots(folder: Path) -> None:
    """Remove the dataset that an earlier demo made."""
    from lexport.dataset.layout import LATEST_HINT

    for name in _dataset_folders():
        with suppress(FileNotFoundError):
            shutil.rmtree(folder / name)
    (folder / LATEST_HINT).unlink(missing_ok=True)


def _dataset_folders() -> tuple[str, ...]:
    """Return the names of a dataset's folders; that of the commits is first, so that what is left is never damaged."""
    from lexport.dataset.layout import PRUNED, RUNS, STAGING, STORED_PACKAGES
    from lexport.tables.registry import tables

    return (RUNS, STAGING, PRUNED, STORED_PACKAGES, *(table.name for table in tables()))


async def _take_snapshots(dest: Path) -> None:
    """Take a snapshot of each night, as if the last were now; the simulated fleet changes in between."""
    from lexport.cli._async import choose_report
    from lexport.cli.snapshot import summarize
    from lexport.model import new_ulid
    from lexport.pipeline import snapshot
    from lexport.settings import SnapshotSettings
    from lexport.simulator import Fleet, FleetSpec, open_simulator

    now = datetime.now(UTC)
    times = [now - timedelta(days=days) for days in reversed(range(NIGHTS))]
    ids = [new_ulid(at) for at in times]
    (dest / MARK).write_text("".join(f"{each}\n" for each in ids), encoding="utf-8")
    click.echo("$ export AWS_ACCESS_KEY_ID=testing AWS_SECRET_ACCESS_KEY=testing")
    shown = " ".join(f"--region {region}" for region in REGIONS)
    for night, (snapshot_id, at) in enumerate(zip(ids, times, strict=True)):
        spec = FleetSpec(functions=FUNCTIONS, versions=VERSIONS, night=night, drift=DRIFT, first_night_at=times[0])
        async with open_simulator(Fleet(spec)) as simulator:
            port = simulator.url.rpartition(":")[2]
            click.echo(
                f"\n{at:%Y-%m-%d}, night {night}: a simulated AWS, with AWS's quotas, and a snapshot of it\n"
                f"$ lexport simulate --functions {FUNCTIONS} --versions {VERSIONS} --drift {DRIFT} --night {night}"
                f" --port {port} &\n"
                f"$ lexport snapshot {shlex.quote(str(dest))} --endpoint-url {simulator.url} {shown}"
                f"{' --incremental' if night else ''}"
            )
            settings = SnapshotSettings(
                regions=REGIONS,
                endpoint_url=simulator.url,
                incremental=night > 0,
                snapshot_id=snapshot_id,
                snapshot_at=at,
            )
            summarize(await snapshot(dest, settings, report=choose_report()))


def _show_snapshots(dest: Path) -> None:
    folder, page, shown = str(dest), _page(dest), shlex.quote(str(dest))
    for question, query in QUESTIONS.items():
        _run(question, "sql", folder, query, shown=f"lexport sql {shown} - <<'SQL'{query}\nSQL")
    _run("What changed since the night before?", "diff", folder)
    _run(
        "Which functions cannot run? (one of the checks; exits with 4 if it finds something)", "check", folder, *_CHECK
    )
    _run("What does all of it look like?", "report", folder, "-o", str(page))
    click.echo(f"Open {page} in a browser.")
    steps = {
        f'lexport sql {shown} "FROM completeness"': "how whole the snapshots are",
        f"lexport check {shown}": "all checks",
        f"lexport diff {shown} yesterday today": "what changed between two days",
        "lexport schema": "every table and column",
        f"lexport views {shown} --db fleet.duckdb": "the same tables for the DuckDB command line and BI tools",
        "lexport iam-policy": "what your own account must allow",
        "lexport snapshot my-fleet --region REGION": "your own fleet",
    }
    click.echo(f"\nThe dataset stays in {dest}. Where to go next:")
    for step, what in steps.items():
        click.echo(f"  {step:<46} {what}")


def _run(question: str, *arguments: str, shown: str | None = None) -> None:
    """Run a command of lexport as if the user had typed it, below the question that it answers."""
    from lexport.cli._commands import cli

    click.echo(f"\n{question}\n$ {shown or shlex.join(('lexport', *arguments))}")
    with cli.make_context("lexport", [*arguments], obj=arguments) as context:
        cli.invoke(context)
