"""The temporary folder of a run is removed: by the run, or by the next one where it was killed."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from lexport.dataset import scratch

RUN = "01KB5Z6T0Q4W8X2M7R9C1V3N5J"
OPEN = f"from lexport.dataset.scratch import open_temporary; print(open_temporary({RUN!r}), flush=True); input()"


def test_what_a_killed_run_left(tmp_path, monkeypatch):
    """The folder of a run at work stays, and that of a run that was killed goes with the next run."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", OPEN], env={**os.environ, "TMPDIR": str(tmp_path)}, **pipes) as other:
        left = other.stdout.readline().strip()
        own = scratch.open_temporary(RUN)
        assert sorted(map(str, tmp_path.iterdir())) == sorted([left, str(own)])
        other.kill()
        other.wait()
        again = scratch.open_temporary(RUN)

    assert sorted(tmp_path.iterdir()) == sorted([own, again])
    for folder in (own, again):
        scratch.remove_folder(folder)
    assert list(tmp_path.iterdir()) == []


def test_folders_opened_at_once(tmp_path, monkeypatch):
    """Of folders that are opened at the same time none is taken for one that was left."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with ThreadPoolExecutor(8) as pool:
        folders = [*pool.map(scratch.open_temporary, [RUN] * 200)]

    assert [folder for folder in folders if not folder.is_dir()] == []
    for folder in folders:
        scratch.remove_folder(folder)


def test_what_is_of_others(tmp_path, monkeypatch):
    """A folder without a lock file, a link, and any other name are left alone."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / f"lexport-{RUN}-unlocked").mkdir()
    (tmp_path / f"lexport-{RUN}-link").symlink_to(tmp_path)
    (tmp_path / "lexport-other").mkdir()
    before = set(tmp_path.iterdir())
    scratch.remove_folder(scratch.open_temporary(RUN))

    assert set(tmp_path.iterdir()) == before
