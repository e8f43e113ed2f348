"""The commit file, snapshot ids, and where things lie."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from lexport.dataset.layout import data_path, run_path
from lexport.dataset.manifest import (
    MOST_BYTES,
    OF_EVERY_SNAPSHOT,
    FileEntry,
    Manifest,
    ManifestError,
    NewerFormatError,
    ScopeEntry,
    WrongManifestError,
    format_instant,
)
from lexport.model import is_ulid, new_ulid
from lexport.tables.registry import staged_tables
from lexport.tables.run import CHANGES

AT = datetime(2026, 11, 22, 3, 4, 5, 678901, UTC)
ID = "01KB0000000000000000000000"
ROWS = {"functions": 2, "aliases": 1, "scopes": 2, "tags": 7}
SCOPE = ScopeEntry(
    account_id="111122223333",
    region="eu-west-1",
    coverage="fleet",
    status="partial",
    functions=1,
    versions=2,
    aliases=1,
    get_function_calls=4,
    list_calls=5,
    throttles=6,
)
MANIFEST = Manifest(
    snapshot_id=ID,
    snapshot_at=AT,
    committed_at=AT + timedelta(minutes=5),
    status="partial",
    gaps=3,
    lexport_version="0.1.0",
    schema_version="1",
    hash_key_id=None,
    options={"regions": ["eu-west-1"], "env": "keys", "aliases": True, "quota_share": 0.8},
    files=tuple(
        FileEntry(
            table=table.name,
            path=data_path(table.name, ID, AT),
            size_bytes=1,
            rows=ROWS.get(table.name, 0),
            sha256="0123456789abcdef" * 4,
        )
        for table in (*OF_EVERY_SNAPSHOT, CHANGES)
    ),
    scopes=(SCOPE, replace(SCOPE, region="aws-global", status="unavailable", functions=0, versions=0, aliases=0)),
)
PACKAGES_ALONE = replace(
    MANIFEST,
    scopes=(),
    files=tuple(
        FileEntry(table=name, path=data_path(name, ID, AT), size_bytes=1, rows=1, sha256="0" * 64)
        for name in ("packages", "errors")
    ),
)


def test_there_and_back():
    """What is written is read again, to the microsecond."""
    for written in (MANIFEST, replace(MANIFEST, hash_key_id="ключ"), PACKAGES_ALONE):
        assert Manifest.from_json(written.to_json(), snapshot_id=ID) == written


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


def changed_in(name, *, of=0, **fields):
    """The manifest with other fields in one of its files or account-regions; None takes a field out."""
    raw = json.loads(MANIFEST.to_json())
    raw[name][of] = {key: value for key, value in (raw[name][of] | fields).items() if value is not ...}
    return json.dumps(raw).encode()


def listed(name, change):
    raw = json.loads(MANIFEST.to_json())
    raw[name] = change(raw[name])
    return json.dumps(raw).encode()


FUNCTIONS = f"functions/snapshot_date=2026-11-22/{ID}"
NESTED = b"[" * 200_000


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"\xff",
        b"\x00" * 4096,
        NESTED,
        b'{"format": ' * 200_000,
        MANIFEST.to_json()[:-20],
        MANIFEST.to_json().replace(b'"partial"', b'"parti\xffal"'),
        changed(format="lexport-manifest/0"),
        changed(format="lexport-manifest/x"),
        changed(format=None),
        changed(format=1),
        changed(snapshot_id="01"),
        changed(snapshot_id=5),
        changed(snapshot_at="yesterday"),
        changed(snapshot_at=5),
        changed(snapshot_at="2026-11-22T03:04:05"),
        changed(snapshot_at="0001-01-01T00:00:00+14:00"),
        changed(snapshot_at="9999-12-31T23:59:59Z"),
        changed(snapshot_at="2026-11-23T03:04:05Z"),
        changed(committed_at=None),
        changed(committed_at="0001-01-01T00:00:00Z"),
        changed(status="whole"),
        changed(status="complete"),
        changed(gaps=0),
        changed(gaps=-1),
        changed(gaps=True),
        changed(gaps="3"),
        changed(gaps=3.0),
        changed(gaps=2**63),
        changed(gaps=10**400),
        changed(lexport_version=None),
        changed(lexport_version="\x1b[31m"),
        changed(schema_version=["1"]),
        changed(hash_key_id=["k"]),
        changed(hash_key_id="k\x1b"),
        changed(options=None),
        changed(options=[]),
        changed(options={"env": ["keys"]}),
        changed(options={"env": "all"}),
        changed(options={"aliases": 1}),
        changed(options={"qualifiers": {}}),
        MANIFEST.to_json().replace(b'"quota_share": 0.8', b'"a": ' + b"[" * 30 + b"]" * 30),
        MANIFEST.to_json().replace(b'"quota_share": 0.8', b'"a": ' + NESTED),
        changed(files=None),
        changed(files=[5]),
        changed(files=[{"table": "x"}]),
        changed(files={}),
        changed(scopes=[{"more": 1}]),
        changed(scopes="x"),
        changed(scopes=[]),
        changed_in("files", path=["functions"]),
        changed_in("files", path=None),
        changed_in("files", path="/etc/passwd"),
        changed_in("files", path=f"../{FUNCTIONS}-0000.parquet"),
        changed_in("files", path=f"{FUNCTIONS}-0000.parquet\0"),
        changed_in("files", path=f"{FUNCTIONS}-0000.parquet/../x"),
        changed_in("files", path=f"{FUNCTIONS}-00000.parquet"),
        changed_in("files", path=f"{FUNCTIONS}-000\u0660.parquet"),
        changed_in("files", path=f"functions/snapshot_date=2026-11-21/{ID}-0000.parquet"),
        changed_in("files", path="functions/snapshot_date=2026-11-22/01KB0000000000000000000001-0000.parquet"),
        changed_in("files", path=f"tags/snapshot_date=2026-11-22/{ID}-0000.parquet"),
        changed_in("files", table="../functions", path=f"../{FUNCTIONS}-0000.parquet"),
        changed_in("files", table="_runs", path=f"_runs/snapshot_date=2026-11-22/{ID}-0000.parquet"),
        changed_in("files", table=["functions"]),
        changed_in("files", size_bytes="1"),
        changed_in("files", size_bytes=-1),
        changed_in("files", size_bytes=10**400),
        changed_in("files", size_bytes=...),
        changed_in("files", rows=3),
        changed_in("files", rows=None),
        changed_in("files", sha256=""),
        changed_in("files", sha256="0123456789ABCDEF" * 4),
        listed("files", lambda files: files[1:]),
        listed("files", lambda files: [*files, files[0]]),
        listed("files", lambda files: [*files[:3], *files[4:]]),
        changed_in("scopes", account_id=["111122223333"]),
        changed_in("scopes", account_id="11112222333"),
        changed_in("scopes", account_id="1111222233\u06603"),
        changed_in("scopes", region="eu west"),
        changed_in("scopes", coverage="all"),
        changed_in("scopes", status=None),
        changed_in("scopes", versions=1),
        changed_in("scopes", aliases=0),
        changed_in("scopes", versions=2.5),
        changed_in("scopes", throttles="6"),
        changed_in("scopes", functions=...),
        listed("scopes", lambda scopes: [*scopes, scopes[1]]),
        listed("scopes", lambda scopes: scopes[1:]),
    ],
)
def test_a_damaged_manifest(body):
    """What no run can have written is damage: wrong types, strange files, parts that contradict each other."""
    with pytest.raises(ManifestError) as caught:
        Manifest.from_json(body)

    assert not isinstance(caught.value, NewerFormatError)
    assert "\x1b" not in str(caught.value)


def test_a_manifest_that_lacks_a_field():
    """A field that is not there is damage as well."""
    for name in json.loads(MANIFEST.to_json()):
        raw = json.loads(MANIFEST.to_json())
        del raw[name]
        with pytest.raises(ManifestError, match=r"damaged manifest|not a manifest"):
            Manifest.from_json(json.dumps(raw).encode())


def test_unknown_fields():
    """What a later release adds within the format is ignored, wherever it stands."""
    body = json.loads(MANIFEST.to_json()) | {"new": [{}]}
    body["files"][0]["new"] = body["scopes"][0]["new"] = body["options"]["new"] = 1
    found = Manifest.from_json(json.dumps(body).encode())

    assert replace(found, options=MANIFEST.options) == MANIFEST


def test_a_table_of_a_later_release():
    """A table that this release does not know is no damage."""
    later = FileEntry(table="policies", path=data_path("policies", ID, AT), size_bytes=1, rows=1, sha256="0" * 64)
    body = replace(MANIFEST, files=(*MANIFEST.files, later)).to_json()

    assert Manifest.from_json(body).files[-1] == later


def test_several_files():
    """A table may have several files; they come in the order of their numbers, whatever the order in the manifest."""
    first, others = MANIFEST.files[0], MANIFEST.files[1:]
    parts = [replace(first, path=first.path.replace("-0000", f"-{n:04d}"), rows=n) for n in (2, 0)]
    found = Manifest.from_json(replace(MANIFEST, files=(*parts, *others)).to_json())

    assert [entry.path[-12:] for entry in found.entries("functions")] == ["0000.parquet", "0002.parquet"]


@pytest.mark.parametrize("text", ["lexport-manifest/3", "lexport-manifest/10"])
def test_a_newer_format(text):
    """A higher number is no damage: the reader is too old, whatever else stands there."""
    for body in (changed(format=text), json.dumps({"format": text, "files": "elsewhere"}).encode()):
        with pytest.raises(NewerFormatError, match=r"written by a newer lexport .*; upgrade lexport"):
            Manifest.from_json(body)


def test_another_snapshots_manifest():
    """A manifest is that of the snapshot whose name it bears, or of none."""
    with pytest.raises(WrongManifestError, match=f"it is the manifest of {ID}"):
        Manifest.from_json(MANIFEST.to_json(), snapshot_id="7ZZZZZZZZZZZZZZZZZZZZZZZZZ")


@pytest.mark.parametrize("key", ["format", "snapshot_id", "snapshot_at", "committed_at", "files", "scopes"])
def test_a_key_that_stands_twice(key):
    """A manifest that says one thing first and another last is damaged, whatever it says."""
    body = MANIFEST.to_json()
    value = json.dumps(json.loads(body)[key])

    with pytest.raises(ManifestError, match=f"the key '{key}' stands in it twice"):
        Manifest.from_json(body.replace(b"{", f'{{"{key}": {value},'.encode(), 1))


def test_a_manifest_that_is_too_long():
    """What is longer than any run writes is not decoded."""
    with pytest.raises(ManifestError, match="more than"):
        Manifest.from_json(b" " * (MOST_BYTES + 1))


def test_tables_of_every_snapshot():
    """What is asked of every snapshot is what a run writes."""
    assert set(OF_EVERY_SNAPSHOT) <= set(staged_tables())


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
