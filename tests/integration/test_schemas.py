"""The JSON schemas in ``docs/reference/schemas`` describe the files that a run writes, and refuse damaged ones."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio
from jsonschema import Draft202012Validator

import lexport
from lexport.dataset.manifest import Manifest, ManifestError
from lexport.simulator import Fault, Fleet, FleetSpec

SCHEMAS = Path(__file__).parents[2] / "docs" / "reference" / "schemas"


def validator(name):
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def shape(schema, root):
    """Return the names of the properties of a schema, of those in its arrays too, and whether each is required."""
    schema = root["$defs"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    if "items" in schema:
        return shape(schema["items"], root)
    names = schema.get("properties", {})
    return {(name, name in schema.get("required", ())): shape(part, root) for name, part in names.items()}


@pytest_asyncio.fixture
async def manifests(simulator, aws, settings, tmp_path):
    """The manifests of a complete snapshot, of a partial one, and of packages alone, as documents."""
    fleet = Fleet(FleetSpec(functions=2, versions=1))
    async with simulator(fleet=fleet) as server:
        await lexport.snapshot(tmp_path / "fleet", settings(server.url))
        await lexport.packages(tmp_path / "fleet", settings(server.url, allow_partial=True))
        server.inject(Fault(operation="GetFunction", function_name=fleet.name(0), kind="denied", times=None))
        await lexport.snapshot(tmp_path / "fleet", settings(server.url, allow_partial=True))
    return [json.loads(path.read_bytes()) for path in sorted(tmp_path.glob("fleet/_runs/*.json"))]


@pytest.mark.slow
@pytest.mark.asyncio
async def test_manifests_of_real_runs(manifests):
    """The manifests that runs write are valid, whatever kind of commit they are."""
    of_manifest = validator("manifest")

    assert [len(document["scopes"]) for document in manifests] == [1, 0, 1]
    assert [document["status"] for document in manifests][::2] == ["complete", "partial"]
    assert [error.message for document in manifests for error in of_manifest.iter_errors(document)] == []


DAMAGES = {
    "another format": {"format": "lexport-manifest/2"},
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
}


@pytest.mark.slow
@pytest.mark.asyncio
async def test_damaged_manifests(manifests):
    """What the schema refuses, the reader refuses too; no property that it requires can be left out."""
    of_manifest, whole = validator("manifest"), manifests[0]
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
    declared, read = validator("manifest").schema, msgspec.json.schema(Manifest)

    assert shape(declared, declared) == {("format", True): {}} | shape(read, read)
