"""Read shards of a planned run in a process that did not plan it: a worker of dask, or ``lexport shard read``.

The plan at the destination says all but the credentials and the key of the HMACs, which are this process's own.
"""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from anyio import CancelScope, to_thread

from lexport.aws.credentials import Source
from lexport.aws.quota.pacer import Pacer
from lexport.aws.session import open_session
from lexport.dataset import layout
from lexport.dataset.account_regions import read_regions
from lexport.dataset.claims import find_claim
from lexport.dataset.commits import unreadable
from lexport.dataset.open_store import open_store
from lexport.dataset.scratch import remove_folder
from lexport.dataset.staging import StagingError, find_shard, finished_shard, is_planned, read_spec, read_spec_alone
from lexport.dataset.store import Store
from lexport.errors import CredentialsError, PublishError, RunError, SettingsError
from lexport.extract.access import Access, open_access
from lexport.extract.background import in_background, reported
from lexport.extract.context import RunContext
from lexport.extract.hash_key import HashKey, find_hash_key
from lexport.extract.progress import Progress, Report, Stage
from lexport.extract.reading import OwnTry, Reading
from lexport.extract.rows import StagingMemory, ValueHasher
from lexport.extract.shards import ShardVisits, limits_of_process
from lexport.extract.spec_settings import settings_from_plan
from lexport.model import GLOBAL_REGION, RunSpec, Scope, Shard, ShardResult, __version__

MOST_TRIES = 1_000
"""Where another scheduler counts the attempts at a shard, they are not counted here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnAccess:
    """What each process has of its own: its AWS profile, and where its key of the HMACs is.

    ``source`` and ``find_key`` get the credentials and the key from elsewhere; ``find_key`` takes the id of the key.
    """

    profile: str | None = None
    hash_key_file: Path | None = None
    source: Source | None = field(default=None, repr=False)
    find_key: Callable[[str], HashKey] | None = field(default=None, repr=False)


async def read_planned_shard(
    dest: str | os.PathLike[str], run: str, scope: Scope, own: OwnAccess, *, report: Report
) -> ShardResult:
    """Read one shard of a planned run, and stage its rows and its result; return the result.

    A shard that is finished by now is not read again. Raises SettingsError where the run, the shard or the key is
    another one than planned, CredentialsError, PublishError where the run is published or a process works on the whole
    of it, and RunError.
    """
    store = await to_thread.run_sync(partial(open_store, dest, profile=own.profile))
    spec, shard, finished = await to_thread.run_sync(_look_up, store, run, scope)
    if finished is not None:
        return finished
    progress = Progress(stages=[Stage("reading")])
    own_try = OwnTry(worker=f"{socket.gethostname()} {os.getpid()}", most_tries=MOST_TRIES)
    async with (
        reported(progress, report, folder=Path(store.url)),
        open_reading(store, spec, own, own_try, progress=progress) as (reading, access),
    ):
        if (url := reading.context.settings.endpoint_url) is not None:
            progress.note(f"the plan sends all requests to AWS to {urlsplit(url).hostname!r}")
        return await read_own_shard(reading, access, shard)


def _look_up(store: Store, run: str, scope: Scope) -> tuple[RunSpec, Shard, ShardResult | None]:
    """Return the plan of a run, one of its shards, and the result of this where it is finished. Blocking."""
    spec = read_plan(store, run)
    with asking(store):
        shard = find_shard(store, run, scope)
        finished = finished_regions(store, run, shard)
        if finished is not None:
            return spec, shard, worst_of(finished.values())
        claim = find_claim(store, run)
    if claim is not None and claim.state(datetime.now(UTC)) != "dead":
        raise PublishError(
            f"another process works on the whole of the run {run}, or did so within the last 10 minutes; try again when"
            " it has ended",
            destination=store.url,
        )
    return spec, shard, None


def finished_regions(store: Store, run: str, shard: Shard) -> dict[Scope, ShardResult] | None:
    """Return the results of a shard, of ``aws-global`` those of its Regions; None where one is not finished. Blocking.

    Raises StagingError and OSError.
    """
    known = read_regions(store, run, shard.scope) if shard.scope.region == GLOBAL_REGION else None
    results = _finished_among(store, run, known or [shard])
    return results if len(results) == len(known or [shard]) else None


def _finished_among(store: Store, run: str, shards: Sequence[Shard]) -> dict[Scope, ShardResult]:
    found = {each.scope: finished_shard(store, run, each.scope) for each in shards}
    return {scope: result for scope, result in found.items() if result is not None}


def worst_of(results: Iterable[ShardResult]) -> ShardResult:
    """Return the result that says most about what is missing."""
    ordered = sorted(results, key=lambda result: result.shard.scope)
    return max(ordered, key=lambda result: (not result.is_final, result.status == "denied", result.gaps))


@contextmanager
def asking(store: Store) -> Iterator[None]:
    """Turn an OSError of a destination into the error that ends the command: denied, wrong or out of reach."""
    try:
        yield
    except OSError as error:
        raise unreadable(store, error, dest=store.url) from error


def read_plan(store: Store, run: str) -> RunSpec:
    """Return the plan of a run without its shards. Blocking.

    Raises PublishError where the run is published, SettingsError where there is none, and where another release of
    lexport planned it.
    """
    with asking(store):
        try:
            spec = read_spec_alone(store, run)
        except FileNotFoundError:
            if was_published(store, run):
                raise _is_published(store, run) from None
            raise SettingsError(
                f"{store.url} has no planned run {run}; lexport status lists the unfinished ones", option="RUN"
            ) from None
    if spec.lexport_version != __version__:
        raise SettingsError(
            f"the run {run} was planned by lexport {spec.lexport_version}, and this is {__version__}; all processes of"
            " a run are of one release",
            option="RUN",
        )
    return spec


def read_whole_plan(store: Store, run: str) -> RunSpec:
    """Return the plan of a run with its shards. Blocking; raises as ``read_plan``."""
    read_plan(store, run)
    with asking(store):
        try:
            return read_spec(store, run)
        except FileNotFoundError as error:
            path = error.filename or layout.shards_path(run)
            raise StagingError(f"{store.url} lacks a part of the plan of the run {run}: {path}") from error


def was_published(store: Store, run: str) -> bool:
    """Return whether a run is a snapshot, or was one before it was pruned. Raises OSError. Blocking."""
    return any(f"{run}.json" in store.names(folder) for folder in (layout.RUNS, layout.PRUNED))


def _is_published(store: Store, run: str) -> PublishError:
    return PublishError(f"the run {run} is published by now, or was removed: {store.url}", destination=store.url)


@asynccontextmanager
async def open_reading(
    store: Store,
    spec: RunSpec,
    own: OwnAccess,
    own_try: OwnTry,
    *,
    run_attempt: int = 1,
    progress: Progress,
) -> AsyncIterator[tuple[Reading, Access]]:
    """Open what reads shards of a planned run in this process. Raises SettingsError, CredentialsError, RunError."""
    settings = settings_from_plan(spec, profile=own.profile, hash_key_file=own.hash_key_file)
    hash_key = None
    if spec.hash_key_id is not None:
        find_key = own.find_key or partial(find_hash_key, key_file=own.hash_key_file)
        hash_key = await to_thread.run_sync(find_key, spec.hash_key_id)
    memory = StagingMemory(flush_after_s=settings.flush_after_s)
    async with (
        open_session(profile=own.profile, endpoint_url=settings.endpoint_url, source=own.source) as session,
        open_access(
            session,
            settings,
            regions=settings.regions,
            connections=limits_of_process().connections,
            note=progress.note,
        ) as access,
        _scratch(store, spec.snapshot_id) as folder,
    ):
        await access.identify()
        access.name_session(spec.snapshot_id)
        incremental_store = store if settings.incremental else None
        pacer = Pacer(settings.rates_per_s, settings.quota_share)
        reading = Reading(
            context=RunContext(spec=spec, settings=settings, store=incremental_store, pacer=pacer, progress=progress),
            visits=ShardVisits(access, progress),
            store=store,
            folder=folder,
            memory=memory,
            hasher=ValueHasher(hash_key) if hash_key else None,
            attempt=run_attempt,
            own_try=own_try,
        )
        async with in_background(memory.keep_flushing, until=CancelScope()):
            yield reading, access


@asynccontextmanager
async def _scratch(store: Store, run: str) -> AsyncIterator[Path]:
    folder = await to_thread.run_sync(store.open_scratch, run)
    try:
        yield folder
    finally:
        with CancelScope(shield=True), suppress(OSError, RunError):
            await to_thread.run_sync(remove_folder, folder)


async def read_own_shard(reading: Reading, access: Access, shard: Shard) -> ShardResult:
    """Read a shard in this process, which needs credentials for its account, unless it assumes a role in it.

    Of a shard of ``aws-global``, those of its Regions that are finished are not read again; return the result of the
    worst of them.

    Raises CredentialsError where it has those of another account, and PublishError where the run has ended meanwhile:
    what was staged since is removed.
    """
    account_id = shard.scope.account_id
    if not access.uses_roles and access.own_account not in (None, account_id):
        raise CredentialsError(
            f"the credentials of this process are of the account {access.own_account}, but the run was planned with"
            f" those of {account_id}"
        )
    store, run = reading.store, reading.snapshot_id
    try:
        finished = await to_thread.run_sync(_finished_of_account, store, run, shard)
        results = await reading.read_all([shard], finished)
    except BaseException as error:
        with CancelScope(shield=True):
            has_ended = await to_thread.run_sync(_has_ended, store, run, shard)
        if has_ended and isinstance(error, Exception):
            raise _is_published(store, run) from error
        raise
    if await to_thread.run_sync(_has_ended, store, run, shard):
        raise _is_published(store, run)
    return worst_of([*results, *finished.values()])


def _finished_of_account(store: Store, run: str, shard: Shard) -> Mapping[Scope, ShardResult]:
    if shard.scope.region != GLOBAL_REGION:
        return {}
    return _finished_among(store, run, read_regions(store, run, shard.scope) or ())


def _has_ended(store: Store, run: str, shard: Shard) -> bool:
    """Return whether a run was published or removed; what was staged of a shard since is removed then. Blocking."""
    try:
        if is_planned(store, run):
            return False
    except OSError:  # a store that does not answer says nothing
        return False
    folders = [layout.shard_folder(run, shard.scope)]
    if shard.scope.region == GLOBAL_REGION:
        with suppress(OSError):
            names = store.names(layout.staging_folder(run))
            folders = [f"{layout.staging_folder(run)}/{name}" for name in names if name[:12] == shard.scope.account_id]
    for folder in folders:
        store.remove_folder(folder)
    return True
