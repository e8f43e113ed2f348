"""Stored package -> rows of ``package_secrets``: every text member is searched, the function's own code first.

Nothing is unpacked to disk, and nothing but paths, numbers of lines and names of rules leaves this module. Faults of
the package become problems beside its rows, as in inspect_package.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from lexport.artifacts.archive_limits import DEFAULT_LIMITS, MIB, ArchiveBudget, ArchiveLimits
from lexport.artifacts.dependencies import manifests
from lexport.artifacts.dependencies.evidence import Evidence
from lexport.artifacts.dependencies.purl import dependency
from lexport.artifacts.inspect_package import InspectionResult, problems_of
from lexport.artifacts.secrets.code_rules import LIBRARY_LEADS, OWN_LEADS, RULES_VERSION, broken_rules
from lexport.artifacts.secrets.text_windows import Window, windows
from lexport.artifacts.zip_reader import Archive, ByteSource, Entry, FileSource, MemorySource
from lexport.dataset.runs import staged_batch
from lexport.errors import ArchiveError
from lexport.tables.packages import PACKAGE_SECRETS
from lexport.tables.staged import Batch

STAGE = "secrets"
_BLOCK_CHARACTERS = 2 * MIB
_FOLLOWING_LINES = 8  # in which the body of a private key begins
_LIBRARY = re.compile(r"(?:^|/)(?:node_modules|site-packages|dist-packages|gems|vendor/[^/]+)/")
_NO_CODE = re.compile(
    r"(?:^|/)(?:tests?|testing|__tests__|specs?|fixtures?|__fixtures__|__mocks__|mocks?|testdata|examples?|samples?|docs?"
    r"|demos?|benchmarks?|man|changelogs?)/"
    r"|(?:^|/)(?:test_[^/]*|conftest\.py|[^/]*[._-](?:tests?|spec|examples?|fixtures?)\.\w+|examples?[-_.][^/]*"
    r"|readme[^/]*|changelog[^/]*|changes[^/]*|history[^/]*|METADATA|PKG-INFO|[^/]*\.(?:md|rst|d\.[cm]?ts|html?))$",
    re.IGNORECASE,
)
"""Tests and documentation, by their paths. In a library, what looks like a secret there is an example."""
_BINARY = re.compile(
    r"\.(?:pyc|so|dll|exe|node|wasm|class|png|jpe?g|gif|ico|webp|woff2?|ttf|eot|otf|pdf|gz|bz2|xz|zst|br|7z|tar|mp[34]|parquet"
    r"|npy|npz|bin|dat|o|a|lib|pyd|dylib)$",
    re.IGNORECASE,
)


def search_package(
    file: Path,
    *,
    sha256_hex: str,
    emit: Callable[[Batch], None],
    check: Callable[[], None] = lambda: None,
    limits: ArchiveLimits = DEFAULT_LIMITS,
) -> InspectionResult:
    """Search one stored package, pass its rows to ``emit``, and return its problems.

    ``status`` of the result is ``complete`` where all text was searched. Never raises because of the package's bytes.
    Blocking; ``check`` may end it by raising.
    """
    budget = ArchiveBudget(limits, check=check)
    findings: dict[tuple[str, int, str], None] = {}
    is_opened = True
    try:
        with file.open("rb", buffering=0) as opened:
            _ArchiveSearch(FileSource(opened.fileno()), findings, budget).run()
    except ArchiveError as error:
        budget.report(error.code, f"{error}; what follows is not searched for secrets")
    except OSError as error:
        is_opened = False
        budget.report("unreadable", f"{file.name}: {error.strerror}")
    if findings:
        rows = [(None, None, sha256_hex, *finding, RULES_VERSION, "") for finding in findings]
        emit({PACKAGE_SECRETS.name: staged_batch(PACKAGE_SECRETS, zip(*rows, strict=True))})
    problems = problems_of(budget, sha256_hex)
    if not is_opened:
        return InspectionResult(problems=problems, status=None)
    return InspectionResult(problems=problems, status="incomplete" if problems else "complete")


class _ArchiveSearch:
    """Searches one archive: the package, or one inside it, whose paths begin with a ``title`` like ``lib/x.jar!/``.

    An archive inside the package is a library.
    """

    def __init__(
        self,
        source: ByteSource,
        findings: dict[tuple[str, int, str], None],
        budget: ArchiveBudget,
        *,
        title: str = "",
        depth: int = 1,
    ) -> None:
        self._source, self._findings, self._budget, self._title, self._depth = source, findings, budget, title, depth
        self._evidence = Evidence()
        self._block: list[
            tuple[str, Window]
        ] = []  # of several members, because to compile the pattern takes milliseconds
        self._block_characters = 0

    def run(self) -> None:
        """Read the directory and then the members until the budget is spent."""
        with self._reporting(self._title or "the package"):
            archive = Archive(self._source, self._budget, title=self._title)
            entries = []
            with self._reporting(self._title or "the package"):  # entries before the damage are searched
                entries = [*self._texts_and_archives(archive)]
            self._read_file_lists(archive, entries)
            nested = [entry for entry in entries if manifests.is_archive(entry.path)]
            texts = [(self._is_library(entry.path), entry) for entry in entries if not manifests.is_archive(entry.path)]
            texts.sort(key=lambda item: (item[0], item[1].offset))
            for is_library, group in groupby(texts, key=itemgetter(0)):
                for _, entry in group:
                    if not (is_library and _NO_CODE.search(entry.path)):
                        self._read(archive, entry, is_library=is_library)
                self._search_block(is_library=is_library)
            for entry in nested:
                self._search_nested(archive, entry)

    def _texts_and_archives(self, archive: Archive) -> Iterator[Entry]:
        for entry in archive.entries():
            if entry.size_bytes != 0 and not entry.is_encrypted and not _BINARY.search(entry.path):
                yield entry

    def _is_library(self, path: str) -> bool:
        return self._depth > 1 or _LIBRARY.search(path) is not None or self._evidence.is_of_library(path)

    def _read_file_lists(self, archive: Archive, entries: list[Entry]) -> None:
        """Learn from installed Python distributions which files are theirs."""
        for entry in entries:
            path = entry.path
            folder, _, name = path.rpartition("/")
            if not folder.endswith(("-info", "EGG-INFO")):
                continue
            if name in {"METADATA", "PKG-INFO"}:
                distribution = folder.rpartition("/")[2].partition("-")[0]
                if item := dependency("pypi", distribution, None, path):
                    self._evidence.add_dependency(item)
            elif name in {"RECORD", "top_level.txt"}:
                with self._reporting(self._title + path):
                    body = bytes(archive.read(entry, max_bytes=self._budget.limits.manifest_bytes))
                    lines = body.decode("utf-8", "replace").splitlines()
                    if name == "RECORD":
                        self._evidence.add_record(path, lines)
                    else:
                        self._evidence.add_top_level(path, lines)

    def _read(self, archive: Archive, entry: Entry, *, is_library: bool) -> None:
        path = self._title + entry.path
        for window in windows(self._chunks(archive, entry)):
            self._block.append((path, window))
            self._block_characters += len(window.text)
            if self._block_characters >= _BLOCK_CHARACTERS:
                self._search_block(is_library=is_library)

    def _search_block(self, *, is_library: bool) -> None:
        block, self._block, self._block_characters = self._block, [], 0
        leads = LIBRARY_LEADS if is_library else OWN_LEADS
        for index in _matching([window.text for _, window in block], leads):
            path, window = block[index]
            lines = window.text.split("\n")
            for at in _matching(lines, leads):
                following = "\n".join(lines[at + 1 : at + 1 + _FOLLOWING_LINES])
                is_cut = window.is_cut and at == 0
                for rule in broken_rules(lines[at], following, is_cut=is_cut, is_library=is_library):
                    self._add(path, window.line + at, rule)

    def _add(self, path: str, line: int, rule: str) -> None:
        self._findings[path, line, rule] = None
        if len(self._findings) >= self._budget.limits.findings:
            self._budget.is_spent = True
            raise ArchiveError(f"more than {len(self._findings):,} findings", code="too_many_findings")

    def _chunks(self, archive: Archive, entry: Entry) -> Iterator[bytes]:
        """Yield the bytes of a member. What comes before a fault is searched."""
        size_bytes, limit = 0, self._budget.limits.text_bytes
        with self._reporting(self._title + entry.path):
            for chunk in archive.chunks(entry):
                size_bytes += len(chunk)
                yield chunk
                if size_bytes > limit:
                    raise ArchiveError(
                        f"a text of more than {limit:,} bytes; the rest is not searched", code="too_large"
                    )

    def _search_nested(self, archive: Archive, entry: Entry) -> None:
        """Search a nested archive: in place if it is stored uncompressed, else in memory."""
        path = self._title + entry.path
        if self._depth >= self._budget.limits.depth:
            self._budget.report("too_deep", f"{path[:200]!r} is an archive within archives and is not opened")
            return
        with self._reporting(path):
            stored = archive.stored_range(entry)
            with nullcontext() if stored else self._budget.reserve_nested(entry.size_bytes):
                nested = stored or MemorySource(archive.read(entry, max_bytes=self._budget.limits.nested_bytes))
                _ArchiveSearch(nested, self._findings, self._budget, title=f"{path}!/", depth=self._depth + 1).run()

    @contextmanager
    def _reporting(self, path: str) -> Iterator[None]:
        """Report errors of the bytes at ``path`` as problems; raise them if the budget is spent."""
        try:
            yield
        except ArchiveError as error:
            if self._budget.is_spent:
                raise
            self._budget.report(error.code, f"{path[:200]}: {error}")


def _matching(texts: list[str], pattern: str) -> list[int]:
    """Return the indexes of the texts that match, whatever their number for about the cost of one."""
    indexes: list[int] = pc.indices_nonzero(pc.match_substring_regex(pa.array(texts, pa.string()), pattern)).to_pylist()
    return indexes
