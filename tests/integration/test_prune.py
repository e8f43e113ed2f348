"""``lexport prune``: which snapshots stay, in which order things go, and what of dead runs is removed."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from commands import age

import lexport
from lexport.dataset.local import LocalStore
from lexport.errors import PublishError, SettingsError, WriteError

pytestmark = pytest.mark.asyncio

FIRST = datetime(2026, 11, 1, 2, tzinfo=UTC)
OTHER = {"account_id": "444455556666"}
HOUR = timedelta(hours=1)


def night(number, **given):
    return {"at": FIRST + timedelta(days=number), **given}


def commits(dest):
    return [path.stem for path in sorted(dest.glob("_runs/*.json"))]


def rows(dest):
    return [path.name[:26] for path in sorted(dest.glob("snapshots/*/*.parquet"))]


def files_of(dest, run):
    return sorted(path for path in dest.glob(f"*/snapshot_date=*/{run}-*.parquet") if "snapshots" not in str(path))


def actions(result, *kinds):
    return {item.name: item.action for item in result.items if not kinds or item.kind in kinds}


@pytest.fixture
def dest(tmp_path):
    return tmp_path / "fleet"


async def test_files_go_a_day_after_their_snapshot(dest, write_dataset):
    """A pruned snapshot vanishes at once for every reader; its files serve those that began before, for a day."""
    nights = [done.snapshot_id for done in write_dataset(dest, [night(number) for number in range(4)])]
    first = await lexport.prune(dest, keep_last=2)

    assert commits(dest) == rows(dest) == nights[2:]
    assert [item.name for item in first.having("remove")] == nights[1::-1]
    assert all(files_of(dest, run) for run in nights)
    assert json.loads((dest / "_latest.json").read_text()) == {"snapshot_id": nights[-1]}
    mark = json.loads((dest / "_pruned" / f"{nights[0]}.json").read_text())
    assert mark["reason"] == "no rule keeps it"
    assert {file["path"] for file in mark["files"]} == {
        str(path.relative_to(dest)) for path in files_of(dest, nights[0])
    }
    assert await lexport.verify(dest, data=True) == ()

    age(dest, hours=23)
    early = await lexport.prune(dest, keep_last=2)
    assert actions(early, "files") == dict.fromkeys(nights[:2], "wait")
    age(dest, hours=2)
    late = await lexport.prune(dest, keep_last=2)
    assert actions(late, "files") == dict.fromkeys(nights[:2], "remove")
    assert [len(files_of(dest, run)) > 0 for run in nights] == [False, False, True, True]
    assert await lexport.verify(dest, data=True) == ()
    assert (await lexport.prune(dest, keep_last=2)).having("remove") == ()


async def test_ten_jobs_into_one_dataset(dest, write_dataset):
    """Rules count for each group of account-regions: a job that stopped keeps its last reading for good."""
    scopes = [{"account_id": f"{number:012}"} for number in range(10)]
    given = [night(day, id=None, scopes=[scope]) for day in range(3) for scope in scopes]
    given += [night(3, scopes=[scope]) for scope in scopes[1:]]
    for item in given:
        item.pop("id", None)
    done = write_dataset(dest, given)
    result = await lexport.prune(dest, keep_within=timedelta(days=1), keep_last=1)

    assert len(commits(dest)) == 10
    kept = {item.name: item.reason for item in result.having("keep")}
    assert kept[done[20].snapshot_id] == "within 24h, last, the newest whole reading of 000000000000 eu-west-1"


async def test_the_newest_whole_reading_stays(dest, write_dataset):
    """Neither partial nights nor a selection replace a whole reading, nor does a damaged one a sound one."""
    done = write_dataset(
        dest,
        [
            night(0),
            night(1),
            night(2),
            night(3, status="partial", scopes=[{"status": "partial"}]),
            night(4, scopes=[{"coverage": "selection"}]),
        ],
    )
    ids = [each.snapshot_id for each in done]
    files_of(dest, ids[2])[0].unlink()
    await lexport.prune(dest, keep_last=1)

    assert commits(dest) == ids[1:]
    with pytest.raises(SettingsError, match="never removed: the newest whole reading of 111122223333 eu-west-1"):
        await lexport.prune(dest, snapshot=ids[1])
    await lexport.prune(dest, snapshot=ids[2])
    assert commits(dest) == [ids[1], *ids[3:]]


async def test_one_snapshot_by_name(dest, write_dataset):
    """``snapshot`` removes what rules would keep, and the hint moves back from it."""
    ids = [
        each.snapshot_id
        for each in write_dataset(
            dest, [night(0), night(1), night(2, status="partial", scopes=[{"status": "partial"}])]
        )
    ]
    (dest / "_latest.json").write_text(json.dumps({"snapshot_id": ids[2]}))
    await lexport.prune(dest, snapshot=ids[2])

    assert commits(dest) == rows(dest) == ids[:2]
    assert json.loads((dest / "_latest.json").read_text()) == {"snapshot_id": ids[1]}
    again = await lexport.prune(dest, snapshot=ids[2])
    assert actions(again) == {ids[2]: "wait"}
    age(dest, hours=25)
    assert actions(await lexport.prune(dest, snapshot=ids[2])) == {ids[2]: "remove"}
    assert "none of its files is left" in (await lexport.prune(dest, snapshot=ids[2])).notes[0]
    with pytest.raises(SettingsError, match="is no snapshot and no unfinished run"):
        await lexport.prune(dest, snapshot="01KB0000000000000000000009")


@pytest.mark.parametrize("damage", ["manifest", "lost", "size", "bytes", "rows"])
async def test_damage_goes_by_name_alone(dest, write_dataset, damage):
    """What is damaged is not removed by rules, and by its name it is, though it is the newest reading."""
    nights = [night(number, functions=[function("f", "a")]) for number in range(3)]
    ids = [each.snapshot_id for each in write_dataset(dest, nights)]
    manifest = dest / "_runs" / f"{ids[2]}.json"
    file, other = (next(dest.glob(f"functions/*/{run}-*")) for run in (ids[2], ids[1]))
    match damage:
        case "manifest":
            manifest.write_text("{")
        case "lost":
            manifest.unlink()
        case "size":
            file.write_bytes(b"")
        case "bytes":
            file.write_bytes(file.read_bytes()[:-1] + b"?")
        case "rows":
            file.write_bytes(other.read_bytes())
            fix_hash(manifest, file.relative_to(dest), other)
    assert await lexport.verify(dest, data=True)
    before = await lexport.prune(dest, keep_last=1, dry_run=True)
    assert {item.name for item in before.having("keep")} >= {ids[2], ids[1]} - (
        {ids[1]} if damage in ("bytes", "rows") else set()
    )

    await lexport.prune(dest, snapshot=ids[2])
    assert commits(dest) == rows(dest) == ids[:2]
    assert [item for item in await lexport.verify(dest) if not item.is_note] == []
    age(dest, hours=25)
    await lexport.prune(dest, keep_last=2)
    assert files_of(dest, ids[2]) == []


def fix_hash(manifest, path, source):
    import hashlib

    body = json.loads(manifest.read_text())
    for entry in body["files"]:
        if entry["path"] == str(path):
            entry |= {"size_bytes": source.stat().st_size, "sha256": hashlib.sha256(source.read_bytes()).hexdigest()}
    manifest.write_text(json.dumps(body))


async def test_a_newer_release_is_left_alone(dest, write_dataset):
    """Commits of a newer format stay, whatever is asked."""
    ids = [each.snapshot_id for each in write_dataset(dest, [night(number) for number in range(3)])]
    newer = dest / "_runs" / f"{ids[0]}.json"
    newer.write_text(newer.read_text().replace("lexport-manifest/1", "lexport-manifest/3"))
    result = await lexport.prune(dest, keep_last=1)

    assert commits(dest) == [ids[0], ids[2]]
    assert actions(result)[ids[0]] == "keep"
    with pytest.raises(SettingsError, match="upgrade lexport"):
        await lexport.prune(dest, snapshot=ids[0])
    assert files_of(dest, ids[0])


async def test_what_a_living_run_builds_on(dest, write_dataset):
    """A run that wrote something within the grace period keeps the readings that it may compare itself with."""
    ids = [each.snapshot_id for each in write_dataset(dest, [night(number) for number in range(4)])]
    run = f"{ids[2][:-1]}5"  # it began between the third night and the fourth
    staged = dest / "_staging" / run / "111122223333-eu-west-1" / "0001" / "0001-ab.run"
    staged.parent.mkdir(parents=True)
    staged.write_bytes(b"rows")
    (dest / "_runs" / f"{ids[3]}.json").rename(dest / "_runs" / "moved")
    ids[3] = f"{ids[2][:-1]}7"
    write_dataset(dest, [night(3, id=ids[3])])
    (dest / "_runs" / "moved").unlink()
    result = await lexport.prune(dest, keep_last=1)

    assert commits(dest) == ids[2:]
    assert actions(result, "run") == {run: "keep"}
    with pytest.raises(PublishError, match=f"the run {run} may build on it.*; wait until that run has"):
        await lexport.prune(dest, snapshot=ids[2])
    with pytest.raises(PublishError, match="may be at work"):
        await lexport.prune(dest, snapshot=run)
    age(dest, hours=1)
    with pytest.raises(PublishError, match=f"{run} stopped: go on with it as lexport status .* --snapshot {run} first"):
        await lexport.prune(dest, snapshot=ids[2])
    await lexport.prune(dest, snapshot=run)
    assert not staged.parent.exists()
    await lexport.prune(dest, keep_last=1)
    assert commits(dest) == ids[3:]


async def test_what_dead_runs_left(dest, write_dataset):
    """Staging, data files without a commit and temporary files go a day after the last write, and nothing else goes."""
    (done,) = write_dataset(dest, [night(0)])
    write_dataset(dest, [night(1, id="01KB0000000000000000000001", commit=False, heal=False)])
    left = [
        "_staging/01KB0000000000000000000002/run.json",
        "_staging/packages/ab.part",
        "_staging/.snapshots-01KB0000000000000000000002.parquet",
        f"_runs/.{done.snapshot_id}.json.123.0123abcd",
        "_pruned/.probe-01KB0000000000000000000002",
        "_staging/.probe-01KB0000000000000000000002-4711",
    ]
    foreign = ["_runs/notes.txt", "functions/README", "backup/snapshot_date=2026-11-01/mine.parquet", "_staging/mine"]
    for path in left + foreign:
        (dest / path).parent.mkdir(parents=True, exist_ok=True)
        (dest / path).write_text("x")
    await lexport.prune(dest, keep_last=1)
    assert all((dest / path).exists() for path in left + foreign)
    assert files_of(dest, "01KB0000000000000000000001")

    age(dest, hours=25)
    await lexport.prune(dest, keep_last=1)
    assert [path for path in left + foreign if (dest / path).exists()] == foreign
    assert not (dest / "_staging" / "01KB0000000000000000000002").exists()
    assert files_of(dest, "01KB0000000000000000000001") == []
    assert files_of(dest, done.snapshot_id)


async def test_files_of_a_run_that_may_be_resumed(dest, write_dataset):
    """Files that a run placed before it was killed stay as long as its staging folder, however old they are."""
    write_dataset(dest, [night(0), night(1, commit=False, heal=False)])
    (run,) = {path.name[:26] for path in dest.glob("functions/*/*2-0000.parquet")}
    age(dest, hours=50)
    claim = dest / "_staging" / run / "claim-0001.json"
    claim.parent.mkdir(parents=True)
    claim.write_text("{}")
    await lexport.prune(dest, keep_last=1)

    assert files_of(dest, run)


async def test_dry_run(dest, write_dataset, look):
    """``dry_run`` says exactly what the same call without it does, and changes no byte."""
    write_dataset(dest, [night(number) for number in range(5)])
    staged = dest / "_staging" / "01KB0000000000000000000002" / "run.json"
    staged.parent.mkdir(parents=True)
    staged.write_text("{}")
    age(dest, hours=25)
    before = look.tree(dest)
    planned = await lexport.prune(dest, keep_last=2, keep_monthly=1, dry_run=True)
    assert look.tree(dest) == before
    done = await lexport.prune(dest, keep_last=2, keep_monthly=1)

    assert planned.items == done.items
    assert planned.is_dry_run
    assert actions(done)["01KB0000000000000000000002"] == "remove"


# --- packages ---------------------------------------------------------------------------------------------------------


def function(name, code):
    return {"function_name": name, "version": "$LATEST", "code_sha256": code}


def package(code, **more):
    hexed = f"{ord(code):02x}" * 32
    return {
        "code_sha256": code,
        "sha256_hex": hexed,
        "status": "stored",
        "path": f"_packages/sha256/{hexed[:2]}/{hexed}.zip",
        **more,
    }


async def test_commits_with_the_newest_rows_stay(dest, write_dataset):
    """A commit stays while it holds the newest row, or the newest result of an inspection, of what a snapshot names."""
    done = write_dataset(
        dest,
        [
            night(0, scopes=[], packages=[package("a", dependencies_status="complete"), package("b")]),
            night(1, scopes=[], packages=[package("b")], package_files=[{"sha256_hex": "61" * 32, "path": "x"}]),
            night(2, scopes=[], packages=[package("z")], layer_versions=[{"layer_arn": "l:9", "code_sha256": "y"}]),
            night(3, scopes=[], packages=[package("l")]),
            night(4, scopes=[], layer_versions=[{"layer_arn": "l:1", "code_sha256": "l"}]),
            night(5, functions=[function("f", "z")]),
            night(
                6,
                functions=[function("f", "a"), function("g", "b")],
                layers=[{"function_name": "f", "version": "$LATEST", "position": 0, "layer_arn": "l:1"}],
            ),
            night(7, scopes=[], packages=[package("a"), package("b")]),
        ],
    )
    ids = [each.snapshot_id for each in done]
    question = "SELECT code_sha256, dependencies_status FROM packages ORDER BY 1"
    before = [
        (await lexport.sql(dest, text)).to_pylist() for text in (question, "FROM package_files", "FROM layer_versions")
    ]
    result = await lexport.prune(dest, keep_last=1)
    kept = {item.name: item.reason for item in result.having("keep")}

    assert list(kept) == [ids[number] for number in (7, 6, 4, 3, 1, 0)]
    assert kept[ids[1]] == "the newest package_files of what a kept snapshot names"
    assert [
        (await lexport.sql(dest, text)).to_pylist() for text in (question, "FROM package_files", "FROM layer_versions")
    ] == before


async def test_what_a_kept_commit_names_is_kept_too(dest, write_dataset):
    """A snapshot that stays for its rows of packages names packages itself, and their rows stay as well."""
    done = write_dataset(
        dest,
        [
            night(0, scopes=[], packages=[package("b")]),
            night(1, functions=[function("g", "b")], packages=[package("a")]),
            night(2, functions=[function("f", "a")]),
            night(3, scopes=[], packages=[]),
        ],
    )
    await lexport.prune(dest, keep_last=1)

    assert commits(dest) == [each.snapshot_id for each in done]


async def test_stored_packages(dest, write_dataset):
    """A package goes when no commit has named it for a day, in either place, and not while a run may use it."""
    write_dataset(
        dest,
        [
            night(0, scopes=[], packages=[package("b"), package("c")]),
            night(1, functions=[function("f", "a")], packages=[package("a")]),
            night(2, scopes=[], packages=[]),
        ],
    )
    paths = {code: dest / package(code)["path"] for code in "abcd"}
    paths["old"] = dest / "packages" / "sha256" / "6f" / f"{'6f' * 32}.zip"
    foreign = dest / "_packages" / "sha256" / "6f" / "notes.zip"
    for path in (*paths.values(), foreign):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"zip")
    age(dest, hours=50)

    async def prune():
        result = await lexport.prune(dest, keep_last=1, packages=True)
        return {
            Path(item.name).stem[:2]: item.action
            for item in result.having("remove", "package") + result.having("wait", "package")
        }

    assert await prune() == {"64": "wait", "6f": "wait"}  # b and c are named by a commit whose files are still there
    assert len(list(dest.glob("_pruned/packages-*.json"))) == 1
    staged = dest / "_staging" / "01KB0000000000000000000002" / "run.json"
    staged.parent.mkdir(parents=True)
    staged.write_text("{}")
    age(dest, hours=25)
    os.utime(staged)
    assert await prune() == {}
    age(dest, hours=25)
    assert await prune() == {"62": "wait", "63": "wait", "64": "remove", "6f": "remove"}
    assert [code for code, path in paths.items() if path.exists()] == ["a", "b", "c"]
    write_dataset(
        dest, [night(3, id="01KB0000000000000000000003", functions=[function("f", "b")], packages=[package("b")])]
    )
    age(dest, hours=25)
    assert await prune() == {"63": "remove"}
    assert foreign.exists()
    assert list(dest.glob("_pruned/packages-*.json")) == []


async def test_packages_of_a_snapshot_that_cannot_be_read(dest, write_dataset):
    """Where a commit is damaged, nobody knows what it names: stored packages stay, and commits with rows about any."""
    done = write_dataset(
        dest,
        [
            night(0, scopes=[], packages=[package("b")]),
            night(1, functions=[function("f", "b")]),
            night(2),
            night(3, scopes=[], packages=[]),
        ],
    )
    stored = dest / package("c")["path"]
    stored.parent.mkdir(parents=True)
    stored.write_bytes(b"zip")
    (dest / "_runs" / f"{done[1].snapshot_id}.json").write_text("{")
    result = await lexport.prune(dest, keep_last=1, packages=True)

    assert len(commits(dest)) == 4
    assert result.notes == (
        f"stored packages stay: 1 snapshot cannot be read, so what it names is unknown: {done[1].snapshot_id}",
    )


# --- wrong use, and stores that refuse --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({}, "no rule says what to keep"),
        ({"packages": True}, "no rule says what to keep"),
        ({"keep_last": -1}, "not below 0"),
        ({"keep_last": 1, "snapshot": "01KB0000000000000000000009"}, "goes without"),
        ({"snapshot": "01KB"}, "is not the whole id"),
        ({"keep_last": 1, "grace": timedelta(hours=-1)}, "not below 0"),
    ],
)
async def test_wrong_use(dest, write_dataset, wrong, words, look):
    """Without a rule, and with contradictions, nothing is removed and the error says what to give."""
    write_dataset(dest, [night(0), night(1)])
    before = look.tree(dest)
    with pytest.raises(SettingsError, match=words):
        await lexport.prune(dest, **wrong)

    assert look.tree(dest) == before


async def test_no_dataset(tmp_path):
    """A folder that is absent, a file, or something else is not pruned."""
    (tmp_path / "file").write_text("")
    (tmp_path / "other").mkdir()
    for name, words in (("absent", "does not exist"), ("file", "is a file"), ("other", "is not a lexport dataset")):
        with pytest.raises(SettingsError, match=words):
            await lexport.prune(tmp_path / name, keep_last=1)


async def test_a_store_that_refuses(dest, write_dataset, monkeypatch):
    """Where files cannot be written, or not be removed, the error says so before anything is removed."""
    write_dataset(dest, [night(0), night(1)])

    def deny(*_arguments, **_more):
        raise PermissionError(13, "Permission denied", str(dest / "_pruned"))

    for module, name in ((os, "open"), (Path, "unlink")):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, deny)
            with pytest.raises(SettingsError, match=r"cannot be pruned: .* Permission denied; nothing was removed"):
                await lexport.prune(dest, keep_last=1)
    assert len(commits(dest)) == 2


async def test_a_folder_that_may_not_be_listed(dest, write_dataset, monkeypatch):
    """What cannot be listed is not taken for empty: nothing is removed."""
    write_dataset(dest, [night(0), night(1)])
    scandir = os.scandir

    def denied(path):
        if "_staging" in str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    (dest / "_staging").mkdir()
    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises((SettingsError, WriteError), match="Permission denied"):
        await lexport.prune(dest, keep_last=1)
    assert len(commits(dest)) == 2


async def test_the_command(dest, write_dataset, run_lexport):
    """The command prints a line for each thing with its reason, in each format, and a sum on stderr."""
    ids = [each.snapshot_id for each in write_dataset(dest, [night(number) for number in range(3)])]
    planned = await run_lexport("prune", dest, "--keep-last", 2, "--dry-run", "--output", "json")
    assert planned.code == 0
    assert [(row["name"], row["action"]) for row in json.loads(planned.out)] == [
        (ids[2], "keep"),
        (ids[1], "keep"),
        (ids[0], "remove"),
    ]
    assert "2 snapshots kept, 1 would be removed; 0 bytes would be freed" in planned.last
    done = await run_lexport("prune", dest, "--keep-last", 2, LEXPORT_PACKAGES="1")
    assert (done.code, commits(dest)) == (0, ids[1:])
    assert "2 snapshots kept, 1 removed" in done.last
    wrong = await run_lexport("prune", dest)
    assert (wrong.code, "no rule says what to keep" in wrong.last) == (2, True)
    assert LocalStore(dest).names("_pruned") == [f"{ids[0]}.json"]
