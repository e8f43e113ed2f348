"""stored package -> rows of package_files and package_dependencies.

The directory first, a row per file; then the manifests in it, the jars, and last the executables, which cost most. What
is wrong with a package is a finding beside its rows: hostile bytes lose rows, never the run.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lexport import columns
from lexport.archive import Archive, Entry, FileSource, MemorySource, Source
from lexport.arrow import staged_batch
from lexport.budget import LIMITS, Budget, Limits
from lexport.columns import Table
from lexport.dependencies.golang import read_executable
from lexport.dependencies.manifests import Manifest, is_archive, manifest_at, may_be_executable
from lexport.errors import ArchiveError
from lexport.model import Dependency
from lexport.rows import Batch

STAGE = "inspect"
BATCH_ROWS = 5_000  # some 2 MB as Python values
_HEAD_BYTES = 64 * 1024  # name and version stand at the top of a manifest with headers


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is wrong with one package, for a row of ``errors``: one for each code, with an example."""

    code: str
    message: str


def inspect_package(
    file: Path,
    *,
    sha256_hex: str,
    emit: Callable[[Batch], None],
    check: Callable[[], None] = lambda: None,
    limits: Limits = LIMITS,
) -> tuple[Finding, ...]:
    """Read what is in one stored package; hand its rows to ``emit`` in batches, and return what is wrong with it.

    Never unpacks to disk, never raises for what the bytes are. Blocking; ``check`` may end it by raising.
    """
    budget = Budget(limits, check=check)
    rows = _Rows(sha256_hex, emit, budget)
    try:
        descriptor = os.open(file, os.O_RDONLY)
        try:
            _Inspection(FileSource(descriptor), rows, budget).run()
        finally:
            os.close(descriptor)
    except ArchiveError as error:
        budget.note(error.code, f"{error}; what is not read is not in the tables")
    except OSError as error:
        budget.note("unreadable", f"{file.name}: {error.strerror}")
    rows.flush()
    return tuple(
        Finding(
            code=code,
            message=f"package {sha256_hex}: {first}" + (f" (and {count - 1:,} more)" if count > 1 else ""),
        )
        for code, (count, first) in budget.notes.items()
    )


class _Inspection:
    """One archive: the package, or a jar in it, whose paths then begin with ``title``, as in ``lib/x.jar!/``."""

    def __init__(self, source: Source, rows: _Rows, budget: Budget, *, title: str = "", depth: int = 1) -> None:
        self._source = source
        self._rows = rows
        self._budget = budget
        self._title = title
        self._depth = depth
        self._manifests: list[tuple[Entry, Manifest]] = []
        self._archives: list[Entry] = []
        self._executables: list[Entry] = []

    def run(self) -> None:
        """Read the directory, then what it leads to, until the budget is spent."""
        with self._noting(self._title or "the package"):
            archive = Archive(self._source, self._budget, title=self._title)
            with self._noting(self._title or "the package"):  # what came before a break is believed
                for entry in archive.entries():
                    self._sort_in(entry)
            self._read_manifests(archive)
            for entry in self._archives:
                self._enter(archive, entry)
            for entry in self._executables:
                self._search(archive, entry)

    def _sort_in(self, entry: Entry) -> None:
        is_package = self._depth == 1
        if is_package:
            self._rows.add_file(entry)
        manifest = manifest_at(entry.path)
        if manifest is not None:
            self._manifests.append((entry, manifest))
        elif is_archive(entry.path):
            self._archives.append(entry)
        elif is_package and entry.is_executable and may_be_executable(entry.path):
            self._executables.append(entry)

    def _read_manifests(self, archive: Archive) -> None:
        """Read the manifests in the order they lie, those that are a last resort last."""
        self._manifests.sort(key=lambda item: (item[1].is_fallback, item[0].offset))
        found = 0
        for entry, manifest in self._manifests:
            if manifest.is_fallback and found:
                break
            path = self._title + entry.path
            with self._noting(path):
                body = (
                    archive.read_head(entry, most=_HEAD_BYTES)
                    if manifest.is_head_enough
                    else archive.read(entry, most=self._budget.limits.manifest_bytes)
                )
                found += self._rows.add_dependencies(manifest.parse(path, bytes(body)))

    def _search(self, archive: Archive, entry: Entry) -> None:
        path = self._title + entry.path
        with self._noting(path):
            self._rows.add_dependencies(read_executable(path, archive.chunks(entry)))

    def _enter(self, archive: Archive, entry: Entry) -> None:
        """Open an archive within this one: in place where it was stored, else in memory."""
        path = self._title + entry.path
        if self._depth >= self._budget.limits.depth:
            self._budget.note("too_deep", f"{path[:200]!r} is an archive within an archive and is not opened")
            return
        with self._noting(path):
            inner = archive.window(entry) or MemorySource(archive.read(entry, most=self._budget.limits.nested_bytes))
            _Inspection(inner, self._rows, self._budget, title=f"{path}!/", depth=self._depth + 1).run()

    @contextmanager
    def _noting(self, where: str) -> Iterator[None]:
        """Turn what is wrong with the bytes into a note; let pass that the budget is spent."""
        try:
            yield
        except ArchiveError as error:
            if self._budget.is_spent:
                raise
            self._budget.note(error.code, f"{where[:200]}: {error}")
        except ValueError:  # a parser's; its words could quote the file
            self._budget.note("bad_manifest", f"{where[:200]} is not what its name says")


class _Rows:
    """Rows on their way out. Paths and dependencies that come twice are told apart by their hashes."""

    def __init__(self, sha256_hex: str, emit: Callable[[Batch], None], budget: Budget) -> None:
        self._sha256_hex = sha256_hex
        self._emit = emit
        self._budget = budget
        self._paths: set[int] = set()
        self._dependencies: set[int] = set()
        self._batch: dict[str, list[tuple[Any, ...]]] = {}

    def add_file(self, entry: Entry) -> None:
        """Add one file of the package; of two with one path the first."""
        if hash(entry.path) in self._paths:
            self._budget.note("duplicate_name", f"{entry.path[:200]!r} is there twice; the first is in package_files")
            return
        self._paths.add(hash(entry.path))
        self._add(columns.PACKAGE_FILES, entry.path, entry.size_bytes, entry.compressed_bytes, entry.crc32)

    def add_dependencies(self, found: Iterable[Dependency]) -> int:
        """Add what a manifest names, once; return how many there were."""
        count = 0
        for item in found:
            count += 1
            values = item.ecosystem, item.name, item.version, item.path
            if hash(values) in self._dependencies:
                continue
            if len(self._dependencies) == self._budget.limits.dependencies:
                raise ArchiveError(f"more than {len(self._dependencies):,} dependencies", code="too_many_dependencies")
            self._dependencies.add(hash(values))
            self._add(columns.PACKAGE_DEPENDENCIES, *values)
        return count

    def _add(self, table: Table, *values: Any) -> None:
        rows = self._batch.setdefault(table.name, [])
        rows.append((None, None, self._sha256_hex, *values, ""))  # content is of no account, and of one answer
        if len(rows) >= BATCH_ROWS:
            self.flush()

    def flush(self) -> None:
        """Hand over what is there."""
        batch, self._batch = self._batch, {}
        if batch:
            self._emit(
                {name: staged_batch(columns.BY_NAME[name], zip(*rows, strict=True)) for name, rows in batch.items()}
            )
