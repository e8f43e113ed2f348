"""A decoded answer -> its row and children, the same as a walk gives of a document. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any

import orjson

from lexport import columns
from lexport.decode import FILE_SYSTEM, FUNCTION, LAYER, Layout
from lexport.staged import staged_names
from lexport.walk import Finding, place_of


class Ordinary:
    """What a walk gives, where nothing is left over and no text holds a link."""

    __slots__ = ("children", "findings", "row")

    def __init__(self, row: list[Any], children: dict[str, Any]) -> None:
        self.row = row
        self.children = children
        self.findings: list[Finding] = []

    def texts(self, items: list[str], path: str) -> list[str]:  # noqa: ARG002 - as a walk's
        """Return texts as they may be stored."""
        return items

    def extra_json(self) -> str | None:
        """Return what has no column: nothing."""
        return None


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


def _picker(table: columns.Table, layout: Layout, prefix: str) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    """Return what makes a staged row of an object laid flat, with its position in its list and None behind it."""
    places = {prefix + path: place for place, path in enumerate(layout.paths)}
    places[prefix.removesuffix(".")] = len(layout.paths)
    sources = {column.name: column.source.removesuffix("[0]") for column in table.columns if column.source}
    return itemgetter(*(places.get(sources.get(name, "none"), -1) for name in staged_names(table)))


_pick_function = _picker(columns.FUNCTIONS, FUNCTION, "")
_pick_layer = _picker(columns.LAYERS, LAYER, "Configuration.Layers[].")
_pick_file_system = _picker(columns.FILE_SYSTEMS, FILE_SYSTEM, "Configuration.FileSystemConfigs[].")
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
    place_of(columns.FUNCTIONS, name)
    for name in (
        "function_arn",
        "last_modified",
        "last_modified_at",
        "architecture",
        "image_config_entry_point",
        "image_config_command",
    )
)


def take(answer: Any) -> Ordinary | None:
    """Make the row and the children of a decoded answer; None where something is to be told of it in ``errors``."""
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
    return Ordinary(row, _children(_pick_children(flat)))


def _children(found: tuple[Any, ...]) -> dict[str, Any]:
    subnets, security_groups, layers, file_systems, variables, tags = found
    children: dict[str, Any] = {}
    if subnets is not None:
        children["subnets"] = subnets
    if security_groups is not None:
        children["security_groups"] = security_groups
    if layers is not None:
        children["layers"] = [_pick_layer([*LAYER.read(item), place, None]) for place, item in enumerate(layers)]
    if file_systems is not None:
        children["file_systems"] = [
            _pick_file_system([*FILE_SYSTEM.read(item), place, None]) for place, item in enumerate(file_systems)
        ]
    if variables is not None:
        children["env_vars"] = variables, ""  # no path: nothing of it is told of
    if tags is not None:
        children["tags"] = tags, ""
    return children
