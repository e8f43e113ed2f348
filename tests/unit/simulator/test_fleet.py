"""The fleet is a pure function of its seed, as varied as AWS, and takes no memory."""

import base64
import hashlib
import io
import re
import tracemalloc
import zipfile
from collections import Counter
from itertools import islice

import pytest
from botocore.loaders import Loader

from lexport.model import LATEST, Scope
from lexport.simulator import Change, Fleet, FleetSpec, lambda_documents
from lexport.simulator.package_files import package
from lexport.simulator.seeded import VersionNumbers

SCOPE = Scope(account_id="111122223333", region="us-east-1")


def versions_of(fleet, scope=SCOPE):
    for index in fleet.indexes(scope):
        for number in (LATEST, *map(str, fleet.published(scope, index))):
            yield fleet.version(scope, index, number)


def documents(fleet, scope=SCOPE):
    for version in versions_of(fleet, scope):
        location = "https://example/link" if lambda_documents.has_location(version) else None
        qualifier = None if version.version == LATEST else version.version
        yield lambda_documents.get_function(version, arn_qualifier=qualifier, location=location)


def paths_of(document, path=""):
    """Every path of a document that holds a value; lists and the two free maps count as one."""
    if isinstance(document, dict) and path not in ("Tags", "Configuration.Environment.Variables"):
        for name, value in document.items():
            yield from paths_of(value, f"{path}.{name}" if path else name)
    elif isinstance(document, list):
        for item in document:
            yield from paths_of(item, path)
    elif document is not None:
        yield path


def modelled_paths():
    shapes = Loader().load_service_model("lambda", "service-2")["shapes"]

    def walk(name, path):
        shape = shapes[name]
        if shape["type"] == "structure":
            for member, target in shape["members"].items():
                yield from walk(target["shape"], f"{path}.{member}" if path else member)
        elif shape["type"] == "list":
            yield from walk(shape["member"]["shape"], path)
        else:
            yield path

    # Newer than the botocore that aiobotocore accepts.
    newest = {"RuntimeConfig.RuntimeArn", "RuntimeConfig.RuntimeAlias", "AcceleratorConfig.AcceleratorMemorySize"}
    return set(walk("GetFunctionResponse", "")) | {f"Configuration.{path}" for path in newest}


def test_same_seed_same_fleet():
    """The same seed makes the same answers, another seed makes other ones."""
    spec = FleetSpec(functions=20, versions=2)

    assert list(documents(Fleet(spec))) == list(documents(Fleet(spec)))
    assert list(documents(Fleet(spec))) != list(documents(Fleet(FleetSpec(functions=20, versions=2, seed=2))))


def test_every_leaf_occurs():
    """A hundred functions show every field of GetFunction's response, explicit nulls, and unknown fields."""
    found = set()
    nulls = False
    for document in documents(Fleet(FleetSpec(functions=100, versions=2))):
        found |= set(paths_of(document))
        nulls = nulls or document["Configuration"].get("VpcConfig", "") is None

    assert modelled_paths() - found == set()
    assert nulls
    unknown = {path for path in found - modelled_paths() if "Future" not in path}
    assert unknown == set()
    assert {path.partition("FutureField")[0] for path in found if ".FutureField" in f".{path}"} == {
        "",
        "Configuration.",
        "Configuration.Layers.",
        "Configuration.FileSystemConfigs.",
        "Configuration.VpcConfig.",
    }


@pytest.mark.parametrize("mean", [0, 1, 3, 10])
def test_mean_of_versions_is_exact(mean):
    """Over an even number of functions the mean of published versions is exactly the requested one."""
    fleet = Fleet(FleetSpec(functions=40, versions=mean))
    counts = Counter(version.version == LATEST for version in versions_of(fleet))

    assert counts == Counter({True: 40, False: 40 * mean}) - Counter()
    assert fleet.counts(SCOPE).versions == 40 * (1 + mean)
    assert fleet.counts(SCOPE).functions == 40


def test_numbers_have_holes_and_go_on_behind_any_number():
    """Version numbers may have a hole, and listing goes on behind a number whether it exists or not."""
    numbers = VersionNumbers(4, 3)

    assert [numbers.at(position) for position in range(4)] == [1, 2, 4, 5]
    assert [[numbers.at(p) for p in numbers.after(n)] for n in range(7)] == [
        [1, 2, 4, 5],
        [2, 4, 5],
        [4, 5],
        [4, 5],
        [5],
        [],
        [],
    ]
    assert [n for n in range(8) if n in numbers] == [1, 2, 4, 5]


def test_names_are_legal_unique_and_found_again():
    """Names are legal, unique, and lead back to their function."""
    fleet = Fleet(FleetSpec(functions=500, versions=0))
    names = list(fleet.names(SCOPE))

    assert len(set(names)) == 500
    assert all(re.fullmatch(r"[a-zA-Z0-9-_]{1,64}", name) for name in names)
    assert [fleet.index(SCOPE, name) for name in names] == list(range(500))
    assert fleet.index(SCOPE, "no-such-function-7") is None
    assert fleet.index(SCOPE, fleet.name(500)) is None


def test_packages_are_true():
    """CodeSha256 and CodeSize are those of a sound zip; some packages are shared."""
    owners = {}
    for version in versions_of(Fleet(FleetSpec(functions=60, versions=3))):
        if version.function.image is not None:
            assert (version.code_size_bytes, len(version.code_sha256)) == (0, 64)
            continue
        body = package(1, version.package_key).body
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()

        assert (version.code_size_bytes, version.code_sha256) == (len(body), digest)
        assert zipfile.ZipFile(io.BytesIO(body)).testzip() is None
        assert 1_000 <= len(body) <= 4_096
        owners.setdefault(digest, set()).add(version.function.name)
    assert any(len(names) > 1 for names in owners.values())


def test_a_million_versions_take_no_memory():
    """A fleet of a million versions is there at once and can be read from anywhere."""
    tracemalloc.start()
    fleet = Fleet(FleetSpec(functions=100_000, versions=9))
    found = list(islice(fleet.indexes(SCOPE, 99_990), 100))
    deep = Fleet(FleetSpec(functions=2, versions=1_000_000))
    last = list(islice(deep.published(SCOPE, 0, 999_990), 5))
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(found) == 10
    assert len(last) == 5
    assert deep.version(SCOPE, 0, str(last[-1])) is not None
    assert peak_bytes < 1_000_000


def test_regions_and_accounts_have_fleets_of_their_own():
    """Each account-region of the fleet has other functions under the same names; other ones are empty."""
    spec = FleetSpec(functions=4, versions=1, accounts=("111122223333", "111122223334"), regions=("us-east-1",))
    fleet = Fleet(spec)
    other = Scope(account_id="111122223334", region="us-east-1")
    empty = Scope(account_id="111122223333", region="eu-west-1")

    assert list(fleet.names(SCOPE)) == list(fleet.names(other))
    assert fleet.function(SCOPE, 0).role != fleet.function(other, 0).role
    assert list(fleet.names(empty)) == []


# --- changes ------------------------------------------------------------------------------------------------------


@pytest.fixture
def change(fleet):
    def make(kind, name=None, **fields):
        fleet.apply(Change(kind=kind, scope=SCOPE, function_name=name or fleet.name(0), **fields))

    return make


def test_delete_and_recreate(fleet, change):
    """A deleted function is gone; made anew it has its name, other facts, and no versions or aliases."""
    before, name = fleet.function(SCOPE, 0), fleet.name(0)
    change("delete_function")

    assert fleet.index(SCOPE, name) is None
    assert fleet.counts(SCOPE).functions == fleet.account_settings(SCOPE)["function_count"] == 59
    change("recreate_function")
    after = fleet.function(SCOPE, 0)

    assert (after.name, after.role == before.role) == (name, False)
    assert list(fleet.published(SCOPE, 0)) == fleet.aliases(SCOPE, 0) == []
    assert fleet.account_settings(SCOPE)["function_count"] == 60


def test_publish_and_delete_versions(fleet, change):
    """A new version is a copy of `$LATEST`, its number is never reused, and `$LATEST` gets a new RevisionId."""
    numbers = list(fleet.published(SCOPE, 0))
    latest = fleet.version(SCOPE, 0, LATEST)
    change("publish_version")
    made = fleet.version(SCOPE, 0, str(numbers[-1] + 1))

    assert list(fleet.published(SCOPE, 0)) == [*numbers, numbers[-1] + 1]
    assert (made.code_sha256, made.memory_mb, made.environment) == (
        latest.code_sha256,
        latest.memory_mb,
        latest.environment,
    )
    assert fleet.version(SCOPE, 0, LATEST).revision_id != latest.revision_id
    change("delete_version", version=str(numbers[-1] + 1))
    change("publish_version")

    assert list(fleet.published(SCOPE, 0)) == [*numbers, numbers[-1] + 2]


def test_tags_concurrency_and_configuration(fleet, change):
    """Tags, concurrency and configuration change for one function, and for no other."""
    number = str(next(fleet.published(SCOPE, 0)))
    old, latest = fleet.version(SCOPE, 0, number), fleet.version(SCOPE, 0, LATEST)
    change("set_tags", tags={"a": "b"})
    change("set_reserved_concurrency", reserved_concurrency=0)
    change("update_config", memory_mb=4096, description="new")
    change("update_code")
    now = fleet.version(SCOPE, 0, LATEST)

    assert (now.function.tags, now.function.reserved_concurrency) == ({"a": "b"}, 0)
    assert (now.memory_mb, now.description) == (4096, "new")
    assert now.environment == latest.environment
    assert now.code_sha256 != latest.code_sha256
    assert now.last_modified_at > latest.last_modified_at
    assert fleet.version(SCOPE, 0, number).revision_id == old.revision_id
    assert fleet.version(SCOPE, 0, number).memory_mb == old.memory_mb


def test_aliases_move(fleet, change):
    """A moved alias points at one version and has a new RevisionId; changes that AWS would refuse are refused."""
    index = next(i for i in fleet.indexes(SCOPE) if fleet.aliases(SCOPE, i))
    name, alias = fleet.name(index), fleet.aliases(SCOPE, index)[0]
    change("move_alias", name, alias=alias.name, version=LATEST)
    moved = fleet.aliases(SCOPE, index)[0]

    assert (moved.function_version, moved.weights) == (LATEST, None)
    assert moved.revision_id != alias.revision_id
    with pytest.raises(ValueError, match="no version"):
        change("move_alias", name, alias=alias.name, version="99999")
    with pytest.raises(ValueError, match="never a function"):
        change("delete_function", "nobody-1")
