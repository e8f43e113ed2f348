"""Reply -> rows. Pure: no await, no clock, no I/O.

Every leaf of an answer ends in exactly one place: a column, a child row, or ``extra_json`` under its path.
Only ``Code.Location`` is dropped, and what would tell a secret is replaced and said so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from lexport.aws.json import parse_document
from lexport.errors import FlattenError
from lexport.extract.lossless import Finding, Handler, Inexact, Walk, join_path, make_plan, place_of
from lexport.extract.ordinary import Version, instant, json_array, take, unqualified
from lexport.extract.rows import Children, Rows
from lexport.model import LATEST, EnvMode, FunctionRef, Reply, Scope
from lexport.tables.account_settings import ACCOUNT_SETTINGS
from lexport.tables.aliases import ALIAS_ROUTES, ALIASES
from lexport.tables.functions import FILE_SYSTEMS, FUNCTIONS, LAYERS, TAGS
from lexport.tables.registry import NEVER_STORED
from lexport.tables.staged import ANSWER, staged_names
from lexport.tables.table import VERSION_KEY, Table, Type
from lexport.tables.text import plural


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the user chose: how environment values are kept, and whether ``$LATEST`` rows are.

    ``fetched_at`` is the start of the run.
    """

    env: EnvMode
    fetched_at: datetime
    keep_latest: bool = True


# --- the paths that are more than one scalar -------------------------------------------------------------------------


def _last_modified(walk: Walk, item: Any, path: str) -> None:
    if item.__class__ is not str:
        walk.wrong(path, "text", item)
        return
    walk.row[_LAST_MODIFIED] = walk.text(item, path)
    walk.row[_LAST_MODIFIED_AT] = at = instant(item)
    if item and at is None:
        walk.find("wrong_type", path, "wanted an ISO 8601 instant, got other text")


def _function_arn(walk: Walk, item: Any, path: str) -> None:
    if item.__class__ is not str:
        walk.wrong(path, "text", item)
        return
    walk.row[_FUNCTION_ARN] = walk.text(unqualified(item), path)


def _architectures(walk: Walk, item: Any, path: str) -> None:
    if item.__class__ is list and len(item) == 1 and item[0].__class__ is str:
        walk.row[_ARCHITECTURE] = walk.text(item[0], path)
    elif item not in ([], [None]):
        walk.wrong(path, "array of one text", item)


def _text_array(name: str) -> Handler:
    index = place_of(FUNCTIONS, name)

    def handle(walk: Walk, item: Any, path: str) -> None:
        if item.__class__ is list and all(part.__class__ is str for part in item):
            walk.row[index] = json_array(walk.texts(item, path))
        else:
            walk.wrong(path, "array of texts", item)

    return handle


def _texts(name: str) -> Handler:
    """Collect the texts of an array as child rows."""

    def handle(walk: Walk, item: Any, path: str) -> None:
        if item.__class__ is not list:
            walk.wrong(path, "array", item)
            return
        kept = walk.children.setdefault(name, [])
        for position, part in enumerate(item):
            if part.__class__ is str:
                kept.append(walk.text(part, path))
            elif part is not None:
                walk.wrong(f"{path}[{position}]", "text", part)

    return handle


def _objects(table: Table, prefix: str) -> Handler:
    """Collect the objects of an array as child rows with a position and an ``extra_json`` of their own."""
    plan = make_plan(table, prefix + ".", {})
    width, position_at, extra_at = len(staged_names(table)), place_of(table, "position"), place_of(table, "extra_json")

    def handle(walk: Walk, item: Any, path: str) -> None:
        if item.__class__ is not list:
            walk.wrong(path, "array", item)
            return
        kept = walk.children.setdefault(table.name, [])
        for position, part in enumerate(item):
            if part.__class__ is dict:
                child = Walk(
                    width, masks_values=walk.masks_values, is_exact=walk.is_exact, where=f"{path}[{position}]."
                )
                child.walk(plan, part)
                child.row[position_at] = position
                child.row[extra_at] = child.extra_json()
                walk.findings += child.findings
                kept.append(child.row)
            elif part is not None:
                walk.wrong(f"{path}[{position}]", "object", part)

    return handle


def _pairs(name: str) -> Handler:
    """Collect the pairs of a map of texts as child rows."""

    def handle(walk: Walk, item: Any, path: str) -> None:
        if item.__class__ is not dict:
            walk.wrong(path, "object", item)
            return
        kept: dict[str, str] = {}
        for key, value in item.items():
            if value.__class__ is str:
                kept[key] = value
            elif value is not None:
                walk.wrong(join_path(path, key), "text", value)
        walk.children[name] = (kept, path)

    return handle


def _dropped(walk: Walk, item: Any, path: str) -> None:
    """Never stored, in any mode."""


_LAST_MODIFIED = place_of(FUNCTIONS, "last_modified")
_LAST_MODIFIED_AT = place_of(FUNCTIONS, "last_modified_at")
_FUNCTION_ARN = place_of(FUNCTIONS, "function_arn")
_ARCHITECTURE = place_of(FUNCTIONS, "architecture")
_FUNCTION_NAME = place_of(FUNCTIONS, "function_name")
_VERSION = place_of(FUNCTIONS, "version")
_EXTRA_JSON = place_of(FUNCTIONS, "extra_json")
_FETCHED_AT = place_of(FUNCTIONS, "fetched_at")
_CARRIED_FORWARD = place_of(FUNCTIONS, "carried_forward")
_ANSWER = place_of(FUNCTIONS, ANSWER)
_PLACES = {name: place for place, name in enumerate(staged_names(FUNCTIONS))}
_WIDTH = len(staged_names(FUNCTIONS))
_OWN = slice(len(VERSION_KEY), -1)  # of a staged row of a child table, the columns between key and answer

_FUNCTION_PLAN = make_plan(
    FUNCTIONS,
    "",
    {
        "Configuration.LastModified": _last_modified,
        "Configuration.FunctionArn": _function_arn,
        "Configuration.Architectures": _architectures,
        "Configuration.ImageConfigResponse.ImageConfig.EntryPoint": _text_array("image_config_entry_point"),
        "Configuration.ImageConfigResponse.ImageConfig.Command": _text_array("image_config_command"),
        "Configuration.VpcConfig.SubnetIds": _texts("subnets"),
        "Configuration.VpcConfig.SecurityGroupIds": _texts("security_groups"),
        "Configuration.Layers": _objects(LAYERS, "Configuration.Layers[]"),
        "Configuration.FileSystemConfigs": _objects(FILE_SYSTEMS, "Configuration.FileSystemConfigs[]"),
        "Configuration.Environment.Variables": _pairs("env_vars"),
        "Tags": _pairs("tags"),
        **dict.fromkeys(NEVER_STORED, _dropped),
    },
)


def flatten_function(
    reply: Reply, ref: FunctionRef, *, scope: Scope, rules: Rules, answer: str, rows: Rows
) -> tuple[str, list[Finding]]:
    """Turn one GetFunction answer into one row of ``functions`` and its child rows, and append them to ``rows``.

    Shape: nested dict -> one value per column of ``columns.FUNCTIONS``; absent -> None, never 0 or "".
    Units: as AWS gives them: memory_size in MB, timeout in seconds, code_size in bytes.
    Loses: nothing; unknown fields go to ``extra_json``, a wrong type becomes None and a Finding beside the row.
    Returns the version that came back and the findings; raises FlattenError where no version can be told.
    Source: AWS Lambda API reference, GetFunction, "Response Syntax".
    """
    found = None if reply.answer is None else take(reply.answer, rules.env)
    if found is None:
        found = _version_of(_walk_reply(reply, rules), rules.env)
    if reply.cleaned:
        found.findings.append(
            Finding("cleaned_text", f"{plural(reply.cleaned, 'character')} that no table can hold replaced")
        )
    version = found.row[_VERSION] or (None if ref.is_alias else ref.qualifier or LATEST)
    if version is None:
        raise FlattenError("the answer for an alias does not tell its version", code="no_version")
    found.row[_VERSION] = version
    found.row[_FETCHED_AT] = rules.fetched_at
    found.row[_CARRIED_FORWARD] = False
    _append(found, ref, scope, rules=rules, answer=answer, rows=rows)
    return version, found.findings


def flatten_carried(
    ref: FunctionRef,
    listed: Reply,
    older: Mapping[str, Any],
    *,
    scope: Scope,
    rules: Rules,
    answer: str,
    rows: Rows,
) -> list[Finding] | None:
    """Turn a listed version into its rows without a call, and append them: ``older`` has what listings omit.

    Shape: as flatten_function; ``fetched_at`` stays that of the older row, ``carried_forward`` is true. Unknown fields
    that this listing does not have are kept. Returns None, having appended nothing, where the listing cannot be kept
    exactly.
    """
    found = None if listed.answer is None or older["extra_json"] is not None else take(listed.answer, rules.env)
    if found is None:
        try:
            walk = _walk_function(listed.document, rules, is_exact=False)
        except Inexact:
            return None
        if older["extra_json"] is not None:
            kept = Walk(0, masks_values=walk.masks_values, is_exact=True)  # by today's rules, not by its night's
            for path, item in parse_document(older["extra_json"].encode(), is_exact=True)[0].items():
                kept.keep(path, item)
            walk.extra = kept.extra | walk.extra
        found = _version_of(walk, rules.env)
    for name, value in older.items():
        if name != "extra_json":
            found.row[_PLACES[name]] = value
    found.row[_CARRIED_FORWARD] = True
    _append(found, ref, scope, rules=rules, answer=answer, rows=rows)
    return found.findings


def _append(found: Version, ref: FunctionRef, scope: Scope, *, rules: Rules, answer: str, rows: Rows) -> None:
    """Complete the row of a version and append it with what belongs to it."""
    row = found.row
    name = row[_FUNCTION_NAME] or ref.function_name
    row[0], row[1] = scope.account_id, scope.region
    row[_FUNCTION_NAME] = name
    row[_ANSWER] = answer
    if found.tags is not None:
        keys, values = found.tags
        rows.extend(TAGS, *_repeat(len(keys), *row[:2], name), keys, values, [answer] * len(keys))
    if row[_VERSION] != LATEST or rules.keep_latest:
        rows.versions.append((row, found.children))
    rows.items += 1


def _read_exactly(body: bytes) -> dict[str, Any]:
    try:
        document, _ = parse_document(body, is_exact=True)
    except ValueError:  # it was read before, but with less care
        raise FlattenError("the answer is nested too deep to be read exactly", code="too_deep") from None
    return cast("dict[str, Any]", document)


def _walk_reply(reply: Reply, rules: Rules) -> Walk:
    try:
        return _walk_function(reply.document, rules, is_exact=False)
    except Inexact:
        return _walk_function(_read_exactly(reply.body), rules, is_exact=True)


def _walk_function(document: dict[str, Any], rules: Rules, *, is_exact: bool) -> Walk:
    walk = Walk(_WIDTH, masks_values=rules.env != "values", is_exact=is_exact)
    walk.walk(_FUNCTION_PLAN, document)
    return walk


def _repeat(times: int, *values: Any) -> list[list[Any]]:
    return [[value] * times for value in values]


def _version_of(walk: Walk, env: EnvMode) -> Version:
    """Return the version that was walked over; what belongs to it is sorted by its key, each kind by itself."""
    found, children, tags = walk.children, Children(), None
    if "subnets" in found:
        children.subnets = sorted(found["subnets"])
    if "security_groups" in found:
        children.security_groups = sorted(found["security_groups"])
    if "layers" in found:
        children.layers = [row[_OWN] for row in found["layers"]]
    if "file_systems" in found:
        children.file_systems = [row[_OWN] for row in found["file_systems"]]
    if env != "none" and "env_vars" in found:
        pairs, path = cast("tuple[dict[str, str], str]", found["env_vars"])
        keys = sorted(pairs)
        names = walk.texts(keys, path)
        if names is not keys:  # a link was taken out of one, which may have moved it
            names, keys = map(list, zip(*sorted(zip(names, keys, strict=True)), strict=True))
        values = [pairs[key] for key in keys]
        children.env_vars, children.env_values = names, values
        if env == "values":
            children.env_kept = walk.texts(values, path)
    if "tags" in found:
        pairs, path = cast("tuple[dict[str, str], str]", found["tags"])
        tags = walk.texts(list(pairs), path), walk.texts(list(pairs.values()), path)
    walk.row[_EXTRA_JSON] = walk.extra_json()
    return Version(walk.row, children, tags, walk.findings)


# --- aliases and account settings ------------------------------------------------------------------------------------

_ALIAS = place_of(ALIASES, "alias")
_ALIAS_TARGET = place_of(ALIASES, "function_version")


def _routing(walk: Walk, item: Any, path: str) -> None:
    if item.__class__ is not dict:
        walk.wrong(path, "object", item)
        return
    weights = walk.children.setdefault("weights", {})
    for version, weight in item.items():
        value = None if weight is None else walk.scalar(weight, Type.DOUBLE, join_path(path, version))
        if value is not None:
            weights[walk.text(version, path)] = value


_ALIAS_PLAN = make_plan(
    ALIASES,
    "Aliases[].",
    {
        "Aliases[].RoutingConfig.AdditionalVersionWeights": _routing,
        "Aliases[].AliasArn": _dropped,  # account, region, function and alias spelled once more
    },
)


def flatten_alias(
    item: Any, function_name: str, *, scope: Scope, answer: str, rows: Rows, body: bytes = b""
) -> list[Finding]:
    """Turn one item of ListAliases into a row of ``aliases`` and its ``alias_routes``, and append them.

    Shape: the weights of the additional versions as sent; the first version gets what they leave of 1.
    Loses: ``AliasArn`` only, which the key columns spell. Raises FlattenError for an item without a name.
    Source: AWS Lambda API reference, ListAliases, AliasConfiguration.
    """
    if item.__class__ is not dict:
        raise FlattenError("an alias that is no object", code="invalid_item")
    walk = Walk(len(staged_names(ALIASES)), masks_values=True, is_exact=not body)
    try:
        walk.walk(_ALIAS_PLAN, item)
        extra = walk.extra_json()
    except Inexact:
        exact = next(
            other
            for other in _read_exactly(body)["Aliases"]
            if isinstance(other, dict) and other.get("Name") == item.get("Name")
        )
        return flatten_alias(exact, function_name, scope=scope, answer=answer, rows=rows)
    alias, target = walk.row[_ALIAS], walk.row[_ALIAS_TARGET]
    if not alias:
        raise FlattenError("an alias without a name", code="invalid_item")
    key = (scope.account_id, scope.region, function_name)
    rows.append(ALIASES, *key, *walk.row[3:-2], extra, answer)
    rows.items += 1
    weights = dict(walk.children.get("weights", {}))
    if target is not None:
        rest = round(1.0 - sum(weights.values()), 12)  # 1 - 0.1 - 0.2 is not 0.7 in binary
        weights[target] = weights.get(target, 0.0) + rest
    count = len(weights)
    rows.extend(ALIAS_ROUTES, *_repeat(count, *key, alias), list(weights), list(weights.values()), [answer] * count)
    return walk.findings


def alias_from_call(ref: FunctionRef, version: str, *, scope: Scope, answer: str, rows: Rows) -> None:
    """Append what a GetFunction call by alias tells of the alias: where it points; the rest is not known."""
    rows.append(
        ALIASES,
        scope.account_id,
        scope.region,
        ref.function_name,
        ref.qualifier,
        version,
        *[None] * 3,
        answer,
    )


_SETTINGS_PLAN = make_plan(ACCOUNT_SETTINGS, "", {})


def flatten_account_settings(reply: Reply, *, scope: Scope, rows: Rows) -> tuple[int | None, list[Finding]]:
    """Turn GetAccountSettings into a row of ``account_settings``; return AWS's own function count.

    Loses: what the columns do not name; it is about the account, not about its functions.
    Source: AWS Lambda API reference, GetAccountSettings.
    """
    walk = Walk(len(staged_names(ACCOUNT_SETTINGS)), masks_values=False, is_exact=True)
    walk.walk(_SETTINGS_PLAN, reply.document)
    row = walk.row
    row[0], row[1], row[-1] = scope.account_id, scope.region, ""
    rows.append(ACCOUNT_SETTINGS, *row)
    return row[place_of(ACCOUNT_SETTINGS, "function_count")], walk.findings
