"""The log of reading one shard: counts of calls, references and denials, its failures, and its status."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from lexport.aws.quota.pacer import Pacer
from lexport.dataset.references import LOST, describe_missing
from lexport.dataset.resource_rows import names_read
from lexport.errors import AccessDeniedError, ExpiredCredentialsError, FlattenError, FunctionGoneError, ItemError
from lexport.extract.access import REGION_OFF
from lexport.extract.failures import GONE, Failures, Item, failure_of
from lexport.extract.lossless import Notice
from lexport.model import (
    CallCounts,
    Failure,
    FunctionRef,
    References,
    ResourceResult,
    ResourceStatus,
    ScopeStatus,
    Shard,
    ShardResult,
)
from lexport.tables.functions import RESOURCE as VERSIONS
from lexport.tables.registry import fleet_resources
from lexport.tables.resource import Resource, Row
from lexport.tables.run import SCOPES

_REPORTED_COUNT = next(column.source for column in SCOPES.columns if column.name == "function_count_reported")


@dataclass(slots=True)
class Outcome:
    """What reading one resource came to so far.

    ``answers`` counts "there is none" too, ``replies`` does not; ``denials`` are the ``failures`` by permissions.
    ``is_not_offered`` says that the Region does not have the operation. ``oldest_read_at`` is when the oldest item that
    was carried over was read; ``changes_until`` is the time up to which changes are known, where they decided that.
    """

    replies: int = 0
    answers: int = 0
    items: int = 0
    carried_items: int = 0
    failures: int = 0
    denials: int = 0
    is_not_offered: bool = False
    oldest_read_at: datetime | None = None
    changes_until: datetime | None = None

    def carry(self, items: int, read_at: datetime) -> None:
        """Count items that were carried over; ``read_at`` is when the oldest of them was read."""
        self.items += items
        self.carried_items += items
        self.oldest(read_at)

    def oldest(self, read_at: datetime) -> None:
        """Note when an item that was carried over was read."""
        self.oldest_read_at = min(self.oldest_read_at or read_at, read_at)

    def status(self) -> ResourceStatus:
        """Judge the resource: nothing but denials is ``denied``, any other failure leaves it ``partial``."""
        has_anything = self.replies or self.items
        if not self.failures:
            return "complete" if not self.is_not_offered else "partial" if has_anything else "unavailable"
        return "denied" if self.denials == self.failures and not has_anything else "partial"


def options_of_operations() -> dict[str, str]:
    """Return, for each operation that reads a fleet, the name of its resource that ``--with`` takes."""
    return {
        call.operation: resource.option for resource in fleet_resources() for call in (resource.call, *resource.lists)
    }


@dataclass(slots=True, kw_only=True)
class ShardLog:
    """The counts and failures of one shard; ``options`` are those of the run, as a manifest has them.

    ``replies`` counts successful calls, ``denials`` the gaps that credentials or permissions made, ``refusals`` those
    that permissions alone made, which another attempt would not fill. ``listed`` counts
    the references to read; each is counted again in ``rows``, ``unwanted`` or ``lost``.
    """

    shard: Shard
    failures: Failures
    note_run: Callable[[str], None]
    started_at: datetime
    options: Mapping[str, Any]
    outcomes: dict[str, Outcome] = field(default_factory=lambda: defaultdict(Outcome))
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
    _options_of: dict[str, str] = field(default_factory=options_of_operations)

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
        if failure.error_code != GONE:
            is_denied = isinstance(error, AccessDeniedError | ExpiredCredentialsError)
            self._count_failure(failure.operation, is_denied=is_denied)
        return failure

    def _count_failure(self, operation: str | None, *, is_denied: bool) -> None:
        option = self._options_of.get(operation or "")
        for outcome in [self.outcomes[option]] if option else [self.outcomes[name] for name in self._names_read()]:
            outcome.failures += 1
            outcome.denials += is_denied

    def _names_read(self) -> list[str]:
        return names_read(self.shard, self.options)

    def keep_denial(self, failure: Failure) -> None:
        """Record the denial of one version that an earlier attempt met; it is not asked for again."""
        self.failures.append(failure)
        self._count_failure(failure.operation, is_denied=True)
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
            resources=self.resource_results(counts),
        )

    def resource_results(self, counts: CallCounts) -> tuple[ResourceResult, ...]:
        """Return how complete each resource is that was to be read."""
        functions = self.outcomes[VERSIONS.option]
        functions.items, functions.carried_items = self.rows, self.carried_rows
        return tuple(self._resource_result(option, counts) for option in self._names_read())

    def _resource_result(self, option: str, counts: CallCounts) -> ResourceResult:
        outcome = self.outcomes[option]
        operations = [operation for operation, of in self._options_of.items() if of == option]
        status = outcome.status()
        if self.has_lost_listings and status == "complete" and option in self._per_function():
            status = "partial"  # of functions that were not listed nothing was read
        return ResourceResult(
            resource=option,
            status=status,
            items=outcome.items,
            carried_items=outcome.carried_items,
            calls=sum(counts.by_operation[operation] for operation in operations),
            throttles=sum(counts.throttled[operation] for operation in operations),
            read_at=self.started_at,
            oldest_read_at=min(outcome.oldest_read_at or self.started_at, self.started_at),
            changes_until=outcome.changes_until,
        )

    def _per_function(self) -> set[str]:
        return {resource.option for resource in fleet_resources() if resource.per not in ("account_region", "item")}


def log_result(logger: logging.Logger, result: ShardResult) -> None:
    """Log what reading a shard came to."""
    scope = result.shard.scope
    text = "%s: read, %s: %d versions, %d of them carried over, %d gaps; %d calls, %d throttled"
    calls = result.get_function_calls + result.list_calls
    counts = result.references.rows, result.carried_rows, result.gaps, calls, result.throttles
    place = {"account_id": scope.account_id, "region": scope.region}
    logger.info(text, scope, result.status, *counts, extra=place)
