"""Let one call to the disk fail per run of ``lexport snapshot``, and say what came of each run.

python sweep.py FOLDER URL; reads one JSON object a line (at, error, sticky, lost, thorough) and answers with one;
``at`` 0 is a run without a fault. It forks, so that imports are paid once, and starts no thread, so that it may.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import shutil
import sys
import traceback
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiobotocore.session  # noqa: F401 - paid once
import duckdb  # noqa: F401

import disk as disks
import lexport
from lexport import SnapshotSettings
from lexport.cli import main
from lexport.dataset.manifest import Manifest

FAST = 1_000_000.0
LOADED = (lexport.snapshot, lexport.sql, lexport.verify)
FOLDER, URL = Path(sys.argv[1]), sys.argv[2]
DEST, EARLIER = FOLDER / "fleet", FOLDER / "earlier"
SNAPSHOT = ("snapshot", DEST, "--endpoint-url", URL, "--region", "us-east-1")
RATES = ("--get-function-rate", FAST, "--list-rate", FAST)
QUESTION = """
    SELECT 'plain' AS name, snapshot_id, count(*) AS n FROM functions GROUP BY ALL
    UNION ALL SELECT 'history', snapshot_id, count(*) FROM history.functions GROUP BY ALL ORDER BY 1, 2
"""


def forked(act) -> tuple[int, str]:
    """Run in a process of its own; return its exit code, negative for a signal, and what it wrote to both streams."""
    said = FOLDER / "said"
    child = os.fork()
    if not child:
        target = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(target, 1)
        os.dup2(target, 2)
        try:
            code = act()
            sys.stdout.flush()
        except BaseException:  # noqa: BLE001 - it must not go on as a second parent
            traceback.print_exc()
            code = 99
        os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), said.read_text()


def take_snapshot() -> int:
    return main.run([str(argument) for argument in (*SNAPSHOT, *RATES)])


def take_earlier_snapshot() -> int:
    settings = SnapshotSettings(
        endpoint_url=URL,
        regions=("us-east-1",),
        snapshot_at=datetime.now(UTC) - timedelta(days=2),
        get_function_rate_per_s=FAST,
        list_rate_per_s=FAST,
    )
    asyncio.run(lexport.snapshot(EARLIER, settings))
    return 0


def read() -> int:
    """Ask every kind of reader; print what they say."""

    async def ask() -> dict[str, object]:
        rows = (await lexport.sql(DEST, QUESTION)).to_pylist()
        damages = await lexport.verify(DEST, data=True)
        return {
            "rows": [[row["name"], row["snapshot_id"], row["n"]] for row in rows],
            "damages": [[damage.kind, damage.path, damage.is_note] for damage in damages],
        }

    print(json.dumps(asyncio.run(ask())))
    return 0


def readers() -> dict[str, object]:
    code, said = forked(read)
    return json.loads(said) if code == 0 else {"failed": said}


def commits() -> list[str]:
    return sorted(path.stem for path in (DEST / "_runs").glob("[0-9A-Z]*.json"))


def strays() -> list[str]:
    """Parquet files that no commit names, drafts, and folders of work."""
    named = {entry.path for path in (DEST / "_runs").glob("[0-9A-Z]*.json") for entry in _files(path)}
    found = [
        path.relative_to(DEST)
        for path in DEST.rglob("*")
        if path.is_file() and path.parent.name != "_runs" and path.name != "_latest.json"
    ]
    drafts = [f"_runs/{path.name}" for path in (DEST / "_runs").glob(".*")]
    drafts += [f"_staging/{path.name}" for path in (DEST / "_staging").iterdir() if path.is_dir()]
    return drafts + sorted(
        str(path)
        for path in found
        if str(path) not in named and (path.parts[0] != "snapshots" or path.stem.removesuffix("-0000") not in commits())
    )


def _files(path: Path):
    return Manifest.from_json(path.read_bytes()).files


def is_as_before() -> bool:
    """Whether all files of the earlier snapshot have their bytes."""
    return all(
        (DEST / path.relative_to(EARLIER)).read_bytes() == path.read_bytes()
        for path in EARLIER.rglob("*")
        if path.is_file() and path.name != "_latest.json"
    )


def sweep(
    disk: disks.Disk,
    at: int = 0,
    error: str = "EIO",
    *,
    sticky: bool = False,
    lost: bool = False,
    thorough: bool = True,
):
    """Run once with a fault; say what came of it, what readers find, and whether the next run is well."""
    shutil.rmtree(DEST, ignore_errors=True)
    shutil.copytree(EARLIER, DEST)
    number = disks.KILL if error == "KILL" else getattr(errno, error)
    with disk.failing(DEST, at, number, sticky=sticky, lost=lost):
        code, said = forked(take_snapshot)
    calls = disk.calls
    before = commits()
    found = {"code": code, "said": said, "commits": before, "strays": strays(), "read": readers()}
    next_code, next_said = forked(take_snapshot)
    after = {"code": next_code, "said": next_said, "commits": commits(), "read": readers() if thorough else None}
    return {"calls": calls, **found, "next": after, "is_as_before": is_as_before()}


def run() -> None:
    disk = disks.Disk(Path(os.environ["LD_PRELOAD"]), Path(os.environ["DISK_FAULTS"]))
    code, said = forked(take_earlier_snapshot)
    assert code == 0, said
    for line in sys.stdin:
        print(json.dumps(sweep(disk, **json.loads(line))), flush=True)


run()
