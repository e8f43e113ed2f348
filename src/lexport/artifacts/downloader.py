"""wanted packages -> stored files, and a row for each: the downloads of a run, at most so many at once.

While a snapshot reads, a link that comes by is used if a download slot is free at that moment, else it is dropped.
Afterwards each package that is not there is asked for when a slot is free. Links are never queued.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Any, TextIO

from anyio import CapacityLimiter, EndOfStream
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectSendStream

from lexport.artifacts.bandwidth import BytePacer
from lexport.artifacts.layers import read_layer_version
from lexport.artifacts.link_sources import LayerSource, PackageSource, link_of, s3_object_of
from lexport.artifacts.plan import (
    IN_ANOTHER_BUCKET,
    LEFT_OUT,
    LOST,
    PRESENT,
    STORED,
    Survey,
    Surveys,
    layer_row,
    package_row,
)
from lexport.artifacts.presigned import open_links
from lexport.artifacts.store import PackagePlaces
from lexport.artifacts.transfer import WRITING_THREADS, sha256_hex_of, store_package
from lexport.artifacts.url_policy import LinkHosts
from lexport.artifacts.wanted import (
    Choice,
    Referrer,
    WantedLayer,
    WantedPackage,
    read_layer_line,
    read_package_line,
)
from lexport.aws.endpoints import LambdaEndpoints
from lexport.aws.redact import remove_presigned_urls
from lexport.aws.session import Session
from lexport.dataset.manifest import package_path
from lexport.errors import (
    AccessDeniedError,
    ItemError,
    PackageDeniedError,
    PackageError,
)
from lexport.extract.doors import Doors
from lexport.extract.failures import Failures, Item
from lexport.extract.progress import PackageProgress
from lexport.extract.rows import Rows
from lexport.extract.workers import pump
from lexport.model import LATEST, FunctionRef, Link, PackageRef, Reply, StoredPackage
from lexport.settings import SnapshotSettings
from lexport.tables.api import OpenLink
from lexport.tables.layer_versions import LAYER_VERSIONS
from lexport.tables.packages import PACKAGES
from lexport.tables.staged import Batch
from lexport.tables.table import Table

logger = logging.getLogger(__name__)

BATCH_ROWS = 512
LINES_AT_ONCE = 64


def choice_of(options: SnapshotSettings) -> Choice:
    """Return which function versions the settings choose; in a dataset, of which accounts and Regions too."""
    chosen = options.packages
    assert chosen is not None
    return Choice(versions=chosen.packages_for, runtimes=chosen.runtimes, names=chosen.names)


@asynccontextmanager
async def open_package_links(options: SnapshotSettings, session: Session) -> AsyncIterator[OpenLink]:
    """Open what fetches links: to S3, to the endpoint that flags, environment or profile name, to --package-host."""
    assert options.packages is not None
    endpoint_url = await LambdaEndpoints(session).url(session.home_region)
    hosts = LinkHosts.named(endpoint_url=endpoint_url, package_hosts=options.packages.hosts)
    async with open_links(
        ca_bundle=session.ca_bundle, hosts=hosts, connections=options.packages.concurrency
    ) as open_link:
        yield open_link


@dataclass(kw_only=True)
class Downloads:
    """The downloads of one run: slots, rows and counts.

    ``batches_out`` takes full batches of rows; ``at_once`` is the task group for links that come by, while they do.
    """

    options: SnapshotSettings
    choice: Choice
    places: PackagePlaces
    rows: Rows
    failures: Failures
    progress: PackageProgress
    now: Callable[[], datetime]
    open_link: OpenLink
    batches_out: MemoryObjectSendStream[Batch] = field(init=False)
    at_once: TaskGroup | None = None
    _in_flight: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        settings = self.options.packages
        assert settings is not None
        self.settings = settings
        self._pacer = BytePacer(settings.rate_bytes_per_s, downloads=settings.concurrency)
        self._threads = CapacityLimiter(WRITING_THREADS)
        self.progress.moved_bytes = lambda: self._pacer.moved_bytes

    # --- while a snapshot reads ---------------------------------------------------------------------------------------

    def offer(self, ref: FunctionRef, reply: Reply) -> None:
        """Use the link of an answer if a slot is free and its package is wanted and not there; else forget it."""
        if self.at_once is None or reply.location is None or len(self._in_flight) >= self.settings.concurrency:
            return
        link = link_of(reply)
        if link is None or link.package.code_sha256 in self._in_flight or not self._is_wanted(ref, reply, link):
            return
        self._in_flight.add(link.package.code_sha256)
        self.at_once.start_soon(self._use, link, f"{ref.function_name}:{ref.qualifier or LATEST}")

    def _is_wanted(self, ref: FunctionRef, reply: Reply, link: Link) -> bool:
        told = reply.document.get("Configuration", {})
        limit, size = self.settings.max_size_bytes, link.package.size_bytes
        if not self.choice.wants(ref.function_name, str(told.get("Version", LATEST)), told.get("Runtime")):
            return False
        if limit is not None and (size is None or size > limit):
            return False
        try:
            path = package_path(sha256_hex_of(link.package.code_sha256))
        except PackageError:
            return False
        # In place, and not in a thread: a stat takes 2 µs, handing it over 50, and it is asked for every answer.
        return not (self.places.store.root / path).exists()

    async def _use(self, link: Link, example: str) -> None:
        """Fetch what lies behind a link at hand. What does not succeed is asked for again after the reading."""
        try:
            stored = await self._store(link.package, _ask_later, link)
        except PackageError as error:
            logger.info("a package is put off: %s", error.code)
        else:
            if not stored.was_present:
                self._note_stored(stored, example)
                self.progress.stored_before += 1
        finally:
            self._in_flight.discard(link.package.code_sha256)
        await self.hand_on()

    # --- of what is known by its survey -------------------------------------------------------------------------------

    async def fetch_packages(self, survey: Survey, doors: Doors) -> None:
        """Fetch every package of a survey."""
        self._begin(survey)
        with survey.lines.open(encoding="utf-8") as lines:
            work = partial(self._fetch_package, doors)
            await pump(work, _Pages(lines), self._lose_package, workers=self.settings.concurrency)

    async def fetch_layers(self, survey: Survey, doors: Doors) -> None:
        """Ask for every layer version of a survey, and fetch what is not there."""
        self._begin(survey)
        with survey.lines.open(encoding="utf-8") as lines:
            work = partial(self._fetch_layer, doors)
            await pump(work, _Pages(lines), self._lose_layer, workers=self.settings.concurrency)

    async def lose(self, surveys: Surveys, error: ItemError) -> None:
        """Give everything up for one reason, and note it for each."""
        for survey, lose in ((surveys.packages, self._lose_package), (surveys.layers, self._lose_layer)):
            if survey is not None:
                with survey.lines.open(encoding="utf-8") as lines:
                    for line in lines:
                        lose(line.removesuffix("\n"), error)
                        await self.hand_on()

    def _begin(self, survey: Survey) -> None:
        self.progress.files += survey.files
        self.progress.size_bytes += survey.size_bytes

    async def _fetch_package(self, doors: Doors, line: str) -> None:
        wanted = read_package_line(line)
        code, source = wanted.package.code_sha256, PackageSource(doors, wanted)
        try:
            stored = await self._store(wanted.package, source.ask_link, None)
        finally:
            self.progress.files_done += 1
            self.progress.bytes_done += wanted.package.size_bytes or 0
        self._note_stored(stored, f"{source.referrer.function_name}:{source.referrer.version}")
        if stored.package.code_sha256 != code:
            self._note_replaced(wanted, stored)
        await self.hand_on()

    def _note_stored(self, stored: StoredPackage, example: str) -> None:
        self.progress.count("package", "stored", example=example)
        self.progress.stored_bytes += stored.size_bytes
        self._add_content(stored)

    def _add_content(self, stored: StoredPackage) -> None:
        self._add(
            PACKAGES,
            package_row(
                stored.package.code_sha256,
                sha256_hex=stored.sha256_hex,
                size_bytes=stored.size_bytes,
                path=stored.path,
                status="present" if stored.was_present else "stored",
                verified_at=self.now(),
                answer=PRESENT if stored.was_present else STORED,
            ),
        )

    def _note_replaced(self, wanted: WantedPackage, stored: StoredPackage) -> None:
        """Note that the function has other code by now, which is stored; what it had is not to be had any more."""
        code, newer = wanted.package.code_sha256, stored.package.code_sha256
        message = f"the function's code was changed while it was read: {newer} is stored in the place of {code}"
        self.failures.notice(_item(wanted.referrers[0], "GetFunction"), "replaced", message)
        self._add_lost_package(wanted, "failed", "replaced", message)

    def _lose_package(self, line: str, error: ItemError) -> None:
        """Note that a package could not be had, and why."""
        wanted = read_package_line(line)
        status = _status_of(error)
        operation = "GetObject" if isinstance(error, PackageError) else "GetFunction"
        self.failures.record(error, _item(wanted.referrers[0], operation))
        self._add_lost_package(wanted, status, error.code, str(error))

    def _add_lost_package(self, wanted: WantedPackage, status: str, code: str, message: str) -> None:
        example = f"{wanted.referrers[0].function_name}:{wanted.referrers[0].version}"
        self.progress.count("package", status, code, example)
        code_sha256, size = wanted.package.code_sha256, wanted.package.size_bytes
        try:
            sha256_hex = sha256_hex_of(code_sha256)
        except PackageError:
            sha256_hex = None
        reason = f"{code}: {remove_presigned_urls(message)}"
        self._add(
            PACKAGES,
            package_row(code_sha256, sha256_hex=sha256_hex, size_bytes=size, status=status, reason=reason, answer=LOST),
        )

    # --- layers -------------------------------------------------------------------------------------------------------

    async def _fetch_layer(self, doors: Doors, line: str) -> None:
        wanted = read_layer_line(line)
        source = LayerSource(doors, wanted)
        try:
            reply = await source.ask()
            facts, findings = read_layer_version(reply)
            for finding in findings:
                item = _item(wanted.referrers[0], "GetLayerVersionByArn")
                self.failures.notice(item, finding.code, finding.message)
            await self._fetch_content(wanted, source, reply, facts)
        finally:
            self.progress.files_done += 1
            self.progress.bytes_done += wanted.size_bytes or 0
        await self.hand_on()

    async def _fetch_content(
        self, wanted: WantedLayer, source: LayerSource, reply: Reply, facts: dict[str, Any]
    ) -> None:
        package = PackageRef(code_sha256=facts.get("code_sha256") or "", size_bytes=facts.get("size_bytes"))
        source.s3_object = s3_object_of(reply.document.get("Content"))
        if source.s3_object is not None and not self.settings.reference_packages:
            self._add_layer(wanted, facts, status="reference", reason=IN_ANOTHER_BUCKET, answer=LEFT_OUT)
            return
        try:
            link = Link(url=reply.location, package=package) if reply.location else None
            stored = await self._store(package, source.ask_link, link)
        except ItemError as error:
            self._lose_content(wanted, error, facts)
            return
        self.progress.stored_bytes += 0 if stored.was_present else stored.size_bytes
        self._add_content(stored)
        self._add_layer(wanted, facts, status="present" if stored.was_present else "stored", answer=STORED)

    def _lose_layer(self, line: str, error: ItemError) -> None:
        """Note that AWS does not tell of a layer version; one of another account may well be denied."""
        self._lose_content(read_layer_line(line), error, {})

    def _lose_content(self, wanted: WantedLayer, error: ItemError, facts: dict[str, Any]) -> None:
        status = _status_of(error)
        operation = "GetObject" if isinstance(error, PackageError) else "GetLayerVersionByArn"
        self.failures.record(
            error,
            _item(wanted.referrers[0], operation),
            is_gap=False if status == "denied" and not _is_own(wanted) else None,
            about=f"{wanted.layer_arn}: " if operation == "GetObject" else "",
        )
        facts = {"size_bytes": wanted.size_bytes} | facts
        reason = f"{error.code}: {remove_presigned_urls(str(error))}"
        self._add_layer(wanted, facts, status=status, reason=reason, answer=LOST, why=error.code)

    def _add_layer(
        self,
        wanted: WantedLayer,
        facts: dict[str, Any],
        *,
        status: str,
        answer: str,
        reason: str | None = None,
        why: str = "",
    ) -> None:
        self.progress.count("layer", status, why, wanted.layer_arn)
        self._add(LAYER_VERSIONS, layer_row(wanted.layer_arn, facts, status=status, reason=reason, answer=answer))

    # --- rows ---------------------------------------------------------------------------------------------------------

    async def hand_on(self) -> None:
        """Pass the rows to staging when they are a batch."""
        if self.rows.items >= BATCH_ROWS:
            await self.batches_out.send(self.rows.take())

    def _add(self, table: Table, row: Sequence[Any]) -> None:
        self.rows.items += 1
        self.rows.append(table, *row)

    async def _store(self, package: PackageRef, ask_link: Callable[[], Any], link: Link | None) -> StoredPackage:
        return await store_package(
            package,
            ask_link,
            link=link,
            open_link=self.open_link,
            places=self.places,
            pacer=self._pacer,
            threads=self._threads,
        )


async def _ask_later() -> Link:
    raise PackageError("a fresh link is asked for after the reading", code="put_off")


def _item(referrer: Referrer, operation: str) -> Item:
    return Item(
        scope=referrer.scope,
        stage="packages",
        operation=operation,
        function_name=referrer.function_name,
        qualifier=None if referrer.version == LATEST else referrer.version,
    )


def _status_of(error: ItemError) -> str:
    return "denied" if isinstance(error, AccessDeniedError | PackageDeniedError) else "failed"


def _is_own(wanted: WantedLayer) -> bool:
    """Tell whether a layer version belongs to an account whose functions use it, as far as is known."""
    account_id = wanted.layer_arn.split(":")[4:5]
    return account_id[0] in {referrer.scope.account_id for referrer in wanted.referrers} if account_id else False


class _Pages:
    """The lines of a file, a page at a time."""

    def __init__(self, lines: TextIO) -> None:
        self._lines = lines

    async def receive(self) -> list[str]:
        """Return the next lines; raises EndOfStream after the last."""
        page = list(islice(self._lines, LINES_AT_ONCE))
        if not page:
            raise EndOfStream
        return page

    async def aclose(self) -> None:
        """Nothing is held: whoever opened the file closes it."""
