"""What became of each point of a sweep, in a file, so that a sweep that was stopped goes on.

``python progress.py`` prints the table of it. A point counts for the source that it was tried with.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FILE = ROOT / "build" / "torture" / "progress.jsonl"
IS_WHOLE = "LEXPORT_TORTURE" in os.environ
STRIDE = int(os.environ.get("LEXPORT_TORTURE", "1").replace("whole", "1"))
"""Every so many points are tried; each for ``LEXPORT_TORTURE=whole``."""


def source() -> str:
    """A hash of what is tortured: lexport and these tests."""
    digest = hashlib.sha256()
    for path in sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "tests" / "torture").glob("*.py")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


class Progress:
    """The points of one sweep: ``sweep`` is its name, ``of`` the number of calls or requests of an unbroken run."""

    def __init__(self, sweep: str, of: int) -> None:
        self._sweep, self._of, self._source = sweep, of, source()
        self._done = {(line["fault"], line["at"]) for line in _lines() if self._is_own(line)} if IS_WHOLE else set()

    def _is_own(self, line: dict[str, Any]) -> bool:
        own = (self._sweep, self._of, self._source)
        return (line["sweep"], line["of"], line["source"]) == own and line["survived"]

    def is_done(self, fault: str, at: int) -> bool:
        """Whether an earlier process has tried this point, and nothing was lost."""
        return (fault, at) in self._done

    def record(self, fault: str, at: int, *, lost: int, doubled: int, wrong: list[str]) -> None:
        """Write what became of a point."""
        line = {
            "sweep": self._sweep,
            "of": self._of,
            "source": self._source,
            "fault": fault,
            "at": at,
            "survived": not (lost or doubled or wrong),
            "lost": lost,
            "doubled": doubled,
            "wrong": wrong,
        }
        if IS_WHOLE:
            FILE.parent.mkdir(parents=True, exist_ok=True)
            with FILE.open("a") as file:
                file.write(json.dumps(line) + "\n")


def _lines() -> list[dict[str, Any]]:
    lines = FILE.read_text().splitlines() if FILE.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]  # the last may be cut off


def table() -> tuple[str, bool]:
    """Return the table of the newest outcome of each point with this source, and whether nothing was lost."""
    points = {(line["sweep"], line["fault"], line["at"]): line for line in _lines() if line["source"] == source()}
    groups = defaultdict(list)
    for (sweep, fault, _), line in sorted(points.items()):
        groups[sweep, fault].append(line)
    rows = [("sweep", "fault", "tried", "survived", "rows lost", "rows twice")]
    for (sweep, fault), lines in groups.items():
        sums = [sum(line[name] for line in lines) for name in ("survived", "lost", "doubled")]
        rows.append((sweep, fault, len(lines), *sums))
    rows.append(("all", "", *(sum(row[column] for row in rows[1:]) for column in range(2, 6))))
    widths = [max(len(str(row[column])) for row in rows) for column in range(6)]
    text = [
        "  ".join(f"{cell:,}".rjust(width) if isinstance(cell, int) else cell.ljust(width) for cell, width in cells)
        for cells in (zip(row, widths, strict=True) for row in rows)
    ]
    return "\n".join(text), all(line["survived"] for line in points.values())


if __name__ == "__main__":
    text, is_whole = table()
    print(text)
    sys.exit(not is_whole)
