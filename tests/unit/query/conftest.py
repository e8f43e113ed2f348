"""A dataset of three nights, to be copied and damaged, and runs that are not published."""

import shutil
from datetime import UTC, datetime
from pathlib import Path
from runpy import run_path

import pytest

from lexport.dataset.claims import release_claim, take_claim
from lexport.dataset.layout import run_file_path
from lexport.dataset.local import LocalStore, hash_file
from lexport.dataset.runs import RunWriter
from lexport.dataset.staging import begin_run, write_result
from lexport.model import RunSpec, Scope, Shard, ShardResult, StagedRun, __version__
from lexport.tables.run import ERRORS
from lexport.tables.staged import staged_names


@pytest.fixture(scope="session")
def three_nights(tmp_path_factory, write_dataset):
    """Return a dataset with a snapshot of ten functions on each of three nights; not to be changed."""
    night = run_path(str(Path(__file__).with_name("three_nights.py")))["night"]
    dest = tmp_path_factory.mktemp("three_nights") / "fleet"
    write_dataset(dest, [night(day) for day in range(3)])
    return dest


class StagedTestRun:
    """A run of one account that is begun and not published; its first account-region gets rows."""

    begun_at = datetime(2026, 11, 22, 2, tzinfo=UTC)

    def __init__(self, dest: Path, snapshot_id: str, *, shards: int = 2, region: str | None = None) -> None:
        self._store, self._files = LocalStore(dest), 0
        self.spec = RunSpec(
            snapshot_id=snapshot_id,
            snapshot_at=self.begun_at,
            settings_fingerprint="0" * 64,
            hash_key_id=None,
            lexport_version=__version__,
            shards=tuple(
                Shard(scope=Scope(account_id=str(111122223333 + number), region=region or f"eu-west-{number + 1}"))
                for number in range(shards)
            ),
        )
        begin_run(self._store, self.spec)

    def claim(self, attempt: int) -> None:
        """Begin an attempt in this process."""
        take_claim(self._store, self.spec.snapshot_id, attempt)

    def release(self, attempt: int) -> None:
        """End an attempt."""
        release_claim(self._store, self.spec.snapshot_id, attempt)

    def finish(self, path: Path, *, attempt: int = 1) -> None:
        """Finish the first shard with one file of staged rows."""
        staged = StagedRun(
            path=path.relative_to(self._store.root).as_posix(),
            size_bytes=path.stat().st_size,
            sha256=hash_file(path),
        )
        result = ShardResult(
            shard=self.spec.shards[0],
            status="partial",
            started_at=self.spec.snapshot_at,
            ended_at=self.spec.snapshot_at,
            attempt=attempt,
            runs=(staged,),
        )
        write_result(self._store, self.spec.snapshot_id, result)

    def stage(self, *rows: dict[str, object], attempt: int = 1) -> Path:
        """Stage rows of ``errors`` in the first shard; return the file."""
        scope, run = self.spec.shards[0].scope, self.spec.snapshot_id
        scratch = self._store.open_scratch(run)
        writer = RunWriter(scratch)
        writer.add_rows(ERRORS, ([row.get(name, "") for name in staged_names(ERRORS)] for row in rows))
        draft = writer.flush()
        self._files += 1
        path = run_file_path(run, scope, attempt, self._files, hash_file(draft))
        self._store.place(draft, path)
        shutil.rmtree(scratch)
        return self._store.root / path


@pytest.fixture
def staged_run():
    """Begin runs that are not published: ``staged_run(dest, snapshot_id)``."""
    return StagedTestRun
