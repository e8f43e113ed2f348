"""Find the first difference between what two revisions wrote and printed; what may differ is masked."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

VIEWS_FILE = "fleet.duckdb"
ABSENT = type("Absent", (), {"__repr__": lambda _: "absent"})()

MASKS = (
    (rb"(?m)^.*\d( [KMG]?B)?/s\b.*\n", b"", "lines of progress, one each ten seconds", "snapshot", "packages"),
    (rb"(?m) in [\d,.]+ s$", b" in SECONDS s", "seconds that a snapshot or a download took"),
    (rb"(?m), e\.g\. .*$", b", e.g. EXAMPLE", "the example of a failure: the one that came first"),
    (
        rb"(\d\d:\d\d:\d\d)\.0000\d\d",
        rb"\1.MICROSECONDS",
        "errors.occurred_at: failures get one microsecond each, as they come",
    ),
    (
        rb" *\d+\.\d+",
        b" SECONDS",
        "minimum_s and page_s of plan: seconds that a page took, and what follows from it",
        "plan",
    ),
    (rb'(name="lexport-dataset" content=)"[0-9a-f]{16}"', rb"\1HASH", "the hash of the dataset's path in a report"),
)
"""What may differ in texts between two runs of one revision: the pattern, what stands in its place, what it is, and the
commands that print it, where it is not all of them."""

OTHER_MASKS = (
    "the order of the lines of stderr: account-regions end in any order",
    "errors.occurred_at in Parquet below a second, and with it size_bytes and sha256 of `errors` in manifests",
    "what an unpublished run leaves in _staging beside Parquet: rows in the order in which responses came",
    "fleet.duckdb: the views in it are compared, not its bytes",
)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended, masked."""

    code: int
    stdout: bytes
    stderr: bytes


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the report; ``difference`` is the first one, empty where all is the same."""

    what: str
    difference: str = ""
    is_message: bool = False


def mask(text: bytes, command: str = "") -> bytes:
    """Put a fixed word in the place of everything that MASKS names."""
    for pattern, word, _, *commands in MASKS:
        if not commands or command in commands:
            text = re.sub(pattern, word, text)
    return text


def compare_ends(what: str, old: Ended, new: Ended) -> Row:
    """Compare how one command ended."""
    if old.code != new.code:
        return Row(what, f"exit code {old.code} / {new.code}")
    what = f"{what} -> {old.code}"
    if difference := first_line(old.stdout, new.stdout):
        return Row(what, f"stdout {difference}")
    difference = first_line(old.stderr, new.stderr)
    return Row(what, difference and f"stderr {difference}", is_message=bool(difference))


def compare_folders(old: Path, new: Path) -> Iterator[Row]:
    """Compare every file below two folders: one row for the files of a table that are the same, one for each other."""
    same: Counter[Path] = Counter()
    for name in sorted({path.relative_to(side) for side in (old, new) for path in side.rglob("*") if path.is_file()}):
        if name.parts[0] == "broken" or ("_staging" in name.parts and name.suffix != ".parquet"):
            continue
        if difference := compare_files(old / name, new / name):
            yield Row(str(name), difference)
        else:
            same[Path(*name.parts[:-1][:2])] += 1
    for folder, count in same.items():
        yield Row(f"files of {folder}: {count:,}")


def compare_files(old: Path, new: Path) -> str:
    """Return the first difference of two files, empty where there is none."""
    if not old.is_file() or not new.is_file():
        return f"only the {'old' if old.is_file() else 'new'} side has it"
    if old.name == VIEWS_FILE:
        return first_line(views_of(old), views_of(new))
    before, after = old.read_bytes(), new.read_bytes()
    if before == after:
        return ""
    if old.suffix == ".parquet":
        return first_cell(old, new)
    if old.suffix == ".json":
        with contextlib.suppress(ValueError):
            return first_key(load(before), load(after))
    return first_line(mask(before), mask(after))


def load(text: bytes) -> Any:
    """Read a JSON document; of a manifest without what depends on `errors.occurred_at`."""
    document = json.loads(text)
    for entry in document.get("files", ()) if isinstance(document, dict) else ():
        if entry["table"] == "errors":
            entry["sha256"] = entry["size_bytes"] = "MASKED"
    return document


def first_line(old: bytes, new: bytes) -> str:
    """Return the first line in which two texts differ."""
    for number, (before, after) in enumerate(itertools.zip_longest(old.splitlines(), new.splitlines()), 1):
        if before != after:
            return f"line {number}: {excerpt(before, after)}"
    return "" if old == new else "line ends differ"


def excerpt(old: bytes | None, new: bytes | None) -> str:
    """Show two lines from a little before the place where they part."""
    if old is None or new is None:
        return f"{'none' if old is None else short(old)} / {'none' if new is None else short(new)}"
    same = next((at for at, (one, other) in enumerate(zip(old, new, strict=False)) if one != other), 0)
    start = max(0, same - 30)
    return f"{short(old[start:])} / {short(new[start:])}"


def short(value: object) -> str:
    """Show a value in at most 90 characters."""
    text = value.decode(errors="backslashreplace") if isinstance(value, bytes) else repr(value)
    return text if len(text) <= 90 else text[:87] + "..."


def first_key(old: Any, new: Any, path: str = "") -> str:
    """Return the first place in which two JSON documents differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        pairs = ((f"{path}.{key}", old.get(key, ABSENT), new.get(key, ABSENT)) for key in old | new)
    elif isinstance(old, list) and isinstance(new, list):
        lists = itertools.zip_longest(old, new, fillvalue=ABSENT)
        pairs = ((f"{path}[{position}]", before, after) for position, (before, after) in enumerate(lists))
    else:
        return "" if old == new and type(old) is type(new) else f"{path.lstrip('.')}: {short(old)} / {short(new)}"
    return next(filter(None, (first_key(before, after, place) for place, before, after in pairs)), "")


def first_cell(old: Path, new: Path) -> str:
    """Return the first place in which two Parquet files differ: schema, rows, or how the same rows are stored."""
    before, after = pq.read_table(old), pq.read_table(new)
    if before.schema != after.schema:
        return f"schema {first_line(str(before.schema).encode(), str(after.schema).encode())}"
    if len(before) != len(after):
        return f"{len(before):,} / {len(after):,} rows"
    is_masked = False
    for name in before.column_names:
        for row, (one, other) in enumerate(zip(before[name].to_pylist(), after[name].to_pylist(), strict=True)):
            if name == "occurred_at" and one != other and one.replace(microsecond=0) == other.replace(microsecond=0):
                is_masked = True
            elif one != other:
                return f"row {row} {name}: {short(one)} / {short(other)}"
    for one, other in zip(before.schema, after.schema, strict=True):
        if not one.equals(other, check_metadata=True):
            return f"metadata of {one.name}: {excerpt(str(one.metadata).encode(), str(other.metadata).encode())}"
    return "" if is_masked else "the same rows, stored differently"


def views_of(path: Path) -> bytes:
    """Return the SQL of every view of a DuckDB file: the file itself is another each time it is written."""
    with duckdb.connect(str(path), read_only=True) as connection:
        rows = connection.execute(
            "SELECT schema_name, view_name, sql FROM duckdb_views() WHERE NOT internal ORDER BY ALL"
        ).fetchall()
    return "\n".join(map(str, rows)).encode().replace(bytes(path.parent), b"FOLDER")
