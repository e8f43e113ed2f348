"""Dataset -> a software bill of materials (CycloneDX) of one function version or of the whole fleet."""

# ruff: noqa: S608 - texts in SQL are quoted by quote_text

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, BinaryIO

from lexport.artifacts import cyclonedx
from lexport.artifacts.cyclonedx import FunctionVersion
from lexport.errors import RunError, SettingsError
from lexport.model import LATEST, __version__
from lexport.query.execute import Interruptible, run_interruptibly
from lexport.query.sql import QuerySession, open_query_session
from lexport.query.sql_text import quote_text
from lexport.tables.text import first_of


@dataclass(frozen=True, slots=True, kw_only=True)
class SbomResult:
    """Counts of a written document. ``incomplete`` counts the function versions whose libraries may not all be listed.

    ``damage`` names the snapshots that cannot be read and were skipped.
    """

    functions: int
    incomplete: int
    damage: tuple[str, ...] = ()


async def sbom(
    dest: str | os.PathLike[str], stream: BinaryIO, *, function: str | None = None, version: str | None = None
) -> SbomResult:
    """Write the components of the latest functions as CycloneDX 1.6 JSON: of one version of ``function``, or of all.

    ``function`` is a name or an ARN; ``version`` defaults to ``$LATEST``. Raises SettingsError for a function that does
    not exist, RunError if no package has been inspected yet. The same dataset gives the same bytes.
    """
    if function is None and version is not None:
        raise SettingsError("--version needs --function", option="--version")
    return await run_interruptibly(partial(_write, dest, stream, function, version or LATEST))


def _write(
    dest: str | os.PathLike[str],
    stream: BinaryIO,
    function: str | None,
    version: str,
    running: list[Interruptible],
) -> SbomResult:
    with open_query_session(dest, running=running) as session:
        queries = _SbomQueries(session)
        if not queries.read("SELECT 1 FROM history.packages WHERE dependencies_status IS NOT NULL LIMIT 1"):
            name = os.fspath(dest)
            raise RunError(
                f"no published table of {name} says what is in its packages; run: lexport packages"
                f" {shlex.quote(name)} --inspect"
            )
        about = None if function is None else _choose(queries, function, version)
        if about is not None:
            queries.condition = (
                f"function_arn = {quote_text(about.function_arn)} AND version = {quote_text(about.version)}"
            )
        return replace(queries.write(stream, about), damage=session.catalog.damage())


def _choose(queries: _SbomQueries, function: str, version: str) -> FunctionVersion:
    """Return the one function version that the arguments name; raises SettingsError."""
    is_named = f"{quote_text(function)} IN (function_name, function_arn)"
    versions = [
        text for (text,) in queries.read(f"SELECT DISTINCT version FROM functions WHERE {is_named} ORDER BY ALL")
    ]
    if not versions:
        nearest = queries.read(
            "SELECT function_name FROM functions GROUP BY function_name"
            f" ORDER BY jaro_winkler_similarity(function_name, {quote_text(function)}) DESC, function_name LIMIT 3"
        )
        names = ", ".join(name for (name,) in nearest)
        raise SettingsError(
            f"--function {function}: no such function in the latest snapshot"
            + (f"; the nearest names are {names}" if names else ""),
            option="--function",
        )
    if version not in versions:
        existing = first_of(versions, 5)
        raise SettingsError(f"--version {version}: {function} has {existing}", option="--version")
    queries.condition = f"{is_named} AND version = {quote_text(version)}"
    functions = list(queries.functions())
    if len(functions) > 1:
        arns = ", ".join(item.function_arn for item in functions[:5])
        raise SettingsError(
            f"--function {function} is in several account-regions; give one of {arns}", option="--function"
        )
    return functions[0]


_PARTS = """
WITH selected AS (
  SELECT
    f.*, f.function_arn || ':' || f.version AS ref,
    CASE WHEN p.status <> 'image' THEN p.sha256_hex END AS sha256_hex,
    CASE WHEN f.package_type = 'Image' THEN 'unknown' ELSE coalesce(p.dependencies_status, 'incomplete') END AS status
  FROM functions AS f LEFT JOIN packages AS p ON p.code_sha256 = f.code_sha256
  WHERE {condition}
), contents AS (
  SELECT ref, sha256_hex, NULL AS layer_arn, status FROM selected
  UNION
  SELECT c.ref, p.sha256_hex, l.layer_arn, coalesce(p.dependencies_status, 'incomplete')
  FROM selected AS c
  JOIN layers AS l
    ON l.account_id = c.account_id AND l.region = c.region
    AND l.function_name = c.function_name AND l.version = c.version
  LEFT JOIN layer_versions AS v ON v.layer_arn = l.layer_arn
  LEFT JOIN packages AS p ON p.code_sha256 = v.code_sha256
)
"""
_FUNCTIONS = (
    "SELECT function_arn, account_id, region, function_name, version, runtime, architecture, package_type, sha256_hex"
    " FROM selected ORDER BY ALL"
)
_CONTENTS = (
    "SELECT sha256_hex, max(layer_arn), min(status) FROM contents"
    " WHERE sha256_hex IS NOT NULL GROUP BY ALL ORDER BY ALL"
)
_LIBRARIES = (
    "SELECT ecosystem, name, version, sha256_hex, path FROM package_dependencies"
    " WHERE sha256_hex IN (SELECT sha256_hex FROM contents) ORDER BY ALL"
)
_OF_FUNCTIONS = "SELECT DISTINCT ref, sha256_hex FROM contents WHERE sha256_hex IS NOT NULL ORDER BY ALL"
_OF_CONTENTS = (
    "SELECT DISTINCT sha256_hex, ecosystem, name, version FROM package_dependencies"
    " WHERE sha256_hex IN (SELECT sha256_hex FROM contents) ORDER BY ALL"
)
_NOT_WHOLE = (
    "SELECT ref, CASE WHEN bool_or(status = 'incomplete') THEN 'incomplete' ELSE 'unknown' END FROM contents"
    " WHERE status <> 'complete' GROUP BY ref ORDER BY ref"
)


@dataclass(slots=True)
class _SbomQueries:
    """The queries behind one document. ``condition`` selects function versions in SQL."""

    session: QuerySession
    condition: str = field(default="true")

    def read(self, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query with a small result."""
        return list(self._rows(query))

    def functions(self) -> Iterator[FunctionVersion]:
        for row in self._parts(_FUNCTIONS):
            yield FunctionVersion(**dict(zip(FunctionVersion.__slots__, row, strict=True)))

    def write(self, stream: BinaryIO, about: FunctionVersion | None) -> SbomResult:
        counts = {"functions": 0, "incomplete": 0}

        def counted(name: str, rows: Iterator[Any]) -> Iterator[Any]:
            for row in rows:
                counts[name] += 1
                yield row

        def components() -> Iterator[Any]:
            for item in counted("functions", self.functions()):
                if about is None:
                    yield cyclonedx.function_component(item)
            for row in self._parts(_CONTENTS):
                yield cyclonedx.content_component(*row)
            yield from cyclonedx.library_components(self._parts(_LIBRARIES))

        def dependencies() -> Iterator[Any]:
            yield from cyclonedx.function_nodes(self._parts(_OF_FUNCTIONS))
            yield from cyclonedx.content_nodes(self._parts(_OF_CONTENTS))

        lists = {
            "components": components(),
            "dependencies": dependencies(),
            "compositions": (
                {"aggregate": status, "dependencies": [ref]}
                for ref, status in counted("incomplete", self._parts(_NOT_WHOLE))
            ),
        }
        (at,) = self.read("SELECT max(snapshot_at) FROM functions")[0]
        stream.writelines(cyclonedx.document(at=at, lexport_version=__version__, about=about, lists=lists))
        return SbomResult(functions=counts["functions"], incomplete=counts["incomplete"])

    def _parts(self, query: str) -> Iterator[tuple[Any, ...]]:
        return self._rows(_PARTS.format(condition=self.condition) + query)

    def _rows(self, query: str) -> Iterator[tuple[Any, ...]]:
        for batch in self.session.read(query):
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)
