"""``lexport demo``: take a snapshot of a simulated fleet and query it, without an AWS account."""

from __future__ import annotations

import os
from pathlib import Path

import click

from lexport.cli._options import argument, declare_command
from lexport.errors import SettingsError

REGIONS = ("eu-west-1", "us-east-1")
FUNCTIONS, VERSIONS = 60, 3
MARK = ".lexport-demo"  # an empty file that says the demo made this folder
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
    """Simulate a fleet, publish a snapshot of two Regions in DEST (default demo-fleet), and run a few queries.

    DEST is a new folder, or a folder that an earlier demo made.
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
    (folder / MARK).touch()
    run_async(lambda: _demonstrate(folder))


def _check_folder(dest: str) -> Path:
    """Return the folder. Raises SettingsError if it holds anything that the demo did not make."""
    from lexport.cli.report import check_replaceable
    from lexport.dataset.layout import RUNS
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
    if names and MARK not in names:
        what = "a dataset" if RUNS in names else "something"
        raise SettingsError(f"DEST {dest} holds {what} that the demo did not make; choose a new folder", option="DEST")
    check_replaceable(_page(folder), folder)
    return folder


def _page(folder: Path) -> Path:
    return (folder if folder.name not in {"", ".."} else folder.resolve()).with_name(f"{folder.resolve().name}.html")


async def _demonstrate(dest: Path) -> None:
    from lexport.cli._async import choose_report
    from lexport.cli._output import open_output
    from lexport.cli._rows.formats import print_rows
    from lexport.cli._rows.values import arrow_rows
    from lexport.cli.snapshot import summarize
    from lexport.pipeline import snapshot
    from lexport.query.report import report
    from lexport.query.sql import sql
    from lexport.settings import SnapshotSettings
    from lexport.simulator import Fleet, FleetSpec, open_simulator

    fleet = Fleet(FleetSpec(functions=FUNCTIONS, versions=VERSIONS))
    async with open_simulator(fleet) as simulator:
        shown = " ".join(f"--region {region}" for region in REGIONS)
        click.echo(f"A simulated AWS listens at {simulator.url}, with AWS's quotas. Now:\n")
        click.echo(f"$ lexport snapshot {dest} --endpoint-url {simulator.url} {shown}")
        settings = SnapshotSettings(regions=REGIONS, endpoint_url=simulator.url)
        summarize(await snapshot(dest, settings, report=choose_report()))
    for question, query in QUESTIONS.items():
        click.echo(f"\n{question}\n$ lexport sql {dest} - <<'SQL'{query}\nSQL")
        answer = await sql(dest, query)
        print_rows(answer.schema.names, arrow_rows(answer.to_batches()), output="table")
    page = _page(dest)
    written = await report(dest)
    with open_output(str(page)) as stream:
        stream.write(written.html.encode())
    click.echo(f"\nWhat does all of it look like?\n$ lexport report {dest} -o {page}\nOpen {page} in a browser.")
    steps = {
        f'lexport sql {dest} "FROM completeness"': "how whole the snapshot is",
        "lexport schema": "every table and column",
        f"lexport views {dest} --db fleet.duckdb": "the same tables for the DuckDB command line and BI tools",
        "lexport iam-policy": "what your own account must allow",
        "lexport snapshot my-fleet --region REGION": "your own fleet",
    }
    click.echo(f"\nThe dataset stays in {dest}. Where to go next:")
    for step, what in steps.items():
        click.echo(f"  {step:<46} {what}")
