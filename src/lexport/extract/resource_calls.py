"""Count the calls that resources take: of what a listing names, and of what the last snapshot has.

A listing names neither aliases nor what a list of an account-region holds. Where no earlier snapshot has them, only the
least number of calls is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from lexport.dataset.commits import newest_first
from lexport.dataset.data_files import find_files
from lexport.dataset.manifest import Manifest
from lexport.dataset.scan import Scan
from lexport.dataset.store import Store
from lexport.errors import ReadError
from lexport.extract.subjects import Subjects
from lexport.extract.usage.window import usage_cost
from lexport.model import FunctionRef, Scope
from lexport.settings import SnapshotSettings
from lexport.tables.functions import GET_FUNCTION
from lexport.tables.registry import resources_read
from lexport.tables.resource import Resource
from lexport.tables.table import SCOPE_KEY, Table

_NAME = "function_name"


@dataclass(frozen=True, slots=True)
class CallRange:
    """The least and the greatest number of calls; ``most`` is None where it is not known."""

    least: int = 0
    most: int | None = 0

    def __add__(self, other: CallRange) -> CallRange:
        most = None if self.most is None or other.most is None else self.most + other.most
        return CallRange(self.least + other.least, most)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceCalls:
    """The calls of each resource, and what AWS bills for them: the least and the most, None where it is not known."""

    calls: Mapping[Resource, CallRange]
    dollars: tuple[float, float | None] = (0.0, 0.0)


class RowsBefore:
    """Counts the rows of one account-region in the newest snapshot that read it whole. Blocking."""

    def __init__(self, store: Store | None, scope: Scope, note: Callable[[str], object]) -> None:
        self._store, self._scope, self._note = store, scope, note
        self._commit: Manifest | None = None
        if store is not None:
            commits = newest_first(store, lambda damaged: note(damaged.note), of=scope)
            self._commit = next((commit for commit in commits if scope in commit.whole_scopes()), None)

    def count(self, table: Table, accepts: Callable[[str], bool]) -> int | None:
        """Count the rows whose function a call accepts; None where no snapshot has the table."""
        if self._store is None or self._commit is None or not self._commit.entries(table.name):
            return None
        has_names = _NAME in table.names()
        rows_counted = 0
        try:
            names = (*SCOPE_KEY, _NAME) if has_names else SCOPE_KEY
            with Scan(find_files(self._store, self._commit, table), table, [self._scope], names) as scan:
                while len(rows := scan.next_rows()):
                    found = rows.column(_NAME).to_pylist() if has_names else []
                    rows_counted += sum(map(accepts, found)) if has_names else len(rows)
        except (OSError, ReadError) as error:
            self._note(f"{self._scope}: the rows of {table.name} cannot be counted: {error}")
            return None
        return rows_counted


class ResourceCounter:
    """Counts, page by page of the listing, what the resources of a run are read for."""

    def __init__(self, settings: SnapshotSettings) -> None:
        self._settings = settings
        read = [resource for resource in resources_read(settings.for_manifest()) if resource.call is not GET_FUNCTION]
        self._read = [each for each in read if not each.follows or any(map(each.is_after, read))]
        lists_versions = settings.qualifiers != "latest"
        self._subjects = {each: Subjects(each, lists_versions=lists_versions) for each in self._read}
        self._listed = dict.fromkeys(self._read, 0)
        self._functions = self._versions = 0

    @property
    def resources(self) -> Sequence[Resource]:
        """What the run reads besides functions."""
        return self._read

    def count(self, page: Iterable[FunctionRef]) -> dict[Resource, list[tuple[str, str | None]]]:
        """Count a page of the listing; return what of it each resource is read for."""
        found: dict[Resource, list[tuple[str, str | None]]] = {}
        refs = list(page)
        self._functions += sum(ref.qualifier is None for ref in refs)
        self._versions += sum(ref.qualifier is not None for ref in refs)
        for resource, subjects in self._subjects.items():
            if resource.per in ("function", "published_function", "version"):
                found[resource] = list(subjects.of(refs))
                self._listed[resource] += len(found[resource])
        return found

    def calls(self, before: RowsBefore) -> ResourceCalls:
        """Return the calls of every resource. Blocking: it reads the last snapshot."""
        calls = {resource: self._calls_of(resource, before) for resource in self._read}
        on_fleet = [resource for resource in self._read if resource.per == "fleet"]
        if not on_fleet:
            return ResourceCalls(calls=calls)
        gives = next((each for each in self._read if each.gives == "alias"), None)
        aliases = before.count(gives.tables[0], lambda _: True) if gives is not None else 0
        cost = usage_cost(
            self._settings.usage_days,
            functions=self._functions,
            aliases=aliases or 0,
            versions=self._versions,
            executed_versions=aliases or 0,  # each leads to one at least
        )
        for resource in on_fleet:
            least, most = cost.by_operation[resource.call.operation]
            calls[resource] = CallRange(least, None if aliases is None else most)
        least_dollars, most_dollars = cost.dollars
        return ResourceCalls(calls=calls, dollars=(least_dollars, None if aliases is None else most_dollars))

    def _calls_of(self, resource: Resource, before: RowsBefore) -> CallRange:
        accepts = self._subjects[resource].accepts
        if resource.follows:
            leader = next(each for each in self._read if resource.is_after(each))
            rows = before.count(leader.tables[0], accepts)
            return CallRange(0, None) if rows is None else CallRange(rows, rows)
        if resource.per != "account_region":
            return CallRange(self._listed[resource], self._listed[resource])
        page = resource.call.page
        if page is None:
            return CallRange(1, 1)
        rows = before.count(resource.tables[0], accepts)
        pages = 1 if rows is None else max(1, ceil(rows / page.size))
        return CallRange(pages, None if rows is None else pages)
