"""The commits of a dataset, newest first: their manifests, or why one of them cannot be used. Blocking."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from shlex import quote

from lexport.dataset.layout import RUNS, run_path
from lexport.dataset.local import LocalStore
from lexport.dataset.manifest import MOST_BYTES, Manifest, ManifestError, NewerFormatError
from lexport.dataset.store import Store, UnavailableError
from lexport.errors import CredentialsError, RunError, SettingsError
from lexport.model import Scope, is_ulid

READ_AT_ONCE = 16
"""Manifests of a bucket that are read at once: a year of nights is 23 round trips."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DamagedCommit:
    """A commit whose manifest cannot be used, and the reason; ``kind`` is the damage that ``verify`` reports."""

    snapshot_id: str
    path: str
    kind: str
    reason: str
    is_denied: bool = False

    @property
    def is_newer(self) -> bool:
        """Whether the only reason is that a newer lexport wrote it."""
        return self.kind == NewerFormatError.kind

    @property
    def note(self) -> str:
        """The line that a run prints about it: the run ignores the commit and leaves it as it is."""
        advice = "" if self.is_newer else "; lexport verify says how to go on"
        return f"{self}; nothing is built on it, and it stays as it is{advice}"

    def __str__(self) -> str:
        state = "cannot be read" if self.is_newer or self.is_denied else "is damaged"
        return f"snapshot {self.snapshot_id} {state} ({self.path}: {self.reason})"


def newest_first(
    store: Store,
    on_damaged: Callable[[DamagedCommit], object] = lambda _: None,
    *,
    before: str | None = None,
    of: Scope | None = None,
) -> Iterator[Manifest]:
    """Yield every snapshot of the fleet that can be read, newest first; ``on_damaged`` is called with the others.

    With ``before``, only snapshots of a smaller id. With ``of``, none that is older than the last retirement of this
    account-region, since nothing is built on those. A commit without account-regions holds tables of packages alone and
    is no snapshot.
    """
    for commit in fleet_commits(store, on_damaged, before=before):
        if commit.is_snapshot:
            yield commit
        elif of is not None and of in commit.settled_scopes():
            return


def fleet_commits(
    store: Store, on_damaged: Callable[[DamagedCommit], object] = lambda _: None, *, before: str | None = None
) -> Iterator[Manifest]:
    """Yield the snapshots of the fleet and the retirements, as ``newest_first`` yields the former."""
    for commit in all_commits(store):
        if isinstance(commit, DamagedCommit):
            on_damaged(commit)
        elif commit.scopes and (before is None or commit.snapshot_id < before):
            yield commit


def newest_whole(
    commits: Iterable[Manifest],
    scopes: Collection[Scope] | None = None,
    *,
    is_eligible: Callable[[Scope, Manifest], bool] = lambda _scope, _commit: True,
) -> dict[Scope, Manifest]:
    """Return, for each account-region, the newest eligible commit that read the whole of it.

    Parameters as for ``newest_settled``. One that was retired since has none.
    """
    newest = newest_settled(commits, scopes, is_eligible=is_eligible)
    return {scope: commit for scope, commit in newest.items() if not commit.is_retirement}


def newest_settled(
    commits: Iterable[Manifest],
    scopes: Collection[Scope] | None = None,
    *,
    is_eligible: Callable[[Scope, Manifest], bool] = lambda _scope, _commit: True,
) -> dict[Scope, Manifest]:
    """Return, for each account-region, the newest eligible commit that read the whole of it or retired it.

    ``commits`` come newest first. With ``scopes``, only these are looked up, and no more commits are read once all of
    them have one.
    """
    newest: dict[Scope, Manifest] = {}
    missing = None if scopes is None else set(scopes)
    for commit in commits:
        if missing is not None and not missing:
            break
        settled = commit.settled_scopes() if missing is None else commit.settled_scopes() & missing
        for scope in settled - newest.keys():
            if is_eligible(scope, commit):
                newest[scope] = commit
        if missing is not None:
            missing -= newest.keys()
    return newest


def all_commits(store: Store) -> Iterator[Manifest | DamagedCommit]:
    """Yield every commit, newest first."""
    return read_commits(store, commit_ids(store.names(RUNS)))


def read_commits(store: Store, snapshot_ids: Iterable[str]) -> Iterator[Manifest | DamagedCommit]:
    """Yield the manifests of commits, in their order; those of a bucket are read several at once."""
    if isinstance(store, LocalStore):
        yield from (read_commit(store, snapshot_id) for snapshot_id in snapshot_ids)
        return
    waiting: deque[Future[Manifest | DamagedCommit]] = deque()
    pool = ThreadPoolExecutor(READ_AT_ONCE, thread_name_prefix="lexport-commits")
    try:
        for snapshot_id in snapshot_ids:
            waiting.append(pool.submit(read_commit, store, snapshot_id))
            if len(waiting) == READ_AT_ONCE:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # after an interrupt, no request is waited for


def commit_ids(names: Iterable[str]) -> list[str]:
    """Return the snapshot ids of the commits among the names in the folder of commits, newest first."""
    ids = (name.removesuffix(".json") for name in names if name.endswith(".json"))
    return sorted(filter(is_ulid, ids), reverse=True)


def is_committed(store: Store, snapshot_id: str) -> bool:
    """Return whether the commit exists now, damaged or not."""
    try:
        store.stat(run_path(snapshot_id))
    except OSError as error:
        return not isinstance(error, FileNotFoundError)
    return True


def read_commit(store: Store, snapshot_id: str) -> Manifest | DamagedCommit:
    """Read the manifest of one commit. Raises RunError where a bucket does not answer."""
    path, is_denied = run_path(snapshot_id), False
    try:
        return Manifest.from_json(store.read(path, most_bytes=MOST_BYTES), snapshot_id=snapshot_id)
    except UnavailableError as error:
        raise RunError(f"{store.url} cannot be read: {path}: {error.strerror}") from error
    except OSError as error:
        kind, reason, is_denied = "unreadable", error.strerror or str(error), isinstance(error, PermissionError)
    except ManifestError as error:
        kind, reason = error.kind, str(error)
    return DamagedCommit(snapshot_id=snapshot_id, path=path, kind=kind, reason=reason, is_denied=is_denied)


def prune_command(store: Store, snapshot_id: str) -> str:
    """Return the command that removes one commit, for messages about damage."""
    return f"lexport prune {quote(store.url)} --snapshot {snapshot_id}"


def unreadable(store: Store, error: OSError, *, dest: str) -> RunError:
    """Make the error of a destination whose commits cannot be listed; one that is denied is never an empty one."""
    message = f"DEST {dest} cannot be read: {error.strerror or error}"
    if store.moved is None:
        return SettingsError(message, option="DEST")
    return CredentialsError(message) if isinstance(error, PermissionError) else RunError(message)


def last_sizes(store: Store, scopes: Iterable[Scope]) -> dict[Scope, int]:
    """Return the versions of these account-regions in the last snapshot, of those that it has. Blocking."""
    last = next(newest_first(store), None)
    sizes = {entry.scope: entry.versions for entry in last.scopes} if last else {}
    return {scope: sizes[scope] for scope in scopes if scope in sizes}
