"""What became of each reference of an account-region: a row, gone since, or a gap. Counts alone, so memory is bounded.

A reference is a version to read: one that was listed, or that the user named. An answer about anything else is never a
row (identity.py), so what is counted here is one row, one deleted version or one gap per reference.
"""

from __future__ import annotations

from dataclasses import dataclass

LOST = "references_lost"  # the error code of an account-region that does not add up


@dataclass(slots=True)
class References:
    """The references of one account-region. ``listed`` counts those to read, one that is listed twice as two.

    ``rows`` were staged for ``functions``, ``lost`` are gone since or a gap, and ``unwanted`` are ``$LATEST`` where
    only published versions are kept.
    """

    listed: int = 0
    rows: int = 0
    lost: int = 0
    unwanted: int = 0

    def missing(self) -> str | None:
        """Say which references nothing became of; None where every one is accounted for."""
        if self.listed == self.rows + self.lost + self.unwanted:
            return None
        return (
            f"{self.listed:,} versions were listed or named; {self.rows:,} were read, {self.unwanted:,} read and not"
            f" kept, {self.lost:,} gone or failed: {_difference(self.listed - self.rows - self.lost - self.unwanted)}"
        )

    def missing_rows(self, *, written: int, dropped: int) -> str | None:
        """Compare the staged rows with those written and those that fell out because they came twice."""
        if self.rows == written + dropped:
            return None
        return (
            f"{self.rows:,} versions were read; {written:,} rows were written, {dropped:,} came twice:"
            f" {_difference(self.rows - written - dropped)}"
        )

    def distinct(self, *, dropped: int) -> int:
        """Return how many references there are to account for, each counted once."""
        return self.listed - self.unwanted - dropped


def _difference(missing: int) -> str:
    return f"{missing:,} are lost" if missing > 0 else f"{-missing:,} are too many"
