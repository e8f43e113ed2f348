"""Choose the unfinished run that a new process goes on with, and claim it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from anyio import sleep, to_thread

from lexport.aws.waits import scaled
from lexport.dataset.claims import Claim, read_claim, take_claim
from lexport.dataset.staging import StagingError, is_read_whole, read_spec, unfinished_ids
from lexport.dataset.store import Store
from lexport.errors import PublishError, SettingsError
from lexport.extract.progress import Progress
from lexport.model import RunSpec
from lexport.settings import NEWEST
from lexport.tables.units import format_age

LOOK_EVERY_S = scaled(5.0)
SHOWN = ("regions", "env", "qualifiers", "aliases", "incremental")
"""Settings whose values are short enough for a message."""


async def resume_run(
    store: Store,
    wanted: RunSpec,
    *,
    resume: str,
    max_age: timedelta,
    publishes_gaps: bool,
    progress: Progress,
) -> tuple[RunSpec, int] | None:
    """Claim an unfinished run that read what ``wanted`` reads; return it with the number of this attempt.

    ``resume`` is its id, or ``newest``: then None is returned where there is none that fits, and a note says why. A
    run that lacks only what was denied is not the newest, unless the new one ``publishes_gaps``: it would be refused
    again without a call. Nor is one that other processes read in steps, which may be at work.
    Raises SettingsError where the run of that id does not fit, and PublishError where another process works on it.
    """
    find = partial(_find, store, wanted, resume, max_age=max_age, publishes_gaps=publishes_gaps, note=progress.note)
    spec = await to_thread.run_sync(find)
    if spec is None:
        return None
    return spec, await claim_run(store, spec.snapshot_id, progress)


async def claim_run(store: Store, run: str, progress: Progress) -> int:
    """Claim an unfinished run for this process; return the number of this attempt at it.

    Raises PublishError where another process works on it.
    """
    claim = await to_thread.run_sync(read_claim, store, run)
    claim = await _wait_for_news(store, run, claim, progress)
    if claim is not None and claim.state(datetime.now(UTC)) == "alive":
        raise _is_taken(store, run)
    attempt = 1 if claim is None else claim.attempt + 1
    try:
        await to_thread.run_sync(take_claim, store, run, attempt)
    except PublishError as error:
        raise _is_taken(store, run) from error
    return attempt


def _is_taken(store: Store, run: str) -> PublishError:
    return PublishError(
        f"another process works on the run {run}; wait for it, or begin a new run", destination=store.url
    )


async def _wait_for_news(store: Store, run: str, claim: Claim | None, progress: Progress) -> Claim | None:
    """Wait until it is known whether a process of another machine is still at work: its claim is renewed or goes stale.

    Raises PublishError where it is, and where the run was published or removed meanwhile.
    """
    stage = progress.stage
    while claim is not None and claim.state(datetime.now(UTC)) == "unknown":
        progress.note(
            f"the run {run} was claimed by another machine until {claim.renewed_at:%H:%M:%S} UTC; it is resumed if that"
            " one does not go on within 10 minutes"
        )
        progress.stage = f"waiting up to 10 minutes for the run {run}, which another machine has claimed"
        await sleep(LOOK_EVERY_S)
        news = await to_thread.run_sync(read_claim, store, run)
        if news is None:
            raise PublishError(
                f"the run {run} was published or removed meanwhile, see: lexport status {store.url}",
                destination=store.url,
            )
        if news.renewed_at > claim.renewed_at and news.state(datetime.now(UTC)) != "dead":
            raise _is_taken(store, run)
        claim = news
    progress.stage = stage
    return claim


def _find(
    store: Store,
    wanted: RunSpec,
    resume: str,
    *,
    max_age: timedelta,
    publishes_gaps: bool,
    note: Callable[[str], None],
) -> RunSpec | None:
    """Return the run to resume, None where the newest does not fit. Blocking."""
    runs = unfinished_ids(store)
    if resume != NEWEST:
        if resume not in runs:
            known = f"; unfinished are: {', '.join(runs[:5])}" if runs else "; no run is unfinished"
            raise SettingsError(
                f"--resume {resume}: {store.url} has no unfinished run of this id{known}", option="--resume"
            )
        spec, why = _judge(store, resume, wanted, max_age)
        if spec is None:
            raise SettingsError(f"--resume {resume}: {why}", option="--resume")
        return spec
    reasons = []
    for run in runs:
        spec, why = _judge(store, run, wanted, max_age)
        if spec is not None and spec.is_stepwise:
            spec, why = None, "lexport shard goes on with it; --resume with its id does so too"
        if spec is not None and not publishes_gaps and is_read_whole(store, spec):
            spec, why = None, "what it lacks was denied; a new run asks again"
        if spec is not None:
            return spec
        reasons.append(f"{run}: {why}")
    note(f"a new run begins: {reasons[0] if reasons else 'no run is unfinished here'}")
    return None


def _judge(store: Store, run: str, wanted: RunSpec, max_age: timedelta) -> tuple[RunSpec | None, str]:
    try:
        spec = read_spec(store, run)
    except StagingError as error:
        return None, f"it cannot be resumed: {error}"
    except OSError as error:
        return None, f"it cannot be resumed: {error.filename or run}: {error.strerror or error}"
    why = why_not(spec, wanted, max_age)
    return (spec, "") if why is None else (None, why)


def why_not(spec: RunSpec, wanted: RunSpec, max_age: timedelta) -> str | None:
    """Say what keeps an unfinished run from going on as ``wanted``; None where nothing does. Pure."""
    age = wanted.snapshot_at - spec.snapshot_at
    if spec.settings_fingerprint != wanted.settings_fingerprint:
        names = spec.options.keys() | wanted.options.keys()
        differing = sorted(name for name in names if spec.options.get(name) != wanted.options.get(name))
        shown = [_difference(name, spec.options.get(name), wanted.options.get(name)) for name in differing]
        return f"it was begun with other settings ({'; '.join(shown) or 'of another release'})"
    for name, theirs, ours in (
        ("schema", spec.schema_version, wanted.schema_version),
        ("release of lexport", spec.lexport_version, wanted.lexport_version),
        ("identity", spec.identity, wanted.identity),
        ("hash key", spec.hash_key_id, wanted.hash_key_id),
    ):
        if theirs != ours:
            return f"it was begun with another {name}: {theirs or 'none'}, now it is {ours or 'none'}"
    if age > max_age:
        return f"it is {format_age(age)} old, more than {format_age(max_age)} (--resume-max-age)"
    return None


def _difference(name: str, theirs: Any, ours: Any) -> str:
    if name not in SHOWN:
        return name
    before, now = (",".join(value) if isinstance(value, list) else str(value) for value in (theirs, ours))
    return f"{name}: {before or 'none'}, now {now or 'none'}"
