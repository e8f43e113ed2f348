"""A decoded answer -> the function version that it tells of, the same as a walk makes of a document. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any

import orjson

from lexport.extract.decode import FILE_SYSTEM, FUNCTION, LAYER, Layout
from lexport.extract.lossless import Finding, place_of
from lexport.extract.rows import Children
from lexport.model import EnvMode
from lexport.tables.functions import FILE_SYSTEMS, FUNCTIONS, LAYERS
from lexport.tables.staged import child_names, staged_names
from lexport.tables.table import Table


@dataclass(slots=True)
class Version:
    """A function version as one answer tells of it: a staged row, not complete yet, and what belongs to it.

    ``tags`` are keys and values; ``findings`` is what the rows cannot show.
    """

    row: list[Any]
    children: Children
    tags: tuple[list[str], list[str]] | None
    findings: list[Finding]


# --- what is more than a value in its place --------------------------------------------------------------------------


def instant(text: str) -> datetime | None:
    """Read an instant with its offset; None for any other text."""
    try:
        at = datetime.fromisoformat(text)
        return None if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def unqualified(arn: str) -> str:
    """Return a function's ARN without its qualifier; what is no such ARN stays as it is."""
    # arn:partition:lambda:region:account:function:name[:qualifier]
    return arn.rpartition(":")[0] if arn.startswith("arn:") and arn.count(":") == 7 else arn  # noqa: PLR2004


def json_array(texts: list[str]) -> str:
    """Write texts as one."""
    return orjson.dumps(texts).decode()


# --- the answer ------------------------------------------------------------------------------------------------------


def _picker(
    table: Table, names: Sequence[str], layout: Layout, prefix: str
) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    """Return what picks columns of an object laid flat, with its position in its list and None behind it."""
    places = {prefix + path: place for place, path in enumerate(layout.paths)}
    places[prefix.removesuffix(".")] = len(layout.paths)
    sources = {column.name: column.source.removesuffix("[0]") for column in table.columns if column.source}
    return itemgetter(*(places.get(sources.get(name, "none"), -1) for name in names))


def _child_picker(table: Table, layout: Layout, prefix: str) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    return _picker(table, child_names(table), layout, prefix)


_pick_function = _picker(FUNCTIONS, staged_names(FUNCTIONS), FUNCTION, "")
_pick_layer = _child_picker(LAYERS, LAYER, "Configuration.Layers[].")
_pick_file_system = _child_picker(FILE_SYSTEMS, FILE_SYSTEM, "Configuration.FileSystemConfigs[].")
_pick_children = itemgetter(
    *map(
        FUNCTION.paths.index,
        (
            "Configuration.VpcConfig.SubnetIds",
            "Configuration.VpcConfig.SecurityGroupIds",
            "Configuration.Layers",
            "Configuration.FileSystemConfigs",
            "Configuration.Environment.Variables",
            "Tags",
        ),
    )
)
_ARN, _MODIFIED, _MODIFIED_AT, _ARCHITECTURE, _ENTRY_POINT, _COMMAND = (
    place_of(FUNCTIONS, name)
    for name in (
        "function_arn",
        "last_modified",
        "last_modified_at",
        "architecture",
        "image_config_entry_point",
        "image_config_command",
    )
)


def take(answer: Any, env: EnvMode) -> Version | None:
    """Take a function version from a decoded answer; None where something is to be told of it in ``errors``."""
    flat = FUNCTION.read(answer)
    row = list(_pick_function([*flat, None]))
    if row[_ARN] is not None:
        row[_ARN] = unqualified(row[_ARN])
    if row[_MODIFIED] is not None:
        row[_MODIFIED_AT] = at = instant(row[_MODIFIED])
        if at is None:
            return None
    if row[_ARCHITECTURE] is not None:
        if len(row[_ARCHITECTURE]) != 1:
            return None
        row[_ARCHITECTURE] = row[_ARCHITECTURE][0]
    if row[_ENTRY_POINT] is not None:
        row[_ENTRY_POINT] = json_array(row[_ENTRY_POINT])
    if row[_COMMAND] is not None:
        row[_COMMAND] = json_array(row[_COMMAND])
    *found, tags = _pick_children(flat)
    return Version(row, _children(*found, env=env), (list(tags), list(tags.values())) if tags else None, [])


def _children(
    subnets: list[str] | None,
    security_groups: list[str] | None,
    layers: list[Any] | None,
    file_systems: list[Any] | None,
    variables: dict[str, str] | None,
    *,
    env: EnvMode,
) -> Children:
    children = Children()
    if subnets:
        children.subnets = sorted(subnets)
    if security_groups:
        children.security_groups = sorted(security_groups)
    if layers:
        children.layers = [_pick_layer([*LAYER.read(item), place, None]) for place, item in enumerate(layers)]
    if file_systems:
        children.file_systems = [
            _pick_file_system([*FILE_SYSTEM.read(item), place, None]) for place, item in enumerate(file_systems)
        ]
    if variables and env != "none":
        children.env_vars = names = sorted(variables)
        children.env_values = values = [variables[name] for name in names]
        if env == "values":
            children.env_kept = values
    return children
