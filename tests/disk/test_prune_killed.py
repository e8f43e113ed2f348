"""The installed ``lexport prune`` is killed at calls to the disk, and goes on from there."""

from __future__ import annotations

import os
import shutil
import subprocess
from datetime import UTC, datetime, timedelta

import pytest

from lexport.query.verify.files import find_damage

pytestmark = pytest.mark.slow

FIRST = datetime(2026, 11, 1, 2, tzinfo=UTC)
STEP = 1 if os.environ.get("LEXPORT_TORTURE") == "whole" else 18
KILL = -1


def test_a_killed_process(disk, tmp_path, write_dataset, environment, lexport_path):
    """After a kill at any call that changes the disk, the dataset is whole, and one more prune does the rest."""
    whole, dest = tmp_path / "whole", tmp_path / "fleet"
    ids = [done.snapshot_id for done in write_dataset(whole, [{"at": FIRST + timedelta(days=day)} for day in range(3)])]

    def prune(at=0):
        shutil.rmtree(dest, ignore_errors=True)
        shutil.copytree(whole, dest)
        with disk.failing(dest, at=at, error=KILL):
            return run().returncode

    def run():
        command = [lexport_path, "prune", dest, "--keep-last", "1", "--grace", "0s"]
        return subprocess.run(command, env=environment | disk.variables(), capture_output=True, check=False)

    assert prune() == 0
    calls = len(disk.calls)
    assert calls > 20
    for at in range(1, calls + 1, STEP):
        assert prune(at) == -9
        assert [item for item in find_damage(dest) if not item.is_note] == [], at
        assert run().returncode == 0
        assert [path.stem for path in dest.glob("_runs/*.json")] == ids[2:]
        assert run().returncode == run().returncode == 0
        assert not [path for run in ids[:2] for path in dest.glob(f"*/snapshot_date=*/{run}-*")], at
        assert [item for item in find_damage(dest) if not item.is_note] == [], at
