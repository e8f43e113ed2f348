"""Turn responses into rows. Pure: no await, no clock, no I/O.

Every leaf of a response but ``Code.Location`` ends in exactly one place: a column, a child row, or ``extra_json`` under
its path. There a value that may be secret is replaced by its type and length.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any

from lexport.aws.json import parse_document
from lexport.errors import FlattenError
from lexport.extract.decode import CHILDREN, FUNCTION, ITEMS, Layout
from lexport.extract.lossless import Inexact, LosslessReader, Notice, make_plan, parse_exactly
from lexport.extract.rows import Children, Rows
from lexport.model import LATEST, FunctionRef, Reply, Scope
from lexport.settings import EnvMode
from lexport.tables.functions import ENV_VARS, FILE_SYSTEMS, FUNCTIONS, LAYERS, TAGS
from lexport.tables.registry import NEVER_STORED
from lexport.tables.staged import ANSWER, child_names, child_source, staged_names
from lexport.tables.table import VERSION_KEY, Table
from lexport.tables.text import plural


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How to flatten: what to keep of environment values, and whether to keep ``$LATEST`` rows.

    ``fetched_at`` is the start of the run.
    """

    env: EnvMode
    fetched_at: datetime
    keep_latest: bool = True


# --- GetFunction -----------------------------------------------------------------------------------------------------

_INDEX = {name: index for index, name in enumerate(staged_names(FUNCTIONS))}
_FUNCTION_NAME, _VERSION, _EXTRA_JSON, _FETCHED_AT, _CARRIED_FORWARD, _ANSWER = (
    _INDEX[name] for name in ("function_name", "version", "extra_json", "fetched_at", "carried_forward", ANSWER)
)
_CHILD_PATHS = tuple(child_source(table)[0] for table in CHILDREN)
_VARIABLES_PATH, _TAGS_PATH = child_source(ENV_VARS)[0], child_source(TAGS)[0]


@dataclass(slots=True)
class _Version:
    """One function version as it was read: an incomplete staged row and its child data.

    ``tags`` are keys and values; ``notices`` are problems the rows cannot express.
    """

    row: list[Any]
    children: Children
    tags: tuple[list[str], list[str]] | None
    notices: list[Notice]


def flatten_function(
    reply: Reply, ref: FunctionRef, *, scope: Scope, rules: Rules, answer: str, rows: Rows
) -> tuple[str, list[Notice]]:
    """Turn a response of GetFunction into one row of ``functions`` and its child rows, and append them to ``rows``.

    Shape: nested dict -> one value per column of ``FUNCTIONS``; absent -> None, never 0 or "".
    Units: as AWS gives them: memory_size in MB, timeout in seconds, code_size in bytes.
    Loses: nothing; unknown fields go to ``extra_json``, a wrong type becomes None plus a notice.
    Returns the version that AWS returned, and the notices; raises FlattenError where the response does not name it.
    Source: AWS Lambda API reference, GetFunction, "Response Syntax".
    """
    version = None if reply.typed is None else _read_typed(reply.typed, rules.env)
    if version is None:
        version = _read_lossless(reply, rules.env)
    if reply.cleaned:
        version.notices.append(
            Notice("cleaned_text", f"{plural(reply.cleaned, 'character')} that no table can hold replaced")
        )
    name = version.row[_VERSION] or (None if ref.is_alias else ref.qualifier or LATEST)
    if name is None:
        raise FlattenError("the response for an alias does not state its version", code="no_version")
    version.row[_VERSION] = name
    version.row[_FETCHED_AT] = rules.fetched_at
    version.row[_CARRIED_FORWARD] = False
    _append(version, ref, scope, rules=rules, answer=answer, rows=rows)
    return name, version.notices


def flatten_carried(
    ref: FunctionRef, listed: Reply, older: Mapping[str, Any], *, scope: Scope, rules: Rules, answer: str, rows: Rows
) -> list[Notice] | None:
    """Turn a listed version into its rows without a call, and append them; ``older`` supplies what listings omit.

    Shape: as flatten_function; ``fetched_at`` stays that of the older row, ``carried_forward`` is true. Unknown fields
    that this listing does not have are kept. Returns None, having appended nothing, where the listing cannot be kept
    exactly.
    """
    is_typed = listed.typed is not None and older["extra_json"] is None
    version = _read_typed(listed.typed, rules.env) if is_typed else None
    if version is None:
        try:
            reader = _reader_of(listed.document, rules.env, is_exact=False)
        except Inexact:
            return None
        if older["extra_json"] is not None:
            # Re-apply the rules: today's may hide more than those of the older snapshot.
            kept = LosslessReader(0, masks_values=reader.masks_values, is_exact=True)
            for path, value in parse_document(older["extra_json"].encode(), is_exact=True)[0].items():
                kept.keep(path, value)
            reader.extra = kept.extra | reader.extra
        version = _version_of(reader, rules.env)
    for name, value in older.items():
        if name != "extra_json":
            version.row[_INDEX[name]] = value
    version.row[_CARRIED_FORWARD] = True
    _append(version, ref, scope, rules=rules, answer=answer, rows=rows)
    return version.notices


def _append(version: _Version, ref: FunctionRef, scope: Scope, *, rules: Rules, answer: str, rows: Rows) -> None:
    row = version.row
    name = row[_FUNCTION_NAME] or ref.function_name
    row[0], row[1] = scope.account_id, scope.region
    row[_FUNCTION_NAME] = name
    row[_ANSWER] = answer
    if version.tags is not None:
        keys, values = version.tags
        count = len(keys)
        rows.extend(TAGS, [row[0]] * count, [row[1]] * count, [name] * count, keys, values, [answer] * count)
    if row[_VERSION] != LATEST or rules.keep_latest:
        rows.versions.append((row, version.children))
    rows.items += 1


def _children_of(
    variables: dict[str, str] | None,
    layers: list[Sequence[Any]] | None,
    subnets: list[str] | None,
    security_groups: list[str] | None,
    file_systems: list[Sequence[Any]] | None,
    *,
    env: EnvMode,
    clean: Callable[[list[str], str], list[str]] | None = None,
) -> Children:
    """Make the children of a version, each kind sorted by its key; the arguments are in the order of CHILD_TABLES.

    ``clean`` removes presigned URLs from texts if they may contain any; returns the list unchanged if none does.
    """
    children = Children()
    if subnets:
        children.subnets = sorted(subnets)
    if security_groups:
        children.security_groups = sorted(security_groups)
    if layers:
        children.layers = layers
    if file_systems:
        children.file_systems = file_systems
    if variables and env != "none":
        names = sorted(variables)
        values = [variables[name] for name in names]
        if clean is not None and (cleaned := clean(names, _VARIABLES_PATH)) is not names:
            pairs = sorted(zip(cleaned, names, strict=True))  # a name without its URL may sort elsewhere
            names = [name for name, _ in pairs]
            values = [variables[sent] for _, sent in pairs]
        children.env_vars, children.env_values = names, values
        if env == "values":
            children.env_kept = values if clean is None else clean(values, _VARIABLES_PATH)
    return children


# --- a typed response ------------------------------------------------------------------------------------------------


def _row_maker(
    table: Table, names: Sequence[str], layout: Layout, prefix: str = ""
) -> Callable[[list[Any]], list[Any]]:
    """Return a function that makes a row of these columns from the values of ``layout`` followed by None.

    Where the rows are of an array, their position stands between the values and None. The function raises
    ValueError for a value that a column cannot convert.
    """
    indexes = {prefix + path: index for index, path in enumerate(layout.paths)}
    indexes[prefix.removesuffix(".")] = len(layout.paths)
    columns = {column.name: column for column in table.columns}
    sources = [columns[name].source.removesuffix("[0]") if name in columns else "" for name in names]
    pick = itemgetter(*(indexes.get(source, -1) if source else -1 for source in sources))
    converts = [
        (index, convert.make)
        for index, name in enumerate(names)
        if name in columns and (convert := columns[name].convert) is not None
    ]

    def make(values: list[Any]) -> list[Any]:
        row = list(pick(values))
        for index, convert in converts:
            value = row[index]
            if value is not None:
                row[index] = convert(value)
        return row

    return make


_function_row = _row_maker(FUNCTIONS, staged_names(FUNCTIONS), FUNCTION)
_layer_row, _file_system_row = (
    _row_maker(table, child_names(table), ITEMS[table.name], f"{child_source(table)[0]}[].")
    for table in (LAYERS, FILE_SYSTEMS)
)
_layer_values, _file_system_values = ITEMS[LAYERS.name].values, ITEMS[FILE_SYSTEMS.name].values
_pick_children = itemgetter(*map(FUNCTION.paths.index, _CHILD_PATHS))


def _read_typed(typed: Any, env: EnvMode) -> _Version | None:
    """Read a version from a typed response; None where a column cannot convert its value, which needs a notice."""
    values = FUNCTION.values(typed)
    try:
        row = _function_row([*values, None])
    except ValueError:
        return None
    variables, layers, subnets, security_groups, file_systems, tags = _pick_children(values)
    if layers:
        layers = [_layer_row([*_layer_values(item), index, None]) for index, item in enumerate(layers)]
    if file_systems:
        file_systems = [
            _file_system_row([*_file_system_values(item), index, None]) for index, item in enumerate(file_systems)
        ]
    children = _children_of(variables, layers, subnets, security_groups, file_systems, env=env)
    return _Version(row, children, (list(tags), list(tags.values())) if tags else None, [])


# --- any other response ----------------------------------------------------------------------------------------------

_PLAN = make_plan(FUNCTIONS, children=CHILDREN, dropped=NEVER_STORED)
_WIDTH = len(staged_names(FUNCTIONS))
_OWN = slice(len(VERSION_KEY), -1)  # of a staged row of a child table, the columns between key and answer


def _read_lossless(reply: Reply, env: EnvMode) -> _Version:
    try:
        reader = _reader_of(reply.document, env, is_exact=False)
    except Inexact:
        reader = _reader_of(parse_exactly(reply.body), env, is_exact=True)
    return _version_of(reader, env)


def _reader_of(document: dict[str, Any], env: EnvMode, *, is_exact: bool) -> LosslessReader:
    reader = LosslessReader(_WIDTH, masks_values=env != "values", is_exact=is_exact)
    reader.read(_PLAN, document)
    return reader


def _version_of(reader: LosslessReader, env: EnvMode) -> _Version:
    variables, layers, subnets, security_groups, file_systems, tags = (
        reader.children.get(table.name) for table in CHILDREN
    )
    children = _children_of(
        variables,
        [row[_OWN] for row in layers or ()],
        subnets,
        security_groups,
        [row[_OWN] for row in file_systems or ()],
        env=env,
        clean=reader.clean_texts,
    )
    texts = None
    if tags is not None:
        texts = (reader.clean_texts(list(tags), _TAGS_PATH), reader.clean_texts(list(tags.values()), _TAGS_PATH))
    reader.row[_EXTRA_JSON] = reader.extra_json()
    return _Version(reader.row, children, texts, reader.notices)
