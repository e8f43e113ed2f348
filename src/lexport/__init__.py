"""Turn an AWS Lambda fleet into a dataset. Names are resolved when first used, so that importing costs nothing."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from lexport.dataset.check import check
    from lexport.dataset.diff import FleetDiff, diff
    from lexport.dataset.feed import FeedResult, feed
    from lexport.dataset.notebook import Dataset
    from lexport.dataset.report import report
    from lexport.dataset.sbom import SbomResult, sbom
    from lexport.dataset.sql import sql
    from lexport.dataset.status import SnapshotStatus, status
    from lexport.dataset.verify.rows import Damage
    from lexport.dataset.verify.verify import verify
    from lexport.dataset.views import views
    from lexport.download import PackagesResult, packages
    from lexport.errors import ItemError, LexportError, RunError, SettingsError
    from lexport.findings import CheckResult, Finding
    from lexport.planning import FleetPlan, plan
    from lexport.run import SnapshotResult, snapshot
    from lexport.settings import PackageSettings, SnapshotSettings
    from lexport.waivers import Waiver

_HOMES = {
    "CheckResult": "lexport.findings",
    "Damage": "lexport.dataset.verify.rows",
    "Dataset": "lexport.dataset.notebook",
    "Finding": "lexport.findings",
    "FeedResult": "lexport.dataset.feed",
    "FleetDiff": "lexport.dataset.diff",
    "FleetPlan": "lexport.planning",
    "ItemError": "lexport.errors",
    "LexportError": "lexport.errors",
    "PackageSettings": "lexport.settings",
    "PackagesResult": "lexport.download",
    "RunError": "lexport.errors",
    "SbomResult": "lexport.dataset.sbom",
    "SettingsError": "lexport.errors",
    "SnapshotResult": "lexport.run",
    "SnapshotSettings": "lexport.settings",
    "SnapshotStatus": "lexport.dataset.status",
    "Waiver": "lexport.waivers",
    "check": "lexport.dataset.check",
    "diff": "lexport.dataset.diff",
    "feed": "lexport.dataset.feed",
    "packages": "lexport.download",
    "plan": "lexport.planning",
    "report": "lexport.dataset.report",
    "sbom": "lexport.dataset.sbom",
    "snapshot": "lexport.run",
    "sql": "lexport.dataset.sql",
    "status": "lexport.dataset.status",
    "verify": "lexport.dataset.verify.verify",
    "views": "lexport.dataset.views",
}

__all__ = [
    "CheckResult",
    "Damage",
    "Dataset",
    "FeedResult",
    "Finding",
    "FleetDiff",
    "FleetPlan",
    "ItemError",
    "LexportError",
    "PackageSettings",
    "PackagesResult",
    "RunError",
    "SbomResult",
    "SettingsError",
    "SnapshotResult",
    "SnapshotSettings",
    "SnapshotStatus",
    "Waiver",
    "check",
    "diff",
    "feed",
    "packages",
    "plan",
    "report",
    "sbom",
    "snapshot",
    "sql",
    "status",
    "verify",
    "views",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, *(name for name in globals() if name.startswith("__"))])
