"""Measure what a function version costs in CPU and time, next to boto3, aiobotocore and the AWS SDK for Go.

Everybody lists the fleet and gets every version of it over TLS from nginx, which serves answers rendered beforehand
(nginx_fleet.py). The rivals write the answers as NDJSON; lexport parses, flattens, sorts and writes a whole snapshot.
No quota, no aliases. Rounds are interleaved, A B C A B C; CPU is user + system of the whole process, start included.

    python benchmarks/bench_rivals.py [--versions 100000] [--rounds 3] [--only NAME ...] [--fleet FOLDER]
        [--against REVISION]

With --against, lexport as it was at that revision of git runs in the same rounds, on the same installed libraries.
"""

from __future__ import annotations

import argparse
import compileall
import importlib.metadata
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

from nginx_fleet import REGION, nginx, render_fleet, serve_fleet

RIVALS = Path(__file__).parent / "rivals"
GOCODE = Path("/usr/share/gocode")
FAST = "from lexport.cli.main import main; main()"
# What `pip install lexport` gives, without the extra: no uvloop either.
PLAIN = f"import sys; sys.modules['uvloop'] = None; {FAST}"
NO_QUOTA = f"--region {REGION} --no-aliases --get-function-rate 1e6 --list-rate 1e6 --quota-share 1".split()


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One way to do the work: its command, which writes to the path given last, or why it cannot run."""

    name: str
    command: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    missing: str = ""
    source: Path | None = None  # the folder of a former lexport, in place of the installed one


@dataclass(slots=True)
class Figures:
    """What the runs of one contender took."""

    cpu_us: list[float] = field(default_factory=list)
    wall_us: list[float] = field(default_factory=list)


def contenders(scratch: Path, against: str | None) -> list[Contender]:
    """Everybody who can be had; the others say what they miss."""
    python = sys.executable
    return [
        *_lexport(),
        *(_lexport(_checkout(scratch, against), f" at {against}") if against else ()),
        go_rival(scratch),
        Contender(name="aiobotocore, 64 tasks", command=(python, str(RIVALS / "aiobotocore_tasks.py"))),
        Contender(
            name="boto3, 32 threads",
            command=(python, str(RIVALS / "boto3_threads.py")),
            missing="" if find_spec("boto3") else "pip install boto3",
        ),
    ]


def _lexport(source: Path | None = None, suffix: str = "") -> tuple[Contender, Contender]:
    # As pip leaves it: some environments forbid Python to write bytecode, and every start would compile the source.
    compileall.compile_dir(source or RIVALS.parents[1] / "src", quiet=1)
    return (
        Contender(
            name=f"lexport[fast]{suffix}",
            command=(sys.executable, "-c", FAST, "snapshot"),
            options=tuple(NO_QUOTA),
            missing="" if find_spec("uvloop") else "pip install lexport[fast]",
            source=source,
        ),
        Contender(
            name=f"lexport{suffix}",
            command=(sys.executable, "-c", PLAIN, "snapshot"),
            options=tuple(NO_QUOTA),
            source=source,
        ),
    )


def _checkout(scratch: Path, revision: str) -> Path:
    """Write the package as it was at a revision; return the folder to import it from."""
    archive = scratch / "former.tar"
    subprocess.run(["git", "archive", "-o", str(archive), revision, "src"], cwd=RIVALS.parents[1], check=True)
    with tarfile.open(archive) as packed:
        packed.extractall(scratch / "former", filter="data")
    return scratch / "former" / "src"


def go_rival(scratch: Path) -> Contender:
    """Build the Go program, or say what it misses."""
    name = "AWS SDK for Go v2, 64 goroutines"
    if not shutil.which("go") or not (GOCODE / "src/github.com/aws/aws-sdk-go-v2/service/lambda").is_dir():
        return Contender(name=name, missing="apt-get install golang-go golang-github-aws-aws-sdk-go-v2-dev")
    built = scratch / "go-rival"
    environment = os.environ | {"GOPATH": str(GOCODE), "GO111MODULE": "off", "GOCACHE": str(scratch / "go-cache")}
    subprocess.run(["go", "build", "-o", str(built), str(RIVALS / "go" / "main.go")], env=environment, check=True)
    return Contender(name=name, command=(str(built),))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A run of a contender that did its work. ``peaks_mib`` are those of the processes that were watched."""

    pid: int
    wall_s: float
    cpu_s: float
    peaks_mib: dict[int, float]


def run_checked(
    contender: Contender,
    versions: int,
    environment: dict[str, str],
    scratch: Path,
    watching: Callable[[int], AbstractContextManager[dict[int, float]]] = lambda _: nullcontext({}),
) -> Ended:
    """Run one contender once, and check that it did the work; ``watching`` sees its process."""
    out = scratch / "out"
    started_s = time.perf_counter()
    with (scratch / "stderr").open("w+") as said:
        process = subprocess.Popen(
            [*contender.command, str(out), *contender.options], env=environment, stdout=subprocess.DEVNULL, stderr=said
        )
        with watching(process.pid) as peaks_mib:
            _, status, usage = os.wait4(process.pid, 0)
            wall_s = time.perf_counter() - started_s
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        if process.returncode:
            sys.exit(f"{contender.name} ended with {process.returncode}: {said.read()[-2_000:]}")
    if (done := versions_in(out)) != versions:
        sys.exit(f"{contender.name} wrote {done:,} versions instead of {versions:,}")
    shutil.rmtree(out) if out.is_dir() else out.unlink()
    return Ended(pid=process.pid, wall_s=wall_s, cpu_s=usage.ru_utime + usage.ru_stime, peaks_mib=peaks_mib)


def measure(contender: Contender, versions: int, environment: dict[str, str], scratch: Path, figures: Figures) -> None:
    """Run one contender once, and note what it took."""
    if contender.source is not None:
        environment = environment | {"PYTHONPATH": str(contender.source)}
    ended = run_checked(contender, versions, environment, scratch)
    figures.cpu_us.append(ended.cpu_s / versions * 1e6)
    figures.wall_us.append(ended.wall_s / versions * 1e6)


def versions_in(out: Path) -> int:
    """Count the versions in a dataset, or in a file of lines."""
    if out.is_dir():
        import pyarrow.parquet as pq

        return sum(pq.read_metadata(path).num_rows for path in out.glob("functions/*/*.parquet"))
    with out.open("rb") as lines:
        return sum(1 for _ in lines)


def show(figures: dict[str, Figures], skipped: list[Contender]) -> None:
    """Print the table."""
    bases = [name for name in ("lexport[fast]", "lexport") if name in figures]
    medians = {name: statistics.median(each.cpu_us) for name, each in figures.items()}
    ratios = "".join(f" | CPU / {base}" for base in bases)
    print(f"\n| per function version | CPU µs, median (min - max) | wall µs, median (min - max){ratios} |")
    print("|---|---|---" + "|---" * len(bases) + "|")
    for name, each in figures.items():
        cells = [_spread(each.cpu_us), _spread(each.wall_us)]
        cells += [f"{medians[name] / medians[base]:.2f}" for base in bases]
        print(f"| {name} | {' | '.join(cells)} |")
    for contender in skipped:
        print(f"| {contender.name} | skipped: {contender.missing} |")


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.0f} ({min(values):.0f} - {max(values):.0f})"


def describe(versions: int, rounds: int) -> str:
    """Say where and with what this was measured."""
    cpu = next((line for line in _lines("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    packages = ("aiobotocore", "aiohttp", "boto3", "botocore", "orjson", "pyarrow", "uvloop")
    found = [f"{name} {importlib.metadata.version(name)}" for name in packages if find_spec(name)]
    if shutil.which("go"):
        found.append(subprocess.run(["go", "version"], capture_output=True, text=True, check=False).stdout.strip())
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {cpu.partition(': ')[2] or cpu}, {os.cpu_count()} cores, Python"
        f" {platform.python_version()}, {', '.join(found)}; {versions:,} versions, {rounds} rounds"
    )


def _lines(path: str) -> list[str]:
    return Path(path).read_text(encoding="utf-8").splitlines() if Path(path).exists() else []


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--versions", type=int, default=100_000, help="a multiple of 10")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", action="append", help="run those whose name begins so")
    parser.add_argument("--fleet", type=Path, help="keep the rendered answers here for the next time")
    parser.add_argument("--against", metavar="REVISION", help="run lexport as it was at this revision of git too")
    asked = parser.parse_args()
    if nginx() is None:
        print("skipped: nginx is missing; apt-get install nginx-light")
        return
    figures: dict[str, Figures] = defaultdict(Figures)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        fleet = asked.fleet or scratch / "fleet"
        fleet.mkdir(parents=True, exist_ok=True)
        scratch.chmod(0o755)
        everybody = [
            contender
            for contender in contenders(scratch, asked.against)
            if not asked.only or any(contender.name.startswith(name) for name in asked.only)
        ]
        print(describe(asked.versions, asked.rounds), flush=True)
        render_fleet(fleet, asked.versions)
        with serve_fleet(fleet) as environment:
            for _ in range(asked.rounds):
                for contender in everybody:
                    if not contender.missing:
                        measure(contender, asked.versions, environment, scratch, figures[contender.name])
                        print(".", end="", file=sys.stderr, flush=True)
    show(figures, [contender for contender in everybody if contender.missing])


if __name__ == "__main__":
    main()
