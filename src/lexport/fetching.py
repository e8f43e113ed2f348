"""wanted packages -> stored files, and a row for each: the downloads of a run, at most so many at once.

While a snapshot reads, a link that comes by is used if a download slot is free at that moment, else it is dropped.
Afterwards each package that is not there is asked for when a slot is free. Links are never queued.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Any, TextIO

from anyio import CapacityLimiter, EndOfStream
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectSendStream

from lexport import columns
from lexport.aws.api import LambdaApi, OpenLink
from lexport.aws.guard import LinkHosts
from lexport.aws.links import open_links
from lexport.aws.session import Session
from lexport.doors import Doors
from lexport.errors import (
    AccessDeniedError,
    FetchError,
    FunctionGoneError,
    ItemError,
    PackageDeniedError,
    PackageError,
)
from lexport.failures import Failures
from lexport.flow.layers import read_layer_version
from lexport.flow.packages import WRITING_THREADS, sha256_hex_of, store_package
from lexport.flow.wanted import (
    Choice,
    Referrer,
    S3Object,
    WantedLayer,
    WantedPackage,
    read_layer_line,
    read_package_line,
)
from lexport.links import remove_signed_links
from lexport.model import LATEST, FunctionRef, Link, PackageRef, Priority, Reply, StoredPackage
from lexport.progress import PackageProgress
from lexport.pump import pump
from lexport.quota.transfer import BytePacer
from lexport.rows import Batch, Rows
from lexport.settings import SnapshotSettings
from lexport.store.packages import PackagePlaces, package_path
from lexport.survey import IN_ANOTHER_BUCKET, LEFT_OUT, LOST, STORED, Survey, layer_row, package_row

logger = logging.getLogger(__name__)

BATCH_ROWS = 512
LINES_AT_ONCE = 64


def choice_of(options: SnapshotSettings) -> Choice:
    """Return which function versions the settings choose; in a dataset, of which accounts and Regions too."""
    chosen = options.packages
    assert chosen is not None
    return Choice(versions=chosen.packages_for, runtimes=chosen.runtimes, names=chosen.names)


def open_package_links(options: SnapshotSettings, session: Session) -> AbstractAsyncContextManager[OpenLink]:
    """Open what fetches links, to S3 and to the hosts that the settings name."""
    assert options.packages is not None
    hosts = LinkHosts.named(endpoint_url=options.endpoint_url, package_hosts=options.packages.hosts)
    return open_links(ca_bundle=session.ca_bundle, hosts=hosts, connections=options.packages.concurrency)


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
        self._pacer = BytePacer(settings.rate_bytes_per_s)
        self._threads = CapacityLimiter(WRITING_THREADS)
        self.progress.moved_bytes = lambda: self._pacer.moved_bytes

    # --- while a snapshot reads ---------------------------------------------------------------------------------------

    def offer(self, ref: FunctionRef, reply: Reply) -> None:
        """Use the link of an answer if a slot is free and its package is wanted and not there; else forget it."""
        if self.at_once is None or reply.location is None or len(self._in_flight) >= self.settings.concurrency:
            return
        link = _link_of(reply)
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

    def _begin(self, survey: Survey) -> None:
        self.progress.files += survey.files
        self.progress.size_bytes += survey.size_bytes

    async def _fetch_package(self, doors: Doors, line: str) -> None:
        wanted = read_package_line(line)
        code, source = wanted.package.code_sha256, _PackageSource(doors, wanted)
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
        code, size = stored.package.code_sha256, stored.size_bytes
        self._add(
            columns.PACKAGES,
            package_row(
                code,
                sha256_hex=stored.sha256_hex,
                size_bytes=size,
                path=stored.path,
                status="stored",
                verified_at=self.now(),
                answer=STORED,
            ),
        )

    def _note_replaced(self, wanted: WantedPackage, stored: StoredPackage) -> None:
        """Note that the function has other code by now, which is stored; what it had is not to be had any more."""
        code, newer = wanted.package.code_sha256, stored.package.code_sha256
        message = f"the function's code was changed while it was read: {newer} is stored in the place of {code}"
        self._lost(wanted.referrers[0], "GetFunction", "replaced", message, is_gap=False)
        self._add_lost_package(wanted, "failed", "replaced", message)

    def _lose_package(self, line: str, error: ItemError) -> None:
        """Note that a package could not be had, and why."""
        wanted = read_package_line(line)
        status = _status_of(error)
        operation = "GetObject" if isinstance(error, PackageError) else "GetFunction"
        self._lost_by(error, wanted.referrers[0], operation)
        self._add_lost_package(wanted, status, error.code, str(error))

    def _add_lost_package(self, wanted: WantedPackage, status: str, code: str, message: str) -> None:
        example = f"{wanted.referrers[0].function_name}:{wanted.referrers[0].version}"
        self.progress.count("package", status, code, example)
        code_sha256, size = wanted.package.code_sha256, wanted.package.size_bytes
        try:
            sha256_hex = sha256_hex_of(code_sha256)
        except PackageError:
            sha256_hex = None
        reason = f"{code}: {remove_signed_links(message)}"
        self._add(
            columns.PACKAGES,
            package_row(code_sha256, sha256_hex=sha256_hex, size_bytes=size, status=status, reason=reason, answer=LOST),
        )

    # --- layers -------------------------------------------------------------------------------------------------------

    async def _fetch_layer(self, doors: Doors, line: str) -> None:
        wanted = read_layer_line(line)
        source = _LayerSource(doors, wanted)
        try:
            reply = await source.ask()
            facts, findings = read_layer_version(reply)
            for finding in findings:
                self._lost(wanted.referrers[0], "GetLayerVersionByArn", finding.code, finding.message, is_gap=False)
            await self._fetch_content(wanted, source, reply, facts)
        finally:
            self.progress.files_done += 1
            self.progress.bytes_done += wanted.size_bytes or 0
        await self.hand_on()

    async def _fetch_content(
        self, wanted: WantedLayer, source: _LayerSource, reply: Reply, facts: dict[str, Any]
    ) -> None:
        package = PackageRef(code_sha256=facts.get("code_sha256") or "", size_bytes=facts.get("size_bytes"))
        source.s3_object = _s3_object(reply.document.get("Content"))
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
        self._add_layer(wanted, facts, status="present" if stored.was_present else "stored", answer=STORED)

    def _lose_layer(self, line: str, error: ItemError) -> None:
        """Note that AWS does not tell of a layer version; one of another account may well be denied."""
        self._lose_content(read_layer_line(line), error, {})

    def _lose_content(self, wanted: WantedLayer, error: ItemError, facts: dict[str, Any]) -> None:
        status = _status_of(error)
        if status == "denied" and not _is_own(wanted):
            error.is_gap = False
        operation = "GetObject" if isinstance(error, PackageError) else "GetLayerVersionByArn"
        self._lost_by(
            error, wanted.referrers[0], operation, f"{wanted.layer_arn}: " if operation == "GetObject" else ""
        )
        facts = {"size_bytes": wanted.size_bytes} | facts
        reason = f"{error.code}: {remove_signed_links(str(error))}"
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
        self._add(
            columns.LAYER_VERSIONS, layer_row(wanted.layer_arn, facts, status=status, reason=reason, answer=answer)
        )

    # --- rows ---------------------------------------------------------------------------------------------------------

    async def hand_on(self) -> None:
        """Pass the rows to staging when they are a batch."""
        if self.rows.items >= BATCH_ROWS:
            await self.batches_out.send(self.rows.take())

    def _add(self, table: columns.Table, row: Sequence[Any]) -> None:
        self.rows.items += 1
        self.rows.append(table, *row)

    def _lost_by(self, error: ItemError, referrer: Referrer, operation: str, title: str = "") -> None:
        self._lost(
            referrer,
            operation,
            error.code,
            f"{title}{error}",
            is_gap=error.is_gap,
            http_status=error.http_status,
            attempts=error.attempts,
        )

    def _lost(
        self,
        referrer: Referrer,
        operation: str,
        code: str,
        message: str,
        *,
        is_gap: bool,
        http_status: int | None = None,
        attempts: int = 1,
    ) -> None:
        self.failures.add(
            referrer.scope,
            stage="packages",
            operation=operation,
            function_name=referrer.function_name,
            qualifier=None if referrer.version == LATEST else referrer.version,
            error_code=code,
            http_status=http_status,
            message=message,
            is_gap=is_gap,
            attempts=attempts,
        )

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


# --- where fresh links come from --------------------------------------------------------------------------------------


class _PackageSource:
    """Asks for fresh links to one package: of the versions that refer to it, until one has it."""

    def __init__(self, doors: Doors, wanted: WantedPackage) -> None:
        self.referrer = wanted.referrers[0]
        self._doors = doors
        self._wanted = wanted
        self._left = list(wanted.referrers)
        self._errors: list[ItemError] = []

    async def ask_link(self) -> Link:
        """Return a link; raises ItemError where none of the versions has one."""
        while self._left:
            self.referrer = self._left[0]
            try:
                link = await self._ask(self.referrer)
            except ItemError as error:
                self._errors.append(error)
                del self._left[0]
                continue
            if link.package.code_sha256 == self._wanted.package.code_sha256 or len(self._left) == 1:
                return link
            del self._left[0]  # it has changed; another may still have what is wanted
        raise _most_telling(self._errors)

    async def _ask(self, referrer: Referrer) -> Link:
        s3 = self._wanted.s3_object
        if s3 is not None:
            url = await self._doors.presign(referrer.scope, s3.bucket, s3.key, s3.version)
            return Link(url=url, package=self._wanted.package)
        qualifier = None if referrer.version == LATEST else referrer.version

        async def attempt(api: LambdaApi) -> Reply:
            return await api.get_function(referrer.function_name, qualifier)

        reply = await self._doors.call(referrer.scope, "GetFunction", attempt, Priority.PACKAGES)
        link = _link_of(reply)
        if link is None:
            raise _no_link(reply.document.get("Code"))
        return link


class _LayerSource:
    """Asks about one layer version, in the account-regions that use it, until one may know."""

    def __init__(self, doors: Doors, wanted: WantedLayer) -> None:
        self.s3_object: S3Object | None = None
        self._doors = doors
        self._wanted = wanted
        self._scopes = list(dict.fromkeys(referrer.scope for referrer in wanted.referrers))

    async def ask(self) -> Reply:
        """Return the answer of the first account-region that is let in; raises ItemError where none is."""
        errors: list[ItemError] = []

        async def attempt(api: LambdaApi) -> Reply:
            return await api.get_layer_version_by_arn(self._wanted.layer_arn)

        for scope in self._scopes:
            try:
                reply = await self._doors.call(scope, "GetLayerVersionByArn", attempt, Priority.LAYERS)
            except ItemError as error:
                errors.append(error)
            else:
                self._scopes = [scope]
                return reply
        raise _most_telling(errors)

    async def ask_link(self) -> Link:
        """Return a fresh link to the content."""
        reply = await self.ask()
        content = reply.document.get("Content")
        told = content if isinstance(content, dict) else {}
        package = PackageRef(code_sha256=str(told.get("CodeSha256", "")), size_bytes=_size(told.get("CodeSize")))
        if self.s3_object is not None:
            s3 = self.s3_object
            url = await self._doors.presign(self._scopes[0], s3.bucket, s3.key, s3.version)
            return Link(url=url, package=package)
        if reply.location is None:
            raise _no_link(content)
        return Link(url=reply.location, package=package)


async def _ask_later() -> Link:
    raise PackageError("a fresh link is asked for after the reading", code="put_off")


def _link_of(reply: Reply) -> Link | None:
    """Return the link of a GetFunction answer with what the same answer says of the bytes."""
    told = reply.document.get("Configuration")
    if reply.location is None or not isinstance(told, dict) or not isinstance(told.get("CodeSha256"), str):
        return None
    package = PackageRef(code_sha256=told["CodeSha256"], size_bytes=_size(told.get("CodeSize")))
    return Link(url=reply.location, package=package)


def _size(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _s3_object(code: object) -> S3Object | None:
    found = code.get("ResolvedS3Object") if isinstance(code, dict) else None
    if not isinstance(found, dict) or not found.get("S3Bucket") or not found.get("S3Key"):
        return None
    version = found.get("S3ObjectVersion")
    return S3Object(bucket=str(found["S3Bucket"]), key=str(found["S3Key"]), version=str(version) if version else None)


def _no_link(code: object) -> FetchError:
    """Say why an answer has no link: AWS says it in ``Error``, where the package's key is denied."""
    error = code.get("Error") if isinstance(code, dict) else None
    if not isinstance(error, dict):
        return FetchError("AWS's answer has no link to the package", code="no_link")
    name, message = str(error.get("ErrorCode") or "unknown"), remove_signed_links(str(error.get("Message") or ""))
    kind = AccessDeniedError if "Denied" in name or "KMS" in name else FetchError
    return kind(f"AWS does not hand out the package: {name}: {message}", code=name)


def _most_telling(errors: Sequence[ItemError]) -> ItemError:
    """Choose the error to tell. What is gone everywhere is not in the fleet any more, so nothing is missing."""
    for error in errors:
        if not isinstance(error, FunctionGoneError):
            return error
    gone = errors[0]
    gone.code, gone.is_gap = "gone", False
    return gone


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
