"""The values that the steps of a run pass on. Plain data that imports nothing of lexport."""

from __future__ import annotations

import re
import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any, Literal, Protocol

__version__ = "0.1.0"

Coverage = Literal["fleet", "selection"]
RegionStatus = Literal["enabled", "uncertain", "disabled"]
ScopeStatus = Literal["complete", "partial", "denied", "unavailable"]

GLOBAL_REGION = "aws-global"
"""Stands for the Regions of an account where they are not known, or for the account as a whole."""
LATEST = "$LATEST"
LATEST_PUBLISHED = "$LATEST.PUBLISHED"
"""The pointer to the version that managed instances run. Listings name it like a version; lexport skips it."""


@dataclass(frozen=True, slots=True)
class QuotaClass:
    """A request quota that AWS keeps per account-region; its operations share one token bucket."""

    name: str
    rate_per_s: float


GET_FUNCTION_QUOTA = QuotaClass("get_function", 100.0)
LIST_QUOTA = QuotaClass("list", 15.0)
GET_POLICY_QUOTA = QuotaClass("get_policy", 15.0)
"""GetFunction, and "the remainder of the control plane". Source: Lambda quotas page, 2026."""


class Priority(IntEnum):
    """The order of calls within one quota class: the smaller value goes first."""

    LISTING = 0
    SNAPSHOT = 1
    RESOURCES = 2
    LAYERS = 3
    PACKAGES = 4


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Scope:
    """One account in one region: what a quota, a listing and a row of ``scopes`` belong to."""

    account_id: str
    region: str

    def __str__(self) -> str:
        return f"{self.account_id} {self.region}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionRef:
    """One GetFunction call to make.

    ``called_as`` is sent instead of the bare name, where the user's ARN contains more than the name. ``qualifier`` is
    None for the unqualified call, the only one that returns tags and concurrency. ``is_named`` says that the user named
    this function, ``is_image`` that the listing calls its package an image. ``listed`` is the FunctionConfiguration of
    the listing as JSON, where an incremental run keeps it.
    """

    function_name: str
    qualifier: str | None = None
    called_as: str | None = None
    is_named: bool = False
    is_image: bool = field(default=False, compare=False)
    listed: bytes | None = field(default=None, repr=False, compare=False)

    def without_listing(self) -> FunctionRef:
        """Return the same call without the listing."""
        if self.listed is None:
            return self
        return FunctionRef(
            function_name=self.function_name,
            qualifier=self.qualifier,
            called_as=self.called_as,
            is_named=self.is_named,
            is_image=self.is_image,
        )

    @property
    def is_alias(self) -> bool:
        """Whether the qualifier is an alias: neither ``$LATEST`` nor all digits."""
        return self.qualifier is not None and self.qualifier != LATEST and not self.qualifier.isdecimal()


class Source(Protocol):
    """The connection that a response came over."""

    is_unconfirmed: bool

    def retire(self) -> None:
        """Send no further request over it, and call every callback that was registered since the last ``confirm``."""

    def on_mixup(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` if the connection is retired before ``confirm``, since its responses may be mixed up."""

    def confirm(self) -> None:
        """Note that a response named what was requested, so that the responses before it were right too."""


@dataclass(slots=True, kw_only=True)
class Reply:
    """A decoded response: ``typed`` where it fits the columns (see extract/decode.py), else ``parsed`` as JSON.

    ``body`` are its bytes, from which ``parse`` makes the document of a typed reply, and which are parsed again where a
    number does not fit 64 bits.
    ``cleaned`` counts characters that no table can hold (lone surrogates, NUL) and that were replaced. ``location`` is
    the presigned URL, a credential for ten minutes. No other field contains it: use it at once or discard it.
    ``source`` is the connection that brought the response, where the transport knows it.
    """

    body: bytes = field(repr=False)
    parsed: dict[str, Any] | None = field(default=None, repr=False)
    typed: Any = field(default=None, repr=False, compare=False)
    parse: Callable[[bytes], dict[str, Any]] | None = field(default=None, repr=False, compare=False)
    cleaned: int = 0
    location: str | None = field(default=None, repr=False, compare=False)
    source: Source | None = field(default=None, repr=False, compare=False)

    @property
    def document(self) -> dict[str, Any]:
        """The JSON object without the presigned URL; parsed at the first access where the response was decoded."""
        if self.parsed is None:
            assert self.parse is not None
            self.parsed = self.parse(self.body)
        return self.parsed


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One row of ``errors``: an item that was lost or is unexpected. ``message`` never holds a secret."""

    scope: Scope
    stage: str
    operation: str | None
    function_name: str | None = None
    qualifier: str | None = None
    error_code: str
    http_status: int | None = None
    message: str
    is_gap: bool
    attempts: int = 1
    occurred_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """One account-region of one run: the unit of reading. JSON-able.

    ``refs`` are the functions that the user listed; None reads the whole fleet. ``region_status`` comes from AWS's list
    of Regions: a ``disabled`` Region is not read, and an ``uncertain`` one that refuses the token is no failure.
    ``account_name`` is known where the accounts of the organization were listed.
    """

    scope: Scope
    refs: tuple[FunctionRef, ...] | None = None
    region_status: RegionStatus = "enabled"
    account_name: str | None = None

    @property
    def coverage(self) -> Coverage:
        """Return whether the rows cover the whole fleet or a selection."""
        return "fleet" if self.refs is None else "selection"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """What one run reads, decided before the first function is read. JSON-able, without any secret.

    ``settings_fingerprint`` is equal for settings that read the same rows, which ``options`` names one by one.
    ``hash_key_id`` names the HMAC key; it is None where no variables are read. ``identity`` is the ARN of the caller
    without the session name; None where STS does not say. ``settings`` are all that another process needs to read a
    shard or to commit the run; where it ``is_stepwise``, other processes than the planning one do that. A shard whose
    Region is ``aws-global`` stands for all Regions of an account whose Regions could not be listed.
    """

    snapshot_id: str
    snapshot_at: datetime
    settings_fingerprint: str
    options: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    identity: str | None = None
    hash_key_id: str | None
    lexport_version: str
    schema_version: str = ""
    is_stepwise: bool = False
    shards: tuple[Shard, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedRun:
    """One file of sorted rows of a shard; ``path`` is relative to the destination."""

    path: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class References:
    """The outcome of the function versions that a shard was to read. ``listed`` counts all of them.

    ``rows`` were staged for ``functions``, ``lost`` were deleted meanwhile or could not be read, and ``unwanted`` are
    ``$LATEST`` where only published versions are kept.
    """

    listed: int = 0
    rows: int = 0
    lost: int = 0
    unwanted: int = 0


ResourceStatus = Literal["complete", "partial", "denied", "unavailable", "not_requested"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceResult:
    """What reading one resource of a shard came to: a row of ``scope_resources``. JSON-able.

    ``resource`` is the name that ``--with`` takes. ``items`` counts what was read or carried over, ``carried_items``
    the latter. ``oldest_read_at`` is when the oldest item was read; changes are known up to ``changes_until``, where
    items were carried over by the history of changes.
    """

    resource: str
    status: ResourceStatus
    items: int = 0
    carried_items: int = 0
    calls: int = 0
    throttles: int = 0
    read_at: datetime | None = None
    oldest_read_at: datetime | None = None
    changes_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardResult:
    """The result of reading one shard; its rows are in ``runs``, all of one ``attempt``. JSON-able, without any secret.

    ``calls`` counts the calls by operation, retries included.
    ``rows`` counts the staged rows by table, where there are any; duplicates are dropped later. ``gaps`` counts the
    failures that leave something out, ``resources`` say how complete each resource is. ``is_answering`` says that the
    Region accepted the credentials at least once, ``ended_by`` is the failure that ended the reading early.
    ``is_final`` is False where another attempt may read what is missing.
    """

    shard: Shard
    status: ScopeStatus
    get_function_calls: int = 0
    list_calls: int = 0
    throttles: int = 0
    calls: dict[str, int] = field(default_factory=dict)
    retries: int = 0
    gaps: int = 0
    carried_rows: int = 0
    function_count_reported: int | None = None
    references: References = field(default_factory=References)
    is_answering: bool = False
    ended_by: Failure | None = None
    is_final: bool = True
    started_at: datetime
    ended_at: datetime
    attempt: int = 1
    runs: tuple[StagedRun, ...] = ()
    rows: dict[str, int] = field(default_factory=dict)
    resources: tuple[ResourceResult, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether the whole fleet of the account-region was read."""
        return self.shard.coverage == "fleet" and self.status == "complete"

    @property
    def is_refused(self) -> bool:
        """Whether credentials or permissions are the reason that the shard was not read whole."""
        return self.status == "denied" or (self.status == "partial" and self.ended_by is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class PaceReading:
    """The rate and the counts of one token bucket, for progress and for ``scopes``.

    ``failing`` counts the calls that failed, not by a throttle, and are tried again now; ``failing_why`` is the most
    frequent reason.
    """

    rate_per_s: float
    calls: int
    throttles: int
    failing: int = 0
    failing_why: str = ""


@dataclass(slots=True, kw_only=True)
class CallCounts:
    """Calls to AWS by operation, and those that it throttled; ``retries`` are those that repeat a failed one."""

    by_operation: Counter[str] = field(default_factory=Counter)
    throttled: Counter[str] = field(default_factory=Counter)
    retries: int = 0
    throttles: int = 0

    def __add__(self, other: CallCounts) -> CallCounts:
        return CallCounts(
            by_operation=self.by_operation + other.by_operation,
            throttled=self.throttled + other.throttled,
            retries=self.retries + other.retries,
            throttles=self.throttles + other.throttles,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageRef:
    """One distinct package. ``code_sha256`` is base64, as AWS sends it for a zip.

    ``size_bytes`` is AWS's CodeSize, or None; it can rule a package out early, but only the hash proves it.
    """

    code_sha256: str
    size_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """The presigned URL of one response, with the hash and the size that the same response gives."""

    url: str = field(repr=False)
    package: PackageRef


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPackage:
    """One verified package in the store; ``path`` is relative to the destination.

    ``package`` differs from the requested one where the function changed meanwhile. ``was_present`` means that nothing
    had to be fetched. ``bytes_moved`` counts the bytes received for it, failed attempts included.
    """

    package: PackageRef
    sha256_hex: str
    size_bytes: int
    path: str
    was_present: bool
    bytes_moved: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependency:
    """One library of a package: its name as in package URLs of its ecosystem, and the file that names it.

    ``version`` is None if the file gives no exact version.
    """

    ecosystem: str
    name: str
    version: str | None
    path: str


ULID_LENGTH = 26
ULID_TIME_LENGTH = 10  # its first characters: the milliseconds
ULID_PATTERN = "[0-7]" + "[0-9A-HJKMNP-TV-Z]" * 25
"""A ULID, as a regular expression and as a glob pattern alike."""
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ULID = re.compile(ULID_PATTERN)


def new_ulid(at: datetime) -> str:
    """Make a ULID: 48 bits of milliseconds, 80 random bits, Crockford's base 32."""
    number = (int(at.timestamp() * 1000) << 80) | secrets.randbits(80)
    return "".join(_CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5))


def ulid_time(ulid: str) -> datetime:
    """Return the time in a ULID; the last one that Python can hold where it is later."""
    milliseconds = 0
    for character in ulid[:ULID_TIME_LENGTH]:
        milliseconds = milliseconds * 32 + _CROCKFORD.index(character)
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError):
        return datetime.max.replace(tzinfo=UTC)


def is_ulid(text: str) -> bool:
    """Return whether a text is a ULID."""
    return _ULID.fullmatch(text) is not None
