"""A bucket whose answers are lost, late or wrong: no write is doubled, none is called a conflict that was our own."""

from __future__ import annotations

import hashlib
import itertools

import pytest
from obstore.store import S3Store
from tiny_s3 import cut, do_and_drop, do_and_refuse, drop, open_tiny_s3, refuse, then

from lexport.dataset.cloud import CloudStore
from lexport.dataset.object_stores import ObjectStores
from lexport.dataset.requests import ATTEMPTS, Requests
from lexport.errors import PublishError, UnknownCommitError, WriteDeniedError, WriteError

TIMEOUT_S = 0.3
SECRET = "secret-canary-0123456789"


@pytest.fixture
def s3():
    with open_tiny_s3() as server:
        yield server


@pytest.fixture
def make_store(s3, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def make(renew=lambda: False, url=None):
        config = {
            "endpoint": f"{url or s3.url}/bucket",
            "virtual_hosted_style_request": True,
            "region": "eu-west-1",
            "access_key_id": "testing",
            "secret_access_key": SECRET,
            "checksum_algorithm": "sha256",
            "disable_bulk_delete": True,
        }
        stores = ObjectStores(
            lambda timeout_s: S3Store(
                "bucket",
                config=config,
                client_options={"allow_http": True, "timeout": f"{int(timeout_s * 1000)}ms"},
                retry_config={"max_retries": 0},
            ),
            renew,
        )
        requests = Requests(stores, timeout_s=TIMEOUT_S)
        return CloudStore("s3://bucket/pre", "pre", requests, cache_size_bytes=10**9)

    return make


@pytest.fixture
def store(make_store):
    return make_store()


def hang(handler, _carry_out):
    """Answer nothing until the client gives up."""
    handler.rfile.read(1)
    handler.close_connection = True


LOST = [do_and_drop, do_and_refuse(500, "InternalError"), do_and_refuse(504, "GatewayTimeout")]
NOT_DONE = [
    drop,
    refuse(500, "InternalError"),
    refuse(503, "SlowDown"),
    refuse(503, "SlowDown", **{"Retry-After": "1"}),
    refuse(429, "TooManyRequests"),
    refuse(502, "BadGateway"),
    refuse(409, "ConditionalRequestConflict"),
]


@pytest.mark.parametrize("faults", [*([fault] for fault in NOT_DONE), [drop, NOT_DONE[1], drop]])
def test_a_create_that_was_not_carried_out_is_repeated(s3, store, faults):
    """After a failure that left nothing, the object is created by a later attempt."""
    s3.faults["PUT"] = list(faults)

    assert store.create("a", b"one") is None
    assert s3.objects == {"pre/a": b"one"}
    assert s3.methods().count("PUT") == 1 + len(faults)


@pytest.mark.parametrize("fault", LOST)
def test_a_create_whose_answer_was_lost_is_read_back(s3, store, fault):
    """An object that is there with the own bytes after a lost answer is the own one, not a conflict."""
    s3.faults["PUT"] = [fault]

    assert store.create("a", b"one") is None
    assert s3.methods().count("PUT") == 1


@pytest.mark.parametrize("fault", [*LOST, *NOT_DONE])
def test_another_writer_in_between_wins(s3, store, fault):
    """Where another writer created the object before a failure is looked into, that is a conflict."""
    s3.faults["PUT"] = [fault]
    s3.faults["HEAD"] = [then(lambda: s3.objects.update({"pre/a": b"another"}))]
    if fault in NOT_DONE[2:5]:  # nothing is looked into: the request is sent again
        s3.faults["PUT"].append(then(lambda: s3.objects.update({"pre/a": b"another"})))
    with pytest.raises(PublishError):
        store.create("a", b"one")

    assert s3.objects == {"pre/a": b"another"}


def test_a_precondition_that_failed_is_final(s3, store):
    """After 412 nothing else is asked, also where the object has the own bytes."""
    s3.objects["pre/a"] = b"one"
    with pytest.raises(PublishError):
        store.create("a", b"one")

    assert s3.methods() == ["PUT"]


def test_an_own_request_that_was_late_is_no_conflict(s3, store):
    """Where the first request is carried out after it was looked for, the 412 of the second one is the own doing."""
    s3.faults["PUT"] = [drop, then(lambda: s3.objects.update({"pre/a": b"one"}))]

    assert store.create("a", b"one") is None
    assert s3.methods().count("PUT") == 2


@pytest.mark.parametrize(
    ("fault", "error", "said"),
    [
        (refuse(503, "SlowDown"), WriteError, "503 SlowDown: scripted"),
        (refuse(500, "InternalError"), WriteError, "500 InternalError"),
        (refuse(409, "ConditionalRequestConflict"), WriteError, "409 ConditionalRequestConflict"),
        (refuse(403, "AccessDenied"), WriteDeniedError, "403 AccessDenied"),
        (refuse(400, "InvalidRequest"), WriteError, "400 InvalidRequest"),
        (refuse(501, "NotImplemented"), WriteError, "501 NotImplemented"),
        (drop, UnknownCommitError, "may still be carried out"),
        (refuse(504, "GatewayTimeout"), UnknownCommitError, "may still be carried out"),
    ],
)
def test_an_endless_failure_ends(s3, store, fault, error, said):
    """A failure that goes on ends after a bounded number of attempts; what may still come is not called unwritten."""
    s3.faults["PUT"] = [fault] * 100
    with pytest.raises(error, match=said) as raised:
        store.create("a", b"one")

    assert type(raised.value) is error
    assert s3.methods().count("PUT") <= ATTEMPTS
    assert SECRET not in str(raised.value)
    assert raised.value.path == "s3://bucket/pre/a"
    assert s3.objects == {}


def test_a_refusal_is_not_repeated(s3, store):
    """What would be refused again is asked once."""
    s3.faults["PUT"] = [refuse(403, "AccessDenied")] * 9
    with pytest.raises(WriteError):
        store.create("a", b"one")

    assert s3.methods() == ["PUT"]


def test_a_server_that_does_not_answer_is_given_up(s3, store):
    """A request without an answer ends after its time-out, and the object is read back."""
    s3.faults["PUT"] = [hang]

    assert store.create("a", b"one") is None
    assert s3.methods()[:2] == ["PUT", "HEAD"]


def test_nobody_listens(make_store):
    """Where no connection is made, nothing was written, and that is what the error says."""
    with pytest.raises(WriteError, match="no connection could be made: Connection refused") as raised:
        make_store(url="http://127.0.0.1:9").create("a", b"one")

    assert not isinstance(raised.value, UnknownCommitError)


def test_an_object_that_cannot_be_read_back(s3, store):
    """Where the answer was lost and nothing can be read, it is not known what is there."""
    s3.faults = {"PUT": [do_and_drop], "HEAD": [refuse(403, "")] * 99}
    with pytest.raises(UnknownCommitError, match="it is not known whether s3://bucket/pre/a was written"):
        store.create("a", b"one")


@pytest.mark.parametrize("fault", LOST)
def test_a_swap_whose_answer_was_lost(s3, store, fault):
    """A swap that was carried out without an answer has happened, once."""
    s3.objects["pre/a"] = b"one"
    s3.faults["PUT"] = [fault]

    assert store.swap("a", b"two", expected=b"one")
    assert s3.objects == {"pre/a": b"two"}


@pytest.mark.parametrize("fault", NOT_DONE)
def test_a_swap_that_failed_is_repeated(s3, store, fault):
    """After a failure, also 409, the ETag is read again and the swap is tried again."""
    s3.objects["pre/a"] = b"one"
    s3.faults["PUT"] = [fault]

    assert store.swap("a", b"two", expected=b"one")
    assert s3.methods().count("GET") == 2


def test_a_swap_that_somebody_else_made_first(s3, store):
    """A change between the reading and the writing of a swap is not overwritten."""
    s3.objects["pre/a"] = b"one"
    s3.faults["PUT"] = [then(lambda: s3.objects.update({"pre/a": b"another"}))]

    assert not store.swap("a", b"two", expected=b"one")
    assert s3.objects == {"pre/a": b"another"}


@pytest.mark.parametrize(
    "fault", [drop, cut, refuse(500, "InternalError"), refuse(503, "SlowDown"), do_and_refuse(504, "")]
)
def test_reading_goes_on_after_a_failure(s3, store, fault):
    """Every way of reading is repeated, and a body that breaks off is never taken for the whole."""
    s3.objects = {"pre/a": b"0123456789", "pre/b/c": b""}
    for read, expected in (
        (lambda: store.read("a"), b"0123456789"),
        (lambda: store.read_range("a", 2, 4), b"2345"),
        (lambda: store.names(""), ["a", "b"]),
        (lambda: [file.path for file in store.files("")], ["a", "b/c"]),
    ):
        s3.faults["GET"] = [fault]
        assert read() == expected
    digest = hashlib.sha256(b"0123456789").hexdigest()
    s3.faults["GET"] = [fault]
    assert store.local_copy("a", size_bytes=10, sha256=digest).read_bytes() == b"0123456789"


@pytest.mark.parametrize(
    ("fault", "error"), [(refuse(403, "AccessDenied"), PermissionError), (refuse(503, "SlowDown"), OSError)]
)
def test_denied_is_never_empty(s3, store, fault, error):
    """A listing or a read that fails raises; it never looks like an empty folder or an absent file."""
    for read in (store.names, lambda path: list(store.files(path)), store.read, store.stat):
        s3.faults = {"GET": [fault] * 99, "HEAD": [fault] * 99}
        with pytest.raises(error) as raised:
            read("a")
        assert not isinstance(raised.value, FileNotFoundError)
        assert "s3://bucket/pre/a" in str(raised.value)
        assert SECRET not in str(raised.value)


def test_an_absent_bucket_is_no_absent_file(s3, store):
    """NoSuchBucket is an error of its own, so that a dataset does not look empty."""
    s3.faults["GET"] = [refuse(404, "NoSuchBucket")] * 9
    for read in (store.names, store.read):
        with pytest.raises(OSError, match="the bucket does not exist") as raised:
            read("a")
        assert not isinstance(raised.value, FileNotFoundError)


def test_expired_credentials_are_renewed_once(s3, make_store):
    """After ExpiredToken the credentials are loaded again; where there are no newer ones, that is denied."""
    s3.faults["PUT"] = [refuse(400, "ExpiredToken")]
    renewals = itertools.count()
    make_store(renew=lambda: next(renewals) < 1).create("a", b"one")
    assert s3.objects == {"pre/a": b"one"}

    s3.faults["GET"] = [refuse(400, "ExpiredToken")] * 9
    with pytest.raises(PermissionError, match="400 ExpiredToken"):
        make_store().read("a")


@pytest.mark.parametrize("fault", [drop, do_and_drop, refuse(500, "InternalError"), refuse(503, "SlowDown")])
def test_a_deletion_is_repeated(s3, store, fault):
    """An object is gone after a deletion that failed at first, also where the answer was lost."""
    s3.objects = {"pre/a": b"one", "pre/b": b"two"}
    s3.faults["DELETE"] = [fault]
    store.remove("a")

    assert s3.objects == {"pre/b": b"two"}


def test_a_deletion_that_is_denied(s3, store):
    """A deletion that is refused is an error, and the object stays."""
    s3.objects["pre/a"] = b"one"
    s3.faults["DELETE"] = [refuse(403, "AccessDenied")]
    with pytest.raises(PermissionError, match="403 AccessDenied"):
        store.remove("a")

    assert s3.methods() == ["DELETE"]


def test_what_is_sent_has_its_length_and_hash(s3, store, tmp_path):
    """A file goes out as one PUT with its length, its SHA-256 and the condition; there are no parts."""
    body = b"x" * 6_000_000
    (tmp_path / "file").write_bytes(body)
    store.place(tmp_path / "file", "a", sha256=hashlib.sha256(body).hexdigest())

    assert s3.methods() == ["PUT"]
    headers = {name.lower(): value for name, value in s3.headers("PUT").items()}
    assert headers["content-length"] == str(len(body))
    assert headers["if-none-match"] == "*"
    assert bytes.fromhex(headers["x-amz-content-sha256"]) == hashlib.sha256(body).digest()
    assert "x-amz-checksum-sha256" in headers


def test_a_server_that_ignores_conditions_is_seen(s3, store):
    """A server that overwrites in spite of If-None-Match is told by a second create that is not refused."""
    s3.ignores_conditions = True

    assert store.create("a", b"one") is None
    assert store.create("a", b"two") is None


def test_a_damaged_object_does_not_get_into_the_cache(s3, store):
    """An object with other bytes than the manifest says is refused each time, and nothing of it stays."""
    s3.objects["pre/a"] = b"damaged"
    for _ in range(2):
        with pytest.raises(OSError, match="its SHA-256 is"):
            store.local_copy("a", size_bytes=7, sha256=hashlib.sha256(b"correct").hexdigest())

    s3.objects["pre/a"] = b"correct"
    copy = store.local_copy("a", size_bytes=7, sha256=hashlib.sha256(b"correct").hexdigest())
    assert copy.read_bytes() == b"correct"
