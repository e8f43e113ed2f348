"""The work of a commit that other processes do: what one is told, and what it answers. Plain data, as JSON too.

A task names its own range of shards and nothing secret. Two tries of one task write the same bytes under the same
names, so it does not matter which of them ends first.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import TypeAlias

from msgspec import Struct

from lexport.dataset.manifest import FileEntry, Manifest
from lexport.model import Scope, StagedRun


class TableFile(Struct, frozen=True):
    """A file of a table by its number in the snapshot."""

    table: str
    number: int


class TaskShard(Struct, frozen=True):
    """What a shard staged: its run files, and how many rows of each table of the task are in them."""

    scope: Scope
    runs: tuple[StagedRun, ...]
    rows: tuple[int, ...]


class FileTask(Struct, frozen=True, tag="files"):
    """Write files of the snapshot ``run``, one of each table, all of the same shards, in the order of their keys.

    ``attempt`` is that of the run.
    """

    run: str
    snapshot_at: datetime
    attempt: int
    files: tuple[TableFile, ...]
    shards: tuple[TaskShard, ...]

    @property
    def name(self) -> str:
        """What messages call the task; another one of the run has another."""
        return f"{self.files[0].table}-{self.files[0].number:04d}"


class FileDone(Struct, frozen=True, tag="files"):
    """The files that a task wrote, in its order, each with its rows by shard.

    ``functions`` and ``dropped`` count the functions of each shard, and its rows of ``functions`` that came twice; they
    are empty where that table is not among the files.
    """

    files: tuple[FileEntry, ...]
    rows: tuple[tuple[int, ...], ...]
    functions: tuple[int, ...] = ()
    dropped: tuple[int, ...] = ()


class ChangesTask(Struct, frozen=True, tag="changes"):
    """Find what changed in ``scopes`` between two snapshots, which both read whole.

    ``now`` is the run, not published yet, and ``before`` a snapshot. Both name the files alone that may have rows of
    ``scopes``, and no account-regions. ``unread`` are the resources that the run did not read whole. ``number`` is that
    of the task; ``attempt`` is that of the run.
    """

    number: int
    attempt: int
    now: Manifest
    before: Manifest
    scopes: tuple[Scope, ...]
    unread: tuple[tuple[Scope, str], ...] = ()

    @property
    def run(self) -> str:
        """The run."""
        return self.now.snapshot_id

    @property
    def name(self) -> str:
        """What messages call the task; another one of the run has another."""
        return f"changes-{self.number:04d}"


class ChangesDone(Struct, frozen=True, tag="changes"):
    """The sorted rows of ``changes`` that a task placed, and how many there are of each of its account-regions.

    Where ``before`` is damaged, there are none, and ``damage`` says what is wrong.
    """

    runs: tuple[StagedRun, ...]
    rows: tuple[int, ...]
    damage: str | None = None


Task: TypeAlias = FileTask | ChangesTask
Done: TypeAlias = FileDone | ChangesDone
RunTasks: TypeAlias = Callable[[Sequence[Task]], Awaitable[Sequence[Done]]]
"""Runs tasks anywhere, in any order; returns what each answered, in their order."""
