"""The limits of GitHub code scanning on a SARIF file: choose the findings to write, and report exceeded limits.

Source: GitHub Docs, "SARIF results exceed one or more limits" and "SARIF support for code scanning", 2026.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, BinaryIO

from lexport.query.checks.definition import SEVERITIES

if TYPE_CHECKING:
    from lexport.query.checks.finding import CheckResult, Finding

MOST_RESULTS = 25_000  # a run with more is refused
SHOWN_RESULTS = 5_000  # of a run with more, the most severe are kept
MOST_TAGS = 20  # a rule with more is refused
SHOWN_TAGS = 10
MOST_RULES = 25_000
MOST_GZIP_BYTES = 10_000_000


class MeasuredStream:
    """A stream that counts how many bytes the file has when it is compressed for the upload."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._gzip = zlib.compressobj(wbits=31)
        self._size_bytes = 0

    def write(self, data: bytes) -> None:
        """Write bytes."""
        self._stream.write(data)
        self._size_bytes += len(self._gzip.compress(data))

    def end(self) -> int:
        """Return the compressed size of everything that was written."""
        return self._size_bytes + len(self._gzip.flush())


def most_severe(findings: Sequence[Finding], limit: int | None) -> tuple[Finding, ...]:
    """Return at most ``limit`` findings in their order: the most severe ones, and waived ones only if there is room."""
    if limit is None or len(findings) <= limit:
        return tuple(findings)

    def rank(index: int) -> tuple[bool, int]:
        return findings[index].waiver is not None, -SEVERITIES.index(findings[index].check.severity)

    kept = sorted(range(len(findings)), key=rank)[:limit]
    return tuple(findings[index] for index in sorted(kept))


def left_out(findings: Sequence[Finding], written: Sequence[Finding]) -> str | None:
    """Return a sentence about the findings that a limit leaves out; None if it leaves out none."""
    if len(findings) == len(written):
        return None
    counts = Counter[str](finding.check.severity for finding in findings)
    counts.subtract(finding.check.severity for finding in written)
    omitted = ", ".join(f"{counts[severity]:,} {severity}" for severity in reversed(SEVERITIES) if counts[severity])
    return f"--sarif-limit: {len(written):,} of {len(findings):,} findings are in the SARIF file, left out: {omitted}"


def beyond_limits(result: CheckResult, *, results: int, gzip_bytes: int) -> Iterator[str]:
    """Yield a sentence for each limit that a file exceeds: what code scanning will do, and what to do about it."""
    cut = f"leave some out with --min-severity, --skip or --sarif-limit {SHOWN_RESULTS}"
    if results > MOST_RESULTS:
        yield f"code scanning refuses more than {MOST_RESULTS:,} results, and there are {results:,}: {cut}"
    elif results > SHOWN_RESULTS:
        yield f"code scanning keeps the {SHOWN_RESULTS:,} most severe results of {results:,}: {cut}"
    if gzip_bytes > MOST_GZIP_BYTES:
        yield f"code scanning refuses more than 10 MB, and compressed the file has {gzip_bytes:,} bytes: {cut}"
    if len(result.checks) > MOST_RULES:
        yield f"code scanning refuses more than {MOST_RULES:,} rules, and there are {len(result.checks):,}: use --check"
    for check in result.checks:
        tags = len(tags_of(check.references))
        if tags > SHOWN_TAGS:
            action = f"refuses a rule of more than {MOST_TAGS}" if tags > MOST_TAGS else f"shows {SHOWN_TAGS}"
            yield f"code scanning {action} tags, and {check.name} has {tags} with its references"


def tags_of(references: Sequence[str]) -> tuple[str, ...]:
    """Return the tags of a rule."""
    return ("security", "aws-lambda", *references)
