"""Measure what a downloaded and verified gigabyte costs in time and CPU, next to scripts around curl, and its memory.

Everybody fetches the same packages, 1 KB to 250 MB, from nginx over TLS and without, and verifies them by SHA-256:

- ``xargs -P32 curl -o`` followed by ``sha256sum -c``: what a user would script; the aim is to be at least as fast;
- ``curl | tee FILE | sha256sum``, 32 at a time: the same work in one go; the aim is at most 1.15 of its CPU;
- aiobotocore and aiohttp, written plainly: the whole body in memory, hashed in the event loop.

lexport takes part twice: `store_packages.py` has the links, as the scripts have them; `lexport packages` is the whole
command on a snapshot, which calls GetFunction for each, as aiobotocore does, and commits tables.

Rounds are interleaved, A B C A B C; CPU is user + system of the whole process and its children, start included. Then
the peak memory of `lexport snapshot --packages` with 34 packages of 250 MB, 32 at once, from the simulator.

    python benchmarks/bench_packages.py [--functions 600] [--rounds 3] [--fleet FOLDER] [--no-memory]
"""

from __future__ import annotations

import argparse
import base64
import os
import platform
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import orjson
import simulators
from nginx_fleet import PAGE, REGION, SCOPE, nginx, scope_folder, serve_fleet
from simulators import LEXPORT, NO_LIMITS

from lexport.model import LATEST
from lexport.simulator import Fleet, FleetSpec, lambda_documents
from lexport.simulator.package_files import package
from lexport.simulator.spec import VersionSpec

HERE = Path(__file__).parent
AT_ONCE = 32
LARGEST = 250_000_000
CURL_O = (
    "mkdir -p {out}; xargs -P32 -n3 curl -sf --cacert $AWS_CA_BUNDLE < {jobs}; cd {out} && sha256sum --quiet -c {sums}"
)
PACKAGES = f"cp -r {{dataset}} {{out}}; exec {{lexport}} packages {{out}} --package-concurrency {AT_ONCE} {{limits}}"
CURL_TEE = (
    "mkdir -p {out}; xargs -P32 -n2 sh -c"
    " 'curl -sf --cacert $AWS_CA_BUNDLE \"$0\" | tee {out}/$1 | sha256sum | grep -q ^$1' < {pairs}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One distinct package that nginx serves, and a function that has it."""

    version: VersionSpec

    @property
    def name(self) -> str:
        """The function's."""
        return self.version.function.name

    @property
    def code_sha256(self) -> str:
        """The hash as AWS sends it."""
        return self.version.code_sha256

    @property
    def size(self) -> int:
        """In bytes."""
        return self.version.code_size_bytes

    @property
    def hex_name(self) -> str:
        """The SHA-256 as `sha256sum` writes it."""
        return base64.b64decode(self.code_sha256).hex()


@dataclass(slots=True)
class Figures:
    """What the runs of one contender took."""

    wall_s: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    peak_mib: list[float] = field(default_factory=list)


def packages(fleet: Fleet) -> Iterator[Found]:
    """Every distinct package of the functions of a fleet."""
    seen = set()
    for index in fleet.indexes(SCOPE):
        version = fleet.version(SCOPE, index, "$LATEST")
        assert version is not None
        if lambda_documents.has_location(version) and version.code_sha256 not in seen:
            seen.add(version.code_sha256)
            yield Found(version=version)


def render(folder: Path, functions: int) -> list[Found]:
    """Write the packages as files, unless they are there."""
    fleet = Fleet(FleetSpec(functions=functions, versions=0, large_packages=True))
    home = folder / "www" / "packages"
    home.mkdir(parents=True, exist_ok=True)
    found = []
    for each in packages(fleet):
        path = home / f"{each.hex_name}.zip"
        if not path.is_file():
            content = package(1, each.version.package_key)
            with path.open("wb") as file:
                file.writelines(content.parts(0, content.code_size))
        found.append(each)
    return found


def render_answers(folder: Path, found: list[Found], url: str) -> None:
    """Write a fleet of one function for each package, whose links lead to a URL."""
    www = scope_folder(folder, SCOPE)
    (www / "pages").mkdir(parents=True, exist_ok=True)
    for each in found:
        home = www / "functions" / each.name
        home.mkdir(parents=True, exist_ok=True)
        link = f"{url}/packages/{each.hex_name}.zip"
        (home / "latest.json").write_bytes(
            orjson.dumps(lambda_documents.get_function(each.version, arn_qualifier=None, location=link))
        )
        (home / "aliases.json").write_bytes(orjson.dumps({"Aliases": []}))
    for number, start in enumerate(range(0, len(found), PAGE)):
        page = found[start : start + PAGE]
        listed = [lambda_documents.configuration(each.version, arn_qualifier=LATEST, is_listed=True) for each in page]
        more = {"NextMarker": str(number + 1)} if start + PAGE < len(found) else {}
        (www / "pages" / f"{number}.json").write_bytes(orjson.dumps({"Functions": listed} | more))
    settings = {
        "AccountLimit": {"ConcurrentExecutions": 1000},
        "AccountUsage": {"FunctionCount": len(found)},
    }
    (www / "account.json").write_bytes(orjson.dumps(settings))


def run(command: list[str], environment: dict[str, str], links: Path, figures: Figures) -> None:
    """Run one contender once and note what it took."""
    started_s = time.perf_counter()
    with links.open() as given:
        process = subprocess.Popen(command, env=environment, stdin=given)
        _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - started_s
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{command[:3]} ended with {process.returncode}")
    figures.wall_s.append(wall_s)
    figures.cpu_s.append(usage.ru_utime + usage.ru_stime)
    figures.peak_mib.append(usage.ru_maxrss / 1024)


def contenders(scratch: Path, out: Path, found: list[Found], url: str) -> tuple[dict[str, list[str]], Path]:
    """Everybody's command, and the file that they read."""
    links, jobs, pairs, sums = (scratch / name for name in ("links", "jobs", "pairs", "sums"))
    places = {
        "out": out,
        "jobs": jobs,
        "pairs": pairs,
        "sums": sums,
        "lexport": LEXPORT,
        "dataset": scratch / "dataset",
    }
    urls = {each: f"{url}/packages/{each.hex_name}.zip" for each in found}
    links.write_text("".join(f"{urls[each]} {each.code_sha256} {each.size} {each.name}\n" for each in found))
    jobs.write_text("".join(f"{urls[each]} -o {out}/{each.hex_name}\n" for each in found))
    pairs.write_text("".join(f"{urls[each]} {each.hex_name}\n" for each in found))
    sums.write_text("".join(f"{each.hex_name}  {each.hex_name}\n" for each in found))
    names = {name: shlex.quote(str(path)) for name, path in places.items()} | {"limits": shlex.join(NO_LIMITS)}
    python = sys.executable
    return {
        "lexport": [python, str(HERE / "store_packages.py"), str(out)],
        "lexport packages": ["sh", "-ec", PACKAGES.format(**names)],
        "curl -o, then sha256sum": ["sh", "-ec", CURL_O.format(**names)],
        "curl, tee, sha256sum": ["sh", "-ec", CURL_TEE.format(**names)],
        "aiobotocore + aiohttp": [python, str(HERE / "rivals" / "aiobotocore_packages.py"), str(out)],
    }, links


def show(title: str, figures: dict[str, Figures], size: int) -> None:
    """Print a table."""
    base = figures["lexport"]
    print(f"\n| {title} | MB/s | CPU s per GB | peak MiB | MB/s of lexport / its | CPU of lexport / its |")
    print("|---|---|---|---|---|---|")
    for name, each in figures.items():
        speed = [size / 1e6 / wall_s for wall_s in each.wall_s]
        cost = [cpu_s / size * 1e9 for cpu_s in each.cpu_s]
        faster = [its / ours for ours, its in zip(base.wall_s, each.wall_s, strict=True)]
        cheaper = [ours / its for ours, its in zip(base.cpu_s, each.cpu_s, strict=True)]
        cells = [
            _spread(speed, 0),
            _spread(cost, 2),
            f"{max(each.peak_mib):.0f}",
            _spread(faster, 2),
            _spread(cheaper, 2),
        ]
        print(f"| {name} | {' | '.join(cells)} |")


def _spread(values: list[float], digits: int) -> str:
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} - {max(values):.{digits}f})"


def take_snapshot(dataset: Path, environment: dict[str, str]) -> None:
    """Make the dataset whose packages `lexport packages` fetches."""
    shutil.rmtree(dataset, ignore_errors=True)
    command = [LEXPORT, "snapshot", str(dataset), "--region", REGION, *NO_LIMITS]
    subprocess.run(command, env=environment, stderr=subprocess.DEVNULL, check=True)


def measure_memory(scratch: Path) -> None:
    """Fetch 34 packages of 250 MB, 32 at once, by `lexport snapshot --packages` and print the peak."""
    spec = FleetSpec(functions=20_000, versions=0, large_packages=True)
    large = [each for each in packages(Fleet(spec)) if each.size >= LARGEST]
    listed = [argument for each in large for argument in ("--function", each.name)]
    out = scratch / "large-out"
    with simulators.simulator(spec) as server:
        given = ("--packages", "--package-concurrency", str(AT_ONCE), "--region", REGION, *NO_LIMITS, *listed)
        usage = simulators.run(["snapshot", str(out), "--endpoint-url", server.url, *given], server.url)
    shutil.rmtree(out)
    size = sum(each.size for each in large)
    print(
        f"\n{len(large)} packages of 250 MB, {AT_ONCE} at once: peak {usage.peak_mib:.0f} MiB, {usage.wall_s:.0f} s,"
        f" {usage.cpu_s / size * 1e9:.2f} CPU s per GB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--functions", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--fleet", type=Path, help="keep the packages here for the next time")
    parser.add_argument("--no-memory", action="store_true", help="leave out the 8 GB of the second part")
    asked = parser.parse_args()
    if nginx() is None or shutil.which("curl") is None:
        print("skipped: nginx or curl is missing; apt-get install nginx-light curl")
        return
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        scratch.chmod(0o755)
        fleet = asked.fleet or scratch / "fleet"
        fleet.mkdir(parents=True, exist_ok=True)
        found = render(fleet, asked.functions)
        size = sum(each.size for each in found)
        print(
            f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, Python {platform.python_version()}; {len(found)}"
            f" packages, {size / 1e9:.2f} GB, {asked.rounds} rounds",
            flush=True,
        )
        with serve_fleet(fleet) as environment:
            for scheme, url in (("https", environment["AWS_ENDPOINT_URL"]), ("http", environment["PLAIN_URL"])):
                render_answers(fleet, found, url)
                take_snapshot(scratch / "dataset", environment | {"AWS_ENDPOINT_URL": url})
                out = scratch / "out"
                everybody, links = contenders(scratch, out, found, url)
                figures: dict[str, Figures] = defaultdict(Figures)
                for _ in range(asked.rounds):
                    for name, command in everybody.items():
                        run(command, environment | {"AWS_ENDPOINT_URL": url}, links, figures[name])
                        shutil.rmtree(out)
                        print(".", end="", file=sys.stderr, flush=True)
                show(scheme, figures, size)
        if not asked.no_memory:
            measure_memory(scratch)


if __name__ == "__main__":
    main()
