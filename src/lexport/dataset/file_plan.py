"""Which shards are in which file of a table, by their numbers of rows. Pure.

The rule is that of ``TableWriter``: a file ends at the first border between two account-regions after a number of rows.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import takewhile

from lexport.dataset.parquet import ROWS_PER_FILE
from lexport.model import ShardResult

FilePlan = list[tuple[int, ...]]
"""The shards of each file, by their places in the order of their keys; those without rows are in no file."""


def plan_files(rows: Sequence[int], rows_per_file: int) -> FilePlan:
    """Deal shards with so many rows out to files; there is at least one file."""
    files: list[list[int]] = [[]]
    total = 0
    for place, count in enumerate(rows):
        if count and total >= rows_per_file:
            files.append([])
            total = 0
        if count:
            files[-1].append(place)
            total += count
    return [tuple(file) for file in files]


def files_that_stay(written: FilePlan, rows: Sequence[int], rows_per_file: int) -> int:
    """Return how many files from the first one on are as they should be, now that the exact ``rows`` are known.

    From the first border that moved, all files are written again, because their numbers rise with their rows.
    """
    kept = [tuple(place for place in file if rows[place]) for file in written]
    pairs = zip(kept, plan_files(rows, rows_per_file), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def is_large(results: Collection[ShardResult], rows_per_file: int = ROWS_PER_FILE) -> bool:
    """Return whether a table may need more than one file."""
    names = {name for result in results for name in result.rows}
    return any(sum(result.rows.get(name, 0) for result in results) > rows_per_file for name in names)


def tables_by_task(plans: Mapping[str, FilePlan], alone: Collection[str]) -> list[tuple[str, ...]]:
    """Group the tables whose files are written together, since each task fetches the rows of all its shards.

    These are the tables of one file; ``alone`` are those that take long by themselves.
    """
    together = tuple(name for name, plan in plans.items() if len(plan) == 1 and name not in alone)
    groups: list[tuple[str, ...]] = [(name,) for name in plans if name not in together]
    return [*groups, together] if together else groups
