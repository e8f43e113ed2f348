"""Presigned URL -> a verified package in the store, or the error.

``DownloadRetries`` decides, ``Transfers.store_package`` acts. Bytes are hashed and written in batches as they arrive,
in worker threads, so a download takes the memory of one batch whatever the size of the package.
"""

from __future__ import annotations

import base64
import binascii
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
from anyio import CancelScope, CapacityLimiter, to_thread

from lexport.artifacts.bandwidth import BATCH_BYTES, BytePacer
from lexport.artifacts.partial_download import PartialDownload
from lexport.artifacts.presigned import OpenLink, open_links
from lexport.artifacts.store import PackageStore
from lexport.artifacts.url_policy import named_hosts
from lexport.aws.endpoints import Endpoints
from lexport.aws.quota.retry import RetryState
from lexport.aws.session import Session
from lexport.errors import HashMismatchError, LinkExpiredError, PackageError, TransferError
from lexport.extract.progress import PackageProgress
from lexport.model import Link, PackageRef, StoredPackage
from lexport.settings import PackageSettings

WRITING_THREADS = min(4, 1 + (os.cpu_count() or 1))
"""Threads that hash and write. Two keep up with what one event loop receives (measured with 1 GB over TLS); the others
are for threads that wait for the disk."""
UPLOAD_THREADS = 16
"""Threads that look for packages in a bucket and send them there; they wait most of the time."""
MAX_MISMATCHES = 2
"""Wrong hashes in a row. The function may have changed between response and download once; twice is another fault."""
MAX_CHANGES = 5
"""How often a response may name other code than the one before."""
_OUT_OF_RANGE = 416

RequestLink = Callable[[], Awaitable[Link]]


def sha256_hex_of(code_sha256: str) -> str:
    """Return AWS's base64 hash as hex; raises PackageError for text that is no SHA-256."""
    try:
        digest = base64.b64decode(code_sha256, validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != 32:  # noqa: PLR2004 - bytes of a SHA-256
        raise PackageError("CodeSha256 is no SHA-256 in base64, so the package has no name", code="invalid_hash")
    return digest.hex()


@dataclass(slots=True)
class DownloadRetries:
    """The failures of one download. Pure: errors go in; a delay, or the error itself, comes out.

    Failed transfers are counted like the failed calls of the control plane, and start anew with every megabyte.
    """

    transfers: RetryState = field(default_factory=RetryState)
    mismatches: int = 0
    changes: int = 0
    furthest_bytes: int = 0

    def note_progress(self, size_bytes: int) -> None:
        """Reset the failed transfers after ``BATCH_BYTES`` of progress."""
        if size_bytes >= self.furthest_bytes + BATCH_BYTES:
            self.furthest_bytes, self.transfers = size_bytes, RetryState()

    def wait_s(self, error: PackageError, unit: float) -> float:
        """Return how long to wait before a fresh link is requested; raise the error if it is the last."""
        if isinstance(error, HashMismatchError):
            self.mismatches += 1
            if self.mismatches < MAX_MISMATCHES:
                return 0.0
        elif isinstance(error, (TransferError, LinkExpiredError)):
            wait_s = self.transfers.delay_s(error, 0.0, unit)
            if wait_s is not None:
                is_first_expiry = isinstance(error, LinkExpiredError) and self.transfers.attempts == 1
                return 0.0 if is_first_expiry else wait_s
        error.attempts = self.transfers.attempts + self.mismatches or 1
        raise error

    def note_change(self) -> None:
        """Count a response that names other code; raise PackageError if there are too many."""
        self.changes += 1
        if self.changes > MAX_CHANGES:
            raise PackageError("the function's code changes faster than it can be fetched", code="changing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfers:
    """The store, connections, byte rate and writing threads that all downloads of a run share."""

    package_store: PackageStore
    open_link: OpenLink
    pacer: BytePacer
    threads: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(WRITING_THREADS))
    uploads: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(UPLOAD_THREADS))
    random_unit: Callable[[], float] = random.random

    @property
    def storing(self) -> CapacityLimiter:
        """The threads that look for stored packages and store complete ones."""
        return self.threads if self.package_store.is_local else self.uploads

    @property
    def may_abandon(self) -> bool:
        """Whether a cancelled task leaves its thread behind: a request to a bucket may take minutes."""
        return not self.package_store.is_local

    async def store_package(
        self, package: PackageRef, request_link: RequestLink, *, link: Link | None = None
    ) -> StoredPackage:
        """Download a package into the store, unless it is there.

        ``link`` comes from a response at hand, if any; ``request_link`` requests a fresh one, and its errors pass
        through. Where a response names other code than ``package``, that code is downloaded instead. Raises
        PackageError when the retries are used up, and WriteError for disk errors other than a full disk.
        Cancelled: no file and no lock stays open; the next run continues the partial download.
        """
        retries, moved_bytes = DownloadRetries(), 0
        while True:
            try:
                sha256_hex = sha256_hex_of(package.code_sha256)
                found = await to_thread.run_sync(
                    self.package_store.find,
                    sha256_hex,
                    package.size_bytes,
                    abandon_on_cancel=self.may_abandon,
                    limiter=self.storing,
                )
                if found is None:
                    async with self._open_partial(sha256_hex) as partial:
                        download = _Download(self, package, partial)
                        try:
                            link = await download.run(link, request_link, retries)
                        finally:
                            moved_bytes += download.moved_bytes
                        path, size_bytes = download.path, partial.size_bytes
                    if link is not None:
                        retries.note_change()
                        package = link.package
                        continue
                else:
                    path, size_bytes = found.path, found.size_bytes
            except PackageError as error:
                error.package, error.bytes_moved = package.code_sha256, moved_bytes
                raise
            return StoredPackage(
                package=package,
                sha256_hex=sha256_hex,
                size_bytes=size_bytes,
                path=path,
                was_present=found is not None,
                bytes_moved=moved_bytes,
            )

    @asynccontextmanager
    async def _open_partial(self, sha256_hex: str) -> AsyncIterator[PartialDownload]:
        partial = await to_thread.run_sync(self.package_store.open_partial, sha256_hex, limiter=self.threads)
        try:
            yield partial
        finally:
            with CancelScope(shield=True):
                await to_thread.run_sync(partial.close, limiter=self.threads)


@asynccontextmanager
async def open_transfers(
    settings: PackageSettings, session: Session, package_store: PackageStore, progress: PackageProgress
) -> AsyncIterator[Transfers]:
    """Open the connections for downloads: to S3, to the endpoint that the session names, and to --package-host.

    ``progress`` shows how many bytes have been received.
    """
    endpoint_url = await Endpoints(session).url(session.home_region)
    hosts = named_hosts(endpoint_url=endpoint_url, package_hosts=settings.hosts)
    async with open_links(ca_bundle=session.ca_bundle, hosts=hosts, connections=settings.concurrency) as open_link:
        pacer = BytePacer(settings.rate_bytes_per_s, downloads=settings.concurrency)
        progress.moved_bytes = lambda: pacer.moved_bytes
        yield Transfers(package_store=package_store, open_link=open_link, pacer=pacer)


class _Download:
    """One package and its partial download, over as many transfers as it takes."""

    def __init__(self, transfers: Transfers, package: PackageRef, partial: PartialDownload) -> None:
        self.moved_bytes, self.path = 0, ""
        self._transfers, self._package, self._partial = transfers, package, partial
        self._sha256_hex, self._size_bytes = sha256_hex_of(package.code_sha256), package.size_bytes

    async def run(self, link: Link | None, request_link: RequestLink, retries: DownloadRetries) -> Link | None:
        """Bring the package into the store; return a link instead where a response names other code."""
        while True:
            try:
                if self._partial.size_bytes != self._size_bytes:  # equal: an earlier run received all of it
                    link = link or await request_link()
                    if link.package.code_sha256 != self._package.code_sha256:
                        return link
                    await self._transfer(link)
                self.path = await to_thread.run_sync(
                    self._keep, abandon_on_cancel=self._transfers.may_abandon, limiter=self._transfers.storing
                )
            except PackageError as error:
                retries.note_progress(self._partial.size_bytes)
                delay_s = retries.wait_s(error, self._transfers.random_unit())
            else:
                return None
            link = None  # request a fresh one: this one may have expired
            await anyio.sleep(delay_s)

    async def _transfer(self, link: Link) -> None:
        partial, size_bytes = self._partial, link.package.size_bytes
        self._size_bytes = size_bytes
        pacer = self._transfers.pacer
        try:
            async with self._transfers.open_link(link.url, start=partial.size_bytes) as transfer:
                if transfer.starts_at != partial.size_bytes:
                    await self._in_thread(partial.restart)
                total_bytes = transfer.total_bytes
                if size_bytes is not None and total_bytes is not None and total_bytes != size_bytes:
                    raise _wrong_size(size_bytes, f"{total_bytes:,}")
                while parts := await transfer.receive(pacer.batch_bytes):
                    count = sum(map(len, parts))
                    self.moved_bytes += count
                    if size_bytes is not None and partial.size_bytes + count > size_bytes:
                        await self._in_thread(partial.restart)
                        raise _wrong_size(size_bytes, "more")
                    await self._in_thread(partial.write, parts)
                    await pacer.pay(count)
        except TransferError as error:
            if error.http_status != _OUT_OF_RANGE or not partial.size_bytes:
                raise
            if partial.sha256_hex != self._sha256_hex:  # the partial download is longer than the package
                await self._in_thread(partial.restart)
                raise
        if size_bytes is not None and partial.size_bytes < size_bytes:
            raise TransferError(
                f"the package was cut off after {partial.size_bytes:,} of {size_bytes:,} bytes", code="truncated_body"
            )

    def _keep(self) -> str:
        """Move the complete download into the store, or drop it if its hash is wrong; return its path. Blocking."""
        actual = self._partial.sha256_hex
        if actual != self._sha256_hex:
            self._partial.restart()
            raise HashMismatchError(
                f"the package has the SHA-256 {actual} instead of {self._sha256_hex}, so it was not stored; the"
                " function may have changed meanwhile, or something between S3 and here changes what passes",
                expected=self._sha256_hex,
                actual=actual,
            )
        return self._transfers.package_store.keep(self._partial)

    async def _in_thread(self, function: Callable[..., None], *arguments: object) -> None:
        await to_thread.run_sync(function, *arguments, limiter=self._transfers.threads)


def _wrong_size(expected_bytes: int, actual: str) -> HashMismatchError:
    return HashMismatchError(
        f"the link leads to {actual} bytes instead of {expected_bytes:,}, so the package was not stored",
        code="size_mismatch",
        expected=f"{expected_bytes:,}",
        actual=actual,
    )
