"""Which versions aliases led to on earlier nights, as the snapshots of the dataset have it. Blocking."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

from lexport.dataset.commits import newest_first
from lexport.dataset.data_files import find_files
from lexport.dataset.manifest import Manifest
from lexport.dataset.scan import Scan
from lexport.dataset.store import Store
from lexport.errors import ReadError
from lexport.extract.usage.series import Series, of_qualifier, of_route
from lexport.model import Scope
from lexport.tables.aliases import ALIAS_ROUTES

_COLUMNS = ("account_id", "region", "function_name", "alias", "version")


def earlier_routes(
    store: Store, scope: Scope, since: datetime, before: str, note: Callable[[str], object]
) -> Iterator[list[Series]]:
    """Yield the series of the aliases of an account-region and their versions, from the snapshots since ``since``.

    The newest one from before is read too: it tells how the aliases were set at that time. ``before`` is the id of the
    run that asks. A snapshot that cannot be read is left out, and ``note`` gets a message.
    """
    for commit in newest_first(store, lambda damaged: note(damaged.note), before=before):
        if any(entry.scope == scope for entry in commit.scopes):
            try:
                yield from _routes_of(store, commit, scope)
            except (OSError, ReadError) as error:
                note(f"{scope}: the aliases of {commit.snapshot_id} cannot be read ({error}); their use may be missing")
        if commit.snapshot_at < since:
            return


def _routes_of(store: Store, commit: Manifest, scope: Scope) -> Iterator[list[Series]]:
    paths = find_files(store, commit, ALIAS_ROUTES)
    if not paths:
        return
    with Scan(paths, ALIAS_ROUTES, [scope], _COLUMNS) as scan:
        while len(rows := scan.next_rows()):
            columns = [rows.column(name).to_pylist() for name in _COLUMNS[2:]]
            found = [of_route(*route) for route in zip(*columns, strict=True)]
            yield found + [of_qualifier(series.name, series.qualifier) for series in found]
