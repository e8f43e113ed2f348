"""Error responses, redirects and full disks: each download ends with its own error, which never shows the link."""

import asyncio
import functools
import logging
import resource
import traceback
from urllib.parse import urlsplit

import pytest

from lexport.errors import LinkExpiredError, PackageDeniedError, PackageError, TransferError, WriteError
from lexport.model import PackageRef
from lexport.simulator import Fault

pytestmark = pytest.mark.asyncio

MB = 1_000_000
get_object = functools.partial(Fault, operation="GetObject")


# --- error responses --------------------------------------------------------------------------------------------------


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
async def test_errors_of_s3(destination, fault, kind, code, gets):
    """Final errors are tried once, retryable ones until the attempts are used up; S3's message is kept."""
    destination.inject(get_object(kind="error", times=None, **fault))
    with pytest.raises(PackageError) as caught:
        await destination.store()

    assert (type(caught.value), caught.value.code, caught.value.http_status) == (kind, code, fault["status"])
    assert f"{code}: {fault['message']} (HTTP {fault['status']})" in str(caught.value)
    assert (destination.gets(), destination.files()) == (gets, {})


@pytest.mark.parametrize("fault", [{"status": 500, "code": "InternalError"}, {"status": 503, "code": "SlowDown"}])
async def test_transient_errors_of_s3(destination, fault):
    """A package is stored in spite of transient errors."""
    destination.inject(get_object(kind="error", times=3, **fault))
    stored = await destination.store()

    assert destination.holds_only(stored)


@pytest.mark.parametrize("location", ["https://example.com/{canary}", "http://169.254.169.254/latest/{canary}"])
async def test_no_redirect_is_followed(destination, location):
    """A redirect is an error; its target is neither opened nor named in the message."""
    headers = {"Location": location.format(canary="canary")}
    destination.inject(get_object(kind="redirect", headers=headers))
    with pytest.raises(PackageError) as caught:
        await destination.store()
    host = urlsplit(destination.aws.url).netloc

    assert (caught.value.code, caught.value.http_status, destination.gets()) == ("redirect", 307, 1)
    assert str(caught.value).startswith(f"{host} answered the package link with a redirect (HTTP 307)")
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("kind", ["html", "empty"])
async def test_responses_that_are_not_from_s3(destination, kind):
    """The page of a captive portal is not stored as a package."""
    destination.inject(get_object(kind=kind, status=403, times=None))
    with pytest.raises(PackageError, match="a proxy may stand in between") as caught:
        await destination.store()

    assert (caught.value.code, destination.files()) == ("http_403", {})


# --- links are credentials --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        get_object(kind="expired", times=None),
        get_object(kind="corrupt", times=None),
        get_object(kind="reset", times=None),
        get_object(kind="reset", after_bytes=10, times=None),
        get_object(kind="truncate", after_bytes=10, times=None),
        get_object(kind="html", status=502, times=None),
        get_object(kind="html", status=403, times=None),
        get_object(kind="redirect", headers={"Location": "/x?X-Amz-Signature=canary"}),
        get_object(kind="error", status=403, code="SignatureDoesNotMatch", message="X-Amz-Signature=canary is wrong"),
        get_object(kind="error", status=403, code="AccessDenied", message="http://h/x?X-Amz-Signature=canary"),
    ],
    ids=lambda fault: f"{fault.kind} {fault.status or ''}",
)
async def test_links_are_never_shown(destination, fault, caplog):
    """No debug log, message, repr, traceback or chained exception holds any part of a link's signature."""
    caplog.set_level(logging.DEBUG)
    asyncio.get_running_loop().set_debug(True)
    destination.inject(fault)
    link = await destination.request_link()
    with pytest.raises(PackageError) as caught:
        await destination.store(link=link)
    texts = [caplog.text, repr(link), repr(caught.value), *map(repr, caught.value.args)]
    texts.append("".join(traceback.format_exception(caught.value)))
    error = caught.value
    while error is not None:
        texts += [str(error), repr(vars(error))]
        error = error.__cause__ or error.__context__

    for secret in (*urlsplit(link.url).query.split("&")[1:], "canary", "X-Amz-Signature"):
        assert all(secret not in text for text in texts), secret


# --- the disk ---------------------------------------------------------------------------------------------------------


async def test_a_full_disk_loses_the_package_only(destination):
    """A full disk is a PackageError; the partial download frees its space, and the package can be stored later."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 * MB, before[1]))  # the kernel refuses with EFBIG
    try:
        with pytest.raises(PackageError) as caught:
            await destination.store()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    left = destination.files()
    stored = await destination.store()

    assert (caught.value.code, caught.value.bytes_moved > 0, left) == ("disk_full", True, {})
    assert "free some" in str(caught.value)
    assert destination.holds_only(stored)


async def test_a_disk_that_cannot_be_written_ends_the_run(destination):
    """A destination where no folder can be made is a WriteError, which ends the run."""
    destination.root.write_text("a file, not a folder")
    with pytest.raises(WriteError):
        await destination.store()


async def test_a_damaged_file_is_replaced(destination):
    """A stored file of the wrong size is downloaded again; a right file of unknown size is not."""
    stored = await destination.store()
    path = destination.root / stored.path
    path.write_bytes(path.read_bytes()[:1000])
    again = await destination.store(package=stored.package)
    unsized = await destination.store(package=PackageRef(code_sha256=stored.package.code_sha256, size_bytes=None))

    assert (again.was_present, unsized.was_present) == (False, True)
    assert (unsized.size_bytes, unsized.path) == (stored.size_bytes, stored.path)
    assert destination.holds_only(again)
