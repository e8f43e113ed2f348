"""stored package -> rows of package_files and package_dependencies, and whether those dependencies are all.

The directory first, a row per file; then the manifests of what is installed, the archives within, the executables, and
last what the function asks for and does not have. What is wrong with a package, or could not be read of it, is a
finding beside its rows: hostile bytes lose rows, never the run.
"""

from __future__ import annotations

import os
import posixpath
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lexport.artifacts.archive_limits import LIMITS, Budget, Limits
from lexport.artifacts.dependencies.dotnet import accounted_files
from lexport.artifacts.dependencies.evidence import Evidence
from lexport.artifacts.dependencies.golang import ELF, read_executable
from lexport.artifacts.dependencies.manifests import (
    Manifest,
    Says,
    is_archive,
    is_jar,
    manifest_at,
    may_be_executable,
    requirements_file,
)
from lexport.artifacts.dependencies.maven import name_of_jar
from lexport.artifacts.dependencies.purl import dependency
from lexport.artifacts.dependencies.python import included_files
from lexport.artifacts.package_rows import PackageRows
from lexport.artifacts.zip_reader import Archive, Entry, FileSource, MemorySource, Source
from lexport.errors import ArchiveError
from lexport.tables.staged import Batch

STAGE = "inspect"
_HEAD_BYTES = 64 * 1024  # name and version stand at the top of a manifest with headers
_ACCOUNTS = (".dist-info/RECORD", "-info/top_level.txt", "EGG-INFO/top_level.txt", ".deps.json")
_MOST_TEXTS = 1_000  # files that a requirements file may include


DependenciesStatus = Literal["complete", "incomplete", "unknown"]


_OF_PARSERS = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What a parser raises over a stranger's file, mistakes of ours among it: they cost that file, never the run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is wrong with one package, for a row of ``errors``: one for each code, with an example."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspected:
    """What is to be said of one package besides its rows; ``status`` is None where it could not be opened."""

    findings: tuple[Finding, ...]
    status: DependenciesStatus | None


def inspect_package(
    file: Path,
    *,
    sha256_hex: str,
    emit: Callable[[Batch], None],
    check: Callable[[], None] = lambda: None,
    limits: Limits = LIMITS,
) -> Inspected:
    """Read what is in one stored package; hand its rows to ``emit`` in batches, and return what is wrong with it.

    Never unpacks to disk, never raises for what the bytes are. Blocking; ``check`` may end it by raising.
    """
    budget = Budget(limits, check=check)
    rows = PackageRows(sha256_hex, emit, budget)
    is_opened = False
    try:
        descriptor = os.open(file, os.O_RDONLY)
        try:
            _Inspection(FileSource(descriptor), rows, budget).run()
        finally:
            os.close(descriptor)
        is_opened = True
    except ArchiveError as error:
        budget.note(error.code, f"{error}; what is not read is not in the tables")
        is_opened = True
    except OSError as error:
        budget.note("unreadable", f"{file.name}: {error.strerror}")
    try:
        rows.add_wanted()
    except ArchiveError as error:
        budget.note(error.code, f"{error}; what is not read is not in the tables")
    rows.flush()
    findings = tuple(
        Finding(
            code=code,
            message=f"package {sha256_hex}: {first}" + (f" (and {count - 1:,} more)" if count > 1 else ""),
        )
        for code, (count, first) in budget.notes.items()
    )
    return Inspected(findings=findings, status=_status(rows, findings) if is_opened else None)


def _status(rows: PackageRows, findings: tuple[Finding, ...]) -> DependenciesStatus:
    """Call dependencies complete only where nothing was left unread and something speaks of all of them."""
    if findings:
        return "incomplete"
    return "complete" if rows.has_manifest else "unknown"


class _Inspection:
    """One archive: the package, or one in it, whose paths then begin with ``title``, as in ``lib/x.jar!/``."""

    def __init__(self, source: Source, rows: PackageRows, budget: Budget, *, title: str = "", depth: int = 1) -> None:
        self._source = source
        self._rows = rows
        self._budget = budget
        self._title = title
        self._depth = depth
        self._evidence = Evidence()
        self._manifests: list[tuple[Entry, Manifest]] = []
        self._accounts: dict[str, Entry] = {}
        self._texts: dict[str, Entry] = {}
        self._archives: list[Entry] = []
        self._executables: list[Entry] = []

    def run(self) -> bool:
        """Read the directory, then what it leads to, until the budget is spent; tell whether a library was named."""
        found = 0
        with self._noting(self._title or "the package"):
            archive = Archive(self._source, self._budget, title=self._title)
            with self._noting(self._title or "the package"):  # what came before a break is believed
                for entry in archive.entries():
                    self._sort_in(entry)
            found = self._read_installed(archive)
            for entry in self._archives:
                self._enter(archive, entry)
            for entry in self._executables:
                self._search(archive, entry)
            if self._depth == 1:
                self._read_own(archive)
            for text in self._evidence.unexplained(is_locked=self._rows.has_lock):
                self._rows.doubt(text)
            for path in self._evidence.unread():
                self._budget.note("not_read", f"{(self._title + path)[:200]!r} may name libraries and is not read")
        return bool(found)

    def _sort_in(self, entry: Entry) -> None:
        is_package = self._depth == 1
        if is_package:
            self._rows.add_file(entry)
        manifest = manifest_at(entry.path)
        if manifest is not None:
            self._manifests.append((entry, manifest))
        if is_archive(entry.path):
            self._archives.append(entry)
            return
        self._evidence.see(entry.path, entry.size_bytes)
        if is_package and entry.path.endswith((".txt", ".in")) and len(self._texts) < _MOST_TEXTS:
            self._texts[entry.path] = entry
        if entry.path.endswith(_ACCOUNTS):
            self._accounts[entry.path] = entry
        elif manifest is None and is_package and entry.is_executable and may_be_executable(entry.path):
            self._executables.append(entry)

    # --- what is installed --------------------------------------------------------------------------------------------

    def _read_installed(self, archive: Archive) -> int:
        """Read manifests of installed libraries in the order they lie, those that are a last resort last."""
        installed = [item for item in self._manifests if not item[1].is_own]
        installed.sort(key=lambda item: (item[1].is_fallback, item[0].offset))
        found = 0
        for entry, manifest in installed:
            if manifest.is_fallback and found:
                break
            found += self._read(archive, entry, manifest)
        for path, entry in self._accounts.items():
            with self._noting(self._title + path):
                if path.endswith(".deps.json"):
                    self._evidence.account_files(accounted_files(self._body(archive, entry)))
                elif path.endswith("/RECORD"):
                    self._evidence.account_record(path, _lines(archive.chunks(entry)))
                else:
                    self._evidence.account_tops(path, _lines(archive.chunks(entry)))
        return found

    def _read(self, archive: Archive, entry: Entry, manifest: Manifest, **more: bytes) -> int:
        """Read one manifest; return how many libraries it names."""
        path = self._title + entry.path
        with self._noting(path):
            is_head_enough = manifest.is_head_enough
            body = archive.read_head(entry, most=_HEAD_BYTES) if is_head_enough else self._body(archive, entry)
            return self._rows.add(manifest.parse(path, body, **more), manifest.says, self._evidence)
        return 0

    def _body(self, archive: Archive, entry: Entry) -> bytes:
        return bytes(archive.read(entry, most=self._budget.limits.manifest_bytes))

    def _search(self, archive: Archive, entry: Entry) -> None:
        """Look for the modules of a program; one that says nothing of them is of unknown origin."""
        path = self._title + entry.path
        with self._noting(path):
            if self._rows.add(read_executable(path, archive.chunks(entry)), Says.INSTALLED, self._evidence):
                return
            if archive.read_head(entry, most=len(ELF)) == ELF and not self._evidence.is_of_library(entry.path):
                self._rows.doubt(f"{path[:200]!r} is a program that does not say what it was built from")

    def _enter(self, archive: Archive, entry: Entry) -> None:
        """Open an archive within this one: in place where it was stored, else in memory."""
        path = self._title + entry.path
        if not is_jar(path) and self._evidence.is_of_library(entry.path):
            return  # the data of a library
        if self._depth >= self._budget.limits.depth:
            self._budget.note("too_deep", f"{path[:200]!r} is an archive within archives and is not opened")
            return
        is_named = False
        with self._noting(path):
            place = archive.window(entry)
            with nullcontext() if place else self._budget.hold(entry.size_bytes):
                inner = place or MemorySource(archive.read(entry, most=self._budget.limits.nested_bytes))
                within = _Inspection(inner, self._rows, self._budget, title=f"{path}!/", depth=self._depth + 1)
                is_named = within.run()
        if is_jar(path) and not is_named:
            self._name_jar(path)

    def _name_jar(self, path: str) -> None:
        """Take the name of a jar's file for that of the artifact, where the jar itself does not tell."""
        artifact, version = name_of_jar(path) or (None, None)
        found = dependency("maven", artifact, version, path)
        if found is None:
            self._rows.doubt(f"{path[:200]!r} does not say which artifact it is")
        else:
            self._rows.add([found], Says.INSTALLED, self._evidence)

    # --- what the function asks for -----------------------------------------------------------------------------------

    def _read_own(self, archive: Archive) -> None:
        """Read lock files and the like, but for those that a library brought; then what requirements include."""
        own = [item for item in self._manifests if item[1].is_own and not self._evidence.is_of_library(item[0].path)]
        entries = {entry.path: entry for entry, _ in own}
        waiting = deque(sorted(own, key=lambda item: (item[1].says.value, item[0].offset)))
        while waiting:
            entry, manifest = waiting.popleft()
            more = {}
            beside = entries.get(posixpath.join(posixpath.dirname(entry.path), manifest.beside))
            if manifest.beside and beside:
                with self._noting(self._title + beside.path):
                    more["project"] = self._body(archive, beside)
            self._read(archive, entry, manifest, **more)
            for path in self._included(archive, entry) if entry.path in self._texts else ():
                included = self._texts.get(path)
                wanted = requirements_file(path)
                if included is None:
                    self._budget.note(
                        "not_installed", f"{entry.path[:200]} includes {path[:200]!r}, which is not there"
                    )
                elif wanted and path not in entries:
                    entries[path] = included
                    waiting.append((included, wanted))

    def _included(self, archive: Archive, entry: Entry) -> list[str]:
        with self._noting(entry.path):
            return list(included_files(entry.path, self._body(archive, entry)))
        return []

    @contextmanager
    def _noting(self, where: str) -> Iterator[None]:
        """Turn what is wrong with the bytes into a note; let pass that the budget is spent."""
        try:
            yield
        except ArchiveError as error:
            if self._budget.is_spent:
                raise
            self._budget.note(error.code, f"{where[:200]}: {error}")
        except _OF_PARSERS:  # the words of one could quote the file
            self._budget.note("bad_manifest", f"{where[:200]} is not what its name says")


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Yield the lines of a text that comes in pieces; of one that is too long its beginning."""
    left = b""
    for chunk in chunks:
        *lines, left = (left + chunk).split(b"\n")
        left = left[:_HEAD_BYTES]
        yield from (line.decode("utf-8", "replace") for line in lines)
    if left:
        yield left.decode("utf-8", "replace")
