"""Which packages are fetched, and how."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

from lexport.settings.checks import check, check_types

Qualifiers = Literal["latest", "published", "all"]

PACKAGE_CONCURRENCY = 16  # downloads at once; each takes a megabyte or two
MOST_PACKAGES_AT_ONCE = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageSettings:
    """Which packages are fetched, and how.

    ``packages_for``, ``runtimes`` and ``names`` (patterns like ``billing-*``) choose function versions. A package is
    fetched when a chosen version refers to it and it is no larger than ``max_size_bytes``. ``concurrency`` bounds the
    downloads at once, ``rate_bytes_per_s`` all of them together. ``hosts`` are the hosts besides AWS's S3 to which
    presigned URLs may lead. ``reference_packages`` fetches packages in the customer's own buckets, with the caller's
    permissions; ``layers`` fetches the layer versions in use, ``inspect`` inspects the stored packages,
    and with ``secrets`` searches their text for secrets.
    """

    packages_for: Qualifiers = "all"
    runtimes: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    max_size_bytes: int | None = None
    concurrency: int = PACKAGE_CONCURRENCY
    rate_bytes_per_s: float | None = None
    hosts: tuple[str, ...] = ()
    reference_packages: bool = False
    layers: bool = False
    inspect: bool = False
    secrets: bool = False

    def __post_init__(self) -> None:
        """Check every setting."""
        check_types(self)
        kinds = get_args(Qualifiers)
        check(self.packages_for in kinds, "--packages-for", f"is one of {', '.join(kinds)}")
        for option, size in (("--max-package-size", self.max_size_bytes), ("--package-rate", self.rate_bytes_per_s)):
            check(size is None or (math.isfinite(size) and size > 0), option, f"is a number of bytes, not {size}")
        is_good = 1 <= self.concurrency <= MOST_PACKAGES_AT_ONCE
        check(is_good, "--package-concurrency", f"is from 1 to {MOST_PACKAGES_AT_ONCE}, not {self.concurrency}")
        for option, texts in (("--package-runtime", self.runtimes), ("--package-name", self.names)):
            check(all(texts), option, "is not empty")
        check(self.inspect or not self.secrets, "--secrets", "goes with --inspect")

    def for_manifest(self) -> dict[str, Any]:
        """Return the settings that the manifest records."""
        return {
            "packages_for": self.packages_for,
            "runtimes": list(self.runtimes),
            "names": list(self.names),
            "max_size_bytes": self.max_size_bytes,
            "reference_packages": self.reference_packages,
            "layers": self.layers,
            "inspect": self.inspect,
            **({"secrets": True} if self.secrets else {}),
        }
