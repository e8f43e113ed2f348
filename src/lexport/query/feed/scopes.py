"""What a feed does for each account-region."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal

from lexport.dataset.manifest import Manifest
from lexport.model import Scope
from lexport.query.catalog import Catalog
from lexport.query.lost_snapshots import LostSnapshots

Mode = Literal["whole", "delta", "gone", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedScope:
    """What a feed does for one account-region.

    ``whole``: delete all its rows from the state tables, then apply the upserts; also where the loaded snapshot is
    gone. ``delta``: deletes and upserts lead from ``since_snapshot_id`` to ``snapshot_id``. ``gone``: delete all its
    rows, for it was retired, or no whole reading of it is left. ``none``: nothing, for the given ``reason``.
    ``snapshot_id`` and ``snapshot_at`` are of the reading that counts from now on, or of the run that ended it;
    ``status`` is that of the last attempt to read the account-region.
    """

    account_id: str
    region: str
    mode: Mode
    snapshot_id: str | None
    snapshot_at: datetime | None
    status: str | None
    since_snapshot_id: str | None
    reason: str | None

    @property
    def scope(self) -> Scope:
        """The account-region."""
        return Scope(account_id=self.account_id, region=self.region)


def feed_scopes(
    catalog: Catalog, before: Mapping[Scope, Manifest], fresh: Collection[Manifest], lost: LostSnapshots
) -> Iterator[FeedScope]:
    """Yield the account-regions that have news, or whose last reading is not whole.

    ``before`` is what was loaded, ``fresh`` are the commits that were not.
    """
    latest, attempts, retired = catalog.latest(), catalog.last_attempts(), catalog.retired()
    newest, lost_scopes = catalog.manifests[0], lost.scopes()
    for scope in sorted({*latest, *attempts, *before, *lost_scopes}):
        now, then = latest.get(scope), before.get(scope)
        if then is not None and lost.replaced(scope, then):
            then = None  # a reading that is gone was loaded instead
        last, entry = attempts.get(scope, (newest, None))
        is_whole = entry is None or entry.status == "complete" or (now is None and entry.status == "unavailable")
        end = retired.get(scope)
        # The reading of an account-region that has ended may be pruned, so that only its end is left to see.
        is_gone = now is None and (scope in before or (scope in lost_scopes if end is None else end in fresh))
        is_news = now is not None and (then is None or then.snapshot_id != now.snapshot_id)
        if not (is_news or is_gone) and (is_whole or end is not None):
            continue
        shown = (end or newest) if is_gone else now
        yield FeedScope(
            **asdict(scope),
            mode="gone" if is_gone else "none" if not is_news else "whole" if then is None else "delta",
            snapshot_id=shown.snapshot_id if shown else None,
            snapshot_at=shown.snapshot_at if shown else None,
            status=entry.status if entry else None,
            since_snapshot_id=then.snapshot_id if then else None,
            reason=None if is_whole or end is not None or entry is None else f"{entry.status} in {last.snapshot_id}",
        )
