"""Where a dataset is, and how it is reached."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from lexport.settings.checks import check, check_types

Encryption = Literal["AES256", "aws:kms", "aws:kms:dsse"]


@dataclass(frozen=True, slots=True)
class Destination:
    """A destination with the settings of its object store; it may stand wherever a path or a URL does.

    ``dest_profile`` has the credentials for ``s3://``, where they are others than those of the Lambda calls. ``sse``
    and ``kms_key`` encrypt what is written to ``s3://``. Files of a bucket that are read lie in a cache of
    ``cache_size_bytes``; those with environment values only with ``cache_values``. A request to the bucket without an
    answer fails after ``timeout_s``, and later for a large file; it is repeated.
    """

    url: str
    dest_profile: str | None = None
    sse: Encryption | None = None
    kms_key: str | None = None
    cache_size_bytes: int = 10 * 10**9
    cache_values: bool = False
    timeout_s: float = 30.0

    def __post_init__(self) -> None:
        """Check every setting."""
        check_types(self)
        kinds = get_args(Encryption)
        check(self.sse is None or self.sse in kinds, "--dest-sse", f"is one of {', '.join(kinds)}")
        check(self.kms_key is None or self.sse != "AES256", "--dest-kms-key", "goes with --dest-sse aws:kms")
        check(self.cache_size_bytes > 0, "--cache-size", f"is a number of bytes, not {self.cache_size_bytes}")
        is_good = math.isfinite(self.timeout_s) and self.timeout_s > 0
        check(is_good, "--dest-timeout", f"is a number of seconds, not {self.timeout_s}")

    def __fspath__(self) -> str:
        return self.url

    def __str__(self) -> str:
        return self.url
