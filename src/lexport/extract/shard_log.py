"""The log of reading one shard: counts of calls, references and denials, its failures, and its status."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from lexport.aws.quota.pacer import Pacer
from lexport.dataset.references import LOST, describe_missing
from lexport.errors import AccessDeniedError, ExpiredCredentialsError, FlattenError, FunctionGoneError, ItemError
from lexport.extract.access import REGION_OFF
from lexport.extract.failures import Failures, Item, failure_of
from lexport.extract.lossless import Notice
from lexport.model import Failure, FunctionRef, References, ScopeStatus, Shard, ShardResult
from lexport.tables.resource import Resource, Row
from lexport.tables.run import SCOPES

_REPORTED_COUNT = next(column.source for column in SCOPES.columns if column.name == "function_count_reported")


@dataclass(slots=True, kw_only=True)
class ShardLog:
    """The counts and failures of one shard.

    ``replies`` counts successful calls, ``denials`` the gaps that credentials or permissions made, ``refusals`` those
    that permissions alone made, which another attempt would not fill. ``listed`` counts
    the references to read; each is counted again in ``rows``, ``unwanted`` or ``lost``.
    """

    shard: Shard
    failures: Failures
    note_run: Callable[[str], None]
    started_at: datetime
    replies: int = 0
    denials: int = 0
    refusals: int = 0
    has_lost_listings: bool = False
    listed: int = 0
    rows: int = 0
    unwanted: int = 0
    lost: int = 0
    carried_rows: int = 0
    function_count_reported: int | None = None
    reported_by: str = ""
    is_answering: bool = False
    is_off: bool = False
    ended_by: Failure | None = None

    def take_reported_count(self, resource: Resource, row: Row) -> None:
        """Take AWS's own count of the functions from the row of a resource that has it."""
        for column in resource.tables[0].columns:
            if column.source == _REPORTED_COUNT:
                self.function_count_reported, self.reported_by = row[column.name], resource.call.operation

    # --- failures -----------------------------------------------------------------------------------------------------

    def record(self, error: ItemError, item: Item) -> Failure:
        """Make an error a row of ``errors``."""
        failure = self.failures.record(error, item)
        self.denials += isinstance(error, AccessDeniedError | ExpiredCredentialsError) and failure.is_gap
        self.refusals += isinstance(error, AccessDeniedError) and failure.is_gap
        return failure

    def keep_denial(self, failure: Failure) -> None:
        """Record the denial of one version that an earlier attempt met; it is not asked for again."""
        self.failures.append(failure)
        self.denials += 1
        self.refusals += 1
        self.lost += 1

    def record_function_error(self, ref: FunctionRef, error: ItemError) -> None:
        """Record that one function, version or alias could not be read."""
        self.is_answering |= isinstance(error, AccessDeniedError | FunctionGoneError)
        self.lost += 1
        stage = "flatten" if isinstance(error, FlattenError) else "fetch"
        item = Item(self.shard.scope, stage, "GetFunction", ref.function_name, ref.qualifier, is_named=ref.is_named)
        self.record(error, item)

    def record_listing_error(self, operation: str, function_name: str | None, error: ItemError) -> None:
        """Record that a listing, a page or an item of it could not be read."""
        self.has_lost_listings = True
        self.record(error, Item(self.shard.scope, "discover", operation, function_name))

    def notice(
        self, operation: str, function_name: str | None, qualifier: str | None, notices: Sequence[Notice]
    ) -> None:
        """Make notices, which lose nothing, rows of ``errors``."""
        for notice in notices:
            item = Item(self.shard.scope, "flatten", operation, function_name, qualifier)
            self.failures.notice(item, notice.code, notice.message)

    def note(self, text: str) -> None:
        """Add a note about this shard."""
        self.note_run(f"{self.shard.scope}: {text}")

    # --- the end ------------------------------------------------------------------------------------------------------

    def give_up(self, error: ItemError) -> None:
        """Note that the credentials do not allow to read on: the Region is off where that may be, else it is a gap."""
        item = Item(self.shard.scope, "discover")
        is_uncertain = self.shard.region_status == "uncertain"
        self.is_off = is_uncertain and error.code in REGION_OFF and not self.is_answering
        self.ended_by = failure_of(error, item, datetime.now(UTC)) if self.is_off else self.record(error, item)

    def account_for_references(self) -> None:
        """Record it where references came to nothing, and note an empty listing that AWS's own count contradicts."""
        if missing := describe_missing(self.references()):
            self.record(ItemError(missing, code=LOST), Item(self.shard.scope, "discover"))
        if self.shard.refs is None and not self.listed and self.function_count_reported:
            self.note(
                f"ListFunctions named no function, {self.reported_by} counts {self.function_count_reported:,};"
                " if it stays so, something between here and AWS may cut lists"
            )

    def references(self) -> References:
        """Return what became of the references so far."""
        return References(listed=self.listed, rows=self.rows, lost=self.lost, unwanted=self.unwanted)

    def status(self) -> ScopeStatus:
        """Judge the shard: nothing but denials is ``denied``, any other gap is ``partial``."""
        gaps = self.failures.gaps[self.shard.scope]
        if self.is_off:
            return "unavailable"
        if not gaps:
            return "complete"
        return "denied" if not self.replies and self.denials == gaps else "partial"

    def is_final(self) -> bool:
        """Return whether another attempt would find nothing more: what is missing was denied."""
        return self.ended_by is None and self.failures.gaps[self.shard.scope] == self.refusals

    def result(self, pacer: Pacer) -> ShardResult:
        """Return the result, with the calls that ``pacer`` counted."""
        get_function, listing = pacer.readings(self.shard.scope)
        counts = pacer.counts(self.shard.scope)
        return ShardResult(
            shard=self.shard,
            status=self.status(),
            get_function_calls=get_function.calls,
            list_calls=listing.calls,
            throttles=counts.throttles,
            calls=dict(counts.by_operation),
            retries=counts.retries,
            gaps=self.failures.gaps[self.shard.scope],
            carried_rows=self.carried_rows,
            function_count_reported=self.function_count_reported,
            references=self.references(),
            is_answering=self.is_answering,
            ended_by=self.ended_by,
            is_final=self.is_final(),
            started_at=self.started_at,
            ended_at=datetime.now(UTC),
        )
