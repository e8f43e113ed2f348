"""Stored package -> rows of ``package_files`` and ``package_dependencies``, and whether all dependencies are known.

The directory is read first, one row per file. Then follow the manifests of installed libraries, nested archives,
executables, and last the dependencies that the function requests but does not contain. Faults of the package become
problems beside its rows: hostile bytes lose rows, but never end the run.
"""

from __future__ import annotations

import posixpath
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lexport.artifacts.archive_limits import DEFAULT_LIMITS, ArchiveBudget, ArchiveLimits
from lexport.artifacts.dependencies import manifests
from lexport.artifacts.dependencies.dotnet import explained_files
from lexport.artifacts.dependencies.evidence import Evidence
from lexport.artifacts.dependencies.golang import ELF, read_executable
from lexport.artifacts.dependencies.manifests import Claim, ManifestParser
from lexport.artifacts.dependencies.maven import name_of_jar
from lexport.artifacts.dependencies.purl import dependency
from lexport.artifacts.dependencies.python import included_files
from lexport.artifacts.package_rows import PackageRows
from lexport.artifacts.zip_reader import Archive, ByteSource, Entry, FileSource, MemorySource
from lexport.errors import ArchiveError
from lexport.tables.staged import Batch

STAGE = "inspect"
_HEAD_BYTES = 64 * 1024  # name and version are among the first headers of a manifest
_FILE_LISTS = (".dist-info/RECORD", "-info/top_level.txt", "EGG-INFO/top_level.txt", ".deps.json")
_MAX_TEXTS = 1_000  # files that a requirements file may include


DependenciesStatus = Literal["complete", "incomplete", "unknown"]


_PARSER_ERRORS = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""Errors of a parser on untrusted input, including our own bugs: each costs one file, never the run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageProblem:
    """One kind of fault of a package, with an example, for a row of ``errors``."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectionResult:
    """The result besides the rows; ``status`` is None where the package could not be opened."""

    problems: tuple[PackageProblem, ...]
    status: DependenciesStatus | None


def inspect_package(
    file: Path,
    *,
    sha256_hex: str,
    emit: Callable[[Batch], None],
    check: Callable[[], None] = lambda: None,
    limits: ArchiveLimits = DEFAULT_LIMITS,
) -> InspectionResult:
    """Read one stored package, pass its rows to ``emit`` in batches, and return its problems.

    Never unpacks to disk, never raises because of the package's bytes. Blocking; ``check`` may end it by raising.
    """
    budget = ArchiveBudget(limits, check=check)
    rows = PackageRows(sha256_hex, emit, budget)
    is_opened = True
    try:
        with file.open("rb", buffering=0) as opened:
            _ArchiveInspection(FileSource(opened.fileno()), rows, budget).run()
    except ArchiveError as error:
        budget.report(error.code, f"{error}; what is not read is not in the tables")
    except OSError as error:
        is_opened = False
        budget.report("unreadable", f"{file.name}: {error.strerror}")
    try:
        rows.add_not_installed()
    except ArchiveError as error:
        budget.report(error.code, f"{error}; what is not read is not in the tables")
    rows.flush()
    problems = problems_of(budget, sha256_hex)
    status: DependenciesStatus | None = "complete" if rows.has_manifest else "unknown"
    if problems:
        status = "incomplete" if is_opened else None
    return InspectionResult(problems=problems, status=status)


def problems_of(budget: ArchiveBudget, sha256_hex: str) -> tuple[PackageProblem, ...]:
    """Return the problems that the reading of a package survived, one of each kind."""
    return tuple(
        PackageProblem(
            code=code, message=f"package {sha256_hex}: {first}" + (f" (and {count - 1:,} more)" if count > 1 else "")
        )
        for code, (count, first) in budget.problems.items()
    )


class _ArchiveInspection:
    """Inspects one archive: the package, or one inside it, whose paths begin with a ``title`` like ``lib/x.jar!/``."""

    def __init__(
        self, source: ByteSource, rows: PackageRows, budget: ArchiveBudget, *, title: str = "", depth: int = 1
    ) -> None:
        self._source, self._rows, self._budget, self._title, self._depth = source, rows, budget, title, depth
        self._evidence = Evidence()
        self._manifests: list[tuple[Entry, ManifestParser]] = []
        self._file_lists: dict[str, Entry] = {}
        self._texts: dict[str, Entry] = {}
        self._archives: list[Entry] = []
        self._executables: list[Entry] = []

    def run(self) -> bool:
        """Read the directory and then the members until the budget is spent; return whether a library was named."""
        count = 0
        with self._reporting(self._title or "the package"):
            archive = Archive(self._source, self._budget, title=self._title)
            with self._reporting(self._title or "the package"):  # entries before the damage are used
                for entry in archive.entries():
                    self._classify(entry)
            count = self._read_installed(archive)
            for entry in self._archives:
                self._inspect_nested(archive, entry)
            for entry in self._executables:
                self._read_executable(archive, entry)
            if self._depth == 1:
                self._read_requested(archive)
            for message in self._evidence.unexplained(is_locked=self._rows.has_lock):
                self._rows.add_unexplained(message)
            for path in self._evidence.unread():
                message = f"{(self._title + path)[:200]!r} may name libraries and is not read"
                self._budget.report("not_read", message)
        return bool(count)

    def _classify(self, entry: Entry) -> None:
        is_package = self._depth == 1
        if is_package:
            self._rows.add_file(entry)
        parser = manifests.parser_for(entry.path)
        if parser is not None:
            self._manifests.append((entry, parser))
        if manifests.is_archive(entry.path):
            self._archives.append(entry)
            return
        self._evidence.add_file(entry.path, entry.size_bytes)
        if is_package and entry.path.endswith((".txt", ".in")) and len(self._texts) < _MAX_TEXTS:
            self._texts[entry.path] = entry
        if entry.path.endswith(_FILE_LISTS):
            self._file_lists[entry.path] = entry
        elif parser is None and is_package and entry.is_executable and manifests.may_be_executable(entry.path):
            self._executables.append(entry)

    def _read_installed(self, archive: Archive) -> int:
        """Read the manifests of installed libraries, fallbacks last; return how many libraries they name."""
        installed = [item for item in self._manifests if not item[1].is_request]
        installed.sort(key=lambda item: (item[1].is_fallback, item[0].offset))
        count = 0
        for entry, parser in installed:
            if parser.is_fallback and count:
                break
            count += self._read(archive, entry, parser)
        for path, entry in self._file_lists.items():
            with self._reporting(self._title + path):
                if path.endswith(".deps.json"):
                    self._evidence.add_explained_files(explained_files(self._body(archive, entry)))
                elif path.endswith("/RECORD"):
                    self._evidence.add_record(path, _lines(archive.chunks(entry)))
                else:
                    self._evidence.add_top_level(path, _lines(archive.chunks(entry)))
        return count

    def _read(self, archive: Archive, entry: Entry, parser: ManifestParser, **siblings: bytes) -> int:
        path = self._title + entry.path
        with self._reporting(path):
            if parser.is_head_enough:
                body = archive.read_head(entry, max_bytes=_HEAD_BYTES)
            else:
                body = self._body(archive, entry)
            return self._rows.add_manifest(parser.parse(path, body, **siblings), parser.claim, self._evidence)
        return 0

    def _body(self, archive: Archive, entry: Entry) -> bytes:
        return bytes(archive.read(entry, max_bytes=self._budget.limits.manifest_bytes))

    def _read_executable(self, archive: Archive, entry: Entry) -> None:
        """Read the Go modules of an executable; an ELF file without build information is of unknown origin."""
        path = self._title + entry.path
        with self._reporting(path):
            dependencies = read_executable(path, archive.chunks(entry))
            if self._rows.add_manifest(dependencies, Claim.INSTALLED, self._evidence):
                return
            is_elf = archive.read_head(entry, max_bytes=len(ELF)) == ELF
            if is_elf and not self._evidence.is_of_library(entry.path):
                self._rows.add_unexplained(f"{path[:200]!r} is a program that does not say what it was built from")

    def _inspect_nested(self, archive: Archive, entry: Entry) -> None:
        """Inspect a nested archive: in place if it is stored uncompressed, else in memory."""
        path = self._title + entry.path
        if not manifests.is_jar(path) and self._evidence.is_of_library(entry.path):
            return  # data files of a library
        if self._depth >= self._budget.limits.depth:
            message = f"{path[:200]!r} is an archive within archives and is not opened"
            self._budget.report("too_deep", message)
            return
        is_named = False
        with self._reporting(path):
            stored = archive.stored_range(entry)
            with nullcontext() if stored else self._budget.reserve_nested(entry.size_bytes):
                nested = stored or MemorySource(archive.read(entry, max_bytes=self._budget.limits.nested_bytes))
                inspection = _ArchiveInspection(
                    nested, self._rows, self._budget, title=f"{path}!/", depth=self._depth + 1
                )
                is_named = inspection.run()
        if manifests.is_jar(path) and not is_named:
            self._add_jar_by_name(path)

    def _add_jar_by_name(self, path: str) -> None:
        """Add the artifact that the file name of a jar gives, where nothing inside the jar names one."""
        artifact, version = name_of_jar(path) or (None, None)
        item = dependency("maven", artifact, version, path)
        if item is None:
            self._rows.add_unexplained(f"{path[:200]!r} does not say which artifact it is")
        else:
            self._rows.add_manifest([item], Claim.INSTALLED, self._evidence)

    def _read_requested(self, archive: Archive) -> None:
        """Read the function's own lock files, package.json and requirements, with the files that they include."""
        own = [
            item for item in self._manifests if item[1].is_request and not self._evidence.is_of_library(item[0].path)
        ]
        entries = {entry.path: entry for entry, _ in own}
        queue = deque(sorted(own, key=lambda item: (item[1].claim.value, item[0].offset)))
        while queue:
            entry, parser = queue.popleft()
            siblings = {}
            sibling = entries.get(posixpath.join(posixpath.dirname(entry.path), parser.sibling))
            if parser.sibling and sibling:
                with self._reporting(self._title + sibling.path):
                    siblings["project"] = self._body(archive, sibling)
            self._read(archive, entry, parser, **siblings)
            for path in self._included(archive, entry) if entry.path in self._texts else ():
                included = self._texts.get(path)
                included_parser = manifests.requirements_parser(path)
                if included is None:
                    message = f"{entry.path[:200]} includes {path[:200]!r}, which is not there"
                    self._budget.report("not_installed", message)
                elif included_parser and path not in entries:
                    entries[path] = included
                    queue.append((included, included_parser))

    def _included(self, archive: Archive, entry: Entry) -> list[str]:
        with self._reporting(entry.path):
            return list(included_files(entry.path, self._body(archive, entry)))
        return []

    @contextmanager
    def _reporting(self, path: str) -> Iterator[None]:
        """Report errors of the bytes at ``path`` as problems; raise them if the budget is spent."""
        try:
            yield
        except ArchiveError as error:
            if self._budget.is_spent:
                raise
            self._budget.report(error.code, f"{path[:200]}: {error}")
        except _PARSER_ERRORS:  # the error's own message could quote the file
            self._budget.report("bad_manifest", f"{path[:200]} is not what its name says")


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Yield the lines of a text that comes in chunks; lines that are too long are cut."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        rest = rest[:_HEAD_BYTES]
        yield from (line.decode("utf-8", "replace") for line in lines)
    if rest:
        yield rest.decode("utf-8", "replace")
