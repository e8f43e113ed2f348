"""Downloads against the simulator: each package is stored once and verified, never under a wrong name."""

import functools
import hashlib
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from lexport.artifacts.transfer import MAX_CHANGES
from lexport.aws.quota.retry import OTHER_ATTEMPTS
from lexport.errors import FunctionGoneError, HashMismatchError, LinkExpiredError, PackageError, TransferError
from lexport.model import Link
from lexport.simulator import Change, Fault

pytestmark = pytest.mark.asyncio

MB = 1_000_000
get_object = functools.partial(Fault, operation="GetObject")


async def test_a_package_is_stored_under_its_hash(destination):
    """A downloaded package is stored under the hash of its content, and no other file is left."""
    link = await destination.request_link()
    stored = await destination.store(link=link)

    assert destination.holds_only(stored)
    assert stored.path == f"_packages/sha256/{stored.sha256_hex[:2]}/{stored.sha256_hex}.zip"
    assert (stored.package, stored.bytes_moved, stored.was_present) == (link.package, stored.size_bytes, False)
    assert (destination.link_requests, destination.pacer.moved_bytes) == (1, stored.size_bytes)
    assert (destination.root / stored.path).stat().st_mode & 0o777 == 0o600


async def test_a_stored_package_is_not_downloaded(destination):
    """The second time, no link is requested and no byte is transferred."""
    first = await destination.store()
    second = await destination.store(package=first.package)

    assert (second.was_present, second.bytes_moved, second.path) == (True, 0, first.path)
    assert (destination.link_requests, destination.gets()) == (1, 1)


async def test_links_lead_to_named_hosts_only(destination):
    """A link to a host that is neither AWS's nor named by the user is not opened; the error names only the host."""
    link = await destination.request_link()
    elsewhere = Link(url=link.url.replace(urlsplit(link.url).netloc, "example.com"), package=link.package)
    with pytest.raises(PackageError, match=r"leads to example\.com, which is no host of AWS") as caught:
        await destination.store(link=elsewhere)

    assert caught.value.code == "link_refused"
    assert (destination.gets(), destination.files()) == (0, {})


# --- expired links ----------------------------------------------------------------------------------------------------


async def test_expired_before_the_transfer(destination):
    """An expired link is requested again, and no byte is downloaded twice."""
    destination.inject(get_object(kind="expired"))
    stored = await destination.store()

    assert destination.holds_only(stored)
    assert (destination.link_requests, destination.gets(), stored.bytes_moved) == (2, 2, stored.size_bytes)


async def test_expired_in_mid_transfer(destination):
    """A broken transfer with an expired link continues at the byte it reached, with a fresh link."""
    destination.inject(get_object(kind="truncate", after_bytes=3 * MB), get_object(kind="expired"))
    stored = await destination.store()

    assert destination.holds_only(stored)
    assert (destination.link_requests, destination.gets(), stored.bytes_moved) == (3, 3, stored.size_bytes)


async def test_links_that_are_always_expired(destination):
    """Links that are always expired end in LinkExpiredError after the last attempt."""
    destination.inject(get_object(kind="expired", times=None))
    with pytest.raises(LinkExpiredError) as caught:
        await destination.store()

    assert (caught.value.attempts, destination.gets()) == (OTHER_ATTEMPTS, OTHER_ATTEMPTS)
    assert (caught.value.code, caught.value.http_status, destination.files()) == ("AccessDenied", 403, {})


async def test_the_function_changed_meanwhile(destination, look):
    """If a fresh response names other code, that code is stored, and the old partial download is kept."""
    destination.inject(get_object(kind="truncate", after_bytes=3 * MB))
    old = await destination.request_link()
    destination.aws.fleet.apply(Change(kind="update_code", scope=look.scope, function_name=destination.function_name))
    new = await destination.request_link()
    stored = await destination.store(link=old)
    partials = [path for path in destination.files() if path.startswith("_staging/")]

    assert stored.package == new.package != old.package
    assert hashlib.sha256((destination.root / stored.path).read_bytes()).hexdigest() == stored.sha256_hex
    assert len(partials) == 1
    assert stored.bytes_moved > stored.size_bytes


async def test_a_function_that_never_stops_changing(destination, look):
    """If every response names other code than the one before, the download ends with an error."""
    destination.inject(get_object(kind="expired", times=None))
    first = await destination.request_link()
    request_link = destination.request_link

    async def changed_link():
        destination.aws.fleet.apply(
            Change(kind="update_code", scope=look.scope, function_name=destination.function_name)
        )
        return await request_link()

    destination.request_link = changed_link
    with pytest.raises(PackageError, match="changes faster than it can be fetched") as caught:
        await destination.store(package=first.package)

    assert caught.value.code == "changing"
    assert destination.link_requests <= MAX_CHANGES + 2


async def test_errors_of_request_link_pass_through(destination, look):
    """If the function is gone when a fresh link is requested, that error is raised and nothing is stored."""
    destination.inject(get_object(kind="expired"))
    link = await destination.request_link()
    destination.aws.fleet.apply(
        Change(kind="delete_function", scope=look.scope, function_name=destination.function_name)
    )
    with pytest.raises(FunctionGoneError):
        await destination.store(link=link)

    assert destination.files() == {}


# --- wrong bytes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (get_object(kind="corrupt", times=2), "hash_mismatch"),
        (get_object(kind="resize", size_bytes=5 * MB, times=2), "size_mismatch"),
        (get_object(kind="resize", size_bytes=3 * MB, times=2), "size_mismatch"),  # cut, with a length that fits
        (get_object(kind="resize", size_bytes=0, times=2), "size_mismatch"),
    ],
)
async def test_wrong_bytes(destination, fault, code):
    """Bytes of a wrong hash or size are never stored; HashMismatchError follows after one retry."""
    destination.inject(fault)
    link = await destination.request_link()
    with pytest.raises(HashMismatchError) as caught:
        await destination.store(link=link)
    error = caught.value
    left = destination.files()
    stored = await destination.store()

    assert (error.code, error.package, error.attempts) == (code, link.package.code_sha256, 2)
    assert error.bytes_moved == (2 * link.package.size_bytes if code == "hash_mismatch" else 0)
    assert error.expected != error.actual
    assert left == {}
    assert destination.holds_only(stored)


async def test_wrong_bytes_once(destination):
    """The retry after a mismatch starts at the first byte and may succeed."""
    destination.inject(get_object(kind="corrupt", after_bytes=MB))
    stored = await destination.store()

    assert destination.holds_only(stored)
    assert (destination.link_requests, stored.bytes_moved) == (2, 2 * stored.size_bytes)


async def test_a_body_without_end(destination):
    """A body without a length is cut off as soon as it is longer than CodeSize."""
    destination.inject(get_object(kind="short", after_bytes=5 * MB, times=None))
    link = await destination.request_link()
    smaller = Link(url=link.url, package=replace(link.package, size_bytes=1_500_000))

    async def request_smaller():
        return smaller

    destination.request_link = request_smaller
    with pytest.raises(HashMismatchError) as caught:
        await destination.store(link=smaller)

    assert (caught.value.code, caught.value.actual, destination.files()) == ("size_mismatch", "more", {})
    assert caught.value.bytes_moved < 2 * link.package.size_bytes


# --- broken transfers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        get_object(kind="truncate", after_bytes=3 * MB),
        get_object(kind="short", after_bytes=3 * MB),
        get_object(kind="drip", after_bytes=3 * MB, delay_s=60.0),
    ],
    ids=["truncated", "short without a length", "silent"],
)
async def test_a_transfer_that_breaks_is_resumed(destination, fault):
    """After any kind of break only the missing bytes are downloaded."""
    destination.inject(fault)
    stored = await destination.store(idle_timeout_s=0.2)

    assert destination.holds_only(stored)
    assert (destination.gets(), stored.bytes_moved) == (2, stored.size_bytes)


async def test_reset_in_mid_body(destination):
    """A reset connection loses at most the bytes that the operating system had not delivered yet."""
    destination.inject(get_object(kind="reset", after_bytes=3 * MB))
    stored = await destination.store()

    assert destination.holds_only(stored)
    assert (destination.gets(), stored.bytes_moved) == (2, stored.size_bytes)


async def test_one_byte_a_second(destination):
    """A server that sends a few bytes a second is given up after a bounded time."""
    dripping = get_object(kind="drip", after_bytes=0, delay_s=0.01, times=None)
    destination.inject(dripping)
    with pytest.raises(TransferError) as caught:
        await destination.store(slow_after_s=0.05, slow_bytes_per_s=10_000)

    assert (caught.value.code, destination.gets()) == ("too_slow", OTHER_ATTEMPTS)
    assert [path.split("/")[0] for path in destination.files()] == ["_staging"]


async def test_progress_resets_the_attempts(destination):
    """A transfer that breaks again and again but makes progress is not given up."""
    destination.inject(get_object(kind="truncate", after_bytes=2 * MB, times=2), get_object(kind="error", times=4))
    stored = await destination.store()

    assert destination.holds_only(stored)
    assert (destination.gets(), stored.bytes_moved) == (7, stored.size_bytes)


async def test_a_server_that_ignores_ranges(destination):
    """If the server sends the whole package instead of the rest, the partial download restarts."""
    destination.inject(get_object(kind="truncate", after_bytes=3 * MB), get_object(kind="ignore_range"))
    stored = await destination.store()

    assert destination.holds_only(stored)
    assert stored.size_bytes + MB < stored.bytes_moved <= stored.size_bytes + 3 * MB
