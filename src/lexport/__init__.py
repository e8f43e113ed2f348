"""Turn an AWS Lambda fleet into a dataset.

Type checkers read the imports below. At run time, each name is imported from its module when it is first used, so that
``import lexport`` is fast; ``__getattr__`` finds the module in the same imports.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lexport.artifacts.packages import PackagesResult as PackagesResult
    from lexport.artifacts.packages import packages as packages
    from lexport.artifacts.sbom import SbomResult as SbomResult
    from lexport.artifacts.sbom import sbom as sbom
    from lexport.dataset.prune import prune as prune
    from lexport.dataset.prune_order import PruneItem as PruneItem
    from lexport.dataset.prune_order import PruneResult as PruneResult
    from lexport.dataset.retire import RetiredScope as RetiredScope
    from lexport.dataset.retire import RetireResult as RetireResult
    from lexport.dataset.retire import retire as retire
    from lexport.errors import CredentialsError as CredentialsError
    from lexport.errors import DeadlineError as DeadlineError
    from lexport.errors import IncompleteError as IncompleteError
    from lexport.errors import ItemError as ItemError
    from lexport.errors import LexportError as LexportError
    from lexport.errors import NoSnapshotError as NoSnapshotError
    from lexport.errors import PublishError as PublishError
    from lexport.errors import QueryError as QueryError
    from lexport.errors import ReadError as ReadError
    from lexport.errors import RunError as RunError
    from lexport.errors import SettingsError as SettingsError
    from lexport.errors import ViewError as ViewError
    from lexport.errors import WriteError as WriteError
    from lexport.extract.estimate import FleetPlan as FleetPlan
    from lexport.model import __version__ as __version__
    from lexport.pipeline import SnapshotResult as SnapshotResult
    from lexport.pipeline import plan as plan
    from lexport.pipeline import snapshot as snapshot
    from lexport.query.checks.finding import CheckResult as CheckResult
    from lexport.query.checks.finding import Finding as Finding
    from lexport.query.checks.run import check as check
    from lexport.query.checks.waivers import Waiver as Waiver
    from lexport.query.diff import FleetDiff as FleetDiff
    from lexport.query.diff import diff as diff
    from lexport.query.failures import FailureGroup as FailureGroup
    from lexport.query.failures import RunFailures as RunFailures
    from lexport.query.failures import failures as failures
    from lexport.query.feed import FeedResult as FeedResult
    from lexport.query.feed import feed as feed
    from lexport.query.notebook import Dataset as Dataset
    from lexport.query.query_result import QueryResult as QueryResult
    from lexport.query.report import FleetReport as FleetReport
    from lexport.query.report import report as report
    from lexport.query.sql import sql as sql
    from lexport.query.status import SnapshotStatus as SnapshotStatus
    from lexport.query.status import status as status
    from lexport.query.unfinished import UnfinishedStatus as UnfinishedStatus
    from lexport.query.unfinished import unfinished as unfinished
    from lexport.query.verify.files import verify as verify
    from lexport.query.verify.rows import Damage as Damage
    from lexport.query.views import views as views
    from lexport.settings import Destination as Destination
    from lexport.settings import PackageSettings as PackageSettings
    from lexport.settings import SnapshotSettings as SnapshotSettings


def __getattr__(name: str) -> Any:
    if name == "__all__":
        return sorted(public for public in _modules() if not public.startswith("__"))
    if name not in _modules():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_modules()[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*_modules(), *(name for name in globals() if name.startswith("__"))})


@cache
def _modules() -> dict[str, str]:
    """Return the module of each public name, from the imports of this file that type checkers read."""
    import ast
    from pathlib import Path

    source = ast.parse(Path(__file__).read_bytes())
    block = next(statement for statement in source.body if isinstance(statement, ast.If))
    imports = [statement for statement in block.body if isinstance(statement, ast.ImportFrom)]
    return {alias.name: str(statement.module) for statement in imports for alias in statement.names}
