"""The settings of a run: frozen, checked once, the same from the command line and from Python."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

from lexport.errors import SettingsError

if TYPE_CHECKING:
    from lexport.model import QuotaClass

EnvMode = Literal["keys", "values", "none"]
Qualifiers = Literal["latest", "published", "all"]
Encryption = Literal["AES256", "aws:kms", "aws:kms:dsse"]

ALL_REGIONS = "all"
GET_FUNCTION_RATE_PER_S = 100.0  # AWS's quota per account and Region. Source: Lambda quotas page, 2026
LIST_RATE_PER_S = 15.0  # the rest of the control plane together. Source: the same
QUOTA_SHARE = 0.8  # deployments use the same quota
NEWEST = "newest"
RESUME_MAX_AGE = timedelta(hours=24)
FLUSH_AFTER_S = 60.0  # a kill costs what was read since
PACKAGE_CONCURRENCY = 16  # downloads at once; each takes a megabyte or two
MOST_PACKAGES_AT_ONCE = 256
MOST_PROCESSES = 64
SHARD_RETRIES = 2
ACCOUNT_ID = "{account_id}"  # stands for the account in the ARN of --account-role

_ROLE_NAME = re.compile(r"[\w+=,.@-]{1,64}", re.ASCII)
_ROLE_ARN = re.compile(
    rf"arn:(?P<partition>aws(?:-[a-z0-9]+)*):iam::{re.escape(ACCOUNT_ID)}:role/(?:[!-~]{{1,510}}/)?[\w+=,.@-]{{1,64}}",
    re.ASCII,
)
_EXTERNAL_ID = re.compile(r"[\w+=,.@:/-]{2,1224}", re.ASCII)
_UNIT = re.compile(r"ou-[0-9a-z]{4,32}-[0-9a-z]{8,32}|r-[0-9a-z]{4,32}")


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
        _check_types(self)
        kinds = get_args(Encryption)
        _check(self.sse is None or self.sse in kinds, "--dest-sse", f"is one of {', '.join(kinds)}")
        _check(self.kms_key is None or self.sse != "AES256", "--dest-kms-key", "goes with --dest-sse aws:kms")
        _check(self.cache_size_bytes > 0, "--cache-size", f"is a number of bytes, not {self.cache_size_bytes}")
        is_good = math.isfinite(self.timeout_s) and self.timeout_s > 0
        _check(is_good, "--dest-timeout", f"is a number of seconds, not {self.timeout_s}")

    def __fspath__(self) -> str:
        return self.url

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageSettings:
    """Which packages are fetched, and how.

    ``packages_for``, ``runtimes`` and ``names`` (patterns like ``billing-*``) choose function versions. A package is
    fetched when a chosen version refers to it and it is no larger than ``max_size_bytes``. ``concurrency`` bounds the
    downloads at once, ``rate_bytes_per_s`` all of them together. ``hosts`` are the hosts besides AWS's S3 to which
    presigned URLs may lead. ``reference_packages`` fetches packages in the customer's own buckets, with the caller's
    permissions; ``layers`` fetches the layer versions in use, ``inspect`` inspects the stored packages.
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

    def __post_init__(self) -> None:
        """Check every setting."""
        _check_types(self)
        kinds = get_args(Qualifiers)
        _check(self.packages_for in kinds, "--packages-for", f"is one of {', '.join(kinds)}")
        for option, size in (("--max-package-size", self.max_size_bytes), ("--package-rate", self.rate_bytes_per_s)):
            _check(size is None or (math.isfinite(size) and size > 0), option, f"is a number of bytes, not {size}")
        is_good = 1 <= self.concurrency <= MOST_PACKAGES_AT_ONCE
        _check(is_good, "--package-concurrency", f"is from 1 to {MOST_PACKAGES_AT_ONCE}, not {self.concurrency}")
        for option, texts in (("--package-runtime", self.runtimes), ("--package-name", self.names)):
            _check(all(texts), option, "is not empty")

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
        }


REQUIRABLE = ("packages",)
"""What ``--require`` can name: parts of a snapshot that it is published without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotSettings:
    """Every setting of a snapshot.

    ``regions`` may be ``("all",)``; a text in it may name several, with commas or blanks between; empty means the
    default Region of the profile. ``functions`` and ``functions_from`` (a path, or ``-`` for standard input) make a
    selection instead of the whole fleet. Rates are AWS's quotas in calls per second, of which ``quota_share`` is used.
    ``incremental`` carries unchanged published versions over from the last snapshot, except those that were fetched
    more than ``refresh_after`` ago. ``snapshot_id`` and ``snapshot_at`` are made where they are not given.

    ``account_role`` reads other accounts with a role, which is a name, or an ARN in which ``{account_id}`` stands for
    the account. The accounts are ``accounts`` and ``accounts_from`` (a path, or ``-``), or those of the
    ``organization``: all, or only those below ``organizational_units``, without ``exclude_accounts``.

    ``resume`` goes on with an unfinished run that read the same: one of an id, or the ``newest`` that is no older than
    ``resume_max_age``, where there is one. ``deadline`` ends the run before it is published. The rows of each shard go
    to the destination at least every ``flush_after_s``.

    ``dask`` reads shards on the workers of the scheduler at this address, ``processes`` on so many of this machine; a
    shard whose worker fails is tried again ``shard_retries`` times.

    ``packages`` also fetches the packages of the functions that are read; one that cannot be fetched is a gap only if
    ``require`` has ``packages``. ``with_resources`` names declared resources that are read besides those of every
    snapshot.
    """

    profile: str | None = None
    regions: tuple[str, ...] = ()
    endpoint_url: str | None = None
    account_role: str | None = None
    accounts: tuple[str, ...] = ()
    accounts_from: str | None = None
    organization: bool = False
    organizational_units: tuple[str, ...] = ()
    exclude_accounts: tuple[str, ...] = ()
    external_id: str | None = None
    functions: tuple[str, ...] = ()
    functions_from: str | None = None
    qualifiers: Qualifiers = "all"
    aliases: bool = True
    with_resources: tuple[str, ...] = ()
    env: EnvMode = "keys"
    hash_key_file: Path | None = None
    get_function_rate_per_s: float = GET_FUNCTION_RATE_PER_S
    list_rate_per_s: float = LIST_RATE_PER_S
    quota_share: float = QUOTA_SHARE
    incremental: bool = False
    refresh_after: timedelta | None = None
    allow_partial: bool = False
    group_readable: bool = False
    packages: PackageSettings | None = None
    require: tuple[str, ...] = ()
    resume: str | None = None
    resume_max_age: timedelta = RESUME_MAX_AGE
    deadline: timedelta | None = None
    flush_after_s: float = FLUSH_AFTER_S
    dask: str | None = None
    processes: int | None = None
    shard_retries: int = SHARD_RETRIES
    snapshot_id: str | None = None
    snapshot_at: datetime | None = None

    def __post_init__(self) -> None:
        """Check every setting that can be checked without a call."""
        _check_types(self)
        object.__setattr__(self, "regions", _split(self.regions, "--region", "Region"))
        object.__setattr__(self, "require", _split(self.require, "--require", "part of a snapshot"))
        unknown = next((name for name in self.require if name not in REQUIRABLE), None)
        _check(unknown is None, "--require", f"takes {', '.join(REQUIRABLE)}, not {unknown!r}")
        _check(self.qualifiers in get_args(Qualifiers), "--qualifiers", f"is one of {', '.join(get_args(Qualifiers))}")
        _check(self.env in get_args(EnvMode), "--env", f"is one of {', '.join(get_args(EnvMode))}")
        for name, rate in (
            ("--get-function-rate", self.get_function_rate_per_s),
            ("--list-rate", self.list_rate_per_s),
        ):
            _check(math.isfinite(rate) and rate > 0, name, f"is a number of calls per second above 0, not {rate}")
        _check(0 < self.quota_share <= 1, "--quota-share", f"must be above 0 and at most 1, not {self.quota_share}")
        _check(ALL_REGIONS not in self.regions or len(self.regions) == 1, "--region", "is `all` or a list of Regions")
        _check(not (self.incremental and self.is_selection), "--incremental", "reads a fleet, not a list of functions")
        _check(self.incremental or self.refresh_after is None, "--refresh-after", "goes with --incremental")
        self._check_accounts()
        for option, duration in (("--deadline", self.deadline), ("--resume-max-age", self.resume_max_age)):
            _check(duration is None or duration > timedelta(0), option, f"is a duration above 0, not {duration}")
        _check(math.isfinite(self.flush_after_s) and self.flush_after_s > 0, "flush_after_s", "is above 0")
        _check(self.dask is None or self.processes is None, "--dask", "and --processes exclude each other")
        is_good = self.processes is None or 1 <= self.processes <= MOST_PROCESSES
        _check(is_good, "--processes", f"is from 1 to {MOST_PROCESSES}, not {self.processes}")
        _check(self.shard_retries >= 0, "--shard-retries", f"is 0 or more, not {self.shard_retries}")
        if self.endpoint_url is not None:
            _check(
                self.endpoint_url.startswith(("http://", "https://")),
                "--endpoint-url",
                f"begins with https:// or http://, not {self.endpoint_url!r}",
            )
        for option, text in (("snapshot_id", self.snapshot_id), ("--resume", self.resume)):
            if text is not None and (option, text) != ("--resume", NEWEST):
                from lexport.model import is_ulid

                _check(is_ulid(text), option, f"is the whole id of a run, a ULID, not {text!r}")
        if self.snapshot_at is not None:
            _check(self.snapshot_at.tzinfo is not None, "snapshot_at", "has a time zone")

    def _check_accounts(self) -> None:
        role, listed = self.account_role, bool(self.accounts) or self.accounts_from is not None
        for is_given, option in (
            (listed, "--accounts"),
            (self.organization, "--organization"),
            (self.external_id is not None, "--external-id"),
        ):
            _check(role is not None or not is_given, option, "goes with --account-role, which says how to enter them")
        for chosen, option in ((self.organizational_units, "--ou"), (self.exclude_accounts, "--exclude-account")):
            _check(self.organization or not chosen, option, "goes with --organization")
        _check(not (listed and self.organization), "--organization", "and --accounts exclude each other")
        for option, ids in (("--accounts", self.accounts), ("--exclude-account", self.exclude_accounts)):
            for account_id in ids:
                _check(is_account_id(account_id), option, f"takes ids of 12 digits, not {account_id!r}")
        for unit in self.organizational_units:
            _check(_UNIT.fullmatch(unit) is not None, "--ou", f"is an id like ou-ab12-11111111 or r-ab12, not {unit!r}")
        if role is None:
            return
        _check(not self.is_selection, "--account-role", "reads whole fleets, not a list of functions")
        role_partition(role)
        if self.external_id is not None:
            is_good = _EXTERNAL_ID.fullmatch(self.external_id) is not None
            _check(is_good, "--external-id", "is 2 to 1,224 letters, digits or any of _+=,.@:/-")

    def check_reads_a_fleet(self) -> None:
        """Raise SettingsError where no setting says which accounts are read; for packages the dataset does."""
        is_known = self.account_role is None or self.accounts or self.accounts_from is not None or self.organization
        _check(bool(is_known), "--account-role", "needs the accounts: --accounts or --organization")
        is_inspecting = self.packages is not None and self.packages.inspect
        _check(not is_inspecting, "--inspect", "looks into the store of a dataset: it is for lexport packages")
        _check(self.packages is not None or not self.requires_packages, "--require", "packages goes with --packages")

    @property
    def requires_packages(self) -> bool:
        """Whether a package that cannot be fetched is a gap."""
        return "packages" in self.require

    @property
    def rates_per_s(self) -> dict[QuotaClass, float]:
        """AWS's quotas by class, of which ``quota_share`` is used."""
        from lexport.model import GET_FUNCTION_QUOTA, LIST_QUOTA

        return {GET_FUNCTION_QUOTA: self.get_function_rate_per_s, LIST_QUOTA: self.list_rate_per_s}

    @property
    def is_selection(self) -> bool:
        """Whether the user named functions."""
        return bool(self.functions) or self.functions_from is not None

    @property
    def is_distributed(self) -> bool:
        """Whether other processes read the shards."""
        return self.dask is not None or self.processes is not None

    @property
    def fingerprint(self) -> str:
        """A hash of every setting that decides which rows are read."""
        return fingerprint_of(self.decisive())

    def decisive(self) -> dict[str, Any]:
        """Return every setting that decides which rows are read: not paths, credentials, quotas and packages."""
        refresh_after_s = self.refresh_after.total_seconds() if self.refresh_after else None
        named = {"functions": list(self.functions), "accounts": list(self.accounts)}
        decisive = {**named, "refresh_after_s": refresh_after_s, **self.for_manifest()}
        others = ["get_function_rate_per_s", "list_rate_per_s", "quota_share", "allow_partial", "packages", "require"]
        return {name: value for name, value in decisive.items() if name not in others}

    def for_manifest(self) -> dict[str, Any]:
        """Return the settings that the manifest records: no path and no secret."""
        return {
            "regions": list(self.regions),
            "account_role": self.account_role,
            "organization": self.organization,
            "organizational_units": list(self.organizational_units),
            "exclude_accounts": list(self.exclude_accounts),
            "is_selection": self.is_selection,
            "qualifiers": self.qualifiers,
            "aliases": self.aliases,
            "env": self.env,
            "get_function_rate_per_s": self.get_function_rate_per_s,
            "list_rate_per_s": self.list_rate_per_s,
            "quota_share": self.quota_share,
            "incremental": self.incremental,
            "allow_partial": self.allow_partial,
            "packages": None if self.packages is None else self.packages.for_manifest(),
            **({"require": list(self.require)} if self.require else {}),
            **({"with": list(self.with_resources)} if self.with_resources else {}),
        }


def fingerprint_of(decisive: dict[str, Any]) -> str:
    """Return a hash of settings."""
    import hashlib
    import json

    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


def role_partition(role: str) -> str | None:
    """Return the partition that an ARN with ``{account_id}`` names; None for a role's name, which is in any."""
    match = _ROLE_ARN.fullmatch(role)
    _check(
        match is not None or _ROLE_NAME.fullmatch(role) is not None,
        "--account-role",
        f"is a role's name, or an ARN like arn:aws:iam::{ACCOUNT_ID}:role/path/name, not {role!r}",
    )
    return match["partition"] if match else None


def role_arn(role: str, account_id: str, partition: str) -> str:
    """Return the ARN of a role, given as ``--account-role`` takes it, in an account."""
    pattern = role if role_partition(role) else f"arn:{partition}:iam::{ACCOUNT_ID}:role/{role}"
    return pattern.replace(ACCOUNT_ID, account_id)


def is_account_id(text: str) -> bool:
    """Return whether a text is the id of an AWS account."""
    return len(text) == 12 and text.isascii() and text.isdigit()  # noqa: PLR2004 - digits of an AWS account


def _check_types(settings: Destination | PackageSettings | SnapshotSettings) -> None:
    """Refuse a value of a wrong type, for example a text in place of a tuple; lists become tuples.

    The values of a Literal are checked with the other rules. No message holds the value, because it may be a secret.
    """
    for name, kind in get_type_hints(type(settings)).items():
        value = getattr(settings, name)
        if get_origin(kind) is not tuple:
            if not _fits(value, kind):
                raise SettingsError(f"{name} is {_words(kind)}, not {type(value).__name__}", option=name)
            continue
        _check(isinstance(value, tuple | list), name, f"is a tuple of texts, not {type(value).__name__}")
        odd = next((item for item in value if not isinstance(item, str)), "")
        _check(isinstance(odd, str), name, f"is a tuple of texts, and holds {type(odd).__name__}")
        object.__setattr__(settings, name, tuple(value))


def _fits(value: object, kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return True
    if get_args(kind):
        return any(_fits(value, part) for part in get_args(kind))
    if isinstance(value, bool):
        return kind is bool
    if kind is Path:
        return isinstance(value, str | Path)
    return isinstance(value, int | float if kind is float else kind)


def _words(kind: Any) -> str:
    parts = [part for part in get_args(kind) if part is not NoneType] or [kind]
    named = {str: "a text", bool: "True or False", int: "a whole number", float: "a number", Path: "a path"}
    return " or ".join(named.get(part, f"a {part.__name__}") for part in parts)


def _split(texts: Iterable[str], option: str, what: str) -> tuple[str, ...]:
    """Split texts that have several names with commas or blanks between; return each name once."""
    parts = [(text, [part for part in re.split(r"[,\s]+", text) if part]) for text in texts]
    for text, names in parts:
        _check(bool(names), option, f"names no {what}: {text!r}")
    return tuple(dict.fromkeys(name for _, names in parts for name in names))


def _check(is_right: bool, option: str, rule: str) -> None:  # noqa: FBT001 - reads as an assertion
    if not is_right:
        raise SettingsError(f"{option} {rule}", option=option)
