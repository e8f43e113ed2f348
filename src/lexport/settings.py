"""What a snapshot was asked to do: frozen, checked once, the same from the command line and from Python."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, get_args

from lexport.errors import SettingsError
from lexport.manifest import is_ulid
from lexport.model import EnvMode, Qualifiers

ALL_REGIONS = "all"
GET_FUNCTION_RATE_PER_S = 100.0  # AWS's quota per account and Region. Source: Lambda quotas page, 2026
LIST_RATE_PER_S = 15.0  # the rest of the control plane together. Source: the same
QUOTA_SHARE = 0.8  # deploys use the same quota


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotSettings:
    """Every option of a snapshot.

    ``regions`` may be ``("all",)``; empty means the default Region of the profile. ``functions`` and ``functions_from``
    (a path, or ``-`` for standard input) make a selection instead of the whole fleet. Rates are AWS's quotas in calls
    per second, of which ``quota_share`` is used. ``incremental`` takes unchanged published versions over from the last
    snapshot, but for those that were fetched more than ``refresh_after`` ago.
    ``snapshot_id`` and ``snapshot_at`` are made when not given.
    """

    profile: str | None = None
    regions: tuple[str, ...] = ()
    endpoint_url: str | None = None
    functions: tuple[str, ...] = ()
    functions_from: str | None = None
    qualifiers: Qualifiers = "all"
    aliases: bool = True
    env: EnvMode = "keys"
    hash_key_file: Path | None = None
    get_function_rate_per_s: float = GET_FUNCTION_RATE_PER_S
    list_rate_per_s: float = LIST_RATE_PER_S
    quota_share: float = QUOTA_SHARE
    incremental: bool = False
    refresh_after: timedelta | None = None
    allow_partial: bool = False
    group_readable: bool = False
    snapshot_id: str | None = None
    snapshot_at: datetime | None = None

    def __post_init__(self) -> None:
        """Check every option that can be checked without asking anybody."""
        _check(self.qualifiers in get_args(Qualifiers), "--qualifiers", f"is one of {', '.join(get_args(Qualifiers))}")
        _check(self.env in get_args(EnvMode), "--env", f"is one of {', '.join(get_args(EnvMode))}")
        for name, rate in (
            ("--get-function-rate", self.get_function_rate_per_s),
            ("--list-rate", self.list_rate_per_s),
        ):
            _check(math.isfinite(rate) and rate > 0, name, f"is a number of calls per second above 0, not {rate}")
        _check(0 < self.quota_share <= 1, "--quota-share", f"is above 0 and at most 1, not {self.quota_share}")
        _check(ALL_REGIONS not in self.regions or len(self.regions) == 1, "--region", "is `all` or a list of Regions")
        _check(not (self.incremental and self.is_selection), "--incremental", "reads a fleet, not a list of functions")
        _check(self.incremental or self.refresh_after is None, "--refresh-after", "goes with --incremental")
        if self.endpoint_url is not None:
            _check(
                self.endpoint_url.startswith(("http://", "https://")),
                "--endpoint-url",
                f"begins with https:// or http://, not {self.endpoint_url!r}",
            )
        if self.snapshot_id is not None:
            _check(is_ulid(self.snapshot_id), "snapshot_id", f"is a ULID, not {self.snapshot_id!r}")
        if self.snapshot_at is not None:
            _check(self.snapshot_at.tzinfo is not None, "snapshot_at", "has a time zone")

    @property
    def is_selection(self) -> bool:
        """Whether the user named functions."""
        return bool(self.functions) or self.functions_from is not None

    def for_manifest(self) -> dict[str, Any]:
        """Return what a reader of the manifest wants to know of the options; no path and no secret."""
        return {
            "regions": list(self.regions),
            "is_selection": self.is_selection,
            "qualifiers": self.qualifiers,
            "aliases": self.aliases,
            "env": self.env,
            "get_function_rate_per_s": self.get_function_rate_per_s,
            "list_rate_per_s": self.list_rate_per_s,
            "quota_share": self.quota_share,
            "incremental": self.incremental,
            "allow_partial": self.allow_partial,
        }


def _check(is_right: bool, option: str, rule: str) -> None:  # noqa: FBT001 - reads as an assertion
    if not is_right:
        raise SettingsError(f"{option} {rule}", option=option)
