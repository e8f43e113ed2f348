"""Take the way of an answer apart: what each piece of it costs a function version, in one thread and without a network.

The answers are the simulator's, rendered beforehand; the pieces are the product's own functions, called one after the
other as `lexport snapshot` calls them. CPU of the process, the least of some rounds.

    python benchmarks/bench_pieces.py [--versions 20000] [--rounds 3]
"""

from __future__ import annotations

import argparse
import gc
import os
import platform
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

import orjson

from lexport.aws.signing import Credentials, Signer
from lexport.dataset.parquet import TableFolder
from lexport.dataset.runs import RunWriter
from lexport.extract.decode import decode_function
from lexport.extract.event_loop import GC_THRESHOLDS
from lexport.extract.flatten import Rules, flatten_function
from lexport.extract.hash_key import HashKey
from lexport.extract.rows import BATCH_ITEMS, Rows, ValueHasher
from lexport.model import LATEST, FunctionRef, Scope
from lexport.simulator import Fleet, FleetSpec, lambda_documents
from lexport.tables.registry import BY_NAME
from lexport.tables.staged import Batch

SCOPE = Scope(account_id="111122223333", region="us-east-1")
PUBLISHED = 4  # versions of each function besides $LATEST
LINK = (
    "https://awslambda-us-east-1-tasks.s3.us-east-1.amazonaws.com/snapshots/x?versionId=x&X-Amz-Signature=" + "5e" * 500
)


def rendered(versions: int) -> list[tuple[FunctionRef, bytes]]:
    """Make answers of GetFunction, some 3 KB each."""
    fleet = Fleet(FleetSpec(functions=versions // (1 + PUBLISHED), versions=PUBLISHED))

    def each() -> Iterator[tuple[FunctionRef, bytes]]:
        for index in fleet.indexes(SCOPE):
            function = fleet.function(SCOPE, index)
            for version in chain((LATEST,), map(str, fleet.published(SCOPE, index))):
                spec = fleet.version(SCOPE, index, version, function)
                assert spec is not None
                qualifier = None if version == LATEST else version
                document = lambda_documents.get_function(spec, arn_qualifier=qualifier, location=LINK)
                yield FunctionRef(function_name=function.name, qualifier=qualifier), orjson.dumps(document)

    return list(each())


def measure(found: list[tuple[FunctionRef, bytes]], folder: Path) -> Counter[str]:
    """Send all answers through, a piece after the other; return the CPU seconds of each."""
    spent: Counter[str] = Counter()
    at = datetime.now(UTC)
    rules, rows = Rules(env="keys", fetched_at=at), Rows(ValueHasher(HashKey(b"k" * 32)))
    signer = Signer("127.0.0.1", credentials=Credentials("k", "s"), region=SCOPE.region, service="lambda")
    batches: list[Batch] = []
    started_s = time.process_time()

    def lap(piece: str) -> None:
        nonlocal started_s
        now_s = time.process_time()
        spent[piece] += now_s - started_s
        started_s = now_s

    for start in range(0, len(found), BATCH_ITEMS):
        part = found[start : start + BATCH_ITEMS]
        for ref, _ in part:
            signer.sign(f"/2015-03-31/functions/{ref.function_name}", f"Qualifier={ref.qualifier}", at)
        lap("sign")
        replies = [decode_function(body) for _, body in part]
        lap("decode")
        for number, ((ref, _), reply) in enumerate(zip(part, replies, strict=True), start):
            flatten_function(reply, ref, scope=SCOPE, rules=rules, answer=f"0{number:012x}", rows=rows)
        del replies
        lap("flatten")
        batches.append(rows.take())
        lap("hash, judge, into Arrow")

    stage = RunWriter(folder)

    started_s = time.process_time()
    while batches:
        for name, staged in batches.pop(0).items():
            stage.add(BY_NAME[name], staged)
    stage.flush()
    lap("sort, write runs")
    tables = TableFolder(path=folder, snapshot_id="01KB0000000000000000000000", snapshot_at=at)
    tables.write_versions(stage.runs["functions"])
    lap("merge, Parquet")
    return spent


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--versions", type=int, default=20_000, help="a multiple of 10")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    found = rendered(asked.versions)
    gc.freeze()  # as every command does
    gc.set_threshold(*GC_THRESHOLDS)
    rounds = []
    for _ in range(asked.rounds):
        with tempfile.TemporaryDirectory() as folder:
            rounds.append(measure(found, Path(folder)))
    size = sum(len(body) for _, body in found) / len(found)
    print(f"{len(found):,} versions, answers of {size:,.0f} bytes\n\n| piece | CPU µs a version |\n|---|---|")
    least = {piece: min(spent[piece] for spent in rounds) / len(found) * 1e6 for piece in rounds[0]}
    for piece, cpu_us in (*least.items(), ("all of these", sum(least.values()))):
        print(f"| {piece} | {cpu_us:.1f} |")


if __name__ == "__main__":
    main()
