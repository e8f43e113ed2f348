"""Estimate what is left of a run. Pure: counters and rates in, totals and seconds out, None where nothing is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lexport.extract.progress import Progress, ShardProgress

Phase = Literal["listing", "versions", "other resources", "finishing", "done"]

LEAST_LEFT_S = 1.0
"""Work that is left takes at least this long: an estimate never says that there is nothing to wait for."""
_PAGE = 50  # versions on a page of ListFunctions
_LEAST_OF_QUOTA = 0.1  # a standstill is not taken for the rate of what is left


def phase_of(shard: ShardProgress) -> Phase:
    """Return what an account-region is waiting for."""
    if shard.is_done:
        return "done"
    if not shard.is_listed:
        return "listing"
    if shard.fetched < shard.listed:
        return "versions"
    return "other resources" if shard.calls_due > 0 else "finishing"


def versions_total(shard: ShardProgress) -> int | None:
    """Return how many versions there are to read, as far as that is known; never fewer than are listed."""
    if shard.is_listed:
        return shard.listed
    if shard.versions_before is not None:
        return max(shard.listed, shard.versions_before)
    if shard.functions_counted is None or not shard.functions_listed:
        return None
    return max(shard.listed, round(shard.listed * shard.functions_counted / shard.functions_listed))


def shard_left_s(shard: ShardProgress, rate_per_s: float) -> float | None:
    """Return the seconds that an account-region still takes at ``rate_per_s`` versions a second; None if not known.

    The two quota classes are used side by side, so the slower one decides.
    """
    if shard.is_done:
        return 0.0
    total = versions_total(shard)
    if total is None or phase_of(shard) == "finishing":
        return None
    get_function, listing = shard.pace()
    versions, calls = max(0, total - shard.fetched), max(0, shard.calls_due)
    if get_function.failing + listing.failing and rate_per_s < _LEAST_OF_QUOTA:
        return None  # nothing gets through
    if not shard.is_listed:
        calls += (total - shard.listed) // _PAGE + 1
        if shard.functions_counted is not None:  # each function is asked for as often as those that are listed
            unlisted = max(0, shard.functions_counted - shard.functions_listed)
            calls += sum(unlisted for count in shard.asked.values() if count)
    versions_s = versions / max(rate_per_s, get_function.rate_per_s * _LEAST_OF_QUOTA)
    return max(LEAST_LEFT_S, versions_s, calls / listing.rate_per_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTotals:
    """The account-regions of a run together. ``versions`` is None where an account-region has no total yet."""

    done: int
    shards: int
    waiting: int
    fetched: int
    versions: int | None
    left_s: float | None


def run_totals(progress: Progress, lefts_s: Sequence[float | None]) -> RunTotals:
    """Sum up a run; ``lefts_s`` are the estimates of ``progress.shards``.

    Account-regions that have not begun count with the mean time of those that are done, or, where the last snapshot
    had them, with its versions at the quota of their fellows. Accounts that are not entered yet make the time unknown.
    """
    shards, kept = progress.shards, progress.kept
    done = sum(shard.is_done for shard in shards)
    running = [(shard, left) for shard, left in zip(shards, lefts_s, strict=True) if not shard.is_done]
    ended = max(kept.shards_done, done + kept.shards_before)
    count = max(kept.shards, ended + len(running))
    waiting = count - ended - len(running)
    totals = [versions_total(shard) for shard in shards]
    known = [total for total in totals if total is not None]
    begun = {shard.scope for shard in shards}
    sizes = [size for scope, size in progress.versions_before.items() if scope not in begun] if waiting else []
    is_known = len(known) == len(totals) and len(sizes) >= waiting
    return RunTotals(
        done=ended,
        shards=count,
        waiting=waiting,
        fetched=sum(shard.fetched for shard in shards),
        versions=sum(known) + sum(sizes[:waiting]) if is_known else None,
        left_s=_run_left_s(progress, [left for _, left in running], waiting, sizes),
    )


def _run_left_s(
    progress: Progress, lefts_s: Sequence[float | None], waiting: int, sizes: Sequence[int]
) -> float | None:
    if progress.accounts_left or any(left is None for left in lefts_s):
        return None
    longest_s = max((left for left in lefts_s if left is not None), default=0.0)
    if not waiting:
        return longest_s or None
    ended = [shard for shard in progress.shards if shard.ended_at is not None]
    if not ended and len(sizes) < waiting:
        return None
    took_s = [(shard.ended_at - shard.started_at).total_seconds() for shard in ended if shard.ended_at]
    mean_s = sum(took_s) / len(took_s) if took_s else 0.0
    rate = max((shard.pace()[0].rate_per_s for shard in progress.shards), default=1.0)
    sizes_s = sum(sizes[:waiting]) / rate if len(sizes) >= waiting else 0.0
    side_by_side = max(1, len(lefts_s))
    waiting_s = max(mean_s * waiting, sizes_s)
    together_s = (sum(left for left in lefts_s if left is not None) + waiting_s) / side_by_side
    return max(LEAST_LEFT_S, longest_s, together_s)
