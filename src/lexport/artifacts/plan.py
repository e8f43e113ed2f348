"""functions and layers, as Parquet -> what is there, what is not wanted, and what is to be fetched. Blocking.

Sorted runs and one bounded merge, as for a snapshot: the memory it takes does not depend on the fleet. Rows of what
needs no call are staged here; the rest becomes lines of a file, one per content.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from anyio.from_thread import check_cancelled

from lexport.artifacts.store import PackagePlaces
from lexport.artifacts.transfer import sha256_hex_of
from lexport.artifacts.wanted import (
    WANTED_LAYERS,
    WANTED_PACKAGES,
    Choice,
    WantedLayer,
    WantedPackage,
    group_layers,
    group_packages,
    layer_line,
    package_line,
    read_functions,
    read_layers,
)
from lexport.dataset.manifest import package_path
from lexport.dataset.runs import ROWS_AT_ONCE, Runs, RunWriter, merge
from lexport.errors import PackageError
from lexport.extract.progress import PackageProgress
from lexport.model import Scope
from lexport.settings import PackageSettings
from lexport.tables.layer_versions import LAYER_VERSIONS
from lexport.tables.packages import PACKAGES
from lexport.tables.staged import staged_names
from lexport.tables.table import Table
from lexport.tables.text import agree, plural
from lexport.tables.units import format_bytes

STORED, PRESENT, LEFT_OUT, LOST = "0", "1", "2", "3"
"""Which row about one content stays, as the answer of a staged row: what this run stored, what was there, the rest."""

NOT_CHOSEN = "left out by a filter"
TOO_LARGE = "larger than --max-package-size"
IN_ANOTHER_BUCKET = "in the customer's own bucket; --reference-packages fetches it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One Parquet file of a table, and the account-regions that are wanted of it; None for all."""

    path: Path
    scopes: Collection[Scope] | None = None


@dataclass(slots=True, kw_only=True)
class Survey:
    """What was found. ``lines`` is the file of what is to be fetched, ``scopes`` are those that refer to it."""

    lines: Path
    files: int = 0
    size_bytes: int = 0
    scopes: set[Scope] = field(default_factory=set)


@dataclass(slots=True, kw_only=True)
class Surveys:
    """What was found of packages, and of layers where they were looked for."""

    packages: Survey
    layers: Survey | None = None

    @property
    def wanted(self) -> tuple[Survey, ...]:
        """Those that were made."""
        return (self.packages,) if self.layers is None else (self.packages, self.layers)


class Surveyor:
    """Looks through the tables of a run for what it is to fetch. ``runs`` receives the rows of what needs no call."""

    def __init__(
        self,
        settings: PackageSettings,
        choice: Choice,
        *,
        places: PackagePlaces,
        folder: Path,
        runs: Runs,
        progress: PackageProgress,
    ) -> None:
        self._settings, self._choice, self._places = settings, choice, places
        self._folder, self._runs, self._progress = folder, runs, progress
        self._file_mode = places.store.file_mode

    def packages(self, sources: Sequence[Source]) -> Survey:
        """Find out which packages are to be fetched."""
        survey = Survey(lines=self._folder / "wanted-packages.txt")
        batches = (batch for source in sources for batch in read_functions(source.path, source.scopes, self._choice))
        wanted = group_packages(merge(self._stage(WANTED_PACKAGES, batches), self._folder))
        with survey.lines.open("w", encoding="utf-8") as lines:
            self._write(PACKAGES, self._settled(wanted, survey, lambda text: lines.write(text + "\n")))
        return survey

    def layers(self, sources: Sequence[Source], known: Path | None) -> Survey:
        """Find out which layer versions are to be asked for; ``known`` is the published table about some."""
        survey = Survey(lines=self._folder / "wanted-layers.txt")
        batches = (batch for source in sources for batch in read_layers(source.path, source.scopes, self._choice))
        wanted = group_layers(merge(self._stage(WANTED_LAYERS, batches), self._folder))
        with survey.lines.open("w", encoding="utf-8") as lines:
            older = _published_layers(known) if known else iter(())
            contents: list[tuple[Any, ...]] = []
            settled = self._settled_layers(wanted, older, survey, lambda text: lines.write(text + "\n"), contents)
            self._write(LAYER_VERSIONS, settled)
            self._write(PACKAGES, contents)
        return survey

    def _settled(
        self, items: Iterable[WantedPackage], survey: Survey, put: Callable[[str], object]
    ) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of what needs no call; ``put`` takes the lines of the rest."""
        for wanted in items:
            status, why, row = self._settle(wanted)
            example = f"{wanted.referrers[0].function_name}:{wanted.referrers[0].version}"
            if row is not None:
                self._progress.count("package", status, why, example)
                yield row
                continue
            survey.files += 1
            survey.size_bytes += wanted.package.size_bytes or 0
            survey.scopes.update(referrer.scope for referrer in wanted.referrers)
            put(package_line(wanted))

    def _settle(self, wanted: WantedPackage) -> tuple[str, str, tuple[Any, ...] | None]:
        """Return status, reason and row of a package; no row where it is to be fetched.

        Six cases, the first that fits: an image, a hash that is none (asked for, which tells why), stored already,
        not chosen, too large, in the customer's own bucket.
        """
        code, size = wanted.package.code_sha256, wanted.package.size_bytes
        if wanted.package_type == "Image":
            return "image", "", package_row(code, sha256_hex=code, size_bytes=size, status="image", answer=LEFT_OUT)
        try:
            sha256_hex = sha256_hex_of(code)
        except PackageError:
            return "", "", None
        found = present_row(self._places, code, size)
        if found is not None:
            return "present", "", found
        status, why = "", ""
        if not wanted.is_chosen:
            status, why = "skipped", NOT_CHOSEN
        elif _is_more(size, self._settings.max_size_bytes):
            status, why = "skipped", TOO_LARGE
        elif wanted.s3_object is not None and not self._settings.reference_packages:
            status, why = "reference", IN_ANOTHER_BUCKET
        if not status:
            return "", "", None
        return (
            status,
            why,
            package_row(code, sha256_hex=sha256_hex, size_bytes=size, status=status, reason=why, answer=LEFT_OUT),
        )

    def _settled_layers(
        self,
        items: Iterable[WantedLayer],
        known: Iterator[dict[str, Any]],
        survey: Survey,
        put: Callable[[str], object],
        contents: list[tuple[Any, ...]],
    ) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of layer versions that need no call: both sides come in the order of their ARN.

        ``contents`` gets the rows of ``packages`` about what lies in them.
        """
        older = next(known, None)
        for wanted in items:
            while older is not None and older["layer_arn"] < wanted.layer_arn:
                older = next(known, None)
            content = self._present_content(older) if older and older["layer_arn"] == wanted.layer_arn else None
            if older is not None and content is not None:
                contents.append(content)
                if len(contents) >= ROWS_AT_ONCE:
                    self._write(PACKAGES, contents)
                    contents.clear()
                self._progress.count("layer", "present", example=wanted.layer_arn)
                row = older | {"account_id": None, "region": None, "status": "present", "reason": None}
                yield (*(row.get(name) for name in staged_names(LAYER_VERSIONS)[:-1]), PRESENT)
            elif _is_more(wanted.size_bytes, self._settings.max_size_bytes):
                self._progress.count("layer", "skipped", TOO_LARGE, wanted.layer_arn)
                yield layer_row(
                    wanted.layer_arn,
                    {"size_bytes": wanted.size_bytes},
                    status="skipped",
                    reason=TOO_LARGE,
                    answer=LEFT_OUT,
                )
            else:
                survey.files += 1
                survey.size_bytes += wanted.size_bytes or 0
                survey.scopes.update(referrer.scope for referrer in wanted.referrers)
                put(layer_line(wanted))

    def _present_content(self, older: dict[str, Any]) -> tuple[Any, ...] | None:
        try:
            return present_row(self._places, older["code_sha256"] or "", older["size_bytes"])
        except PackageError:
            return None

    def _stage(self, table: Table, batches: Iterable[pa.RecordBatch]) -> list[Path]:
        """Write staged rows as sorted runs of their own."""
        writer = RunWriter(self._folder, file_mode=self._file_mode)
        for batch in batches:
            check_cancelled()
            writer.add(table, batch)
        writer.flush()
        return writer.runs[table.name]

    def _write(self, table: Table, rows: Iterable[tuple[Any, ...]]) -> None:
        """Stage rows that are made one by one."""
        check_cancelled()
        writer = RunWriter(self._folder, file_mode=self._file_mode, runs=self._runs)
        writer.add_rows(table, rows)
        writer.flush()


def lack_of_room(root: Path, surveys: Sequence[Survey]) -> str | None:
    """Say so where the disk has no room for what is to be fetched."""
    wanted_bytes = sum(survey.size_bytes for survey in surveys)
    disk = os.statvfs(root)
    free_bytes = disk.f_bavail * disk.f_frsize
    if wanted_bytes <= free_bytes:
        return None
    files = sum(survey.files for survey in surveys)
    return (
        f"{plural(files, 'package')} of {wanted_bytes:,} bytes ({format_bytes(wanted_bytes)})"
        f" {agree(files, 'is', 'are')} to be fetched, but"
        f" {root} has room for {free_bytes:,} ({format_bytes(free_bytes)}): free some, choose fewer with"
        " --packages-for, --package-runtime or --package-name, or give --max-package-size; none of them was fetched"
    )


def _published_layers(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a published table of layer versions, in the order of their ARN."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches():
            yield from batch.to_pylist()


def package_row(
    code_sha256: str,
    *,
    status: str,
    answer: str,
    sha256_hex: str | None = None,
    size_bytes: int | None = None,
    path: str | None = None,
    reason: str | None = None,
    verified_at: datetime | None = None,
) -> tuple[Any, ...]:
    """Make a staged row of ``packages``; ``answer`` says which one stays of several about one package.

    Its ``dependencies_status`` is written by the inspection, if there is one.
    """
    return (None, None, code_sha256, sha256_hex, size_bytes, path, status, reason, verified_at, None, answer)


def present_row(places: PackagePlaces, code_sha256: str, size_bytes: int | None) -> tuple[Any, ...] | None:
    """Make the row of a package that is stored already, None where it is not; raises PackageError for no hash."""
    sha256_hex = sha256_hex_of(code_sha256)
    found = places.find(sha256_hex, size_bytes)
    if found is None:
        return None
    path = package_path(sha256_hex)
    return package_row(
        code_sha256,
        sha256_hex=sha256_hex,
        size_bytes=found,
        path=path,
        status="present",
        verified_at=datetime.fromtimestamp((places.store.root / path).stat().st_mtime, UTC),
        answer=PRESENT,
    )


def layer_row(
    layer_arn: str, facts: dict[str, Any], *, status: str, reason: str | None, answer: str
) -> tuple[Any, ...]:
    """Make a staged row of ``layer_versions``; what ``facts`` do not name is NULL."""
    row = facts | {"layer_arn": layer_arn, "status": status, "reason": reason}
    return (*(row.get(name) for name in staged_names(LAYER_VERSIONS)[:-1]), answer)


def _is_more(size_bytes: int | None, limit_bytes: int | None) -> bool:
    return size_bytes is not None and limit_bytes is not None and size_bytes > limit_bytes
