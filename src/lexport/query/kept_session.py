"""The session of a ``Dataset``, kept from call to call while its commits and the files that it read stay the same."""

from __future__ import annotations

import ctypes
import os
import threading
import weakref
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lexport.dataset.commits import commit_ids
from lexport.dataset.layout import RUNS
from lexport.dataset.manifest import Manifest
from lexport.errors import QueryError
from lexport.query.catalog import Catalog, open_catalog
from lexport.query.sql import QuerySession, open_catalog_session

_Signature = tuple[int, int, int]


@dataclass(slots=True, kw_only=True)
class _Opened:
    """A session, what it was opened with, and the files that it has checked since."""

    session: QuerySession
    catalog: Catalog
    ids: list[str]
    files: dict[Path, _Signature | None] = field(default_factory=dict)

    def is_current(self) -> bool:
        """Return whether another session would read the same: one listing of the commits, and no file changed."""
        try:
            ids = commit_ids(self.catalog.store.names(RUNS))
        except OSError:
            return False  # a new session says what is wrong
        return ids == self.ids and all(_signature(path) == known for path, known in self.files.items())

    def note_files(self) -> None:
        """Remember the files that were checked since the last call."""
        for path in self.session.tables.files():
            if path not in self.files:
                self.files[path] = _signature(path)


class KeptSession:
    """One session of a dataset at a time; threads wait for each other.

    It is opened when it is needed, and opened anew where commits came or went or a file was changed. A forked process
    opens its own. ``close`` gives everything back, as the end of the object does.
    """

    def __init__(self, dest: str | os.PathLike[str], as_of: str | None) -> None:
        self._dest, self._as_of = dest, as_of
        self._known: Mapping[str, Manifest] = {}
        self._lock = threading.Lock()
        self._opened: _Opened | None = None
        self._closing: weakref.finalize[..., KeptSession] | None = None
        _EVERY.add(self)

    def catalog(self) -> Catalog:
        """Read the commits; of those that were read before only the names. Raises as ``open_catalog``."""
        catalog, _ = self._read()
        return catalog

    @contextmanager
    def open(self) -> Iterator[QuerySession]:
        """Yield the session, for one query whose rows are read before the block ends. Blocking."""
        with self._lock:
            try:
                opened = self._current()
                yield opened.session
                opened.note_files()
            except QueryError:
                raise
            except BaseException:  # it may be interrupted, or read what is damaged now and may be mended later
                self._close()
                raise

    def close(self) -> None:
        """Close the session; the next call opens another one."""
        with self._lock:
            self._close()

    def _current(self) -> _Opened:
        if self._opened is None or not self._opened.is_current():
            self._close()
            catalog, ids = self._read()
            with ExitStack() as stack:
                session = stack.enter_context(open_catalog_session(catalog))
                self._closing = weakref.finalize(self, stack.pop_all().close)
            self._opened = _Opened(session=session, catalog=catalog, ids=ids)
        return self._opened

    def _read(self) -> tuple[Catalog, list[str]]:
        catalog = open_catalog(self._dest, known=self._known)
        self._known = {commit.snapshot_id: commit for commit in catalog.manifests}
        # A damaged commit is not among the ids: while there is one, no session is kept.
        ids = [commit.snapshot_id for commit in catalog.manifests]
        return (catalog if self._as_of is None else catalog.as_of(self._as_of, option="as_of")), ids

    def _close(self) -> None:
        self._opened = None
        if self._closing is not None:
            self._closing()
            self._closing = None

    def _leave_to_parent(self) -> None:
        """Forget the session of the process that this one was forked from, without closing it.

        DuckDB's threads are not in this process, so that it crashes where a connection ends here.
        """
        if self._closing is not None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._closing.detach()))
        self._lock, self._opened, self._closing = threading.Lock(), None, None


_EVERY: weakref.WeakSet[KeptSession] = weakref.WeakSet()


def _leave_all_to_parent() -> None:
    for each in list(_EVERY):
        each._leave_to_parent()  # noqa: SLF001 - of this file


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_all_to_parent)


def _signature(path: Path) -> _Signature | None:
    """Return what changes with the content of a file; None where it is gone."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino
