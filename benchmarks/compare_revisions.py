"""Hold this checkout against an earlier revision: the same fleet, moments and keys must give the same bytes and prints.

Both record the same simulated fleet, night by night, and then run the same commands over what they have written. Every
file of the datasets is compared byte by byte, and of every command the exit code, stdout and stderr. `--help` is not
compared. The clock stands still in each command and random bytes are zero (`fixed_clock.py`), so ids, times and ages
are the same; what a monotonic clock measures still differs and is masked (`differences.py`).

The simulator is that of REVISION, one process for both: the fleet stays the one that REVISION was tried with, whatever
becomes of the simulator in the checkout.

    python benchmarks/compare_revisions.py REVISION [--functions 200] [--versions 2] [--nights 3]

The defaults take a minute or two on two free cores, 2,000 functions with 4 versions some minutes. Exit code 1 says that
something differs.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from differences import MASKS, OTHER_MASKS, VIEWS_FILE, Ended, Row, compare_ends, compare_folders, mask
from fixed_clock import CRASHED, REGIONS

CHECKOUT = Path(__file__).resolve().parent.parent
FIRST_NIGHT = datetime(2026, 11, 20, 2, tzinfo=UTC)
DIALECTS = ("athena", "snowflake", "bigquery", "redshift", "spark", "trino", "databricks")
FLEET = (
    " ".join(f"--region {region}" for region in REGIONS)
    + " --get-function-rate 100000 --list-rate 100000 --quota-share 1"
)

CONFIG = """\
[check.thresholds.required_tags]
keys = ["team", "cost-center"]

[[check.waivers]]
check = "untagged"
function_name = "*"
reason = "the fleet is a simulated one"
expires = 2026-12-31
"""


class Side:
    """One of the two revisions: its code, its working folder, and the process that runs its commands."""

    def __init__(self, name: str, tree: Path, work: Path, url: str) -> None:
        self.name, self.folder = name, work / name
        self.folder.mkdir()
        (self.folder / "lexport.toml").write_text(CONFIG)
        self._printed = [work / f"{name}.stdout", work / f"{name}.stderr"]
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(tree / "src"),
            "HOME": str(self.folder),
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
            "COLUMNS": "120",
            "ARROW_DEFAULT_MEMORY_POOL": "system",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_ENDPOINT_URL": url,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1",
            "LEXPORT_HASH_KEY": "bm90IGEgc2VjcmV0OiBhIGtleSBmb3IgY29tcGFyaW5nIG9ubHk=",
        }
        self._process, package = start("commands", environment)
        if not Path(package).is_relative_to(tree):
            sys.exit(f"the {name} side runs {package}, which is not below {tree}")

    def run(self, command: str, at: datetime) -> Ended:
        """Run one command at a moment, in the folder of this side."""
        arguments = shlex.split(command)
        request = {
            "arguments": arguments,
            "at": at.isoformat(),
            "folder": str(self.folder),
            "stdout": str(self._printed[0]),
            "stderr": str(self._printed[1]),
        }
        code = ask(self._process, request)
        if code == CRASHED:
            sys.exit(f"{command} of the {self.name} side could not be run: {self._printed[1].read_text()[-2_000:]}")
        stdout, stderr = (
            mask(path.read_bytes().replace(bytes(self.folder), b"FOLDER"), arguments[0]) for path in self._printed
        )
        return Ended(code, stdout, b"".join(sorted(stderr.splitlines(keepends=True))))

    def date_files(self, at: datetime) -> None:
        """Date what was written by the clock of the command: `packages.verified_at` is the time of the file."""
        for path in self.folder.rglob("*"):
            if path.stat().st_mtime > at.timestamp():
                os.utime(path, (at.timestamp(), at.timestamp()))

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()


def start(mode: str, environment: dict[str, str]) -> tuple[subprocess.Popen[bytes], Any]:
    """Start `fixed_clock.py`; return the process and, where it runs commands, what it says first."""
    process = subprocess.Popen(
        [sys.executable, str(CHECKOUT / "benchmarks" / "fixed_clock.py"), mode],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
    )
    assert process.stdout is not None
    return process, json.loads(process.stdout.readline()) if mode == "commands" else None


def ask(process: subprocess.Popen[bytes], request: dict[str, Any]) -> Any:
    """Send one request and wait for the reply."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(request).encode() + b"\n")
    process.stdin.flush()
    line = process.stdout.readline()
    if not line:
        sys.exit(f"the process for {request} has ended")
    return json.loads(line)


# --- what is run ----------------------------------------------------------------------------------------------------


def faults(night: int) -> list[tuple[int, dict[str, Any]]]:
    """Return the faults of a night, each with the index of its function: the second night has gaps."""
    if night != 1:
        return []
    return [
        (1, {"operation": "GetFunction", "kind": "throttle", "times": 2}),
        (2, {"operation": "GetFunction", "kind": "denied", "times": None}),
        (3, {"operation": "ListAliases", "kind": "denied", "times": None}),
        (4, {"operation": "GetFunction", "kind": "gone", "times": None}),
    ]


def recording(night: int, functions: Sequence[str]) -> list[str]:
    """Return the commands of a night that call AWS; all snapshots from the second night on are incremental."""
    latest = f"snapshot latest {FLEET} --qualifiers latest --no-aliases --env none"
    packages = f"packages fleet {FLEET} --layers --reference-packages --allow-partial"
    few = " ".join(f"--package-name {name}" for name in functions)  # fewer than slots: no link is asked for twice
    chosen = " ".join(f"--function {name}" for name in functions)
    if night == 0:
        return [
            f"plan {FLEET}",
            f"plan {FLEET} --output json",
            f"snapshot fleet {FLEET}",
            packages,
            f"snapshot packed {FLEET} --packages --package-concurrency 64 {few}",
            f"snapshot chosen {FLEET} --env values {chosen}",
            latest,
        ]
    if night == 1:
        return [
            f"plan fleet {FLEET} --output jsonl",
            f"snapshot fleet {FLEET} --incremental",  # ends with 1 and publishes nothing: there are gaps
            f"snapshot fleet {FLEET} --incremental --allow-partial",
        ]
    return [
        f"plan fleet {FLEET} --output csv",
        f"snapshot fleet {FLEET} --incremental --refresh-after 36h",
        f"{packages} --inspect",
        f"{latest} --incremental",
    ]


def queries(views: Sequence[str], tables: Sequence[str]) -> Iterator[str]:
    """Yield commands over all views and tables."""
    for position, view in enumerate(views):
        yield f"sql fleet 'SELECT * FROM {view} ORDER BY ALL' --output {('csv', 'jsonl')[position % 2]}"
        if position % 3 == 0:
            yield f"sql --print {view}"
        if position % 3 == 1:
            yield f"sql --print {view} --dialect {DIALECTS[position // 3 % len(DIALECTS)]}"
    for position, table in enumerate(tables):
        space = ("", "history.", "snapshot.")[position % 3]
        how = ("--output csv", f"-o {table}.parquet")[position % 2]
        yield f"sql fleet 'SELECT * FROM {space}{table} ORDER BY ALL' {how}"


def reading(first: str, function: str) -> Iterator[str]:
    """Yield commands that read what was recorded; ``first`` is a snapshot, ``broken`` a copy with damaged files."""
    for output in ("table", "json", "jsonl", "csv"):
        yield f"sql fleet 'SELECT runtime, count(*) AS n FROM functions GROUP BY 1 ORDER BY 1' --output {output}"
        yield f"status fleet --max-age 36500d --output {output}"
        yield f"verify broken --data --output {output}"
        yield f"schema --output {output}"
    for output in ("text", "json", "jsonl", "csv"):
        yield f"diff fleet --output {output}"
    for output in ("table", "sarif", "junit"):
        yield f"check fleet --output {output}"
    for output in ("json", "csv"):
        yield f"check chosen --fail-on none --min-severity high --output {output} -o check.{output}"
    yield f"diff fleet {first}"
    for dialect in DIALECTS:
        yield f"schema --ddl {dialect} --location s3://example-bucket/fleet"
    yield f"sbom fleet --function {function} -o function.cdx.json"
    yield f"sql fleet 'SELECT count(*) FROM snapshot.functions' --as-of {first}"
    yield f"feed fleet --since {first}"
    yield f"feed fleet --since {first} --output parquet -o feed"
    yield from OTHERS.strip().splitlines()


OTHERS = f"""
sql fleet 'SELECT * FROM functions ORDER BY ALL' --as-of 2026-11-20 --output csv --csv-safe
sql chosen 'SELECT * FROM env_vars ORDER BY ALL' --output json
feed fleet
verify fleet
verify fleet --data
check --list
sbom fleet
report fleet
report latest -o -
views fleet --db {VIEWS_FILE}
iam-policy
iam-policy --packages --partition aws-cn --account 111122223333
iam-policy --for hub --account-role lexport-reader
--version
snapshott fleet
snapshot
snapshot fleet --qualifiers some
snapshot fleet --region us-east-1 --refresh-after 7d
sql fleet 'SELECT nothing FROM functions'
sql fleet 'SELECT * FROM functoins'
sql fleet 'DROP TABLE functions'
sql --print runtime
sql nowhere 'FROM functions'
status nowhere
status fleet --max-age 1h
diff fleet yesterday tomorrow
feed fleet --since 01ARZ3NDEKTSV4RRFFQ69G5FAV
check fleet --check untaged
sbom fleet --function no-such-function
verify nowhere
packages nowhere
iam-policy --account 12
"""
"""Commands that need no name of the fleet; the last ones end with an error."""


def record(sides: Sequence[Side], simulator: Simulator, nights: int) -> Iterator[Row]:
    """Record the nights with both sides; the simulator is started anew for each, so that both meet the same faults."""
    for night in range(nights):
        at = FIRST_NIGHT + timedelta(days=night)
        commands = recording(night, simulator.serve(at, night))
        ended: list[list[Ended]] = []
        for side in sides:
            simulator.serve(at, night)
            ended.append([])
            for position, command in enumerate(commands):
                moment = at + timedelta(minutes=position)
                ended[-1].append(side.run(command, moment))
                side.date_files(moment)
        for command, old, new in zip(commands, *ended, strict=True):
            yield compare_ends(f"night {night + 1}: {command.replace(FLEET, '...')}", old, new)


def read(sides: Sequence[Side], commands: Sequence[str], at: datetime) -> Iterator[Row]:
    """Run the same commands on both sides, side by side."""
    with ThreadPoolExecutor(len(sides)) as threads:
        ended = threads.map(lambda side: [side.run(command, at) for command in commands], sides)
    for command, old, new in zip(commands, *ended, strict=True):
        yield compare_ends(command, old, new)


def damage(folder: Path) -> None:
    """Make a copy of the dataset in which a table, a manifest and a package are damaged."""
    broken = folder / "broken"
    shutil.copytree(folder / "fleet", broken)
    table = min(broken.rglob("functions/**/*.parquet"))
    flipped = bytearray(table.read_bytes())
    flipped[len(flipped) // 2] ^= 0xFF
    table.write_bytes(flipped)
    manifest = max(broken.glob("_runs/*.json"))
    manifest.write_bytes(manifest.read_bytes()[:-40])
    packages = [path for path in sorted(broken.rglob("*")) if path.is_file() and path.suffix == ".zip"]
    for package in packages[:1]:
        package.write_bytes(package.read_bytes() + b"more")


# --- the whole ------------------------------------------------------------------------------------------------------


class Simulator:
    """The simulator of one tree, in a process of its own."""

    def __init__(self, tree: Path, functions: int, versions: int) -> None:
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(tree / "src")}
        self._process, _ = start("simulator", environment)
        self._fleet = {"functions": functions // len(REGIONS), "versions": versions}
        self.url = ""

    def serve(self, at: datetime, night: int) -> list[str]:
        """Serve the fleet of a night; return the names of its first functions."""
        served = ask(self._process, {"at": at.isoformat(), "night": night, "faults": faults(night), **self._fleet})
        self.url = served["url"]
        return served["functions"]

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()


def extract(revision: str, folder: Path) -> Path:
    """Write the files of a revision into a folder."""
    archive = subprocess.run(["git", "-C", str(CHECKOUT), "archive", revision], check=False, stdout=subprocess.PIPE)
    if archive.returncode:
        sys.exit(f"git archive {revision} failed")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(folder, filter="data")
    return folder


def compare(old: Path, new: Path, work: Path, asked: argparse.Namespace) -> Iterator[Row]:
    """Record and read with both trees, and compare everything."""
    with ExitStack() as stack:
        simulator = Simulator(old, asked.functions, asked.versions)
        stack.callback(simulator.close)
        function = simulator.serve(FIRST_NIGHT, 0)[0]
        sides = []
        for name, tree in (("old", old), ("new", new)):
            sides.append(Side(name, tree, work, simulator.url))
            stack.callback(sides[-1].close)
        yield from record(sides, simulator, asked.nights)
        for side in sides:
            damage(side.folder)
        at = FIRST_NIGHT + timedelta(days=asked.nights)
        views = [path.stem.partition("_")[2] for path in sorted((old / "sql").glob("[0-9]*_*.sql"))]
        schema = json.loads(sides[0].run("schema --output json", at).stdout)
        tables = list(dict.fromkeys(column["table"] for column in schema))
        snapshots = sorted(path.stem for path in (sides[0].folder / "fleet" / "_runs").glob("*.json"))
        yield from read(sides, [*queries(views, tables), *reading(snapshots[0], function)], at)
        yield from compare_folders(sides[0].folder, sides[1].folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("revision", help="what this checkout is held against")
    parser.add_argument("--functions", type=int, default=200, help="of the fleet, in two Regions (default 200)")
    parser.add_argument("--versions", type=int, default=2, help="published versions of each, on average (default 2)")
    parser.add_argument("--nights", type=int, default=3, help="snapshots of the fleet (default 3)")
    parser.add_argument("--tree", type=Path, default=CHECKOUT, help="hold this source tree against it instead")
    parser.add_argument("--keep", type=Path, help="record into this new folder, and leave it there")
    parser.add_argument("--messages-may-differ", action="store_true", help="list stderr that differs, and accept it")
    asked = parser.parse_args()
    started_s = time.perf_counter()
    with tempfile.TemporaryDirectory() as temporary:
        work = asked.keep or Path(temporary) / "work"
        work.mkdir(parents=True)
        old = extract(asked.revision, Path(temporary) / "revision")
        print(
            f"{asked.revision} / {asked.tree}: {asked.functions:,} functions, {asked.versions} versions each,"
            f" {asked.nights} nights"
        )
        rows = []
        for row in compare(old, asked.tree.resolve(), work.resolve(), asked):
            verdict = "same" if not row.difference else "reworded" if row.is_message else "DIFFERENT"
            print(f"{verdict:<9} {row.what}" + (f"\n          {row.difference}" if row.difference else ""), flush=True)
            rows.append(row)
    for what in (*(what for _, _, what, *_ in MASKS), *OTHER_MASKS):
        print(f"masked    {what}")
    reworded = sum(row.is_message for row in rows)
    different = sum(bool(row.difference) for row in rows) - reworded
    took_s = time.perf_counter() - started_s
    print(f"{len(rows):,} compared in {took_s:.0f} s: {different:,} different, {reworded:,} reworded")
    sys.exit(1 if different or (reworded and not asked.messages_may_differ) else 0)


if __name__ == "__main__":
    main()
