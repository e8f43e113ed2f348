"""Which commits hold the newest row about something that a kept snapshot names; see tables/content.py. Blocking.

Content is stored by the commit that looked at it, so an old commit may hold the only row about a package that is still
in use. Only columns of keys are read, and of those only what the commits to remove have and newer ones have not.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lexport.dataset.data_files import has_values
from lexport.dataset.manifest import Manifest
from lexport.dataset.store import Store, UnavailableError
from lexport.errors import RunError
from lexport.tables.content import CONTENT_RULES
from lexport.tables.functions import FUNCTIONS, LAYERS
from lexport.tables.layer_versions import LAYER_VERSIONS
from lexport.tables.packages import PACKAGES
from lexport.tables.table import Table

_UNREADABLE = (OSError, pa.ArrowException, KeyError, ValueError)

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class _Part:
    """The rows of one table that have a value in ``lasting``, or all rows: what the newest one is looked for in."""

    table: Table
    key: str
    lasting: str | None

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.key,) if self.lasting is None else (self.key, self.lasting)


_PARTS = tuple(
    _Part(table, rule.key, lasting) for table, rule in CONTENT_RULES.items() for lasting in (None, *rule.lasting)
)


def find_newest_content(
    store: Store,
    commits: Sequence[Manifest],
    kept: Collection[str],
    *,
    all_is_named: bool = False,
    watch: Callable[[], object] = lambda: None,
) -> dict[str, str]:
    """Return the reason to keep, by snapshot id, of each commit that has such a row and is not ``kept`` yet.

    ``commits`` are all readable ones, newest first. A file that cannot be read counts as what would keep most; so does
    ``all_is_named``, for commits whose content is unknown. ``watch`` is called before each file is read.
    """
    return _Search(store, commits, watch).run(set(kept), all_is_named=all_is_named)


@dataclass(slots=True)
class _Search:
    store: Store
    commits: Sequence[Manifest]
    watch: Callable[[], object]
    wanted: dict[Table, set[str]] = field(default_factory=dict)
    """The values that matter: keys in commits to remove, and what leads from these to names in snapshots."""
    links: dict[Table, set[Row]] = field(default_factory=dict)
    named: dict[Table, set[str]] = field(default_factory=lambda: {table: set() for table in CONTENT_RULES})

    def run(self, kept: set[str], *, all_is_named: bool) -> dict[str, str]:
        reasons: dict[str, str] = {}
        fresh: dict[tuple[str, _Part], set[str]] = {}
        for index, commit in enumerate(self.commits):
            if commit.snapshot_id in kept:
                continue
            for part in _PARTS:
                if not commit.entries(part.table.name):
                    continue
                try:
                    values = self._values(commit, part)
                except _UNREADABLE:
                    reasons[commit.snapshot_id] = f"its rows of {part.table.name} cannot be read"
                    break
                newer = next(self._newer(index, part), None)
                if newer is not None:
                    values -= newer
                if values:
                    fresh[commit.snapshot_id, part] = values
        if fresh:
            self._want(fresh)
            namers = [commit for commit in self.commits if commit.snapshot_id in kept | reasons.keys()]
            while namers:
                self._add_names(namers, all_is_named=all_is_named)
                found = dict(self._keep(fresh, kept | reasons.keys()))
                reasons |= found
                namers = [commit for commit in self.commits if commit.snapshot_id in found]
        return reasons

    def _keep(self, fresh: dict[tuple[str, _Part], set[str]], kept: Collection[str]) -> Iterator[tuple[str, str]]:
        for index, commit in enumerate(self.commits):
            for part in _PARTS:
                named = fresh.get((commit.snapshot_id, part), set()) & self.named[part.table]
                for newer in self._newer(index, part):
                    if not named:
                        break
                    named -= newer
                if named and commit.snapshot_id not in kept:
                    yield commit.snapshot_id, f"the newest {part.table.name} of what a kept snapshot names"
                    break

    def _newer(self, index: int, part: _Part) -> Iterator[set[str]]:
        """Yield the keys in each newer commit, the next one first; not those of damaged files, which show no row."""
        for commit in reversed(self.commits[:index]):
            if commit.entries(part.table.name):
                try:
                    values = self._values(commit, part)
                except _UNREADABLE:
                    continue
                yield values

    def _want(self, fresh: dict[tuple[str, _Part], set[str]]) -> None:
        """Follow keys to what may name them: files by packages, packages by layer versions, and both by snapshots."""
        self.wanted = {table: set() for table in CONTENT_RULES}
        for (_, part), values in fresh.items():
            self.wanted[part.table] |= values
        hexes = set().union(*(self.wanted[table] for table, rule in CONTENT_RULES.items() if rule.reads == (PACKAGES,)))
        self.links[PACKAGES] = set(self._rows(PACKAGES, ("sha256_hex", "code_sha256"), hexes))
        self.wanted[PACKAGES] |= {code for _, code in self.links[PACKAGES] if code is not None}
        codes = self.wanted[PACKAGES]
        self.links[LAYER_VERSIONS] = set(self._rows(LAYER_VERSIONS, ("code_sha256", "layer_arn"), codes))
        self.wanted[LAYER_VERSIONS] |= {arn for _, arn in self.links[LAYER_VERSIONS] if arn is not None}

    def _add_names(self, namers: Sequence[Manifest], *, all_is_named: bool) -> None:
        """Add what these commits name, directly and by way of other content."""
        for table, column, of_table in (
            (FUNCTIONS, "code_sha256", PACKAGES),
            (LAYERS, "layer_arn", LAYER_VERSIONS),
        ):
            left = self.wanted[of_table] - self.named[of_table]
            for commit in namers:
                if not left:
                    break
                if not commit.is_snapshot:
                    continue
                try:
                    found = {value for (value,) in self._rows_of(commit, table, (column,), left) if value is not None}
                except _UNREADABLE:
                    found = left
                self.named[of_table] |= found
                left = left - found
            if all_is_named:
                self.named[of_table] |= left
        self.named[PACKAGES] |= {
            code for code, arn in self.links[LAYER_VERSIONS] if code is not None and arn in self.named[LAYER_VERSIONS]
        }
        hexes = {hexed for hexed, code in self.links[PACKAGES] if hexed is not None and code in self.named[PACKAGES]}
        for table, rule in CONTENT_RULES.items():
            if rule.reads == (PACKAGES,):
                self.named[table] |= hexes

    # --- reading ------------------------------------------------------------------------------------------------------

    def _values(self, commit: Manifest, part: _Part) -> set[str]:
        rows = self._rows_of(commit, part.table, part.columns, None)
        return {row[0] for row in rows if row[0] is not None and row[-1] is not None}

    def _rows(self, table: Table, columns: tuple[str, ...], wanted: set[str]) -> Iterator[Row]:
        """Yield the rows of a table in any commit whose first column has a wanted value."""
        for commit in self.commits if wanted else ():
            try:
                yield from set(self._rows_of(commit, table, columns, wanted))
            except _UNREADABLE:
                continue  # a damaged file shows no row that could lead anywhere

    def _rows_of(self, commit: Manifest, table: Table, columns: tuple[str, ...], wanted: set[str] | None) -> list[Row]:
        """Return the distinct values of some columns in one commit."""
        rows: dict[Row, None] = {}
        value_set = None if wanted is None else pa.array(sorted(wanted), pa.string())
        for entry in commit.entries(table.name):
            self.watch()
            try:
                (path,) = self.store.local_copies([entry], has_values=has_values(commit))
            except UnavailableError as error:
                raise RunError(f"{self.store.url} cannot be read: {entry.path}: {error.strerror}") from error
            with pq.ParquetFile(path) as file:
                if not set(columns[1:]).issubset(file.schema_arrow.names):
                    continue  # a release without this column wrote no value
                for batch in file.iter_batches(columns=list(columns), use_threads=False):
                    found = pa.Table.from_batches([batch]).select(list(columns))
                    if value_set is not None:
                        found = found.filter(pc.is_in(found.column(0), value_set=value_set))
                    found = found.group_by(list(columns), use_threads=False).aggregate([])
                    rows |= dict.fromkeys(zip(*(found.column(name).to_pylist() for name in columns), strict=True))
        return list(rows)
