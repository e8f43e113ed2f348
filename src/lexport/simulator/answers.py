"""What the answers of several resources have in common: the shape of an answer, and documents from paths."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from lexport.model import Scope
from lexport.simulator.responses import ApiCall, AwsError

if TYPE_CHECKING:
    from lexport.simulator.fleet import Fleet

Answer: TypeAlias = "Callable[[Fleet, Scope, ApiCall], dict[str, Any]]"
"""Returns the document of one call, or raises AwsError."""

Leaves = Mapping[str, Any]
"""The values of a document by their path, as ``ScalingConfig.MaximumConcurrency``."""


def nested(leaves: Leaves) -> dict[str, Any]:
    """Return the document that has these values at these paths."""
    document: dict[str, Any] = {}
    for path, value in leaves.items():
        *parents, last = path.split(".")
        node = document
        for name in parents:
            node = node.setdefault(name, {})
        node[last] = value.timestamp() if isinstance(value, datetime) else value
    return document


FUTURE = {"FutureField": {"Since": 2026}}
"""A field that no table has a column for."""
FUTURE_TEXT = '{"FutureField":{"Since":2026}}'
"""The ``extra_json`` of a row of a document with it."""


def refuse_where_missing(scope: Scope, regions: Collection[str]) -> None:
    """Raise AWS's error for an operation that a Region does not have: it looks as if access were denied."""
    if scope.region in regions:
        raise AwsError(403, "AccessDeniedException", "Unable to determine service/operation name to be authorized")
