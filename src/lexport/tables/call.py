"""One operation of AWS's API, declared: its request, its quota and the permission that it needs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from lexport.model import LIST_QUOTA, Priority, QuotaClass

PARAMETER = re.compile(r"\{(\w+)\}")


IamResource = Literal["function", "code-signing-config", "capacity-provider", "*"]
"""What a policy can limit an action to: a type of Lambda's resources, as ARNs name it. ``*``: to nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """How an operation hands out a long list: ``items`` is the key of the list in each page.

    The request for the next page has the ``next_marker`` of the page before as ``marker``. ``item_name`` is given where
    the items are scalars: each is read as an object that has it under this name.
    """

    items: str
    item_name: str = ""
    marker: str = "Marker"
    next_marker: str = "NextMarker"
    size_name: str = "MaxItems"
    size: int = 50


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Call:
    """One GET operation of Lambda.

    ``path`` has its parameters in braces. ``query`` are parts like ``Qualifier={qualifier}`` or ``find=LayerVersion``;
    a part whose parameter is None is left out. The marker and the size of pages come from ``page``.
    ``iam`` are the actions that the caller needs. ``iam_resource`` is what a policy can limit them to.
    ``absent`` are the error codes that mean "there is none": no rows and no error.
    ``function_names`` is a pattern of the function names that the operation accepts; other functions are passed over.
    """

    operation: str
    path: str
    query: tuple[str, ...] = ()
    quota: QuotaClass = LIST_QUOTA
    priority: Priority = Priority.RESOURCES
    iam: tuple[str, ...]
    iam_resource: IamResource = "function"
    page: Page | None = None
    absent: frozenset[str] = frozenset()
    function_names: str = ".*"

    def query_parts(self) -> list[tuple[str, str | None, str]]:
        """Return the parts of the query in the order that signing wants: name with ``=``, parameter, constant."""
        parts = [*self.query]
        if self.page is not None:
            parts += [f"{self.page.marker}={{marker}}", f"{self.page.size_name}={self.page.size}"]
        split = (part.partition("=") for part in sorted(parts))
        return [
            (f"{name}=", found[1], "") if (found := PARAMETER.fullmatch(text)) else (f"{name}=", None, text)
            for name, _, text in split
        ]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JsonCall(Call):
    """One operation of a service that speaks AWS's JSON protocol: a POST whose body has the parameters.

    ``service`` is the name that requests are signed for, which is also the first part of the host name. ``target`` and
    the operation make the header X-Amz-Target. ``version`` is that of the protocol. ``trial`` are the parameters of a
    call that only shows whether it is allowed.
    """

    path: str = "/"
    service: str
    target: str
    version: Literal["1.0", "1.1"]
    trial: Mapping[str, Any] = field(default_factory=dict)
    iam_resource: IamResource = "*"

    def headers(self) -> dict[str, str]:
        """Return the headers that say what is called, by lower-case name."""
        return {
            "content-type": f"application/x-amz-json-{self.version}",
            "x-amz-target": f"{self.target}.{self.operation}",
        }
