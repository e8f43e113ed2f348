"""What the inspection of one package may cost, and how much of that is left. Packages are untrusted input."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic

from lexport.errors import ArchiveError

MIB = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveLimits:
    """Limits for one package, including the archives inside it. Lambda allows 250 MB unpacked."""

    entries: int = 250_000  # about 25 MB for their names' hashes; the largest node_modules hold 100,000
    directory_bytes: int = 64 * MIB  # 250,000 entries with long names
    name_characters: int = 1_024  # Linux allows 4,096 bytes for a path; real paths are far shorter
    manifest_bytes: int = 2 * MIB  # one JSON manifest is parsed at once and takes up to 30 times its size
    nested_bytes: int = 64 * MIB  # compressed archives inside archives, all that are in memory at once
    inflated_bytes: int = 512 * MIB  # everything inflated: executables and jars of a package twice over
    declared_bytes: int = 4096 * MIB  # sum of the sizes that the entries declare: far beyond what Lambda can unpack
    ratio: int = 200  # text reaches 20, executables 4; bombs need 1,000
    depth: int = 4  # the package, a jar or war of an application, the jars inside it, and their contents
    dependencies: int = 250_000  # about 25 MB for their hashes; a lock file of 2 MiB names 10,000
    text_bytes: int = 32 * MIB  # of one text that is searched for secrets: source maps of large bundles reach 20
    findings: int = 10_000  # secrets of one package; more are a list of something else
    seconds: float = 120.0  # a package at the limits takes about 10


DEFAULT_LIMITS = ArchiveLimits()


class ArchiveBudget:
    """What is left of the limits for one package. Once ``is_spent``, nothing more may be read.

    ``problems`` are those that the inspection survived: code -> count and the first message. ``check`` is called every
    now and then and ends the inspection by raising.
    """

    def __init__(self, limits: ArchiveLimits = DEFAULT_LIMITS, *, check: Callable[[], None] = lambda: None) -> None:
        self.limits = limits
        self.problems: dict[str, tuple[int, str]] = {}
        self.is_spent = False
        self._entries = limits.entries
        self._inflated_bytes = limits.inflated_bytes
        self._nested_bytes = limits.nested_bytes
        self._check = check
        self._deadline_s = monotonic() + limits.seconds

    def report(self, code: str, message: str, count: int = 1) -> None:
        """Add ``count`` problems of one code; the first message of each code is kept."""
        previous, first = self.problems.get(code, (0, message))
        self.problems[code] = (previous + count, first)

    def spend_entry(self) -> None:
        """Count one entry; raises ArchiveError when there are too many or the time is up."""
        self._entries -= 1
        if self._entries < 0:
            self.is_spent = True
            raise ArchiveError(f"more than {self.limits.entries:,} entries", code="too_many_entries")
        if not self._entries % 1024:
            self._check_time()

    def spend_inflated(self, size_bytes: int) -> None:
        """Count inflated bytes; raises ArchiveError when there are too many or the time is up."""
        self._inflated_bytes -= size_bytes
        if self._inflated_bytes < 0:
            self.is_spent = True
            raise ArchiveError(f"more than {self.limits.inflated_bytes // MIB} MiB to inflate", code="bomb")
        self._check_time()

    @contextmanager
    def reserve_nested(self, size_bytes: int | None) -> Iterator[None]:
        """Reserve memory for a nested archive; raises ArchiveError where all of them together take too much."""
        if size_bytes is None or size_bytes > self._nested_bytes:
            limit = self.limits.nested_bytes
            raise ArchiveError(
                f"{size_bytes} bytes, more than the {limit:,} of nested archives in memory", code="too_large"
            )
        self._nested_bytes -= size_bytes
        try:
            yield
        finally:
            self._nested_bytes += size_bytes

    def _check_time(self) -> None:
        self._check()
        if monotonic() > self._deadline_s:
            self.is_spent = True
            raise ArchiveError(f"not read within {self.limits.seconds:.0f} s", code="too_slow")
