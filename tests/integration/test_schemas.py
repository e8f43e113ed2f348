"""The JSON schemas in ``docs/reference/schemas`` describe the files that a run writes, and refuse damaged ones."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio
from referencing import Registry
from referencing.jsonschema import DRAFT202012

import lexport
from lexport.dataset.manifest import Manifest, ManifestError
from lexport.model import RunSpec, ShardResult
from lexport.query.feed import write_feed
from lexport.simulator import Fault, Fleet, FleetSpec

NAMES = ("manifest", "run", "shard", "begun", "shard-plan", "shard-commit", "feed")
SCHEMAS = Path(__file__).parents[2] / "docs" / "reference" / "schemas"


def load(name):
    return json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))


def validator(name, part=""):
    """Return the validator of a schema, or of one of its definitions; the schemas name each other by their files."""
    from jsonschema import Draft202012Validator  # here, because it takes seconds, which each worker would wait for

    Draft202012Validator.check_schema(load(name))
    schemas = {f"{each}.schema.json": DRAFT202012.create_resource(load(each)) for each in NAMES}
    return Draft202012Validator(
        {"$ref": f"{name}.schema.json{part}"}, registry=Registry().with_resources(schemas.items())
    )


def shape(schema, root):
    """Return the names of the properties of a schema, of those below them too, and whether each is required."""
    if "$ref" in schema:
        file, _, path = schema["$ref"].partition("#/$defs/")
        root = load(file.removesuffix(".schema.json")) if file else root
        schema = root["$defs"][path]
    for part in [*schema.get("anyOf", ()), *schema.get("oneOf", ())]:
        schema = part if part.get("type") != "null" else schema
    if "$ref" in schema or "items" in schema:
        return shape(schema.get("items", schema), root)
    names = schema.get("properties", {})
    return {(name, name in schema.get("required", ())): shape(part, root) for name, part in names.items()}


def names(shape):
    """Return the names in a shape alone."""
    return {name: names(below) for (name, _), below in shape.items()}


@pytest_asyncio.fixture
async def manifests(simulator, aws, settings, tmp_path):
    """The manifests of a complete snapshot, of packages alone, of a partial one, and of a retirement, as documents."""
    fleet = Fleet(FleetSpec(functions=2, versions=1))
    async with simulator(fleet=fleet) as server:
        await lexport.snapshot(tmp_path / "fleet", settings(server.url))
        await lexport.packages(tmp_path / "fleet", settings(server.url, allow_partial=True))
        server.inject(Fault(operation="GetFunction", function_name=fleet.name(0), kind="denied", times=None))
        await lexport.snapshot(tmp_path / "fleet", settings(server.url, allow_partial=True))
    await lexport.retire(tmp_path / "fleet", "111122223333")
    return [json.loads(path.read_bytes()) for path in sorted(tmp_path.glob("fleet/_runs/*.json"))]


@pytest.mark.slow
@pytest.mark.asyncio
async def test_manifests_of_real_runs(manifests):
    """The manifests that runs write are valid, whatever kind of commit they are."""
    of_manifest = validator("manifest")

    assert [len(document["scopes"]) for document in manifests] == [1, 0, 1, 1]
    assert [document["status"] for document in manifests][:3:2] == ["complete", "partial"]
    assert [error.message for document in manifests for error in of_manifest.iter_errors(document)] == []


DAMAGES = {
    "another format": {"format": "lexport-manifest/3"},
    "no id": {"snapshot_id": "yesterday"},
    "no instant": {"snapshot_at": "yesterday"},
    "a negative number": {"gaps": -1},
    "another status": {"status": "fine"},
    "gaps that are complete": {"gaps": 3},
    "no list of files": {"files": None},
    "a path elsewhere": {"files": [{"path": "../../etc/passwd"}]},
    "no hash": {"files": [{"sha256": "ab"}]},
    "no account": {"scopes": [{"account_id": "me"}]},
    "an unknown state": {"scopes": [{"status": "fine"}]},
    "a snapshot that retires": {"scopes": [{"status": "retired"}]},
    "a retirement that reads": {"format": "lexport-manifest/2"},
}


def test_damaged_manifests(tmp_path, write_dataset):
    """What the schema refuses, the reader refuses too; no property that it requires can be left out."""
    (commit,) = write_dataset(tmp_path, [{}])
    of_manifest, whole = validator("manifest"), json.loads(commit.to_json())
    assert of_manifest.is_valid(whole)
    damaged = {f"without {name}": {key: whole[key] for key in whole if key != name} for name in whole}
    for title, edit in DAMAGES.items():
        document = damaged[title] = copy.deepcopy(whole)
        for name, value in edit.items():
            if isinstance(value, list):
                document[name][0].update(value[0])
            else:
                document[name] = value

    assert [title for title, document in damaged.items() if of_manifest.is_valid(document)] == []
    for document in damaged.values():
        with pytest.raises(ManifestError):
            Manifest.from_json(json.dumps(document).encode())


def test_the_schema_of_the_manifest_names_what_is_read():
    """The schema has the properties that lexport reads, in the same places, and requires the same."""
    declared, read = load("manifest"), msgspec.json.schema(Manifest)

    assert shape(declared, declared) == {("format", True): {}} | shape(read, read)


# --- runs that are not published --------------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def unpublished(simulator, aws, fast_retries, settings, tmp_path):
    """The folders of a refused run over a fleet and of one over a list of functions; one Region refuses the token."""
    fleet = Fleet(FleetSpec(functions=2, versions=1))
    name = fleet.name(0)
    faults = (
        Fault(operation="GetFunction", function_name=name, qualifier="$LATEST", kind="denied", times=None),
        Fault(operation=None, region="eu-west-1", kind="expired_token", times=None),
    )
    regions = ("us-east-1", "eu-west-1")
    async with simulator(*faults, fleet=fleet) as server:
        for chosen in ({"regions": regions}, {"functions": (name, fleet.name(1))}):
            with pytest.raises(lexport.RunError):
                await lexport.snapshot(tmp_path / "fleet", settings(server.url, **chosen))
    return sorted(tmp_path.glob("fleet/_staging/*"))


@pytest.mark.slow
@pytest.mark.asyncio
async def test_files_of_unpublished_runs(unpublished):
    """The spec, the shards and their results that runs write are valid, and a damaged one is not."""
    of_run, of_shard, of_result = validator("run"), validator("run", "#/$defs/shard"), validator("shard")
    specs = [json.loads((folder / "run.json").read_bytes()) for folder in unpublished]
    shards = [
        json.loads(line) for folder in unpublished for line in (folder / "shards.jsonl").read_bytes().splitlines()
    ]
    results = [json.loads(path.read_bytes()) for folder in unpublished for path in sorted(folder.glob("*/shard.json"))]

    assert (len(specs), len(shards), len(results)) == (2, 3, 3)
    assert {result["ended_by"] is None for result in results} == {True, False}
    assert {shard["refs"] is None for shard in shards} == {True, False}
    for schema, documents in ((of_run, specs), (of_shard, shards), (of_result, results)):
        assert [error.message for document in documents for error in schema.iter_errors(document)] == []
    for schema, whole, edit in (
        (of_run, specs[0], {"format": "lexport-run/2"}),
        (of_run, specs[0], {"snapshot_id": "../.."}),
        (of_run, specs[0], {"shards": None}),
        (of_shard, shards[0], {"scope": {"account_id": "me", "region": "eu-west-1"}}),
        (of_result, results[0], {"runs": [{"path": "../x", "size_bytes": 1, "sha256": "0" * 64}]}),
        (of_result, results[0], {"shard": {}}),
        (of_result, results[0], {"attempt": 0}),
    ):
        assert not schema.is_valid(whole | edit), edit


def test_the_schemas_of_runs_name_what_is_read():
    """The schemas of an unpublished run have the properties that lexport writes, in the same places."""
    spec, result = msgspec.json.schema(RunSpec), msgspec.json.schema(ShardResult)
    of_spec, of_result = load("run"), load("shard")
    written = names(shape(spec, spec))

    assert names(shape(of_spec, of_spec)) == {"format": {}} | written | {"shards": {}}
    assert names(shape({"$ref": "#/$defs/shard"}, of_spec)) == written["shards"]
    assert names(shape(of_result, of_result)) == names(shape(result, result))


@pytest.mark.slow
@pytest.mark.asyncio
async def test_what_the_steps_print(simulator, run_lexport, flags, tmp_path):
    """What ``lexport shard`` prints, and the beginning of an attempt, are as their schemas say."""
    async with simulator(functions=2, versions=1) as server:
        planned = await run_lexport("shard", "plan", "fleet", *flags(server.url))
        plan = json.loads(planned.out)
        scope = json.loads((tmp_path / "fleet" / plan["shards_path"]).read_text())["scope"]
        read = await run_lexport("shard", "read", "fleet", plan["run"], scope["account_id"], scope["region"])
        (begun,) = tmp_path.glob("fleet/_staging/*/*/0001/begun.json")
        documents = {"begun": json.loads(begun.read_text()), "shard-plan": plan, "shard": json.loads(read.out)}
        committed = await run_lexport("shard", "commit", "fleet", plan["run"])

    documents["shard-commit"] = json.loads(committed.out)
    for name, document in documents.items():
        assert [error.message for error in validator(name).iter_errors(document)] == []
        assert set(document) == set(load(name)["properties"])


def test_the_schema_of_feed_json(tmp_path, write_dataset):
    """The schema of feed.json takes what is written, names each property, and refuses a file that lacks one."""
    at = datetime(2026, 11, 20, 2, tzinfo=UTC)
    first, _ = write_dataset(tmp_path / "fleet", [{"at": at + day * timedelta(days=1)} for day in range(2)])
    write_feed(tmp_path / "fleet", tmp_path / "feed", first.snapshot_id, output="csv", compress="zstd")
    described = json.loads((tmp_path / "feed" / "feed.json").read_text())
    schema, check = load("feed"), validator("feed")

    assert [error.message for error in check.iter_errors(described)] == []
    assert set(schema["properties"]) == set(schema["required"]) == set(described)
    for kind, items in ("scope", "scopes"), ("table", "tables"), ("part", "parts"):
        about = schema["$defs"][kind]
        assert set(about["properties"]) == set(about["required"]) == set(described[items][0]), kind
    for name in described:
        assert not check.is_valid({key: value for key, value in described.items() if key != name}), name
