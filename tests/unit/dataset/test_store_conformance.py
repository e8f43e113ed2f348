"""What every store does, on a folder, in memory, and on real servers: SeaweedFS, moto, Azurite."""

from __future__ import annotations

import base64
import email.utils
import hashlib
import hmac
import os
import stat
import threading
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from object_servers import AZURITE_ACCOUNT, has_azurite, make_bucket, run_azurite
from obstore.store import MemoryStore

from lexport.dataset.address import parse_address
from lexport.dataset.cloud import CloudStore
from lexport.dataset.local import LocalStore
from lexport.dataset.object_stores import ObjectStores, object_stores
from lexport.dataset.open_store import open_store
from lexport.dataset.requests import Requests
from lexport.dataset.scratch import remove_folder
from lexport.errors import PublishError, WriteError
from lexport.settings import Destination

KINDS = ("folder", "memory", "seaweed", "moto", "azurite")
AZURITE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
BODY = b"0123456789"
BIG = bytes(range(256)) * 40_000  # more than one chunk of a download


@dataclass(frozen=True)
class Named:
    path: str
    body: bytes

    @property
    def size_bytes(self):
        return len(self.body)

    @property
    def sha256(self):
        return hashlib.sha256(self.body).hexdigest()


@pytest.fixture(scope="session")
def azurite(tmp_path_factory):
    if not has_azurite():
        give_up = pytest.fail if os.environ.get("LEXPORT_REQUIRE_ALL") == "1" else pytest.skip
        give_up("needs Azurite; run: make azurite")
    with run_azurite(tmp_path_factory.mktemp("azurite")) as url:
        yield url


def make_container(url, name):
    """Create a container with a request signed by hand: obstore has none for that."""
    date = email.utils.formatdate(usegmt=True)
    path = f"/{AZURITE_ACCOUNT}/{name}"
    signed = (
        "PUT" + "\n" * 12 + f"x-ms-date:{date}\nx-ms-version:2021-08-06\n/{AZURITE_ACCOUNT}{path}\nrestype:container"
    )
    signature = base64.b64encode(hmac.digest(base64.b64decode(AZURITE_KEY), signed.encode(), "sha256")).decode()
    headers = {
        "x-ms-date": date,
        "x-ms-version": "2021-08-06",
        "Authorization": f"SharedKey {AZURITE_ACCOUNT}:{signature}",
    }
    request = urllib.request.Request(f"{url}{path}?restype=container", method="PUT", headers=headers)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
        assert answer.status == 201


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def opened():
    """What was opened for this module, by kind: a bucket, and how to reach it. Each test has a prefix of its own."""
    return {}


@pytest.fixture
def bucket_of_kind(kind, opened, request):
    """The bucket on SeaweedFS or moto; None for any other store."""
    if kind not in ("seaweed", "moto"):
        return None
    endpoint = request.getfixturevalue("seaweed" if kind == "seaweed" else "moto_server")
    request.getfixturevalue("aws").setenv("AWS_ENDPOINT_URL_S3", endpoint)
    if kind not in opened:
        bucket = make_bucket(endpoint)
        address = parse_address(bucket.url)
        opened[kind] = bucket, Requests(object_stores(address, Destination(bucket.url), None), timeout_s=30)
    return opened[kind][0]


@pytest.fixture
def reopen(kind, opened, bucket_of_kind, tmp_path, request, monkeypatch):
    """Open the destination, each time anew: ``reopen()``."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    if kind == "folder":
        return lambda: open_store(tmp_path / "dest")
    prefix = f"{os.urandom(6).hex()}/pre fix"
    if kind == "memory":
        memory = MemoryStore()
        url, requests = "gs://bucket", Requests(ObjectStores(lambda _: memory), timeout_s=30)
    elif kind == "azurite":
        server = request.getfixturevalue("azurite")
        monkeypatch.setenv("AZURE_STORAGE_USE_EMULATOR", "true")
        monkeypatch.setenv("AZURITE_BLOB_STORAGE_URL", server)
        if kind not in opened:
            make_container(server, "lexport")
            opened[kind] = True
        return lambda: open_store(f"az://lexport/{prefix}")
    else:
        url, requests = bucket_of_kind.url, opened[kind][1]
    return lambda: CloudStore(f"{url}/{prefix}", prefix, requests, cache_size_bytes=10**9)


@pytest.fixture
def store(reopen):
    return reopen()


@pytest.fixture
def place(store, tmp_path):
    def put(path, body, **more):
        source = tmp_path / f"source-{len(list(tmp_path.iterdir()))}"  # the store in memory keeps the mapping
        source.write_bytes(body)
        store.place(source, path, **more)
        store.sync_folder(path.rpartition("/")[0])
        return Named(path, body)

    return put


def test_created_files_are_found_by_another_store(store, reopen):
    """A file that was created is in listings and can be read at once, whoever opens the destination."""
    before = datetime.now(UTC) - timedelta(minutes=1)
    assert store.create("_runs/a.json", BODY) is None
    other = reopen()

    assert other.url == store.url
    assert other.read("_runs/a.json") == BODY
    assert other.names("") == ["_runs"]
    assert other.names("_runs") == ["a.json"]
    (file,) = other.files("")
    assert file == other.stat("_runs/a.json")
    assert (file.path, file.size_bytes) == ("_runs/a.json", len(BODY))
    assert before < file.modified_at < datetime.now(UTC) + timedelta(minutes=1)
    assert file.modified_at.utcoffset() == timedelta()


def test_a_name_is_taken_once(store, reopen):
    """A second create with other bytes is refused, and the first bytes stay."""
    store.create("a.json", b"one")
    with pytest.raises(PublishError) as refused:
        reopen().create("a.json", b"two")

    assert refused.value.destination == store.url
    assert store.read("a.json") == b"one"


def test_one_of_many_creators_wins(store, reopen):
    """Of sixteen writers at once exactly one creates the file, and it has that writer's bytes."""
    won, refused = [], []
    start = threading.Barrier(16)
    stores = [store, reopen()]

    def create(number):
        start.wait()
        try:
            stores[number % 2].create("a.json", b"%d" % number)
            won.append(number)
        except PublishError:
            refused.append(number)

    threads = [threading.Thread(target=create, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(won) == 1
    assert len(refused) == 15
    assert store.read("a.json") == b"%d" % won[0]


def test_listings(store):
    """Folders and files of a folder are listed without those below and beside; an absent folder is empty."""
    paths = ["a/1", "a/2", "a/b/3", "ab/4", "c"]
    for path in paths:
        store.create(path, b"")

    assert store.names("") == ["a", "ab", "c"]
    assert store.names("a") == ["1", "2", "b"]
    assert store.names("none") == []
    assert sorted(file.path for file in store.files("a")) == ["a/1", "a/2", "a/b/3"]
    assert sorted(file.path for file in store.files("")) == paths
    assert list(store.files("none")) == []


def test_odd_names(store):
    """Names that URLs must quote come back as they were."""
    path = "snapshot_date=2026-11-30/a b+c%20#ü&'.parquet"
    store.create(path, BODY)

    assert store.names("snapshot_date=2026-11-30") == ["a b+c%20#ü&'.parquet"]
    assert [file.path for file in store.files("")] == [path]
    assert store.read(path) == BODY
    store.remove(path)
    assert store.names("") in ([], ["snapshot_date=2026-11-30"])


def test_reading(store):
    """A whole file is read up to a limit, a part of it only to its end; an absent file is FileNotFoundError."""
    store.create("a", BODY)

    assert store.read("a", most_bytes=10) == BODY
    with pytest.raises(OSError, match="10 bytes, more than 9"):
        store.read("a", most_bytes=9)
    assert store.read_range("a", 2, 3) == b"234"
    assert store.read_range("a", 8, 5) == b"89"
    assert store.read_range("a", 10, 5) == b""
    for read in (store.stat, store.read, lambda path: store.read_range(path, 0, 1)):
        with pytest.raises(FileNotFoundError):
            read("absent")
        with pytest.raises(FileNotFoundError):
            read("absent/absent")


def test_replacing(store):
    """A file that one process writes has the new bytes, whether it was there or not."""
    store.replace("hint", b"one")
    store.replace("hint", b"two, longer")

    assert store.read("hint") == b"two, longer"


@pytest.mark.parametrize(
    ("before", "expected", "is_written"),
    [(None, None, True), (b"1", None, False), (b"1", b"1", True), (b"1", b"2", False), (None, b"1", False)],
)
def test_swapping(store, before, expected, is_written):
    """A file is swapped only where it has the expected content, or is absent as expected."""
    if before is not None:
        store.create("hint", before)

    assert store.swap("hint", b"new", expected=expected) is is_written
    if is_written:
        assert store.read("hint") == b"new"
    elif before is None:
        assert store.names("") == []
    else:
        assert store.read("hint") == before


def test_no_swap_is_lost(store, kind):
    """Eight writers that count up together by swapping lose no step."""
    if kind == "folder":
        pytest.skip("a folder compares and writes in two steps; its caller looks again")
    store.create("count", b"0")

    def count_up():
        for _ in range(3):
            while True:
                before = store.read("count")
                if store.swap("count", b"%d" % (int(before) + 1), expected=before):
                    break

    threads = [threading.Thread(target=count_up) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert store.read("count") == b"24"


@pytest.mark.parametrize("body", [b"", BODY, BIG], ids=["empty", "small", "big"])
def test_placing(store, place, body, bucket_of_kind):
    """A finished file gets its name whole, without parts of an upload, and a copy of it has the same bytes."""
    file = place("functions/a.parquet", body, sha256=hashlib.sha256(body).hexdigest())

    assert store.stat(file.path).size_bytes == len(body)
    assert store.local_copy(file.path, size_bytes=len(body), sha256=file.sha256).read_bytes() == body
    assert bucket_of_kind is None or not bucket_of_kind.uploads()


def test_placing_takes_a_free_name(store, place):
    """A file is not placed over another one, which stays."""
    place("a", b"one")
    with pytest.raises(PublishError):
        place("a", b"two")

    assert store.read("a") == b"one"


def test_a_file_that_changed_is_not_sent(store, place, kind):
    """A draft whose bytes are no longer those that were hashed is not published to a bucket."""
    if kind == "folder":
        pytest.skip("no bytes move in a folder; verify reads them")
    with pytest.raises(WriteError, match="was changed before it was sent"):
        place("a", BODY, sha256="0" * 64)

    assert store.names("") == []


def test_copies(store, place, kind):
    """Copies come in the order that was asked, each file once; what differs from the manifest is refused."""
    one, two = place("a/1", BODY), place("a/2", BIG)

    assert [path.read_bytes() for path in store.local_copies([two, one, two])] == [BIG, BODY, BIG]
    with pytest.raises(OSError, match="has 10 bytes, the manifest says 11"):
        store.local_copy(one.path, size_bytes=11, sha256="0" * 64)
    with pytest.raises(FileNotFoundError):
        store.local_copies([Named("absent", b"x")])
    if kind != "folder":
        with pytest.raises(OSError, match="the manifest says 0000"):
            store.local_copy(one.path, size_bytes=10, sha256="0" * 64)


def test_a_second_copy_moves_no_byte(place, reopen, kind):
    """What is in the cache is not downloaded again, also by another process."""
    if kind == "folder":
        pytest.skip("no byte moves")
    files = [place(f"a/{number}", b"%d" % number * 1000) for number in range(20)]
    first, second = reopen(), reopen()
    first.local_copies(files)

    assert [path.read_bytes() for path in second.local_copies(files)] == [file.body for file in files]
    assert first.moved.received_bytes == sum(len(file.body) for file in files)
    assert (second.moved.received_bytes, second.moved.cached_files) == (0, 20)


def test_removing(store):
    """A removed file is gone at once, and removing it again is no error; a folder goes with all that is below."""
    for path in ("a/1", "a/b/2", "c"):
        store.create(path, BODY)
    store.remove("c")
    store.remove("c")

    assert store.names("") == ["a"]
    store.remove_folder("a")
    store.remove_folder("none")
    assert list(store.files("")) == []
    store.create("c", b"again")
    assert store.read("c") == b"again"


def test_scratch_is_private(store):
    """Drafts are written where nobody else can read them, and each call makes a folder of its own."""
    run = "01KB5Z6T0Q4W8X2M7R9C1V3N5J"
    one, two = store.open_scratch(run), store.open_scratch(run)

    assert one != two
    assert {stat.S_IMODE(path.stat().st_mode) for path in (one, two)} == {0o700}
    assert store.file_mode == 0o600
    for path in (one, two):
        remove_folder(path)
        assert not path.exists()


def test_paths_stay_within_the_destination(store, kind):
    """A path that leads out of the prefix is an error, and nothing is read or written there."""
    if isinstance(store, LocalStore):
        pytest.skip("tested in test_local.py")
    for act in (store.read, store.stat, store.names, store.remove, partial(store.create, body=BODY)):
        with pytest.raises(OSError, match="leads out of the destination"):
            act("../a")
