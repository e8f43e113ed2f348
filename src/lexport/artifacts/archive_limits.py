"""What looking into one package may cost, and what is left of it. Packages are made by strangers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic

from lexport.errors import ArchiveError

MIB = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one package may cost, the archives in it included. Lambda allows 250 MB unpacked."""

    entries: int = 250_000  # some 25 MB while they are told apart; node_modules at their worst hold 100,000
    directory_bytes: int = 64 * MIB  # 250,000 entries with long names
    name_characters: int = 1_024  # Linux allows 4,096 bytes for a path; nothing sane comes near
    manifest_bytes: int = 2 * MIB  # one JSON manifest, parsed at once: at worst 30 times its size
    nested_bytes: int = 64 * MIB  # compressed archives within archives, all that are held at once
    inflated_bytes: int = 512 * MIB  # everything inflated: executables and jars of a package twice over
    declared_bytes: int = 4096 * MIB  # what entries together claim to be: far beyond what Lambda can unpack
    ratio: int = 200  # text comes to 20, executables to 4; bombs need 1,000
    depth: int = 4  # the package, an application's jar or war in it, the jars in that, and what those hold
    dependencies: int = 250_000  # some 25 MB while they are told apart; a lock file of 2 MiB names 10,000
    seconds: float = 120.0  # a package at the limits takes about 10


LIMITS = Limits()


class Budget:
    """What is left of the limits for one package; ``is_spent`` once nothing more may be read.

    ``notes`` are its findings: code -> how many, and the first. ``check`` is called now and then; what it raises ends
    the reading.
    """

    def __init__(self, limits: Limits = LIMITS, *, check: Callable[[], None] = lambda: None) -> None:
        self.limits = limits
        self.notes: dict[str, tuple[int, str]] = {}
        self.is_spent = False
        self._entries = limits.entries
        self._inflated = limits.inflated_bytes
        self._nested = limits.nested_bytes
        self._check = check
        self._deadline = monotonic() + limits.seconds

    def note(self, code: str, text: str, count: int = 1) -> None:
        """Remember a finding that the reading survives; ``count`` of a kind, of which the text tells the first."""
        before, first = self.notes.get(code, (0, text))
        self.notes[code] = (before + count, first)

    def spend_entry(self) -> None:
        """Count one entry; raises ArchiveError when there are too many, or no time is left."""
        self._entries -= 1
        if self._entries < 0:
            self.is_spent = True
            raise ArchiveError(f"more than {self.limits.entries:,} entries", code="too_many_entries")
        if not self._entries % 1024:
            self._check_time()

    def spend_inflated(self, size: int) -> None:
        """Count inflated bytes; raises ArchiveError when there are too many, or no time is left."""
        self._inflated -= size
        if self._inflated < 0:
            self.is_spent = True
            raise ArchiveError(f"more than {self.limits.inflated_bytes // MIB} MiB to inflate", code="bomb")
        self._check_time()

    @contextmanager
    def hold(self, size: int | None) -> Iterator[None]:
        """Hold so many bytes of an archive within; raises ArchiveError when together there are too many."""
        if size is None or size > self._nested:
            most = self.limits.nested_bytes
            raise ArchiveError(f"{size} bytes, more than the {most:,} of archives that are held", code="too_large")
        self._nested -= size
        try:
            yield
        finally:
            self._nested += size

    def _check_time(self) -> None:
        self._check()
        if monotonic() > self._deadline:
            self.is_spent = True
            raise ArchiveError(f"not read within {self.limits.seconds:.0f} s", code="too_slow")
