"""Whether every reference of a shard is accounted for: it is a row, it was deleted meanwhile, or it is a gap.

A reference is a function version to read: one that was listed, or that the user named. A response about anything else
is never a row (match_response.py), so each reference comes to one row, one deleted version or one gap. Only counts are
kept, so memory does not grow with the fleet.
"""

from __future__ import annotations

from lexport.model import References

LOST = "references_lost"
"""The error code of a shard whose counts do not add up."""


def describe_missing(references: References) -> str | None:
    """Say how many references came to nothing; None where all of them are accounted for."""
    accounted = references.rows + references.lost + references.unwanted
    if references.listed == accounted:
        return None
    return (
        f"{references.listed:,} versions were listed or named; {references.rows:,} were read, {references.unwanted:,}"
        f" read and not kept, {references.lost:,} gone or failed: {_difference(references.listed - accounted)}"
    )


def describe_missing_rows(references: References, *, written: int, dropped: int) -> str | None:
    """Compare the staged rows with those ``written`` and those ``dropped`` because they came twice."""
    if references.rows == written + dropped:
        return None
    return (
        f"{references.rows:,} versions were read; {written:,} rows were written, {dropped:,} came twice:"
        f" {_difference(references.rows - written - dropped)}"
    )


def count_distinct(references: References, *, dropped: int) -> int:
    """Return how many references have to be accounted for, each counted once."""
    return references.listed - references.unwanted - dropped


def _difference(missing: int) -> str:
    return f"{missing:,} are lost" if missing > 0 else f"{-missing:,} are too many"
