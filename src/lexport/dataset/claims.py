"""Claims: which process works on a run. The greatest claim of a run holds; each one is a new attempt. Blocking.

A claim is a file that is created only if it is absent, so that of two processes one gets it. Its owner renews it; one
that was not renewed for ``STALE_AFTER`` is given up. Where the owner ran on this machine, the process itself tells at
once whether it is still there.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import msgspec

from lexport.aws.waits import scaled
from lexport.dataset.layout import attempt_of_claim, claim_path, staging_folder
from lexport.dataset.manifest import NO_JSON
from lexport.dataset.store import Store, UnexpectedFileError
from lexport.errors import PublishError
from lexport.tables.units import format_age

RENEW_EVERY_S = scaled(30.0)
STALE_AFTER = timedelta(seconds=scaled(600.0))
_MOST_BYTES = 4_096


class Owner(msgspec.Struct, frozen=True):
    """A process. ``machine`` and ``namespace`` say where its ``pid`` means anything, ``started`` tells it from others.

    Each is "" where the system does not say.
    """

    host: str
    machine: str
    namespace: str
    pid: int
    started: str


class _Claim(msgspec.Struct, frozen=True):
    attempt: int
    owner: Owner
    is_released: bool = False


_CLAIM = msgspec.json.Decoder(_Claim)  # made once: see dataset/manifest.py


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The greatest claim of a run, and when it was renewed."""

    attempt: int
    owner: Owner | None
    is_released: bool
    renewed_at: datetime

    def state(self, now: datetime) -> Literal["alive", "dead", "unknown"]:
        """Judge whether its owner is still at work; ``unknown`` is one of another machine that renewed it lately."""
        if self.is_released or abs(now - self.renewed_at) > STALE_AFTER:  # or a clock was wrong when it was renewed
            return "dead"
        own = this_process()
        if self.owner is None or not own.machine or _place(self.owner) != _place(own):
            return "unknown"
        return "alive" if _started(self.owner.pid) == self.owner.started else "dead"


def _place(owner: Owner) -> tuple[str, str, str]:
    return owner.host, owner.machine, owner.namespace


def this_process() -> Owner:
    """Describe this process."""
    machine = namespace = ""
    with suppress(OSError):
        machine = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespace = str(Path("/proc/self/ns/pid").readlink())
    pid = os.getpid()
    return Owner(socket.gethostname(), machine, namespace, pid, _started(pid) or "")


def _started(pid: int) -> str | None:
    """Return when a process of this machine started, in clock ticks since boot; None where it is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def read_claim(store: Store, run: str) -> Claim | None:
    """Return the greatest claim of a run; None where it has none. Raises OSError."""
    attempts = _attempts(store, run)
    if not attempts:
        return None
    return _read(store, run, max(attempts))


def _read(store: Store, run: str, attempt: int) -> Claim | None:
    path = claim_path(run, attempt)
    try:
        renewed_at = store.stat(path).modified_at
        claim = _CLAIM.decode(store.read(path, most_bytes=_MOST_BYTES))
    except FileNotFoundError:  # the run was published or removed meanwhile
        return None
    except (UnexpectedFileError, *NO_JSON):
        return Claim(attempt=attempt, owner=None, is_released=False, renewed_at=renewed_at)
    return Claim(attempt=attempt, owner=claim.owner, is_released=claim.is_released, renewed_at=renewed_at)


def _attempts(store: Store, run: str) -> list[int]:
    names = store.names(staging_folder(run))
    return [attempt for name in names if (attempt := attempt_of_claim(name)) is not None]


def find_claim(store: Store, run: str) -> Claim | None:
    """Return the greatest claim as ``read_claim`` does, without a listing of the run, which may have many shards."""
    claim, attempt = None, 1
    while (found := _read(store, run, attempt)) is not None:
        claim, attempt = found, attempt + 1
    return claim


def take_claim(store: Store, run: str, attempt: int, *, is_released: bool = False) -> None:
    """Claim a run for this process; raises PublishError where another process has this attempt."""
    store.create(claim_path(run, attempt), _body(attempt, is_released=is_released))


def holds_claim(store: Store, run: str, attempt: int) -> bool:
    """Return whether no other process has taken the run over, published it or removed it. Raises OSError."""
    return max(_attempts(store, run), default=None) == attempt


def taken_over(store: Store, run: str) -> PublishError:
    """Make the error of a process whose claim is not the greatest any more."""
    return PublishError(
        f"another process has taken over the run {run}, or removed it, because this one did not renew its claim for"
        f" {format_age(STALE_AFTER)}; nothing was published here, see: lexport status {store.url}",
        destination=store.url,
    )


def renew_claim(store: Store, run: str, attempt: int) -> None:
    """Renew the claim of this process; raises PublishError where another process has taken the run over."""
    if not holds_claim(store, run, attempt):
        raise taken_over(store, run)
    store.replace(claim_path(run, attempt), _body(attempt))


def release_claim(store: Store, run: str, attempt: int) -> None:
    """Give the claim of this process up, so that the next one need not wait."""
    store.replace(claim_path(run, attempt), _body(attempt, is_released=True))


def _body(attempt: int, *, is_released: bool = False) -> bytes:
    return msgspec.json.encode(_Claim(attempt, this_process(), is_released)) + b"\n"
