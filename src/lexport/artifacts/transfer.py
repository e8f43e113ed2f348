"""PackageRef -> StoredPackage: link -> verified bytes in the store, or the reason why not.

Decided in ``Patience``, done in ``store_package``. Bytes are hashed and written as they pass, a batch at a time, in
threads of their own; so a package takes the memory of a batch whatever its size.
"""

from __future__ import annotations

import base64
import binascii
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
from anyio import CancelScope, CapacityLimiter, to_thread

from lexport.artifacts.bandwidth import BATCH_BYTES, BytePacer
from lexport.artifacts.store import Draft, PackagePlaces
from lexport.aws.quota.retry import backoff_s
from lexport.dataset.manifest import package_path
from lexport.errors import HashMismatchError, LinkExpiredError, PackageError, TransferError
from lexport.model import Link, PackageRef, StoredPackage
from lexport.tables.api import OpenLink

WRITING_THREADS = min(4, 1 + (os.cpu_count() or 1))
"""Who hash and write. Two keep up with what one event loop receives (tried with 1 GB over TLS); more, for who waits for
the disk."""
TRANSFER_ATTEMPTS = 6
"""Without a new megabyte in between; as many as the calls of the control plane get."""
MISMATCHES = 2
"""The function may have changed between answer and download; twice in a row it is something else."""
CHANGES = 5
"""How often the function may turn out to be another than asked for."""
_OUT_OF_RANGE = 416


def sha256_hex_of(code_sha256: str) -> str:
    """Turn AWS's base64 into hex; raises PackageError for what is no SHA-256."""
    try:
        digest = base64.b64decode(code_sha256, validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != 32:  # noqa: PLR2004 - bytes of a SHA-256
        raise PackageError("CodeSha256 is no SHA-256 in base64, so the package has no name", code="invalid_hash")
    return digest.hex()


@dataclass(slots=True)
class Patience:
    """What went wrong so far with one package. Pure: errors go in, a wait or the error itself comes out."""

    troubles: int = 0
    mismatches: int = 0
    changes: int = 0
    furthest_bytes: int = 0

    def reached(self, size_bytes: int) -> None:
        """Note how far the draft has come: who gets on may go on."""
        if size_bytes >= self.furthest_bytes + BATCH_BYTES:
            self.furthest_bytes, self.troubles = size_bytes, 0

    def wait_s(self, error: PackageError, unit: float) -> float:
        """Return how long to wait before a fresh link is asked for; raise the error where it is the last."""
        if isinstance(error, HashMismatchError):
            self.mismatches += 1
            if self.mismatches < MISMATCHES:
                return 0.0
        elif isinstance(error, (TransferError, LinkExpiredError)):
            self.troubles += 1
            if self.troubles < TRANSFER_ATTEMPTS:
                is_first_expiry = isinstance(error, LinkExpiredError) and self.troubles == 1
                return 0.0 if is_first_expiry else backoff_s(self.troubles, error.retry_after_s, unit)
        error.attempts = self.troubles + self.mismatches or 1
        raise error

    def follow(self) -> None:
        """Note that the function has other code than it had; raise PackageError where that does not end."""
        self.changes += 1
        if self.changes > CHANGES:
            raise PackageError("the function's code changes faster than it can be fetched", code="changing")


async def store_package(
    package: PackageRef,
    ask_link: Callable[[], Awaitable[Link]],
    *,
    link: Link | None,
    open_link: OpenLink,
    places: PackagePlaces,
    pacer: BytePacer,
    threads: CapacityLimiter,
    random_unit: Callable[[], float] = random.random,
) -> StoredPackage:
    """Fetch a package into the store, unless it is there.

    ``link`` is of the answer at hand, if any; ``ask_link`` asks for a fresh one, and its errors pass through. Where an
    answer names other code than ``package``, that is fetched instead. Raises PackageError when all retries are spent,
    and WriteError where the disk fails otherwise than by being full.
    Cancelled: no file and no lock stays open; what is on disk of the package is taken up by the next run.
    """
    patience, moved_bytes = Patience(), 0
    while True:
        try:
            sha256_hex = sha256_hex_of(package.code_sha256)
            size_bytes = await to_thread.run_sync(places.find, sha256_hex, package.size_bytes, limiter=threads)
            if (was_present := size_bytes is not None) is False:
                async with _opened_draft(places, sha256_hex, threads) as draft:
                    download = _Download(package, draft, open_link=open_link, pacer=pacer, threads=threads)
                    try:
                        link = await download.run(link, ask_link, patience, random_unit)
                    finally:
                        moved_bytes += download.moved_bytes
                    size_bytes = draft.size_bytes
                if link is not None:
                    patience.follow()
                    package = link.package
                    continue
        except PackageError as error:
            error.package, error.bytes_moved = package.code_sha256, moved_bytes
            raise
        assert size_bytes is not None
        return StoredPackage(
            package=package,
            sha256_hex=sha256_hex,
            size_bytes=size_bytes,
            path=package_path(sha256_hex),
            was_present=was_present,
            bytes_moved=moved_bytes,
        )


@asynccontextmanager
async def _opened_draft(places: PackagePlaces, sha256_hex: str, threads: CapacityLimiter) -> AsyncIterator[Draft]:
    draft = await to_thread.run_sync(places.open_draft, sha256_hex, limiter=threads)
    try:
        yield draft
    finally:
        with CancelScope(shield=True):
            await to_thread.run_sync(draft.close, limiter=threads)


class _Download:
    """One package on its way into one draft, over as many transfers as it takes."""

    def __init__(
        self,
        package: PackageRef,
        draft: Draft,
        *,
        open_link: OpenLink,
        pacer: BytePacer,
        threads: CapacityLimiter,
    ) -> None:
        self.moved_bytes = 0
        self._package = package
        self._sha256_hex = sha256_hex_of(package.code_sha256)
        self._size_bytes = package.size_bytes
        self._draft = draft
        self._open_link = open_link
        self._pacer = pacer
        self._threads = threads

    async def run(
        self,
        link: Link | None,
        ask_link: Callable[[], Awaitable[Link]],
        patience: Patience,
        random_unit: Callable[[], float],
    ) -> Link | None:
        """Bring the package into the store; return a link instead where an answer names other code."""
        while True:
            try:
                if self._draft.size_bytes != self._size_bytes:  # else an earlier run left it whole
                    link = link or await ask_link()
                    if link.package.code_sha256 != self._package.code_sha256:
                        return link
                    await self._transfer(link)
                await to_thread.run_sync(self._keep, limiter=self._threads)
            except PackageError as error:
                patience.reached(self._draft.size_bytes)
                delay_s = patience.wait_s(error, random_unit())
            else:
                return None
            link = None  # it may have grown old meanwhile
            await anyio.sleep(delay_s)

    async def _transfer(self, link: Link) -> None:
        """Append what lies behind a link, to its end."""
        draft, size_bytes = self._draft, link.package.size_bytes
        self._size_bytes = size_bytes
        try:
            async with self._open_link(link.url, start=draft.size_bytes) as transfer:
                if transfer.starts_at != draft.size_bytes:
                    await self._in_thread(draft.restart)
                total_bytes = transfer.total_bytes
                if size_bytes is not None and total_bytes is not None and total_bytes != size_bytes:
                    raise _wrong_size(size_bytes, f"{total_bytes:,}")
                while parts := await transfer.receive(self._pacer.batch_bytes):
                    count = sum(map(len, parts))
                    self.moved_bytes += count
                    if size_bytes is not None and draft.size_bytes + count > size_bytes:
                        await self._in_thread(draft.restart)
                        raise _wrong_size(size_bytes, "more")
                    await self._in_thread(draft.write, parts)
                    await self._pacer.pay(count)
        except TransferError as error:
            if error.http_status != _OUT_OF_RANGE or not draft.size_bytes:
                raise
            if draft.sha256_hex != self._sha256_hex:  # more is on disk than there is
                await self._in_thread(draft.restart)
                raise
        if size_bytes is not None and draft.size_bytes < size_bytes:
            raise TransferError(
                f"the package was cut off after {draft.size_bytes:,} of {size_bytes:,} bytes", code="truncated_body"
            )

    def _keep(self) -> None:
        """Store what is whole if it is right, forget it if it is not. Blocking."""
        found = self._draft.sha256_hex
        if found != self._sha256_hex:
            self._draft.restart()
            raise HashMismatchError(
                f"the package has the SHA-256 {found} instead of {self._sha256_hex}, so it was not stored; the function"
                " may have changed meanwhile, or something between S3 and here changes what passes",
                expected=self._sha256_hex,
                actual=found,
            )
        self._draft.keep()

    async def _in_thread(self, act: Callable[..., None], *arguments: object) -> None:
        await to_thread.run_sync(act, *arguments, limiter=self._threads)


def _wrong_size(expected_bytes: int, actual: str) -> HashMismatchError:
    return HashMismatchError(
        f"the link leads to {actual} bytes instead of {expected_bytes:,}, so the package was not stored",
        code="size_mismatch",
        expected=f"{expected_bytes:,}",
        actual=actual,
    )
