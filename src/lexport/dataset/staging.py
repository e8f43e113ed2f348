"""Runs that are not published: what they read, their shards, and the rows that are staged by now. Blocking.

``run.json`` and ``shards.jsonl`` say what a run reads, ``shard.json`` that a shard is finished. Whatever stands in
these files is checked before it is used.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from lexport.dataset import layout
from lexport.dataset.claims import Claim, read_claim, take_claim, taken_over
from lexport.dataset.local import hash_file
from lexport.dataset.manifest import NO_JSON, format_instant
from lexport.dataset.runs import Section, read_sections
from lexport.dataset.store import Store, UnexpectedFileError
from lexport.errors import PublishError, ReadError, RunError, SettingsError
from lexport.model import RunSpec, Scope, Shard, ShardResult, StagedRun, is_ulid
from lexport.tables.run import ERRORS

FORMAT = "lexport-run/1"
_RESULT = msgspec.json.Decoder(ShardResult)  # made once: see dataset/manifest.py


class StagingError(RunError):
    """The files of an unpublished run are damaged, or of another release."""


# --- what a run reads -------------------------------------------------------------------------------------------------


def begin_run(store: Store, spec: RunSpec) -> None:
    """Write what a new run reads, and claim it.

    Raises PublishError where the run exists, and RunError where the store cannot refuse to overwrite.

    The file is created twice: a store that does not refuse the second time would let two runs publish over each other.
    """
    run = spec.snapshot_id
    check_is_new(store, run)
    lines = b"".join(msgspec.json.encode(shard) + b"\n" for shard in spec.shards)
    document = {"format": FORMAT, **msgspec.to_builtins(replace(spec, shards=())), "shards": len(spec.shards)}
    document["snapshot_at"] = format_instant(spec.snapshot_at)
    body = msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"
    if spec.is_stepwise:  # a killed planner may have left the shards; the plan is there once its run.json is
        store.replace(layout.shards_path(run), lines)
        store.create(layout.spec_path(run), body)
        _check_is_refused(store, run, layout.spec_path(run), body + b"\n")
        take_claim(store, run, 1, is_released=True)
        return
    with _begun_or_gone(store, run):
        store.create(layout.shards_path(run), lines)
        store.create(layout.spec_path(run), body)
        _check_is_refused(store, run, layout.spec_path(run), body + b"\n")
        take_claim(store, run, 1)


def begin_package_run(store: Store, run: str) -> None:
    """Claim a run that reads packages alone, which has no shards; raises as ``begin_run``.

    While it is at work, ``prune`` leaves the stored packages alone, which it may have found and not named yet.
    """
    check_is_new(store, run)
    with _begun_or_gone(store, run):
        take_claim(store, run, 1)
        _check_is_refused(store, run, layout.claim_path(run, 1), b"{}\n")


@contextmanager
def _begun_or_gone(store: Store, run: str) -> Iterator[None]:
    """Remove what was written of a run that cannot begin."""
    try:
        yield
    except PublishError:  # another process has begun this run, or goes on with it
        raise
    except (OSError, RunError):
        store.remove_folder(layout.staging_folder(run))
        raise


def _check_is_refused(store: Store, run: str, path: str, body: bytes) -> None:
    """Check that a file cannot be created a second time."""
    try:
        store.create(path, body)
    except PublishError:
        return
    if f"{run}.json" in store.names(layout.RUNS):  # this process stood still meanwhile, and another one published it
        store.remove_folder(layout.staging_folder(run))
        raise taken_over(store, run)
    store.remove_folder(layout.staging_folder(run))
    raise RunError(
        f"{store.url} does not refuse to create a file that exists already (a conditional write with If-None-Match),"
        " so two runs could overwrite each other's snapshot; choose a store that does; nothing was read"
    )


def read_spec(store: Store, run: str) -> RunSpec:
    """Return what a run reads. Raises StagingError where that is damaged, OSError where it cannot be read."""
    spec, count = _read_head(store, run)
    path = f"{store.url}/{layout.shards_path(run)}"
    try:
        shards = msgspec.json.Decoder(Shard).decode_lines(store.read(layout.shards_path(run)))
    except (UnexpectedFileError, *NO_JSON) as error:
        raise StagingError(f"{path} is damaged: {error}") from error
    if count != len(shards):
        raise StagingError(f"{path} is damaged: it has {len(shards):,} shards, which is another number")
    scopes = {shard.scope for shard in shards}
    if len(scopes) < len(shards) or not all(map(is_scope, scopes)):
        raise StagingError(f"{path} is damaged: its account-regions are wrong")
    return replace(spec, shards=tuple(shards))


def read_spec_alone(store: Store, run: str) -> RunSpec:
    """Return what a run reads without its shards, which may be many; raises as ``read_spec``."""
    return _read_head(store, run)[0]


def is_planned(store: Store, run: str) -> bool:
    """Return whether a run is there and not published. Raises OSError."""
    try:
        store.stat(layout.spec_path(run))
    except FileNotFoundError:
        return False
    return True


def find_shard(store: Store, run: str, scope: Scope) -> Shard:
    """Return one shard of a run. Raises SettingsError where the plan has none of this account and Region."""
    path, decoder = f"{store.url}/{layout.shards_path(run)}", msgspec.json.Decoder(Shard)
    mark = scope.account_id.encode()
    try:
        for line in store.read(layout.shards_path(run)).splitlines():
            if mark in line and (shard := decoder.decode(line)).scope == scope:
                return shard
    except (FileNotFoundError, UnexpectedFileError, *NO_JSON) as error:
        raise StagingError(f"{path} is damaged: {error}") from error
    raise SettingsError(f"the run {run} has no account-region {scope}; {path} lists them", option="REGION")


def _read_head(store: Store, run: str) -> tuple[RunSpec, object]:
    """Return what a run reads without its shards, and how many there are."""
    path = f"{store.url}/{layout.spec_path(run)}"
    try:
        document = msgspec.json.decode(store.read(layout.spec_path(run)), type=dict[str, Any])
        if document.pop("format", None) != FORMAT:
            raise StagingError(f"{path} is of another release of lexport")
        count = document.pop("shards", None)
        spec = msgspec.convert({**document, "shards": []}, RunSpec)
    except (UnexpectedFileError, *NO_JSON) as error:
        raise StagingError(f"{path} is damaged: {error}") from error
    if spec.snapshot_id != run:
        raise StagingError(f"{path} is damaged: it is not of this run")
    if spec.snapshot_at.tzinfo is None:
        raise StagingError(f"{path} is damaged: snapshot_at has no time zone")
    return spec, count


def is_scope(scope: Scope) -> bool:
    """Return whether a scope that was read from a file can be one."""
    return len(scope.account_id) == 12 and layout.is_shard_folder(f"{scope.account_id}-{scope.region}")  # noqa: PLR2004


# --- shards -----------------------------------------------------------------------------------------------------------


def check_is_new(store: Store, run: str) -> None:
    """Raise PublishError when a snapshot or a run of this id exists, or existed.

    The shards alone are no run: a planner was killed before it wrote the rest.
    """
    staged = (file.path for file in store.files(layout.staging_folder(run)))
    if any(f"{run}.json" in store.names(folder) for folder in (layout.RUNS, layout.PRUNED)) or any(
        path != layout.shards_path(run) and "/." not in path for path in staged
    ):
        raise PublishError(
            f"{store.url} has a snapshot or a run {run} already; nothing was changed", destination=store.url
        )


def write_result(store: Store, run: str, result: ShardResult) -> ShardResult:
    """Write the result of a finished shard; return that of the first attempt which finished it. Raises RunError.

    A result that another attempt can better gives way to a final one: a worker without a network must not win.
    """
    path, body = layout.result_path(run, result.shard.scope), msgspec.json.encode(result) + b"\n"
    try:
        store.create(path, body)
    except PublishError:
        first = read_result(store, run, result.shard.scope)
        if first is not None and (first.is_final or (not result.is_final and _has_more(first, result))):
            return first
        store.replace(path, body)  # also a damaged one
    return result


def _has_more(first: ShardResult, second: ShardResult) -> bool:
    return first.references.rows > second.references.rows


def read_results(store: Store, run: str) -> dict[Scope, ShardResult]:
    """Return the results of all finished shards of a run; a damaged one counts as unfinished. Raises OSError."""
    results: dict[Scope, ShardResult] = {}
    for name in store.names(layout.staging_folder(run)):
        if not layout.is_shard_folder(name):
            continue
        scope = Scope(account_id=name[:12], region=name[13:])
        if (result := read_result(store, run, scope)) is not None:
            results[scope] = result
    return results


def read_result(store: Store, run: str, scope: Scope) -> ShardResult | None:
    """Return the result of a shard; None where there is none, or where it is damaged."""
    try:
        result = _RESULT.decode(store.read(layout.result_path(run, scope)))
    except (FileNotFoundError, UnexpectedFileError, *NO_JSON):
        return None
    folder = layout.shard_folder(run, scope)
    is_own = all(
        staged.path.startswith(f"{folder}/") and layout.hash_in_name(staged.path) == staged.sha256
        for staged in result.runs
    )
    return result if result.shard.scope == scope and is_own else None


def finished_shards(store: Store, run: str) -> dict[Scope, ShardResult]:
    """Return the results of the shards that need not be read again.

    The results of the others are removed: their rows are not there any more, or what they lack was not denied, so
    another attempt may read it. Raises OSError.
    """
    sizes = {file.path: file.size_bytes for file in store.files(layout.staging_folder(run))}
    finished = {
        scope: result
        for scope, result in read_results(store, run).items()
        if result.is_final and all(sizes.get(staged.path) == staged.size_bytes for staged in result.runs)
    }
    for name in store.names(layout.staging_folder(run)):
        scope = Scope(account_id=name[:12], region=name[13:])
        if layout.is_shard_folder(name) and scope not in finished:
            store.remove(layout.result_path(run, scope))
    return finished


def finished_shard(store: Store, run: str, scope: Scope) -> ShardResult | None:
    """Return the result of one shard where it need not be read again, as ``finished_shards`` does of all.

    One that another attempt can better stays until that attempt has ended: the run may be committed with it.
    """
    result = read_result(store, run, scope)
    if result is None:
        return None
    folder = layout.shard_folder(run, scope)
    sizes = {file.path: file.size_bytes for file in store.files(folder)} if result.runs else {}
    if any(sizes.get(staged.path) != staged.size_bytes for staged in result.runs):
        store.remove(layout.result_path(run, scope))
        return None
    return result if result.is_final else None


def is_read_whole(store: Store, spec: RunSpec) -> bool:
    """Return whether a run was refused although another attempt would read nothing more. Raises OSError."""
    names = store.names(layout.staging_folder(spec.snapshot_id))
    if not any(name.startswith("errors-") for name in names):
        return False
    results = read_results(store, spec.snapshot_id)
    return all(shard.scope in results and results[shard.scope].is_final for shard in spec.shards)


def staged_runs(store: Store, run: str, scope: Scope, *, before: int) -> list[StagedRun]:
    """Return the files of sorted rows that the attempts before ``before`` left of a shard, the latest attempt first."""
    folder = layout.shard_folder(run, scope)
    found: list[tuple[int, StagedRun]] = []
    for file in store.files(folder):
        attempt, sha256 = file.path.removeprefix(f"{folder}/").partition("/")[0], layout.hash_in_name(file.path)
        if sha256 is not None and attempt.isdecimal() and int(attempt) < before:
            found.append((-int(attempt), StagedRun(path=file.path, size_bytes=file.size_bytes, sha256=sha256)))
    return [staged for _, staged in sorted(found, key=lambda item: (item[0], item[1].path))]


def open_result(store: Store, run: str, scope: Scope, runs: Sequence[StagedRun], scratch: Path) -> list[Section]:
    """Return what ``open_staged`` does of the rows of a finished shard; one with damaged rows is finished no more."""
    try:
        return open_staged(store, runs, scratch)
    except ReadError as error:
        if error.__cause__ is not None and not isinstance(error.__cause__, FileNotFoundError):
            raise
        with suppress(OSError):
            store.remove(layout.result_path(run, scope))
        raise ReadError(
            f"{error}; nothing was published; the next attempt reads {scope} again", path=error.path
        ) from error


def open_staged(store: Store, runs: Sequence[StagedRun], scratch: Path) -> list[Section]:
    """Return the sections of files of sorted rows, on this machine; ``scratch`` gets what has to be fetched.

    Raises ReadError where one is missing or has other bytes than were written.
    """
    sections: list[Section] = []
    for staged in runs:
        where = f"{store.url}/{staged.path}"
        try:
            path = store.fetch(staged.path, scratch, size_bytes=staged.size_bytes)
            digest = hash_file(path)
        except OSError as error:
            raise ReadError(f"cannot read the staged rows {where}: {error.strerror or error}", path=where) from error
        if digest != staged.sha256:
            raise ReadError(f"the staged rows {where} are damaged: they have the SHA-256 {digest}", path=where)
        sections += read_sections(path)
    return sections


# --- all unpublished runs ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class UnfinishedRun:
    """A run that has staged something and is not published. ``spec`` is None where its files are damaged.

    ``last_write_at`` is the time of its newest file, ``size_bytes`` the sum of all.
    """

    snapshot_id: str
    spec: RunSpec | None
    claim: Claim | None
    shards_done: int
    last_write_at: datetime
    size_bytes: int

    def is_alive(self, now: datetime) -> bool:
        """Return whether a process works on it, as far as can be known."""
        return self.claim is not None and self.claim.state(now) != "dead"


def unfinished_ids(store: Store) -> list[str]:
    """Return the ids of the runs that are staged and not published, newest first. Raises OSError.

    A folder without any file is no run: some servers list the folders of objects that were removed.
    """
    published = set(store.names(layout.RUNS))
    staged = (name for name in store.names(layout.STAGING) if is_ulid(name) and f"{name}.json" not in published)
    return sorted((run for run in staged if any(store.files(layout.staging_folder(run)))), reverse=True)


def unfinished_runs(store: Store) -> list[UnfinishedRun]:
    """Return the runs that are staged and not published, newest first. Raises OSError."""
    return [read_unfinished(store, run) for run in unfinished_ids(store)]


def read_unfinished(store: Store, run: str) -> UnfinishedRun:
    """Return what is known of one run that is staged. Raises OSError."""
    spec = None
    with suppress(StagingError, FileNotFoundError):
        spec = read_spec(store, run)
    files = list(store.files(layout.staging_folder(run)))
    return UnfinishedRun(
        snapshot_id=run,
        spec=spec,
        claim=read_claim(store, run),
        shards_done=sum(file.path.endswith("/shard.json") for file in files),
        last_write_at=max((file.modified_at for file in files), default=datetime.fromtimestamp(0, UTC)),
        size_bytes=sum(file.size_bytes for file in files),
    )


def staged_errors(store: Store, run: str, scratch: Path) -> Iterator[pa.Table]:
    """Yield the rows of ``errors`` that the shards of a run have staged, in no order. Raises ReadError, OSError.

    Of a finished shard these are the rows of the attempt that finished it, of another one those of all its attempts.
    """
    results = read_results(store, run)
    superseded = {layout.shard_folder(run, scope) for scope in results}
    counted = {staged.path for result in results.values() for staged in result.runs}
    for file in store.files(layout.staging_folder(run)):
        sha256 = layout.hash_in_name(file.path)
        folder = "/".join(file.path.split("/")[:3])
        is_of_shard = layout.is_shard_folder(folder.rpartition("/")[2])
        if sha256 is None or not is_of_shard or (folder in superseded and file.path not in counted):
            continue
        staged = StagedRun(path=file.path, size_bytes=file.size_bytes, sha256=sha256)
        for section in open_staged(store, [staged], scratch):
            if section.table == ERRORS.name:
                yield from (pa.Table.from_batches([block]) for block in section.blocks())
        for copy in scratch.iterdir():  # copies of all files of a large run would fill the disk
            copy.unlink()
