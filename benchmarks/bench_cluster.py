"""Measure a run on three workers of dask into a bucket: a fleet of many small account-regions.

The scheduler and the workers are started as by hand (``dask scheduler``, ``dask worker --nthreads 1``). A simulator in
its own process serves the fleet over plain HTTP without quotas. The bucket is on SeaweedFS, whose own metrics count
requests and bytes. Peaks are VmHWM of /proc. The commit is what follows the last call to the simulator. The aim is that
no process takes more than 400 MiB.

It prints how far it is every 30 s, and ends after ``--minutes``: the run then publishes nothing, and the benchmark says
how much was read and how long the whole would take at that rate. It ends all that it has started, also where it is
interrupted or terminated.

    python benchmarks/bench_cluster.py [--scopes 40] [--versions 100] [--workers 3] [--minutes 24]
    python benchmarks/bench_cluster.py --whole      # 2,000 account-regions of 500 versions
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from processes import cpu_s, peak_mib, watch_peaks
from simulators import LEXPORT, NO_LIMITS, Server, simulator

from lexport.simulator import FleetSpec
from lexport.simulator.known_regions import BY_DEFAULT

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/data"))

from dask_processes import Dask, run_dask
from object_servers import GRPC_ABOVE, Bucket, free_ports, make_bucket, run_seaweed

WHOLE_SCOPES, WHOLE_VERSIONS = 2_000, 500
REGIONS = BY_DEFAULT[:10]  # of each account
PUBLISHED = 4  # versions of each function besides $LATEST
FIRST_ACCOUNT = 111122223333
AIM_MIB = 400
LOOK_S = 0.5
SAY_S = 30.0
STOP_S = 20.0  # lexport ends within ten after a signal
REQUESTS = re.compile(r'SeaweedFS_s3_request_total\{bucket="([^"]*)",code="[^"]*",type="([^"]*)"\} (\S+)')
RECEIVED = re.compile(r'SeaweedFS_s3_bucket_traffic_received_bytes_total\{bucket="([^"]*)"\} (\S+)')


class Calls:
    """The calls that a simulator has served, of a ``total`` of GetFunction, and when the last of them was seen."""

    def __init__(self, server: Server, total: int) -> None:
        self.total, self.started_s = total, time.perf_counter()
        self.by_operation: Counter[str] = Counter()
        self.last_at_s = time.perf_counter()
        self.cpu_s = 0.0
        self._server = server

    def look(self) -> None:
        """Ask the simulator."""
        calls, self.cpu_s = self._server.calls()
        if sum(calls.values()):
            self.by_operation.update(calls)
            self.last_at_s = time.perf_counter()

    def say(self) -> None:
        """Print how far the run is."""
        done, taken_s = self.by_operation["GetFunction"], time.perf_counter() - self.started_s
        print(f"after {taken_s:.0f} s: {done:,} of {self.total:,} versions", flush=True)

    @contextlib.contextmanager
    def watch(self) -> Iterator[None]:
        """Ask it time and again until the block ends."""
        is_over = threading.Event()

        def look() -> None:
            said_s = self.started_s
            while not is_over.wait(LOOK_S):
                self.look()
                if time.perf_counter() - said_s >= SAY_S:
                    said_s = time.perf_counter()
                    self.say()

        watcher = threading.Thread(target=look, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            is_over.set()
            watcher.join()
            self.look()


def store_counts(metrics_url: str, bucket: str) -> tuple[Counter[str], int]:
    """Return the requests to a bucket by kind, and the bytes that it has received."""
    with urllib.request.urlopen(metrics_url) as answer:
        text = answer.read().decode()
    requests: Counter[str] = Counter()
    for name, kind, count in REQUESTS.findall(text):
        if name == bucket:
            requests[kind] += int(float(count))
    return requests, sum(int(float(size)) for name, size in RECEIVED.findall(text) if name == bucket)


@contextlib.contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """End a process that still runs where an error or a signal ends the block."""
    try:
        yield
    except BaseException:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_S)
        process.kill()
        raise


def measure(
    scopes: int,
    versions: int,
    *,
    minutes: float,
    dask: Dask,
    bucket: Bucket,
    metrics_url: str,
    server: Server,
) -> None:
    """Run the command once, for so many minutes at most, and print what it, the workers and the store did."""
    accounts = [str(FIRST_ACCOUNT + number) for number in range(scopes // len(REGIONS))]
    options = ["--region", ",".join(REGIONS), "--accounts", ",".join(accounts), "--account-role", "lexport"]
    before, _ = store_counts(metrics_url, bucket.name)
    assert dask.scheduler is not None
    others = {"scheduler": dask.scheduler.pid}
    others |= {f"worker {number}": worker.pid for number, worker in enumerate(dask.workers)}
    others_before_s = {name: cpu_s(pid) for name, pid in others.items()}
    calls, started_s = Calls(server, scopes * versions), time.perf_counter()
    with (dask.folder / "stderr").open("w+") as said, calls.watch():
        process = subprocess.Popen(
            [
                LEXPORT,
                "snapshot",
                bucket.url,
                *options,
                *NO_LIMITS,
                "--dask",
                dask.url,
                "--deadline",
                f"{minutes * 60:.0f}s",
            ],
            env=dask.environment,
            stdout=subprocess.DEVNULL,
            stderr=said,
        )
        with ended(process), watch_peaks(process.pid) as peaks:
            _, status, usage = os.wait4(process.pid, 0)
        ended_s = time.perf_counter()
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        said_text = said.read()
    requests, received = store_counts(metrics_url, bucket.name)
    taken = {name: (cpu_s(pid) - others_before_s[name], peak_mib(pid)) for name, pid in others.items()}
    taken["lexport snapshot"] = usage.ru_utime + usage.ru_stime, peaks[process.pid]
    total, wall_s, commit_s = scopes * versions, ended_s - started_s, ended_s - calls.last_at_s
    if process.returncode:
        done = calls.by_operation["GetFunction"]
        if done:
            show_processes(done, taken, calls)
            print(
                f"\nread {done:,} of {total:,} versions in {wall_s:.1f} s and published nothing; at this rate reading"
                f" all takes {wall_s * total / done / 60:.0f} minutes, the commit besides"
            )
        sys.exit(f"lexport snapshot ended with {process.returncode}: {said_text.rpartition('lexport: ')[2]}")
    print(f"\nwall time {wall_s:.1f} s, of which the commit {commit_s:.1f} s: {commit_s / total * 1e6:.0f} s a million")
    show_processes(total, taken, calls)
    print("\n| requests to the store | in all | an account-region |\n|---|---|---|")
    for kind, count in sorted((requests - before).items()):
        print(f"| {kind} | {count:,} | {count / scopes:.1f} |")
    kept = check_versions(bucket, total)
    staged = (received - sum(kept.values())) / total
    print(f"\nbytes a version: {sum(kept.values()) / total:.0f} in {len(kept):,} objects, {staged:.0f} in staging")


def show_processes(total: int, taken: dict[str, tuple[float, float]], calls: Calls) -> None:
    """Print the CPU and the peak memory of each process."""
    print("\n| | CPU s | CPU µs a version | peak MiB |\n|---|---|---|---|")
    for name, (each_s, peak) in taken.items():
        print(f"| {name} | {each_s:.1f} | {each_s / total * 1e6:.0f} | {peak:.0f} |")
    all_s = sum(each_s for each_s, _ in taken.values())
    print(f"| all of these | {all_s:.1f} | {all_s / total * 1e6:.0f} | |")
    print(f"| the simulator | {calls.cpu_s:.1f} | {calls.cpu_s / total * 1e6:.0f} | |")
    print(f"\nlargest peak {max(peak for _, peak in taken.values()):.0f} MiB; the aim is below {AIM_MIB}")
    print("calls:", ", ".join(f"{count:,} {operation}" for operation, count in calls.by_operation.most_common()))


def check_versions(bucket: Bucket, total: int) -> dict[str, int]:
    """Return the sizes of all objects; end the benchmark unless they hold every version and nothing is staged."""
    kept = bucket.keys()
    if any(key.startswith("_staging/") for key in kept):
        sys.exit("_staging is not empty")
    files = (key for key in kept if key.startswith("functions/") and key.endswith(".parquet"))
    bodies = (bucket.client.get_object(Bucket=bucket.name, Key=key)["Body"].read() for key in files)
    done = sum(pq.ParquetFile(pa.BufferReader(body)).metadata.num_rows for body in bodies)
    if done != total:
        sys.exit(f"lexport snapshot wrote {done:,} versions instead of {total:,}")
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scopes", type=int, default=40, help=f"account-regions, a multiple of {len(REGIONS)}")
    parser.add_argument(
        "--versions", type=int, default=100, help="in each account-region, a multiple of {1 + PUBLISHED}"
    )
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=24, help="of the run, at most")
    parser.add_argument(
        "--whole", action="store_true", help=f"{WHOLE_SCOPES} account-regions, {WHOLE_VERSIONS} in each"
    )
    asked = parser.parse_args()
    if asked.scopes % len(REGIONS) or asked.versions % (1 + PUBLISHED) or min(asked.scopes, asked.versions) < 1:
        parser.error(f"--scopes is a multiple of {len(REGIONS)}, --versions one of {1 + PUBLISHED}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that all blocks are left
    scopes, versions = (WHOLE_SCOPES, WHOLE_VERSIONS) if asked.whole else (asked.scopes, asked.versions)
    accounts = tuple(str(FIRST_ACCOUNT + number) for number in range(scopes // len(REGIONS)))
    spec = FleetSpec(functions=versions // (1 + PUBLISHED), versions=PUBLISHED, accounts=accounts, regions=REGIONS)
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; {scopes:,} account-regions"
        f" of {versions:,} versions, {asked.workers} workers",
        flush=True,
    )
    with tempfile.TemporaryDirectory() as name, simulator(spec) as server:
        folder = Path(name)
        port = free_ports(1, also_above=GRPC_ABOVE)
        (folder / "seaweed").mkdir()
        with run_seaweed(folder / "seaweed", f"-metricsPort={port}") as store:
            bucket = make_bucket(store)
            environment = {key: text for key, text in os.environ.items() if not key.startswith(("AWS_", "LEXPORT_"))}
            environment |= {
                "AWS_ACCESS_KEY_ID": "testing",
                "AWS_SECRET_ACCESS_KEY": "testing",
                "AWS_REGION": "us-east-1",
                "AWS_ENDPOINT_URL": server.url,
                "AWS_ENDPOINT_URL_S3": store,
                "AWS_EC2_METADATA_DISABLED": "true",
                "AWS_CONFIG_FILE": os.devnull,
                "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
                "NO_PROXY": "127.0.0.1",
            }
            with run_dask(folder / "dask", environment, workers=asked.workers) as dask:
                metrics_url = f"http://127.0.0.1:{port}/metrics"
                measure(
                    scopes,
                    versions,
                    minutes=asked.minutes,
                    dask=dask,
                    bucket=bucket,
                    metrics_url=metrics_url,
                    server=server,
                )


if __name__ == "__main__":
    main()
