"""The commit file, snapshot ids, and where things lie."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from lexport.manifest import FileEntry, Manifest, ScopeEntry, data_path, format_instant, is_ulid, new_ulid, run_path

AT = datetime(2026, 11, 22, 3, 4, 5, 678901, UTC)
MANIFEST = Manifest(
    snapshot_id="01KB0000000000000000000000",
    snapshot_at=AT,
    committed_at=AT + timedelta(minutes=5),
    status="partial",
    gaps=3,
    lexport_version="0.1.0",
    schema_version="1",
    hash_key_id=None,
    options={"regions": ["eu-west-1"], "env": "keys", "aliases": True, "quota_share": 0.8},
    files=(FileEntry(table="functions", path="functions/x.parquet", size_bytes=1, rows=2, sha256="ab"),),
    scopes=(
        ScopeEntry(
            account_id="111122223333",
            region="eu-west-1",
            coverage="fleet",
            status="partial",
            functions=1,
            versions=2,
            aliases=0,
            get_function_calls=4,
            list_calls=5,
            throttles=6,
        ),
    ),
)


def test_there_and_back():
    """What is written is read again, to the microsecond."""
    assert Manifest.from_json(MANIFEST.to_json()) == MANIFEST
    assert (
        Manifest.from_json(replace(MANIFEST, files=(), scopes=(), hash_key_id="ключ").to_json()).hash_key_id == "ключ"
    )


def test_written_for_people_and_scripts():
    """A manifest is readable JSON with the same bytes every time, instants in UTC with ``Z``."""
    body = MANIFEST.to_json()
    raw = json.loads(body)

    assert body == replace(MANIFEST).to_json()
    assert body.endswith(b"}\n")
    assert raw["format"] == "lexport-manifest/1"
    assert raw["snapshot_at"] == "2026-11-22T03:04:05.678901Z"
    assert raw["committed_at"] == "2026-11-22T03:09:05.678901Z"


def test_instants_in_other_zones():
    """An instant is written in UTC, whatever zone it was given in."""
    assert format_instant(AT.astimezone(timezone(timedelta(hours=-9)))) == "2026-11-22T03:04:05.678901Z"
    assert format_instant(AT.replace(microsecond=0)) == "2026-11-22T03:04:05.000000Z"


def changed(**fields):
    return json.dumps(json.loads(MANIFEST.to_json()) | fields).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"\xff",
        MANIFEST.to_json()[:-20],
        changed(format="lexport-manifest/2"),
        changed(format=None),
        changed(snapshot_at="yesterday"),
        changed(snapshot_at=5),
        changed(committed_at=None),
        changed(files=None),
        changed(files=[5]),
        changed(files=[{"table": "x"}]),
        changed(scopes=[{"more": 1}]),
        changed(scopes="x"),
        changed(unknown=1),
    ],
)
def test_a_damaged_manifest(body):
    """What is cut off, of another format or of another shape raises ValueError, never anything else."""
    with pytest.raises(ValueError):
        Manifest.from_json(body)


def test_a_manifest_that_lacks_a_field():
    """A field that is not there is damage as well."""
    for name in json.loads(MANIFEST.to_json()):
        raw = json.loads(MANIFEST.to_json())
        del raw[name]
        with pytest.raises(ValueError, match=r"damaged manifest|not a manifest"):
            Manifest.from_json(json.dumps(raw).encode())


def test_ulids_sort_by_time():
    """A later id is greater, ids of one moment differ, and every one is a ULID."""
    moments = [AT + timedelta(milliseconds=step) for step in (0, 1, 2, 1000, 10**9)]
    ids = [new_ulid(at) for at in moments]

    assert ids == sorted(ids)
    assert len({new_ulid(AT) for _ in range(1000)}) == 1000
    assert all(is_ulid(text) for text in ids)
    assert {len(text) for text in ids} == {26}


def test_a_ulid_tells_its_moment():
    """The first ten characters are the milliseconds since 1970."""
    digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    number = 0
    for character in new_ulid(AT)[:10]:
        number = number * 32 + digits.index(character)

    assert number == int(AT.timestamp() * 1000)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "01KB000000000000000000000",
        "01KB00000000000000000000000",
        "81KB0000000000000000000000",
        "01kb0000000000000000000000",
        "01KB000000000000000000000I",
        "01KB000000000000000000000\n",
        "../../../../../../../../etc",
    ],
)
def test_no_ulid(text):
    """Wrong length, letters, case, or anything that could be another path, is no id."""
    assert not is_ulid(text)


def test_paths():
    """Files lie by table and by the day of the snapshot in UTC."""
    evening = datetime(2026, 11, 22, 23, 0, tzinfo=timezone(timedelta(hours=-5)))

    assert run_path("ID") == "_runs/ID.json"
    assert data_path("tags", "ID", evening) == "tags/snapshot_date=2026-11-23/ID-0000.parquet"
