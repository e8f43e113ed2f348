"""Reply of GetLayerVersionByArn -> what a row of ``layer_versions`` says of it. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson

from lexport.extract.lossless import Finding, Walk, make_plan, place_of
from lexport.model import Reply
from lexport.tables.layer_versions import LAYER_VERSIONS
from lexport.tables.staged import staged_names


def read_layer_version(reply: Reply) -> tuple[dict[str, Any], tuple[Finding, ...]]:
    """Return the columns of a layer version, and what does not fit: a wrong type is NULL and a finding.

    Loses: what no column knows; layers have no ``extra_json``.
    """
    walk = Walk(len(_NAMES), masks_values=False, is_exact=True)
    walk.walk(_PLAN, reply.document)
    return dict(zip(_NAMES[:-1], walk.row, strict=False)), tuple(walk.findings)


def _created_at(walk: Walk, item: Any, path: str) -> None:
    try:
        at = datetime.fromisoformat(item)
        walk.row[_CREATED_AT] = at.astimezone(UTC) if at.tzinfo is not None else None
    except (TypeError, ValueError, OverflowError):
        walk.find("wrong_type", path, "wanted an ISO 8601 instant, got something else")


def _texts(walk: Walk, item: Any, path: str) -> None:
    if item.__class__ is list and all(part.__class__ is str for part in item):
        walk.row[_PLACES[path]] = orjson.dumps(walk.texts(item, path)).decode()
    else:
        walk.wrong(path, "array of texts", item)


_TABLE = LAYER_VERSIONS
_NAMES = staged_names(_TABLE)
_CREATED_AT = place_of(_TABLE, "created_at")
_PLACES = {
    "CompatibleRuntimes": place_of(_TABLE, "compatible_runtimes"),
    "CompatibleArchitectures": place_of(_TABLE, "compatible_architectures"),
}
_PLAN = make_plan(_TABLE, "", {"CreatedDate": _created_at, **dict.fromkeys(_PLACES, _texts)})
