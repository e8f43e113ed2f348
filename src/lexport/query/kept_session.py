"""The session of a ``Dataset``, kept from call to call while its commits and the files that it read stay the same."""

from __future__ import annotations

import ctypes
import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lexport.dataset.commits import commit_ids
from lexport.dataset.layout import RUNS, run_path
from lexport.dataset.manifest import Manifest
from lexport.errors import QueryError
from lexport.query.catalog import Catalog, open_catalog
from lexport.query.sql import QuerySession, open_catalog_session

_Signature = tuple[int, int, int]


@dataclass(slots=True, kw_only=True)
class _Opened:
    """A session, what it was opened with, and the files that it has checked since."""

    session: QuerySession
    every: Catalog
    as_of: str | None
    files: dict[Path, _Signature | None] = field(default_factory=dict)

    def is_current(self) -> bool:
        """Return whether another session would read the same: one listing of the commits, and no file changed.

        What ``as_of`` names may move with the clock: raises SettingsError where no snapshot is that old now.
        """
        try:
            ids = commit_ids(self.every.store.names(RUNS))
        except OSError:
            return False  # a new session says what is wrong
        return (
            # A damaged commit is not among the manifests: while there is one, no session is kept.
            ids == [commit.snapshot_id for commit in self.every.manifests]
            and all(_signature(path) == known for path, known in self.files.items())
            and _until(self.every, self.as_of).manifests == self.session.catalog.manifests
        )

    def note_files(self) -> None:
        """Remember the files that were checked since the last call."""
        for path in self.session.tables.files():
            if path not in self.files:
                self.files[path] = _signature(path)


@dataclass(frozen=True, slots=True)
class _Known:
    """A commit that was read, and its file where it is on this machine; the objects of a bucket are not looked at."""

    commit: Manifest
    path: Path | None
    signature: _Signature | None

    @classmethod
    def of(cls, commit: Manifest, path: Path | None) -> _Known:
        """Note the file as it is now."""
        return cls(commit, path, None if path is None else _signature(path))

    def is_current(self) -> bool:
        """Return whether the file is as it was."""
        return self.path is None or _signature(self.path) == self.signature


class KeptSession:
    """One session of a dataset at a time; threads wait for each other.

    It is opened when it is needed, and opened anew where commits came or went, a file was changed, or ``as_of`` names
    another moment now. A forked process
    opens its own. ``close`` gives everything back, as the end of the object does.
    """

    def __init__(self, dest: str | os.PathLike[str], as_of: str | None) -> None:
        self._dest, self._as_of = dest, as_of
        self._known: dict[str, _Known] = {}
        self._lock = threading.Lock()
        self._opened: _Opened | None = None
        self._closing: weakref.finalize[..., KeptSession] | None = None
        _EVERY.add(self)

    def catalog(self) -> Catalog:
        """Read the commits; of those that were read before only the names. Raises as ``open_catalog``."""
        return _until(self._read(), self._as_of)

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
            every = self._read()
            with ExitStack() as stack:
                session = stack.enter_context(open_catalog_session(_until(every, self._as_of)))
                self._closing = weakref.finalize(self, stack.pop_all().close)
            files = {known.path: known.signature for known in self._known.values() if known.path is not None}
            self._opened = _Opened(session=session, every=every, as_of=self._as_of, files=files)
        return self._opened

    def _read(self) -> Catalog:
        same = {snapshot_id: known.commit for snapshot_id, known in self._known.items() if known.is_current()}
        catalog = open_catalog(self._dest, known=same)
        root = catalog.store.local_root() if catalog.store.moved is None else None
        self._known = {
            commit.snapshot_id: self._known[commit.snapshot_id]
            if commit.snapshot_id in same
            else _Known.of(commit, None if root is None else root / run_path(commit.snapshot_id))
            for commit in catalog.manifests
        }
        return catalog

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


def _until(every: Catalog, as_of: str | None) -> Catalog:
    return every if as_of is None else every.as_of(as_of, option="as_of")


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
