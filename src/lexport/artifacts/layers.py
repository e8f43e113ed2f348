"""Reply of GetLayerVersionByArn -> the columns that a row of ``layer_versions`` takes from it. Pure."""

from __future__ import annotations

from typing import Any

from lexport.extract.lossless import LosslessReader, Notice, make_plan
from lexport.model import Reply
from lexport.tables.layer_versions import LAYER_VERSIONS
from lexport.tables.staged import staged_names

_NAMES = staged_names(LAYER_VERSIONS)
_PLAN = make_plan(LAYER_VERSIONS)


def read_layer_version(reply: Reply) -> tuple[dict[str, Any], tuple[Notice, ...]]:
    """Return the columns of a layer version, and notices of what does not fit: a value of the wrong type is NULL.

    Loses: what has no column; layers have no ``extra_json``.
    """
    reader = LosslessReader(len(_NAMES), masks_values=False, is_exact=True)
    reader.read(_PLAN, reply.document)
    return dict(zip(_NAMES[:-1], reader.row, strict=False)), tuple(reader.notices)
