"""What the last reading of each account-region says of its resources: the rows of ``scope_resources``. Blocking."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from lexport.dataset.manifest import Manifest
from lexport.dataset.store import Store
from lexport.model import Scope
from lexport.tables.registry import resource_of
from lexport.tables.run import SCOPE_RESOURCES
from lexport.tables.table import Table
from lexport.tables.text import first_of, plural, words_of

NAMES = (*(name for name in SCOPE_RESOURCES.names() if not name.startswith("snapshot_")), "snapshot_id")
_SCOPES_NAMED = 3
_SENTENCES = {
    "denied": "{} were denied in {}: they are missing here, which does not mean that there are none",
    "partial": "{} were not read whole in {}; see snapshot.errors",
    "unavailable": "{} are not offered in {}",
}


def read_resources(store: Store, read: Mapping[Scope, Manifest]) -> Iterator[dict[str, Any]]:
    """Yield the rows of account-regions, each from the commit that read it; commits of old releases have none.

    Raises ReadError where a file is missing or damaged.
    """
    import pyarrow.parquet as pq

    from lexport.dataset.data_files import find_files

    scopes_of: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for scope, commit in read.items():
        scopes_of[commit.snapshot_id].add((scope.account_id, scope.region))
    for commit in {commit.snapshot_id: commit for commit in read.values()}.values():
        for path in find_files(store, commit, SCOPE_RESOURCES):
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(use_threads=False):
                    for row in batch.to_pylist():
                        if (row["account_id"], row["region"]) in scopes_of[commit.snapshot_id]:
                            yield row


def unread_lines(rows: Iterator[dict[str, Any]] | Collection[dict[str, Any]], tables: Collection[Table]) -> list[str]:
    """Return one sentence for each resource of the tables and kind of failure, with the account-regions."""
    options = {resource.option for table in tables if (resource := resource_of(table)) is not None}
    where: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in rows:
        if row["resource"] in options and row["status"] in _SENTENCES:
            where[row["resource"], row["status"]].append(f"{row['account_id']} {row['region']}")
    return [
        _SENTENCES[status].format(
            words_of(option),
            f"{plural(len(scopes), 'account-region')} ({first_of(sorted(scopes), _SCOPES_NAMED)})",
        )
        for (option, status), scopes in where.items()
    ]
