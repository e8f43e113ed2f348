"""Every setting of a snapshot: the one source of defaults and choices for command line and library."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from lexport.settings.accounts import check_accounts, check_retirement
from lexport.settings.checks import check, check_types, split
from lexport.settings.packages import PackageSettings, Qualifiers

if TYPE_CHECKING:
    from lexport.model import QuotaClass

EnvMode = Literal["keys", "values", "none"]
PoliciesFor = Literal["functions", "aliases", "versions"]
ChangesFrom = Literal["cloudtrail"]

ALL_REGIONS = "all"
GET_FUNCTION_RATE_PER_S = 100.0  # AWS's quota per account and Region. Source: Lambda quotas page, 2026
LIST_RATE_PER_S = 15.0  # the rest of the control plane together. Source: the same
QUOTA_SHARE = 0.8  # deployments use the same quota
NEWEST = "newest"
RESUME_MAX_AGE = timedelta(hours=24)
REFRESH_RESOURCES_AFTER = timedelta(days=7)
"""How old an incremental run lets the resources around a function become, where ``refresh_after`` is not given."""
FLUSH_AFTER_S = 60.0  # a kill costs what was read since
MOST_PROCESSES = 64
SHARD_RETRIES = 2
USAGE_DAYS = 30
MOST_USAGE_DAYS = 455  # CloudWatch keeps no point for longer


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
    ``organization``: all, or only those below ``organizational_units``, without ``exclude_accounts``. After a snapshot
    of the whole organization without gaps, ``retire_after`` retires what was last read whole longer ago than this, and
    is of no active account, or of a Region that is switched off, where all Regions are read.

    ``resume`` goes on with an unfinished run that read the same: one of an id, or the ``newest`` that is no older than
    ``resume_max_age``, where there is one. ``deadline`` ends the run before it is published. The rows of each shard go
    to the destination at least every ``flush_after_s``.

    ``dask`` reads shards on the workers of the scheduler at this address, ``processes`` on so many of this machine; a
    shard whose worker fails is tried again ``shard_retries`` times.

    ``packages`` also fetches the packages of the functions that are read. ``with_resources`` names resources that are
    read besides those of every run, ``all`` each that costs no money; ``without_resources`` names those that are not
    read. What cannot be read of packages or of a resource is a gap only if ``require`` names it. ``policies_for`` are
    functions alone, their aliases too, or their published versions too; ``usage_days`` is how many days of metrics are
    read. With ``changes_from``, an incremental run reads resources again only where that source names a change.
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
    without_resources: tuple[str, ...] = ()
    policies_for: PoliciesFor = "aliases"
    usage_days: int = USAGE_DAYS
    env: EnvMode = "keys"
    hash_key_file: Path | None = None
    get_function_rate_per_s: float = GET_FUNCTION_RATE_PER_S
    list_rate_per_s: float = LIST_RATE_PER_S
    quota_share: float = QUOTA_SHARE
    incremental: bool = False
    refresh_after: timedelta | None = None
    changes_from: ChangesFrom | None = None
    retire_after: timedelta | None = None
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
        check_types(self)
        for name, option, what in (
            ("regions", "--region", "Region"),
            ("with_resources", "--with", "resource"),
            ("without_resources", "--without", "resource"),
            ("require", "--require", "part of a snapshot"),
        ):
            object.__setattr__(self, name, split(getattr(self, name), option, what))
        check(self.qualifiers in get_args(Qualifiers), "--qualifiers", f"is one of {', '.join(get_args(Qualifiers))}")
        check(self.env in get_args(EnvMode), "--env", f"is one of {', '.join(get_args(EnvMode))}")
        kinds = get_args(PoliciesFor)
        check(self.policies_for in kinds, "--policies-for", f"is one of {', '.join(kinds)}")
        is_good = 1 <= self.usage_days <= MOST_USAGE_DAYS
        check(is_good, "--usage-days", f"is from 1 to {MOST_USAGE_DAYS}, not {self.usage_days}")
        for name, rate in (
            ("--get-function-rate", self.get_function_rate_per_s),
            ("--list-rate", self.list_rate_per_s),
        ):
            check(math.isfinite(rate) and rate > 0, name, f"is a number of calls per second above 0, not {rate}")
        check(0 < self.quota_share <= 1, "--quota-share", f"must be above 0 and at most 1, not {self.quota_share}")
        check(ALL_REGIONS not in self.regions or len(self.regions) == 1, "--region", "is `all` or a list of Regions")
        check(not (self.incremental and self.is_selection), "--incremental", "reads a fleet, not a list of functions")
        check(self.incremental or self.refresh_after is None, "--refresh-after", "goes with --incremental")
        is_known = self.changes_from in (None, *get_args(ChangesFrom))
        check(is_known, "--changes-from", f"is {' or '.join(get_args(ChangesFrom))}")
        check(self.incremental or self.changes_from is None, "--changes-from", "goes with --incremental")
        check_accounts(self)
        check_retirement(self)
        for option, duration in (("--deadline", self.deadline), ("--resume-max-age", self.resume_max_age)):
            check(duration is None or duration > timedelta(0), option, f"is a duration above 0, not {duration}")
        check(math.isfinite(self.flush_after_s) and self.flush_after_s > 0, "flush_after_s", "is above 0")
        check(self.dask is None or self.processes is None, "--dask", "and --processes exclude each other")
        is_good = self.processes is None or 1 <= self.processes <= MOST_PROCESSES
        check(is_good, "--processes", f"is from 1 to {MOST_PROCESSES}, not {self.processes}")
        check(self.shard_retries >= 0, "--shard-retries", f"is 0 or more, not {self.shard_retries}")
        if self.endpoint_url is not None:
            check(
                self.endpoint_url.startswith(("http://", "https://")),
                "--endpoint-url",
                f"begins with https:// or http://, not {self.endpoint_url!r}",
            )
        for option, text in (("snapshot_id", self.snapshot_id), ("--resume", self.resume)):
            if text is not None and (option, text) != ("--resume", NEWEST):
                from lexport.model import is_ulid

                check(is_ulid(text), option, f"is the whole id of a run, a ULID, not {text!r}")
        if self.snapshot_at is not None:
            check(self.snapshot_at.tzinfo is not None, "snapshot_at", "has a time zone")

    def check_reads_a_fleet(self) -> None:
        """Raise SettingsError where no setting says which accounts are read; for packages the dataset does."""
        is_known = self.account_role is None or self.accounts or self.accounts_from is not None or self.organization
        check(bool(is_known), "--account-role", "needs the accounts: --accounts or --organization")
        is_inspecting = self.packages is not None and self.packages.inspect
        check(not is_inspecting, "--inspect", "looks into the store of a dataset: it is for lexport packages")
        check(self.packages is not None or not self.requires_packages, "--require", "packages goes with --packages")

    @property
    def requires_packages(self) -> bool:
        """Whether a package that cannot be fetched is a gap."""
        return "packages" in self.require

    @property
    def rates_per_s(self) -> dict[QuotaClass, float]:
        """AWS's quotas by class, of which ``quota_share`` is used."""
        from lexport.model import GET_FUNCTION_QUOTA, GET_POLICY_QUOTA, LIST_QUOTA

        others = dict.fromkeys((LIST_QUOTA, GET_POLICY_QUOTA), self.list_rate_per_s)
        return {GET_FUNCTION_QUOTA: self.get_function_rate_per_s, **others}

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
            **self._of_resources(),
        }

    def _of_resources(self) -> dict[str, Any]:
        """Return what is chosen of resources, where it is not the default: manifests of older releases have none."""
        chosen = {
            "require": list(self.require),
            "with": list(self.with_resources),
            "without": list(self.without_resources),
        }
        default = SnapshotSettings()
        others = {name: getattr(self, name) for name in ("policies_for", "usage_days", "changes_from")}
        return {name: names for name, names in chosen.items() if names} | {
            name: value for name, value in others.items() if value != getattr(default, name)
        }


def fingerprint_of(decisive: dict[str, Any]) -> str:
    """Return a hash of settings."""
    import hashlib
    import json

    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()
