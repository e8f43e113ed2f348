"""What is found in one package -> staged rows of package_files and package_dependencies."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from lexport.artifacts.archive_limits import Budget
from lexport.artifacts.dependencies.evidence import Evidence
from lexport.artifacts.dependencies.manifests import Says
from lexport.artifacts.zip_reader import Entry
from lexport.errors import ArchiveError
from lexport.model import Dependency
from lexport.tables.arrow import staged_batch
from lexport.tables.packages import PACKAGE_DEPENDENCIES, PACKAGE_FILES
from lexport.tables.registry import BY_NAME
from lexport.tables.staged import Batch
from lexport.tables.table import Table

BATCH_ROWS = 5_000  # some 2 MB as Python values


class PackageRows:
    """Rows on their way out. Paths and dependencies that come twice are told apart by their hashes.

    What is installed goes out at once; what was only asked for waits until all that is installed is known.
    """

    def __init__(self, sha256_hex: str, emit: Callable[[Batch], None], budget: Budget) -> None:
        self.has_manifest = False
        self.has_lock = False
        self._sha256_hex = sha256_hex
        self._emit = emit
        self._budget = budget
        self._paths: set[int] = set()
        self._dependencies: set[int] = set()
        self._names: set[int] = set()  # hashes of ecosystem and name of what is installed, or locked
        self._waiting: dict[Says, list[Dependency]] = {Says.LOCKED: [], Says.WANTED: []}
        self._doubts: tuple[int, str] = (0, "")
        self._batch: dict[str, list[tuple[Any, ...]]] = {}

    def add_file(self, entry: Entry) -> None:
        """Add one file of the package; of two with one path the first."""
        if hash(entry.path) in self._paths:
            self._budget.note("duplicate_name", f"{entry.path[:200]!r} is there twice; the first is in package_files")
            return
        self._paths.add(hash(entry.path))
        self._add(PACKAGE_FILES, entry.path, entry.size_bytes, entry.compressed_bytes, entry.crc32)

    def add(self, found: Iterable[Dependency], says: Says, evidence: Evidence) -> int:
        """Add what a manifest names, once; return how many there were."""
        count = 0
        for item in found:
            count += 1
            if says in self._waiting:
                self._wait(item, says)
                continue
            evidence.account(item)
            self._names.add(hash((item.ecosystem, item.name)))
            self._add_dependency(item)
        self.has_lock = self.has_lock or says is Says.LOCKED
        self.has_manifest = (
            self.has_manifest or says in (Says.LISTED, Says.LOCKED) or (count > 0 and says is Says.INSTALLED)
        )
        return count

    def add_wanted(self) -> None:
        """Add what was asked for and is not installed: first what lock files name, then what else is asked for.

        Doubts about what is installed are a finding where something is; else nothing is known anyway.
        """
        for says, waiting in self._waiting.items():
            absent = [item for item in waiting if hash((item.ecosystem, item.name)) not in self._names]
            for item in absent:
                self._names.add(hash((item.ecosystem, item.name)))
                self._add_dependency(item)
                verb = "names" if says is Says.LOCKED else "asks for"
                self._budget.note("not_installed", f"{item.path[:200]} {verb} {item.name}, which is not in the package")
        count, first = self._doubts
        if count and self.has_manifest:
            self._budget.note("unknown_origin", first, count)

    def doubt(self, text: str) -> None:
        """Remember code that no manifest accounts for."""
        count, first = self._doubts
        self._doubts = count + 1, first or text

    def _wait(self, item: Dependency, says: Says) -> None:
        if sum(map(len, self._waiting.values())) >= self._budget.limits.dependencies:
            raise ArchiveError("more dependencies asked for than are kept", code="too_many_dependencies")
        self._waiting[says].append(item)

    def _add_dependency(self, item: Dependency) -> None:
        values = item.ecosystem, item.name, item.version, item.path
        if hash(values) in self._dependencies:
            return
        if len(self._dependencies) == self._budget.limits.dependencies:
            raise ArchiveError(f"more than {len(self._dependencies):,} dependencies", code="too_many_dependencies")
        self._dependencies.add(hash(values))
        self._add(PACKAGE_DEPENDENCIES, *values)

    def _add(self, table: Table, *values: Any) -> None:
        rows = self._batch.setdefault(table.name, [])
        rows.append((None, None, self._sha256_hex, *values, ""))  # content is of no account, and of one answer
        if len(rows) >= BATCH_ROWS:
            self.flush()

    def flush(self) -> None:
        """Hand over what is there."""
        batch, self._batch = self._batch, {}
        if batch:
            self._emit({name: staged_batch(BY_NAME[name], zip(*rows, strict=True)) for name, rows in batch.items()})
