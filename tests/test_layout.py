"""What the layout of the source promises beyond the contracts of import-linter in ``pyproject.toml``."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

import lexport

SOURCE = Path(__file__).parent.parent / "src" / "lexport"
MOST_ENTRIES = 15
MOST_FLOORS = 10
MOST_LINES = 400
TASK_GROUPS = {
    "extract.background",
    "artifacts.snapshot_downloads",
    "extract.shards",
    "extract.read_shard",
    "extract.workers",
}
FOREIGN = {
    "aiobotocore": ("aws", "simulator"),
    "botocore": ("aws", "simulator"),
    "aiohttp": ("aws", "artifacts", "cli._outputs.webhook", "simulator"),
    "opentelemetry": ("cli._outputs.telemetry",),
    "httptools": ("aws",),
    "duckdb": ("query", "artifacts"),
    "sqlglot": ("query",),
    "dask": ("extract.cluster",),
    "distributed": ("extract.cluster",),
}


@cache
def modules() -> dict[str, ast.Module]:
    """Name without the leading ``lexport.`` -> source of every module."""
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        name = ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix("__init__").rstrip(".")
        found[name] = ast.parse(path.read_text(encoding="utf-8"))
    return found


def imports(name: str) -> set[str]:
    """Every module that a module imports at run time, ours without the leading ``lexport.``."""
    found: set[str] = set()
    typing_only = {
        node
        for block in ast.walk(modules()[name])
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    for node in ast.walk(modules()[name]):
        if node in typing_only:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {name if name.removeprefix("lexport.") in modules() else node.module for name in whole}
    return {module.removeprefix("lexport.") for module in found}


def ours(name: str) -> set[str]:
    return {module for module in imports(name) if module in modules() and module}


def test_the_source_can_be_taken_in_at_a_glance():
    """At most 15 entries stand directly under ``src/lexport``, on at most 10 floors, and no file has over 400 lines."""
    contracts = tomllib.loads((SOURCE.parents[1] / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    entries = [path.name for path in SOURCE.iterdir() if path.name != "__pycache__"]
    long = [path.name for path in SOURCE.rglob("*.py") if len(path.read_text().splitlines()) > MOST_LINES]

    assert len(entries) <= MOST_ENTRIES, sorted(entries)
    assert [len(contract["layers"]) <= MOST_FLOORS for contract in contracts[:1]] == [True]
    assert long == []


@pytest.mark.parametrize("library", sorted(FOREIGN))
def test_each_foreign_library_has_its_folders(library):
    """Only the folders named in FOREIGN import a large library."""
    users = {name for name in modules() if any(module.split(".")[0] == library for module in imports(name))}

    allowed = FOREIGN[library]
    assert {name for name in users if not any(f"{name}.".startswith(f"{folder}.") for folder in allowed)} == set()


def test_concurrency_stands_in_few_files():
    """Only the modules named in TASK_GROUPS open task groups."""
    users = {
        name
        for name, tree in modules().items()
        if "create_task_group" in {getattr(node, "id", "") for node in ast.walk(tree)}
    }

    assert users <= TASK_GROUPS


def test_public_names_are_exact():
    """``__all__`` holds the public names in order, and a name is the same object each time it is used."""
    expected = [
        "CheckResult",
        "CredentialsError",
        "Damage",
        "Dataset",
        "DeadlineError",
        "Destination",
        "FailureGroup",
        "FeedResult",
        "Finding",
        "FleetDiff",
        "FleetPlan",
        "FleetReport",
        "IncompleteError",
        "ItemError",
        "LexportError",
        "NoSnapshotError",
        "PackageSettings",
        "PackagesResult",
        "PruneItem",
        "PruneResult",
        "PublishError",
        "QueryError",
        "QueryResult",
        "ReadError",
        "RetireResult",
        "RetiredScope",
        "RunError",
        "RunFailures",
        "SbomResult",
        "SettingsError",
        "SnapshotResult",
        "SnapshotSettings",
        "SnapshotStatus",
        "UnfinishedStatus",
        "ViewError",
        "Waiver",
        "WriteError",
        "check",
        "diff",
        "failures",
        "feed",
        "packages",
        "plan",
        "prune",
        "report",
        "retire",
        "sbom",
        "snapshot",
        "sql",
        "status",
        "unfinished",
        "verify",
        "views",
    ]
    check = "import lexport; assert all(getattr(lexport, n) is getattr(lexport, n) for n in lexport.__all__)"

    assert expected == lexport.__all__
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


def test_dir_shows_public_names_alone():
    """``dir(lexport)`` shows the public names and no others."""
    shown = [name for name in dir(lexport) if not name.startswith("__")]

    assert shown == sorted(lexport.__all__)
    assert {"__version__", "__doc__", "__path__"} <= set(dir(lexport))


@pytest.mark.parametrize(
    ("command", "unwanted"),
    [
        (
            "import lexport.cli.main as m; m.run(['--help'])",
            ("aiobotocore", "pyarrow", "duckdb", "aiohttp", "sqlglot", "msgspec", "logging", "rich", "prompt_toolkit"),
        ),
        (
            "import lexport.cli.main as m; m.run(['--version'])",
            ("aiobotocore", "pyarrow", "duckdb", "aiohttp", "msgspec", "rich", "prompt_toolkit"),
        ),
        ("import lexport.query.status, lexport.query.unfinished", ("aiobotocore", "pyarrow", "duckdb", "obstore")),
        ("import lexport.query.sql", ("aiobotocore", "aiohttp")),
        ("import lexport.pipeline", ("duckdb",)),
        ("import lexport.artifacts.packages", ("duckdb",)),
    ],
)
def test_nothing_is_imported_before_it_is_needed(command, unwanted):
    """Help needs no heavy library, the list of snapshots no Arrow, SQL no AWS library, a snapshot no DuckDB."""
    check = f"import sys; {command}; sys.exit(', '.join(n for n in {unwanted!r} if n in sys.modules) or 0)"
    done = subprocess.run([sys.executable, "-c", check], check=False, capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (0, "")
