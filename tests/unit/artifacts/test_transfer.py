"""Link -> verified bytes in the store, against the simulator: once, right, and never under a wrong name."""

from __future__ import annotations

import asyncio
import base64
import fcntl
import functools
import hashlib
import json
import logging
import os
import resource
import sys
import traceback
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest
import pytest_asyncio
from anyio import CapacityLimiter, create_task_group, run_process
from yarl import URL

from lexport.artifacts.bandwidth import BytePacer
from lexport.artifacts.presigned import LinkLimits, open_links
from lexport.artifacts.store import PackageStore
from lexport.artifacts.transfer import MAX_CHANGES, Transfers
from lexport.artifacts.url_policy import LinkHosts
from lexport.aws.quota.retry import OTHER_ATTEMPTS
from lexport.dataset.local import LocalStore
from lexport.errors import (
    FunctionGoneError,
    HashMismatchError,
    LinkExpiredError,
    PackageDeniedError,
    PackageError,
    TransferError,
    WriteError,
)
from lexport.model import Link, PackageRef
from lexport.simulator import Change, Fault, Fleet, FleetSpec, lambda_documents

pytestmark = pytest.mark.asyncio

AUTHORIZATION = (
    "AWS4-HMAC-SHA256 Credential=testing/20261122/us-east-1/lambda/aws4_request, SignedHeaders=host;x-amz-date, "
    "Signature=" + "0" * 64
)


MB = 1_000_000


def large_fleet() -> Fleet:
    return Fleet(FleetSpec(functions=40, versions=2, large_packages=True))


def large_function(fleet, scope) -> str:
    """The first function whose `$LATEST` has a package of four megabytes."""
    for index in fleet.indexes(scope):
        version = fleet.version(scope, index, "$LATEST")
        if lambda_documents.has_location(version) and 4 * MB <= version.code_size_bytes < 5 * MB:
            return version.function.name
    raise AssertionError("no such function")


class Shop:
    """A destination, and everything a package needs to get into it."""

    def __init__(self, dest: Path, aws, session, name) -> None:
        self.dest = dest
        self.aws = aws
        self.session = session
        self.name = name
        self.asked = 0
        self.package_store = PackageStore(LocalStore(dest))
        self.pacer = BytePacer(None)
        self.hosts = LinkHosts.named(endpoint_url=aws.url)

    async def answer(self) -> Link:
        """Call GetFunction, as the caller would."""
        self.asked += 1
        async with self.session.get(f"{self.aws.url}/2015-03-31/functions/{self.name}") as response:
            document = await response.json()
        if response.status != 200:
            raise FunctionGoneError("gone", code=response.headers["x-amzn-errortype"])
        configuration = document["Configuration"]
        package = PackageRef(code_sha256=configuration["CodeSha256"], size_bytes=configuration["CodeSize"])
        return Link(url=document["Code"]["Location"], package=package)

    async def store(self, *, link: Link | None = None, package: PackageRef | None = None, **limits):
        """Store the function's package, with the link of an answer at hand where no package is named."""
        if package is None:
            link = link or await self.answer()
            package = link.package
        async with open_links(
            ca_bundle=None, hosts=self.hosts, connections=4, limits=LinkLimits(**limits)
        ) as open_link:
            transfers = Transfers(
                package_store=self.package_store,
                open_link=open_link,
                pacer=self.pacer,
                threads=CapacityLimiter(2),
                random_unit=lambda: 0.0,
            )
            return await transfers.store_package(package, self.answer, link=link)

    def files(self) -> dict[str, bytes]:
        """Everything below the destination."""
        return {str(path.relative_to(self.dest)): path.read_bytes() for path in self.dest.rglob("*") if path.is_file()}

    def gets(self) -> int:
        """How often a package link was opened."""
        return sum(count for (_, _, operation), count in self.aws.calls.items() if operation == "GetObject")

    def is_right(self, stored) -> bool:
        """Whether the store holds exactly this package and no partial is left."""
        ((path, body),) = self.files().items()
        digest = hashlib.sha256(body).digest()
        named = (stored.path, stored.sha256_hex, stored.package.code_sha256, stored.size_bytes)
        return named == (path, digest.hex(), base64.b64encode(digest).decode(), len(body))


@pytest_asyncio.fixture
async def shop(simulator, tmp_path, look):
    """``async with shop(fault, ...) as it``: a function with a package of four megabytes."""

    @asynccontextmanager
    async def opened(*faults, **more):
        fleet = large_fleet()
        async with (
            simulator(*faults, verify=False, fleet=fleet, **more) as aws,
            aiohttp.ClientSession(headers={"Authorization": AUTHORIZATION}) as session,
        ):
            yield Shop(tmp_path / "dest", aws, session, large_function(fleet, look.scope))

    return opened


def get_object(kind, **more) -> Fault:
    return Fault(operation="GetObject", kind=kind, **more)


async def test_a_package_is_stored_under_its_hash(shop):
    """What the link leads to lies under the name of its content, and nothing else is left."""
    async with shop() as it:
        link = await it.answer()
        stored = await it.store(link=link)

    assert it.is_right(stored)
    assert stored.path == f"packages/sha256/{stored.sha256_hex[:2]}/{stored.sha256_hex}.zip"
    assert (stored.package, stored.bytes_moved, stored.was_present) == (link.package, stored.size_bytes, False)
    assert (it.asked, it.pacer.moved_bytes) == (1, stored.size_bytes)
    assert (it.dest / stored.path).stat().st_mode & 0o777 == 0o600


async def test_what_is_there_costs_nothing(shop):
    """A second time no link is asked for and no byte moves."""
    async with shop() as it:
        first = await it.store()
        second = await it.store(package=first.package)

    assert (second.was_present, second.bytes_moved, second.path) == (True, 0, first.path)
    assert (it.asked, it.gets()) == (1, 1)


async def test_links_lead_to_named_hosts_only(shop):
    """A link to a host that is neither AWS's nor named is not opened, and the error names the host alone."""
    async with shop() as it:
        link = await it.answer()
        elsewhere = Link(url=link.url.replace(urlsplit(link.url).netloc, "example.com"), package=link.package)
        with pytest.raises(PackageError, match=r"leads to example\.com, which is no host of AWS") as caught:
            await it.store(link=elsewhere)

    assert caught.value.code == "link_refused"
    assert (it.gets(), it.files()) == (0, {})


# --- links that are too old -----------------------------------------------------------------------------------------


async def test_expired_before_the_transfer(shop):
    """A link that has expired is asked for again, and nothing is fetched twice."""
    async with shop(get_object("expired")) as it:
        stored = await it.store()

    assert it.is_right(stored)
    assert (it.asked, it.gets(), stored.bytes_moved) == (2, 2, stored.size_bytes)


async def test_expired_in_mid_transfer(shop):
    """A transfer that breaks and whose link has expired goes on from the byte it reached, with a fresh link."""
    async with shop(get_object("truncate", after_bytes=3 * MB), get_object("expired")) as it:
        stored = await it.store()

    assert it.is_right(stored)
    assert (it.asked, it.gets(), stored.bytes_moved) == (3, 3, stored.size_bytes)


async def test_links_that_are_always_expired(shop):
    """A link that is never fresh ends in LinkExpiredError, after so many tries."""
    async with shop(get_object("expired", times=None)) as it:
        with pytest.raises(LinkExpiredError) as caught:
            await it.store()

    assert (caught.value.attempts, it.gets()) == (OTHER_ATTEMPTS, OTHER_ATTEMPTS)
    assert (caught.value.code, caught.value.http_status, it.files()) == ("AccessDenied", 403, {})


async def test_the_function_changed_meanwhile(shop, look):
    """Where the fresh answer names other code, that is stored, and the old partial is left for whoever wants it."""
    async with shop(get_object("truncate", after_bytes=3 * MB)) as it:
        old = await it.answer()
        it.aws.fleet.apply(Change(kind="update_code", scope=look.scope, function_name=it.name))
        new = await it.answer()
        stored = await it.store(link=old)
        partials = [path for path in it.files() if path.startswith("_staging/")]

    assert stored.package == new.package != old.package
    assert hashlib.sha256((it.dest / stored.path).read_bytes()).hexdigest() == stored.sha256_hex
    assert len(partials) == 1
    assert stored.bytes_moved > stored.size_bytes


async def test_a_function_that_changes_for_ever(shop, look):
    """Where every answer names other code than the one before, that ends after some of them, and says why."""
    async with shop(get_object("expired", times=None)) as it:
        first = await it.answer()
        ask = it.answer

        async def answer():
            it.aws.fleet.apply(Change(kind="update_code", scope=look.scope, function_name=it.name))
            return await ask()

        it.answer = answer
        with pytest.raises(PackageError, match="changes faster than it can be fetched") as caught:
            await it.store(package=first.package)

    assert caught.value.code == "changing"
    assert it.asked <= MAX_CHANGES + 2


async def test_what_request_link_raises_passes_through(shop, look):
    """A function that is gone when the link is asked for again is the caller's to judge; its partial is no package."""
    async with shop(get_object("expired")) as it:
        link = await it.answer()
        it.aws.fleet.apply(Change(kind="delete_function", scope=look.scope, function_name=it.name))
        with pytest.raises(FunctionGoneError):
            await it.store(link=link)

    assert it.files() == {}


# --- what is not what it should be ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (get_object("corrupt", times=2), "hash_mismatch"),
        (get_object("resize", size_bytes=5 * MB, times=2), "size_mismatch"),
        (get_object("resize", size_bytes=3 * MB, times=2), "size_mismatch"),  # cut, with a length that fits
        (get_object("resize", size_bytes=0, times=2), "size_mismatch"),
    ],
)
async def test_wrong_bytes(shop, fault, code):
    """Bytes of another hash or size are never stored; one retry with a fresh answer, then HashMismatchError."""
    async with shop(fault) as it:
        link = await it.answer()
        with pytest.raises(HashMismatchError) as caught:
            await it.store(link=link)
        error = caught.value
        left = it.files()
        stored = await it.store()

    assert (error.code, error.package, error.attempts) == (code, link.package.code_sha256, 2)
    assert error.bytes_moved == (2 * link.package.size_bytes if code == "hash_mismatch" else 0)
    assert error.expected != error.actual
    assert left == {}
    assert it.is_right(stored)


async def test_wrong_bytes_once(shop):
    """The retry after a mismatch begins anew and may succeed."""
    async with shop(get_object("corrupt", after_bytes=MB)) as it:
        stored = await it.store()

    assert it.is_right(stored)
    assert (it.asked, stored.bytes_moved) == (2, 2 * stored.size_bytes)


async def test_a_body_without_end(shop):
    """A body that told no length is cut off as soon as it is longer than CodeSize."""
    async with shop(get_object("short", after_bytes=5 * MB, times=None)) as it:
        link = await it.answer()
        smaller = Link(url=link.url, package=replace(link.package, size_bytes=1_500_000))

        async def answer_smaller():
            return smaller

        it.answer = answer_smaller
        with pytest.raises(HashMismatchError) as caught:
            await it.store(link=smaller)

    assert (caught.value.code, caught.value.actual, it.files()) == ("size_mismatch", "more", {})
    assert caught.value.bytes_moved < 2 * link.package.size_bytes


# --- transfers that break -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        get_object("truncate", after_bytes=3 * MB),
        get_object("short", after_bytes=3 * MB),
        get_object("drip", after_bytes=3 * MB, delay_s=60.0),
    ],
    ids=["truncated", "short without a length", "silent"],
)
async def test_a_transfer_that_breaks_is_resumed(shop, fault):
    """After a break only the rest is fetched, whatever the break looks like."""
    async with shop(fault) as it:
        stored = await it.store(idle_timeout_s=0.2)

    assert it.is_right(stored)
    assert (it.gets(), stored.bytes_moved) == (2, stored.size_bytes)


async def test_reset_in_mid_body(shop):
    """A reset connection loses what the system had not handed over yet, and no more."""
    async with shop(get_object("reset", after_bytes=3 * MB)) as it:
        stored = await it.store()

    assert it.is_right(stored)
    assert (it.gets(), stored.bytes_moved) == (2, stored.size_bytes)


async def test_one_byte_a_second(shop):
    """A server that is never silent but brings next to nothing is given up, in bounded time."""
    dripping = get_object("drip", after_bytes=0, delay_s=0.01, times=None)
    async with shop(dripping) as it:
        with pytest.raises(TransferError) as caught:
            await it.store(slow_after_s=0.05, slow_bytes_per_s=10_000)

    assert (caught.value.code, it.gets()) == ("too_slow", OTHER_ATTEMPTS)
    assert [path.split("/")[0] for path in it.files()] == ["_staging"]


async def test_progress_is_patience(shop):
    """A transfer that breaks again and again but gets on is not given up."""
    async with shop(get_object("truncate", after_bytes=2 * MB, times=2), get_object("error", times=4)) as it:
        stored = await it.store()

    assert it.is_right(stored)
    assert (it.gets(), stored.bytes_moved) == (7, stored.size_bytes)


async def test_a_server_that_ignores_ranges(shop):
    """Where the whole comes instead of the rest, the partial begins anew."""
    async with shop(get_object("truncate", after_bytes=3 * MB), get_object("ignore_range")) as it:
        stored = await it.store()

    assert it.is_right(stored)
    assert stored.size_bytes + MB < stored.bytes_moved <= stored.size_bytes + 3 * MB


# --- what S3 says ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "kind", "code", "gets"),
    [
        ({"status": 403, "code": "AccessDenied", "message": "Access Denied"}, PackageDeniedError, "AccessDenied", 1),
        (
            {"status": 403, "code": "AccessDenied", "message": "not authorized to perform: kms:Decrypt"},
            PackageDeniedError,
            "AccessDenied",
            1,
        ),
        (
            {"status": 400, "code": "KMS.DisabledException", "message": "arn:aws:kms:… is disabled."},
            PackageDeniedError,
            "KMS.DisabledException",
            1,
        ),
        ({"status": 404, "code": "NoSuchKey", "message": "gone"}, PackageError, "NoSuchKey", 1),
        ({"status": 400, "code": "ExpiredToken", "message": "expired"}, LinkExpiredError, "ExpiredToken", 6),
        ({"status": 500, "code": "InternalError", "message": "We"}, TransferError, "InternalError", 6),
        ({"status": 503, "code": "SlowDown", "message": "Reduce"}, TransferError, "SlowDown", 6),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_s3_refuses(shop, fault, kind, code, gets):
    """What a second try does not change is tried once, the rest as often as it makes sense; S3's words are kept."""
    async with shop(get_object("error", times=None, **fault)) as it:
        with pytest.raises(PackageError) as caught:
            await it.store()

    assert (type(caught.value), caught.value.code, caught.value.http_status) == (kind, code, fault["status"])
    assert f"{code}: {fault['message']} (HTTP {fault['status']})" in str(caught.value)
    assert (it.gets(), it.files()) == (gets, {})


@pytest.mark.parametrize("fault", [{"status": 500, "code": "InternalError"}, {"status": 503, "code": "SlowDown"}])
async def test_trouble_of_s3_passes(shop, fault):
    """A package comes in spite of trouble that passes."""
    async with shop(get_object("error", times=3, **fault)) as it:
        stored = await it.store()

    assert it.is_right(stored)


@pytest.mark.parametrize("location", ["https://example.com/{canary}", "http://169.254.169.254/latest/{canary}"])
async def test_no_redirect_is_followed(shop, location):
    """A redirect is an error that says so, and where it would lead is not asked, nor said."""
    headers = {"Location": location.format(canary="canary")}
    async with shop(get_object("redirect", headers=headers)) as it:
        with pytest.raises(PackageError) as caught:
            await it.store()
        host = urlsplit(it.aws.url).netloc

    assert (caught.value.code, caught.value.http_status, it.gets()) == ("redirect", 307, 1)
    assert str(caught.value).startswith(f"{host} answered the package link with a redirect (HTTP 307)")
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("kind", ["html", "empty"])
async def test_answers_that_are_not_s3s(shop, kind):
    """A captive portal's page is no package."""
    async with shop(get_object(kind, status=403, times=None)) as it:
        with pytest.raises(PackageError, match="a proxy may stand in between") as caught:
            await it.store()

    assert (caught.value.code, it.files()) == ("http_403", {})


# --- the disk -------------------------------------------------------------------------------------------------------


async def test_a_full_disk_loses_the_package_only(shop):
    """A disk that takes no more is a PackageError; what it took is given back, and later the package comes."""
    async with shop() as it:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2 * MB, before[1]))  # the kernel refuses with EFBIG
        try:
            with pytest.raises(PackageError) as caught:
                await it.store()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        left = it.files()
        stored = await it.store()

    assert (caught.value.code, caught.value.bytes_moved > 0, left) == ("disk_full", True, {})
    assert "free some" in str(caught.value)
    assert it.is_right(stored)


async def test_a_disk_that_cannot_be_written_ends_the_run(shop):
    """A destination where nothing can be made is no matter of one package."""
    async with shop() as it:
        it.dest.write_text("a file, not a folder")
        with pytest.raises(WriteError):
            await it.store()


async def test_a_damaged_file_is_healed(shop):
    """A stored file of the wrong size is fetched again, whole files of unknown size are not."""
    async with shop() as it:
        stored = await it.store()
        path = it.dest / stored.path
        path.write_bytes(path.read_bytes()[:1000])
        again = await it.store(package=stored.package)
        unsized = await it.store(package=PackageRef(code_sha256=stored.package.code_sha256, size_bytes=None))

    assert (again.was_present, unsized.was_present) == (False, True)
    assert (unsized.size_bytes, unsized.path) == (stored.size_bytes, stored.path)
    assert it.is_right(again)


# --- runs that end, and runs side by side ---------------------------------------------------------------------------


async def until(is_so) -> None:
    """Wait for something on disk, which nobody announces."""
    while not is_so():  # noqa: ASYNC110 - there is no event
        await asyncio.sleep(0.005)


def open_files() -> list[str]:
    return [str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]


def partial_of(it, package: PackageRef) -> Path:
    return it.dest / "_staging" / "packages" / f"{base64.b64decode(package.code_sha256).hex()}.part"


@pytest.mark.parametrize(
    ("left", "moved"),
    [("nothing", 1.0), ("half", 0.5), ("whole", 0.0), ("wrong half", 1.5), ("wrong whole", 1.0), ("too much", 1.0)],
)
async def test_what_a_run_left_is_taken_up(shop, left, moved):
    """What is on disk is hashed again: right bytes are not fetched twice, wrong ones are found out and thrown away."""
    async with shop() as it:
        link = await it.answer()
        size = link.package.size_bytes
        async with aiohttp.ClientSession() as plain, plain.get(URL(link.url, encoded=True)) as response:
            body = await response.read()
        half = size // 2
        on_disk = {
            "nothing": b"",
            "half": body[:half],
            "whole": body,
            "wrong half": bytes(half),
            "wrong whole": bytes(size),
            "too much": body + b"more",
        }[left]
        partial = partial_of(it, link.package)
        partial.parent.mkdir(parents=True)
        partial.write_bytes(on_disk)
        stored = await it.store(link=link)

    assert it.is_right(stored)
    assert abs(stored.bytes_moved - moved * size) <= 1


async def test_a_run_that_ended_between_link_and_unlink(shop):
    """A partial that is in the store already costs nothing but its name."""
    async with shop() as it:
        stored = await it.store()
        partial = partial_of(it, stored.package)
        os.link(it.dest / stored.path, partial)
        (it.dest / stored.path).unlink()
        again = await it.store(package=stored.package)

    assert it.is_right(again)
    assert again.bytes_moved == 0


async def test_two_runs_at_once(shop):
    """Two runs that fetch the same package into one destination never write one file, and both succeed."""
    async with shop(get_object("drip", after_bytes=2 * MB, delay_s=60.0, times=2)) as it:
        async with asyncio.TaskGroup() as tasks:
            runs = [tasks.create_task(it.store(idle_timeout_s=0.3)) for _ in range(2)]
            await until(lambda: len(list(it.dest.glob("_staging/packages/*"))) == 2)
        first, second = (run.result() for run in runs)

    assert it.is_right(first)
    assert it.is_right(second)
    assert first.bytes_moved + second.bytes_moved <= 2 * first.size_bytes


@pytest.mark.parametrize("by", ["asyncio", "anyio"])
async def test_cancelled(shop, by):
    """Cancelled in mid-transfer, no file and no lock stays open, and the partial is taken up by the next run."""
    async with shop(get_object("drip", after_bytes=3 * MB, delay_s=60.0)) as it:
        link = await it.answer()
        partial = partial_of(it, link.package)
        if by == "asyncio":
            run = asyncio.create_task(it.store(link=link))
            await until(lambda: partial.exists() and partial.stat().st_size >= 2 * MB)
            run.cancel()
            with pytest.raises(asyncio.CancelledError):
                await run
        else:  # as in the product, where a task group ends with the first error
            async with create_task_group() as tasks:
                tasks.start_soon(functools.partial(it.store, link=link))
                await until(lambda: partial.exists() and partial.stat().st_size >= 2 * MB)
                tasks.cancel_scope.cancel()
        opened = open_files()
        with partial.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        reached = partial.stat().st_size
        stored = await it.store()

    assert str(partial) not in opened
    assert it.is_right(stored)
    assert stored.bytes_moved == stored.size_bytes - reached


# --- the link is a secret -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        get_object("expired", times=None),
        get_object("corrupt", times=None),
        get_object("reset", times=None),
        get_object("reset", after_bytes=10, times=None),
        get_object("truncate", after_bytes=10, times=None),
        get_object("html", status=502, times=None),
        get_object("html", status=403, times=None),
        get_object("redirect", headers={"Location": "/x?X-Amz-Signature=canary"}),
        get_object("error", status=403, code="SignatureDoesNotMatch", message="X-Amz-Signature=canary is wrong"),
        get_object("error", status=403, code="AccessDenied", message="http://h/x?X-Amz-Signature=canary"),
    ],
    ids=lambda fault: f"{fault.kind} {fault.status or ''}",
)
async def test_the_link_is_nowhere(shop, fault, caplog):
    """No log line at DEBUG, no message, repr, traceback or chained exception holds any part of a link's signature."""
    caplog.set_level(logging.DEBUG)
    asyncio.get_running_loop().set_debug(True)
    async with shop(fault) as it:
        link = await it.answer()
        with pytest.raises(PackageError) as caught:
            await it.store(link=link)
    said = [caplog.text, repr(link), repr(caught.value), *map(repr, caught.value.args)]
    said.append("".join(traceback.format_exception(caught.value)))
    error = caught.value
    while error is not None:
        said += [str(error), repr(vars(error))]
        error = error.__cause__ or error.__context__

    for secret in (*urlsplit(link.url).query.split("&")[1:], "canary", "X-Amz-Signature"):
        assert all(secret not in text for text in said), secret


# --- killed ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_killed_at_any_write(shop):
    """Killed right before any of its writes, a run leaves no wrong file, and the next one takes up what is on disk."""
    async with shop() as it:
        link = await it.answer()
        script = [sys.executable, str(Path(__file__).with_name("killed.py")), str(it.dest), link.url]
        done = await run_process([*script, link.package.code_sha256, str(link.package.size_bytes)], check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    hex_name = base64.b64decode(link.package.code_sha256).hex()
    right = {f"packages/sha256/{hex_name[:2]}/{hex_name}.zip": link.package.size_bytes}
    resumed = {line["moved"] for line in lines}

    assert (done.stderr, done.returncode) == (b"", 0)
    assert [line["killed"] for line in lines] == [True] * (len(lines) - 1) + [False]
    assert len(lines) > 12
    for line in lines:
        assert (line["then"], line["failed"]) == (right, False)
        partials = {path: size for path, size in line["left"].items() if path.startswith("_staging/")}
        assert {path: size for path, size in line["left"].items() if path not in partials} in ({}, right)
        on_disk = link.package.size_bytes if right.items() <= line["left"].items() else sum(partials.values())
        assert line["moved"] == link.package.size_bytes - on_disk
    assert len(resumed) >= 4


@pytest.mark.slow
async def test_no_space_left_on_device(shop, tmp_path):
    """On a file system that is really full, the package is lost with `disk_full` and takes no room any more."""
    code = (
        "import sys; from pathlib import Path; from lexport.dataset.local import LocalStore\n"
        "from lexport.artifacts.store import PackageStore; from lexport.errors import PackageError\n"
        "partial = PackageStore(LocalStore(Path(sys.argv[1]))).open_partial('ab' * 32)\n"
        "try: partial.write([bytes(500_000)] * 10)\n"
        "except PackageError as error:\n"
        " partial.close(); print(error.code, partial.size_bytes, partial.path.exists(), error)"
    )
    mounted = tmp_path / "small"
    mounted.mkdir()
    script = f'mount -t tmpfs -o size=1m none "{mounted}" && exec "$0" -c "$1" "{mounted}"'
    inside = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, sys.executable, code]
    done = await run_process(inside, check=False)
    if b"unshare" in done.stderr or b"mount" in done.stderr:
        pytest.skip("this machine lets nobody mount a small file system")

    assert done.stdout.decode().startswith("disk_full 0 False no disk space for the package at ")
    assert b"No space left on device" in done.stdout
