"""Count the packages that a run should have, and those that are stored, for each account-region and in all.

A package that several account-regions use counts once in each of them, and once in all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import msgspec
import pyarrow.parquet as pq

from lexport.dataset.snapshot import PackageCounts
from lexport.model import Scope

_STORED = frozenset(("stored", "present"))
_LINES_AT_ONCE = 1000


class NeededPackages:
    """The packages that a run should have, in the order of their hashes, with the account-regions that use each.

    They are lines of a file, so that memory does not grow with their number.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._numbers: dict[Scope, int] = {}
        self._lines: list[bytes] = []
        path.touch(mode=0o600)

    def add(self, code_sha256: str, scopes: Collection[Scope]) -> None:
        """Add a package; to be called in the order of the hashes."""
        numbers = [self._numbers.setdefault(scope, len(self._numbers)) for scope in scopes]
        self._lines.append(msgspec.json.encode((code_sha256, numbers)))
        if len(self._lines) >= _LINES_AT_ONCE:
            self._flush()

    def count(self, packages: Iterable[Path]) -> PackageCounts:
        """Count them by the files of the table ``packages`` that the run has written. Blocking."""
        self._flush()
        scopes = [*self._numbers]
        of_scopes, stored_of_scopes = Counter[Scope](), Counter[Scope]()
        total = stored = 0
        stored_hashes = _stored(packages)
        at = next(stored_hashes, None)
        for code_sha256, numbers in self._read():
            while at is not None and at < code_sha256:
                at = next(stored_hashes, None)
            used_by = [scopes[number] for number in numbers]
            total += 1
            of_scopes.update(used_by)
            if at == code_sha256:
                stored += 1
                stored_of_scopes.update(used_by)
        by_scope = {scope: (count, stored_of_scopes[scope]) for scope, count in of_scopes.items()}
        return PackageCounts(total=total, stored=stored, by_scope=by_scope)

    def _flush(self) -> None:
        with self._path.open("ab") as file:
            file.writelines(line + b"\n" for line in self._lines)
        self._lines.clear()

    def _read(self) -> Iterator[tuple[str, list[int]]]:
        decoder = msgspec.json.Decoder(tuple[str, list[int]])
        with self._path.open("rb") as file:
            for line in file:
                yield decoder.decode(line)


def _stored(packages: Iterable[Path]) -> Iterator[str]:
    """Yield the hashes of the packages that are stored, in order."""
    for path in packages:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(columns=["code_sha256", "status"]):
                columns = (column.to_pylist() for column in batch.columns)
                yield from (code for code, status in zip(*columns, strict=True) if status in _STORED)
