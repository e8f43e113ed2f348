"""What is to be published: the files of the commits, and what a catalog lacks of them or has too much. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from lexport.dataset.manifest import Manifest
from lexport.model import ULID_PATTERN
from lexport.tables import registry
from lexport.tables.run import SNAPSHOTS
from lexport.tables.table import Table

PROPERTY = "lexport.table"
"""The property of a published table that has the name of lexport's; a table without it is not lexport's."""

_ID_IN_PATH = re.compile(rf"/({ULID_PATTERN})-[0-9]{{4}}\.parquet\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedFile:
    """A file of a commit, with a path relative to the destination."""

    path: str
    rows: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitFiles:
    """What one table has of one commit. Its files are published together; of ``snapshots`` it is the row alone."""

    commit: Manifest
    files: tuple[PublishedFile, ...] = ()
    rows: int

    @property
    def snapshot_id(self) -> str:
        """The id of the commit."""
        return self.commit.snapshot_id


@dataclass(frozen=True, slots=True)
class Held:
    """The commits that a table of a catalog has rows of. ``here`` are those with files in this destination."""

    ids: set[str] = field(default_factory=set)
    here: set[str] = field(default_factory=set)

    def add(self, snapshot_id: str, *, is_here: bool) -> None:
        """Add a commit."""
        self.ids.add(snapshot_id)
        if is_here:
            self.here.add(snapshot_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class TablePlan:
    """What is to be done to one table: files to add, oldest first, and commits whose rows are to be deleted."""

    add: tuple[CommitFiles, ...] = ()
    delete: tuple[str, ...] = ()


def committed_files(table: Table, commits: Sequence[Manifest]) -> list[CommitFiles]:
    """Return the files of a table that have rows, commit by commit, oldest first.

    Rows of ``snapshots`` come from the manifests: a run that is killed writes no file with its row, and a prune removes
    that file at once, when a catalog still names it.
    """
    ordered = sorted(commits, key=lambda commit: commit.snapshot_id)
    if table is SNAPSHOTS:
        return [CommitFiles(commit=commit, rows=1) for commit in ordered]
    files: list[CommitFiles] = []
    for commit in ordered:
        named = tuple(
            PublishedFile(path=entry.path, rows=entry.rows, size_bytes=entry.size_bytes)
            for entry in sorted(commit.files, key=lambda entry: entry.path)
            if entry.table == table.name and entry.rows
        )
        if named:
            files.append(CommitFiles(commit=commit, files=named, rows=sum(file.rows for file in named)))
    return files


def plan_table(
    files: Iterable[CommitFiles], held: Held, *, commits: Collection[str], pruned: Collection[str]
) -> TablePlan:
    """Compare the files of a table with what a catalog holds of it.

    ``commits`` are the ids of all commits of the destination, damaged ones too; ``pruned`` those that it once had. A
    commit of another destination, which was published into the same table, stays.
    """
    gone = (held.here | (held.ids & set(pruned))) - set(commits)
    return TablePlan(add=tuple(each for each in files if each.snapshot_id not in held.ids), delete=tuple(sorted(gone)))


def id_in_path(path: str) -> str | None:
    """Return the id in the path of a file that lexport wrote; None for another file, as a compaction writes it."""
    match = _ID_IN_PATH.search(path)
    return match[1] if match else None


def publication_order() -> tuple[Table, ...]:
    """Return every table. ``snapshots`` comes last: who joins it sees a commit when all of its tables are there."""
    return (*(table for table in registry.tables() if table is not SNAPSHOTS), SNAPSHOTS)
