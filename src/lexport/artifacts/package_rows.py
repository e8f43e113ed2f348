"""What the inspection of one package reads -> staged rows of ``package_files`` and ``package_dependencies``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from lexport.artifacts.archive_limits import ArchiveBudget
from lexport.artifacts.dependencies.evidence import Evidence
from lexport.artifacts.dependencies.manifests import Claim
from lexport.artifacts.zip_reader import Entry
from lexport.dataset.runs import staged_batch
from lexport.errors import ArchiveError
from lexport.model import Dependency
from lexport.tables.packages import PACKAGE_DEPENDENCIES, PACKAGE_FILES
from lexport.tables.registry import BY_NAME
from lexport.tables.staged import Batch
from lexport.tables.table import Table

BATCH_ROWS = 5_000  # about 2 MB as Python values


class PackageRows:
    """Collects the rows of one package. Duplicate paths and dependencies are recognized by their hashes.

    Installed dependencies are emitted at once. Dependencies that are only requested wait until every installed one is
    known.
    """

    def __init__(self, sha256_hex: str, emit: Callable[[Batch], None], budget: ArchiveBudget) -> None:
        self.has_manifest = self.has_lock = False
        self._sha256_hex, self._emit, self._budget = sha256_hex, emit, budget
        self._paths: set[int] = set()
        self._dependencies: set[int] = set()
        self._names: set[int] = set()  # hashes of ecosystem and name of installed or locked dependencies
        self._pending: dict[Claim, list[Dependency]] = {Claim.LOCKED: [], Claim.REQUESTED: []}
        self._unexplained: tuple[int, str] = (0, "")
        self._batch: dict[str, list[tuple[Any, ...]]] = {}

    def add_file(self, entry: Entry) -> None:
        """Add one file of the package; of two files with the same path, the first."""
        if hash(entry.path) in self._paths:
            message = f"{entry.path[:200]!r} is there twice; the first is in package_files"
            self._budget.report("duplicate_name", message)
            return
        self._paths.add(hash(entry.path))
        self._add(PACKAGE_FILES, entry.path, entry.size_bytes, entry.compressed_bytes, entry.crc32)

    def add_manifest(self, dependencies: Iterable[Dependency], claim: Claim, evidence: Evidence) -> int:
        """Add the dependencies of one manifest, each of them once; return how many it names."""
        count = 0
        for item in dependencies:
            count += 1
            if claim in self._pending:
                if sum(map(len, self._pending.values())) >= self._budget.limits.dependencies:
                    raise ArchiveError("more dependencies asked for than are kept", code="too_many_dependencies")
                self._pending[claim].append(item)
                continue
            evidence.add_dependency(item)
            self._names.add(hash((item.ecosystem, item.name)))
            self._add_dependency(item)
        self.has_lock = self.has_lock or claim is Claim.LOCKED
        self.has_manifest = (
            self.has_manifest or claim in (Claim.LISTED, Claim.LOCKED) or (count > 0 and claim is Claim.INSTALLED)
        )
        return count

    def add_not_installed(self) -> None:
        """Add requested dependencies that are not installed: those of lock files first, then all others.

        Code of unknown origin is reported only if some manifest names an installed dependency; without any, the list of
        dependencies is unknown anyway.
        """
        for claim, pending in self._pending.items():
            absent = [item for item in pending if hash((item.ecosystem, item.name)) not in self._names]
            for item in absent:
                self._names.add(hash((item.ecosystem, item.name)))
                self._add_dependency(item)
                verb = "names" if claim is Claim.LOCKED else "asks for"
                message = f"{item.path[:200]} {verb} {item.name}, which is not in the package"
                self._budget.report("not_installed", message)
        count, first = self._unexplained
        if count and self.has_manifest:
            self._budget.report("unknown_origin", first, count)

    def add_unexplained(self, message: str) -> None:
        """Count code that no manifest explains; the first message is kept."""
        count, first = self._unexplained
        self._unexplained = count + 1, first or message

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
        rows.append((None, None, self._sha256_hex, *values, ""))  # package content has no account, Region or answer
        if len(rows) >= BATCH_ROWS:
            self.flush()

    def flush(self) -> None:
        """Emit the rows collected so far."""
        batch, self._batch = self._batch, {}
        if batch:
            self._emit({name: staged_batch(BY_NAME[name], zip(*rows, strict=True)) for name, rows in batch.items()})
