"""Turn an AWS Lambda fleet into a dataset. Names are resolved when first used, so that importing costs nothing."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lexport.artifacts.packages import PackagesResult, packages
    from lexport.artifacts.sbom import SbomResult, sbom
    from lexport.errors import ItemError, LexportError, RunError, SettingsError
    from lexport.extract.estimate import FleetPlan
    from lexport.model import __version__ as __version__
    from lexport.pipeline import SnapshotResult, plan, snapshot
    from lexport.query.checks.finding import CheckResult, Finding
    from lexport.query.checks.run import check
    from lexport.query.checks.waivers import Waiver
    from lexport.query.diff import FleetDiff, diff
    from lexport.query.feed import FeedResult, feed
    from lexport.query.notebook import Dataset
    from lexport.query.report import report
    from lexport.query.sql import sql
    from lexport.query.status import SnapshotStatus, status
    from lexport.query.verify.files import verify
    from lexport.query.verify.rows import Damage
    from lexport.query.views import views
    from lexport.settings import PackageSettings, SnapshotSettings

_HOMES = {
    "CheckResult": "lexport.query.checks.finding",
    "Damage": "lexport.query.verify.rows",
    "Dataset": "lexport.query.notebook",
    "Finding": "lexport.query.checks.finding",
    "FeedResult": "lexport.query.feed",
    "FleetDiff": "lexport.query.diff",
    "FleetPlan": "lexport.extract.estimate",
    "ItemError": "lexport.errors",
    "LexportError": "lexport.errors",
    "PackageSettings": "lexport.settings",
    "PackagesResult": "lexport.artifacts.packages",
    "RunError": "lexport.errors",
    "SbomResult": "lexport.artifacts.sbom",
    "SettingsError": "lexport.errors",
    "SnapshotResult": "lexport.pipeline",
    "SnapshotSettings": "lexport.settings",
    "SnapshotStatus": "lexport.query.status",
    "Waiver": "lexport.query.checks.waivers",
    "__version__": "lexport.model",
    "check": "lexport.query.checks.run",
    "diff": "lexport.query.diff",
    "feed": "lexport.query.feed",
    "packages": "lexport.artifacts.packages",
    "plan": "lexport.pipeline",
    "report": "lexport.query.report",
    "sbom": "lexport.artifacts.sbom",
    "snapshot": "lexport.pipeline",
    "sql": "lexport.query.sql",
    "status": "lexport.query.status",
    "verify": "lexport.query.verify.files",
    "views": "lexport.query.views",
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
    return sorted({*__all__, "__version__", *(name for name in globals() if name.startswith("__"))})
