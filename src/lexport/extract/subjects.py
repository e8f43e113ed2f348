"""What a resource is read for, of the functions and versions that a listing names. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from lexport.model import LATEST, FunctionRef
from lexport.tables.resource import Resource


class Subjects:
    """Chooses what one resource is read for. ``lists_versions``: whether the listing names published versions."""

    def __init__(self, resource: Resource, *, lists_versions: bool) -> None:
        self._resource = resource
        self._lists_versions = lists_versions
        self._accepted = re.compile(resource.call.function_names)
        self._published: set[int] = set()

    def of(self, refs: Iterable[FunctionRef]) -> Iterator[tuple[str, str | None]]:
        """Yield the functions of a page of the listing, each with a qualifier where that is read."""
        takes, is_version = self._resource.takes, self._resource.per == "version"
        for ref in refs:
            if self._is_about(ref) and self.accepts(ref.function_name) and (takes is None or takes(ref)):
                yield ref.function_name, (ref.qualifier or LATEST) if is_version else None

    def accepts(self, function_name: str) -> bool:
        """Return whether the operation takes functions of this name."""
        return self._accepted.fullmatch(function_name) is not None

    def _is_about(self, ref: FunctionRef) -> bool:
        """Return whether a listed item stands for one call."""
        if self._resource.per == "version":
            return True
        if self._resource.per == "function" or not self._lists_versions:
            return ref.qualifier is None
        if ref.qualifier is None or ref.qualifier == LATEST:
            return False
        name = hash(ref.function_name)  # 8 bytes of each function that has a version
        is_new = name not in self._published
        self._published.add(name)
        return is_new
