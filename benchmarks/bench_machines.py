"""Measure what all cores of a machine bring: a fleet of 40 account-regions, read by one process, by two, and by Go.

Answers come over TLS from nginx (nginx_fleet.py), without quotas; the rounds are interleaved. With C and S the seconds
of CPU of the client and of the server in the run of one process, two cores would take (C + S) / 2 if nothing was lost.
The aim of ``--processes 2`` is at most 1 / 0.85 of it, and no more than the AWS SDK for Go with 64 goroutines, which
writes NDJSON.

    python benchmarks/bench_machines.py [--versions 400000] [--scopes 40] [--rounds 3] [--fleet FOLDER]
"""

from __future__ import annotations

import argparse
import compileall
import statistics
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from bench_rivals import Contender, describe, go_rival, run_checked
from nginx_fleet import nginx, render_fleet, serve_fleet
from processes import cpu_s, watch_peaks
from simulators import LEXPORT

from lexport.model import Scope
from lexport.simulator.known_regions import BY_DEFAULT, OPT_IN

ACCOUNTS = ("111122223333", "111122223334")
AIM = 1 / 0.85
NO_QUOTA = [
    "--no-aliases",
    "--account-role",
    "bench",
    "--get-function-rate",
    "1e6",
    "--list-rate",
    "1e6",
    "--quota-share",
    "1",
]
ONE, TWO, GO = "lexport", "lexport --processes 2", "AWS SDK for Go v2, 64 goroutines"
SMALL_MIB = 40.0
"""Processes below it only watch others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one run took. ``peaks_mib`` are those of its processes, the largest first."""

    wall_s: float
    client_s: float
    server_s: float
    peaks_mib: list[float]


def fleet_scopes(count: int) -> list[Scope]:
    """Return so many account-regions of two accounts."""
    regions = (*BY_DEFAULT, *OPT_IN)[: -(-count // 2)]
    return [Scope(account_id=account, region=region) for account in ACCOUNTS for region in regions][:count]


def contenders(scratch: Path, scopes: list[Scope]) -> list[Contender]:
    """Return the three; the Go program says what it misses."""
    compileall.compile_dir(Path(__file__).parents[1] / "src", quiet=1)
    read = ["--region", ",".join(sorted({scope.region for scope in scopes}))]
    read += ["--accounts", ",".join(sorted({scope.account_id for scope in scopes})), *NO_QUOTA]
    go = go_rival(scratch)
    return [
        Contender(name=ONE, command=(LEXPORT, "snapshot"), options=tuple(read)),
        Contender(name=TWO, command=(LEXPORT, "snapshot"), options=(*read, "--processes", "2")),
        Contender(
            name=GO,
            command=go.command,
            options=tuple(f"{scope.account_id}/{scope.region}" for scope in scopes),
            missing=go.missing,
        ),
    ]


def measure(contender: Contender, versions: int, environment: dict[str, str], server: int, scratch: Path) -> Run:
    """Run one contender once, and check that it did the work."""
    before_s = cpu_s(server)
    ended = run_checked(contender, versions, environment, scratch, watch_peaks)
    peaks = (peak for pid, peak in ended.peaks_mib.items() if peak > SMALL_MIB or pid == ended.pid)
    return Run(
        wall_s=ended.wall_s,
        client_s=ended.cpu_s,
        server_s=cpu_s(server) - before_s,
        peaks_mib=sorted(peaks, reverse=True),
    )


def show(runs: dict[str, list[Run]]) -> None:
    """Print the table, and how far ``--processes 2`` is from its aims, round by round."""
    print(
        "\n| | wall s | CPU s of the client | CPU s of the server | peak MiB of each process |\n|---|---|---|---|---|"
    )
    for name, each in runs.items():
        taken = [[run.wall_s for run in each], [run.client_s for run in each], [run.server_s for run in each]]
        peaks = ", ".join(f"{peak:.0f}" for peak in max(run.peaks_mib for run in each))
        print(f"| {name} | {' | '.join(map(_spread, taken))} | {peaks} |")
    ideal_s = [(run.client_s + run.server_s) / 2 for run in runs[ONE]]
    ratios = [two.wall_s / ideal for two, ideal in zip(runs[TWO], ideal_s, strict=True)]
    print(f"\n(C + S) / 2 of one process: {_spread(ideal_s)} s")
    print(f"wall time of --processes 2 / ((C + S) / 2): {_spread(ratios, 2)}; the aim is {AIM:.2f} at most")
    for other in (ONE, GO):
        if other in runs:
            ratios = [two.wall_s / one.wall_s for two, one in zip(runs[TWO], runs[other], strict=True)]
            print(f"wall time of --processes 2 / that of {other}: {_spread(ratios, 2)}; the aim is 1.00 at most")


def _spread(values: list[float], digits: int = 1) -> str:
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} - {max(values):.{digits}f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--versions", type=int, default=400_000, help="in all, a multiple of 10 in each account-region")
    parser.add_argument("--scopes", type=int, default=40, help="account-regions, at most 68")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--fleet", type=Path, help="keep the rendered answers here for the next time")
    asked = parser.parse_args()
    if nginx() is None:
        print("skipped: nginx is missing; apt-get install nginx-light")
        return
    scopes = fleet_scopes(asked.scopes)
    each = asked.versions // len(scopes)
    runs: dict[str, list[Run]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        scratch.chmod(0o755)
        fleet = asked.fleet or scratch / "fleet"
        fleet.mkdir(parents=True, exist_ok=True)
        everybody = contenders(scratch, scopes)
        print(f"{describe(each * len(scopes), asked.rounds)}; {len(scopes)} account-regions", flush=True)
        render_fleet(fleet, each, scopes)
        with serve_fleet(fleet) as environment:
            server = int((fleet / "nginx.pid").read_text())
            for _ in range(asked.rounds):
                for contender in everybody:
                    if not contender.missing:
                        run = measure(contender, each * len(scopes), environment, server, scratch)
                        runs[contender.name].append(run)
                        print(f"{contender.name}: {run.wall_s:.1f} s", file=sys.stderr, flush=True)
    show(runs)
    for contender in everybody:
        if contender.missing:
            print(f"{contender.name} | skipped: {contender.missing}")


if __name__ == "__main__":
    main()
