"""Number the attempts at a shard, so that the files of two never mix. Blocking.

A process that holds the claim of the run reads its shards alone, and counts on from the attempts it finds. Where other
processes read single shards, one that was believed dead may still be at work, so each begins its attempt with a file
that is created only if it is absent.
"""

from __future__ import annotations

import secrets

import msgspec

from lexport.dataset import layout
from lexport.dataset.manifest import NO_JSON
from lexport.dataset.store import Store, UnexpectedFileError
from lexport.errors import PublishError, RunError
from lexport.model import Scope
from lexport.tables.text import plural

_MOST_BYTES = 4_096


class TriesError(RunError):
    """A shard was begun as often as the run allows, and never finished."""


class _Begun(msgspec.Struct, frozen=True):
    run_attempt: int
    worker: str
    nonce: str  # what two processes create must differ


_BEGUN = msgspec.json.Decoder(_Begun)


def next_attempt(store: Store, run: str, scope: Scope, run_attempt: int) -> int:
    """Return the number of the next attempt at a shard, for the process that holds the claim. Raises OSError."""
    if run_attempt == 1:
        return 1
    return max([run_attempt, *(1 + number for number in _attempts(store, run, scope))])


def begin_attempt(store: Store, run: str, scope: Scope, *, run_attempt: int, worker: str, most_tries: int) -> int:
    """Begin an attempt at a shard in a process of its own; return its number.

    Raises TriesError where ``most_tries`` were begun within this attempt at the run, OSError and WriteError.
    """
    attempts = _attempts(store, run, scope)
    begun = [_read(store, layout.begun_path(run, scope, number)) for number in attempts]
    earlier = [one for one in begun if one is not None and one.run_attempt == run_attempt]
    if len(earlier) >= most_tries:
        raise TriesError(
            f"{scope} was begun {plural(len(earlier), 'time')} and never finished, the last time by"
            f" {earlier[-1].worker}; see the log of that process"
        )
    number = max(attempts, default=0)
    while True:
        number += 1
        body = msgspec.json.encode(_Begun(run_attempt, worker, secrets.token_hex(8))) + b"\n"
        try:
            store.create(layout.begun_path(run, scope, number), body)
        except PublishError:  # another process begins at this moment
            continue
        return number


def has_later_attempt(store: Store, run: str, scope: Scope, attempt: int) -> bool:
    """Return whether an attempt at a shard has begun after this one. Raises OSError."""
    return max(_attempts(store, run, scope), default=0) > attempt


def _attempts(store: Store, run: str, scope: Scope) -> list[int]:
    numbers = map(layout.attempt_of_folder, store.names(layout.shard_folder(run, scope)))
    return sorted(number for number in numbers if number is not None)


def _read(store: Store, path: str) -> _Begun | None:
    try:
        return _BEGUN.decode(store.read(path, most_bytes=_MOST_BYTES))
    except (FileNotFoundError, UnexpectedFileError, *NO_JSON):
        return None
