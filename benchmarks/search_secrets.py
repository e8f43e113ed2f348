"""Print the findings of ``packages --secrets`` in directories of installed libraries, where none is a real secret.

    python benchmarks/search_secrets.py .venv/lib/python3.11/site-packages [--own]

With ``--own``, every file counts as the function's own code, so that all rules apply and tests are searched too.
"""

from __future__ import annotations

import argparse
import tempfile
import zipfile
from pathlib import Path
from time import process_time

from lexport.artifacts.archive_limits import MIB, ArchiveLimits
from lexport.artifacts.secrets.search_package import search_package
from lexport.tables.staged import Batch

LIMITS = ArchiveLimits(inflated_bytes=8192 * MIB, declared_bytes=16384 * MIB, seconds=3600, findings=100_000)
_OWN_NAMES = (
    ("node_modules", "modules"),
    ("site-packages", "packages"),
    ("-info/", "-data/"),
    ("vendor/", "vendored/"),
)


def pack(folder: Path, file: Path, *, is_own: bool) -> tuple[int, int]:
    """Write a directory as a package; return the number of its files and their bytes."""
    count = size_bytes = 0
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1, strict_timestamps=False) as package:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not path.is_symlink():
                name = f"{path.relative_to(folder)}"
                for old, new in _OWN_NAMES if is_own else ():
                    name = name.replace(old, new)
                package.write(path, name)
                count, size_bytes = count + 1, size_bytes + path.stat().st_size
    return count, size_bytes


def main() -> None:
    """Search each directory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--own", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        for folder in given.folders:
            file, batches = Path(scratch) / "package.zip", list[Batch]()
            count, size_bytes = pack(folder, file, is_own=given.own)
            before = process_time()
            result = search_package(file, sha256_hex="0" * 64, emit=batches.append, limits=LIMITS)
            rows = [row for batch in batches for row in batch["package_secrets"].to_pylist()]
            seconds = process_time() - before
            print(f"{folder}: {count:,} files, {size_bytes // MIB:,} MiB, {len(rows):,} findings, {seconds:.1f} s CPU")
            for row in rows:
                print(f"    {row['path']}:{row['line']} {row['rule']}")
            for problem in result.problems:
                print(f"    problem {problem.message}")


if __name__ == "__main__":
    main()
