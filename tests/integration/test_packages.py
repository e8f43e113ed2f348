"""Packages: each once, each right, nothing asked for what is there, and a row for whatever became of it."""

import asyncio
import base64
import hashlib
import os
from collections import Counter
from dataclasses import replace

import anyio
import pytest

import lexport
from lexport.artifacts import plan as survey
from lexport.errors import IncompleteError, RunError, SettingsError
from lexport.model import Scope
from lexport.simulator import Change, Fault, Fleet, FleetSpec

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

HUB = "111122223333"
MEMBERS = tuple(str(int(HUB) + number) for number in range(3))


@pytest.fixture
def fleet():
    """Sixty functions: every kind of code that AWS knows, and packages that versions and functions share."""
    return Fleet(FleetSpec(functions=60, versions=3))


@pytest.fixture
def plain():
    """A few functions, all of them zip packages that AWS hands out."""
    return Fleet(FleetSpec(functions=4, versions=3, seed=3))


def zips(look, fleet, *scopes):
    """CodeSha256 -> CodeSize of every package that AWS hands out."""
    return {
        row["code_sha256"]: row["code_size"]
        for row in look.expected_rows(fleet, *scopes)["functions"]
        if row["package_type"] == "Zip" and not row["code_resolved_s3_object_bucket"] and not row["code_error_code"]
    }


def stored(dest):
    """CodeSha256 -> size of every file in the store; each holds what its name says."""
    found = {}
    for path in dest.glob("packages/sha256/*/*"):
        body = path.read_bytes()
        digest = hashlib.sha256(body)
        assert path.name == f"{digest.hexdigest()}.zip"
        assert path.parent.name == path.name[:2]
        assert path.stat().st_mode & 0o777 == 0o600
        found[base64.b64encode(digest.digest()).decode()] = len(body)
    return found


def calls(server):
    """How often each operation was asked for."""
    found = Counter()
    for (_, _, operation), count in server.calls.items():
        found[operation] += count
    server.calls.clear()
    return found


def statuses(rows):
    return Counter(row["status"] for row in rows["packages"])


def choosing(settings, url, **more):
    """Settings of a run over packages."""
    fields = {name: more.pop(name) for name in tuple(more) if name in lexport.PackageSettings.__dataclass_fields__}
    return settings(url, packages=lexport.PackageSettings(**fields), **more)


# --- what is fetched --------------------------------------------------------------------------------------------------


async def test_each_once(simulator, run_lexport, flags, look, fleet, tmp_path):
    """The command fetches every distinct package once, and has a row for every one; again, and AWS is not asked."""
    dest = tmp_path / "fleet"
    async with simulator(fleet=fleet) as aws:
        await run_lexport("snapshot", dest, *flags(aws.url))
        calls(aws)
        done = await run_lexport("packages", dest, *flags(aws.url, "--allow-partial"))
        first, rows = calls(aws), look.read_rows(dest)
        expected = zips(look, fleet)
        chosen = flags(aws.url, "--package-name", "[!%]*", "--allow-partial")
        denied = {row["code_sha256"] for row in rows["packages"] if row["status"] == "denied"}
        again = await run_lexport("packages", dest, *chosen)
        second = calls(aws)

    assert (done.code, again.code) == (3, 3)
    assert expected == stored(dest)
    assert first["GetObject"] == len(expected)
    assert first["GetFunction"] <= len(expected) + 4 * len(denied)
    assert second["GetObject"] == 0
    assert second["GetFunction"] <= 4 * len(denied)  # what is denied is asked for again

    functions = look.expected_rows(fleet)["functions"]
    assert {row["code_sha256"] for row in functions} == {row["code_sha256"] for row in rows["packages"]}
    assert statuses(rows) == {
        "stored": len(expected),
        "image": len({row["code_sha256"] for row in functions if row["package_type"] == "Image"}),
        "reference": len({row["code_sha256"] for row in functions if row["code_resolved_s3_object_bucket"]}),
        "denied": len(denied),
    }
    for row in rows["packages"]:
        if row["status"] == "stored":
            assert row["path"] == f"packages/sha256/{row['sha256_hex'][:2]}/{row['sha256_hex']}.zip"
            assert row["size_bytes"] == (dest / row["path"]).stat().st_size == expected[row["code_sha256"]]
            assert row["verified_at"] is not None
        else:
            assert row["path"] is None
            assert row["reason"] or row["status"] == "image"
    assert {(row["stage"], row["is_gap"]) for row in rows["errors"]} == {("packages", True)}
    assert statuses(look.read_rows(dest))["present"] == len(expected)
    assert f"packages: {len(expected):,} stored" in done.err
    assert f"packages: {len(expected):,} present" in again.err


async def test_nothing_to_ask(simulator, aws, settings, look, plain, tmp_path):
    """Where everything is there, no call is made and no credentials are needed."""
    async with simulator(fleet=plain) as server:
        await lexport.snapshot(tmp_path, settings(server.url))
        first = await lexport.packages(tmp_path, settings(server.url))
        calls(server)
        aws.delenv("AWS_ACCESS_KEY_ID")
        second = await lexport.packages(tmp_path, settings(server.url))

        assert calls(server) == {}
    assert first.packages.moved_bytes() == sum(zips(look, plain).values()) == first.packages.stored_bytes
    assert second.packages.moved_bytes() == 0
    assert statuses(look.read_rows(tmp_path)) == {"present": len(zips(look, plain))}
    assert [row["scopes"] for row in map(vars_of, sorted(tmp_path.glob("_runs/*.json")))][1:] == [[], []]


def vars_of(path):
    import json

    return json.loads(path.read_bytes())


async def test_the_endpoint_of_the_environment(simulator, run_lexport, flags, look, plain, tmp_path):
    """Links may lead to the endpoint that AWS_ENDPOINT_URL names, as to that of --endpoint-url."""
    dest, expected = tmp_path / "fleet", zips(look, plain)
    async with simulator(fleet=plain) as aws:
        _, _, *rest = flags(aws.url)
        done = await run_lexport("snapshot", dest, "--packages", *rest, AWS_ENDPOINT_URL=aws.url)

    assert done.code == 0
    assert stored(dest) == expected


async def test_with_a_snapshot(simulator, run_lexport, flags, look, fleet, tmp_path):
    """snapshot --packages fetches each once too, by links that came by where it could, into one commit."""
    dest = tmp_path / "fleet"
    async with simulator(fleet=fleet) as aws:
        done = await run_lexport("snapshot", dest, *flags(aws.url, "--packages", "--layers", "--allow-partial"))
        asked = calls(aws)

    rows, expected = look.read_rows(dest), zips(look, fleet)
    layers = {row["layer_arn"] for row in rows["layers"]}
    assert done.code == 3, done.err
    assert set(expected) <= set(stored(dest))
    assert statuses(rows)["stored"] == asked["GetObject"] == len(stored(dest))
    assert {row["code_sha256"] for row in rows["layer_versions"]} <= {row["code_sha256"] for row in rows["packages"]}
    assert asked["GetLayerVersionByArn"] == len(layers) == len(rows["layer_versions"])
    assert look.expected_rows(fleet)["functions"] == look.facts(rows["functions"])
    assert len(list(dest.glob("_runs/*.json"))) == 1
    assert rows["scopes"][0]["status"] == "complete"


async def test_without_packages(simulator, aws, settings, look, plain, tmp_path):
    """A snapshot that does not look at packages has no table of them: not looked at is not empty."""
    async with simulator(fleet=plain) as server:
        await lexport.snapshot(tmp_path, settings(server.url))

        assert calls(server)["GetObject"] == 0
    assert not {"packages", "layer_versions"} & set(look.read_rows(tmp_path))
    assert not (tmp_path / "packages").exists()


async def test_across_accounts(simulator, aws, settings, look, tmp_path):
    """What accounts share is fetched once; each account is entered as a snapshot enters it."""
    fleet = Fleet(FleetSpec(functions=4, versions=2, accounts=MEMBERS, seed=3))
    entering = {"account_role": "lexport-reader"}
    async with simulator(fleet=fleet) as server:
        await lexport.snapshot(tmp_path, settings(server.url, **entering, accounts=MEMBERS))
        calls(server)
        result = await lexport.packages(tmp_path, settings(server.url, **entering))
        asked, only_packages = calls(server), stored(tmp_path)
        layers = await lexport.packages(tmp_path, choosing(settings, server.url, layers=True, **entering))

    expected = zips(look, fleet, *(Scope(account_id=account, region=look.region) for account in MEMBERS))
    assert result.manifest.status == layers.manifest.status == "complete"
    assert expected == only_packages
    assert asked["GetObject"] == asked["GetFunction"] == len(expected)
    assert {row["status"] for row in look.read_rows(tmp_path)["layer_versions"]} <= {"stored"}


async def test_no_way_in(simulator, aws, settings, look, tmp_path):
    """Accounts that the credentials do not belong to are gaps that say what to give."""
    fleet = Fleet(FleetSpec(functions=4, versions=2, accounts=MEMBERS, seed=3))
    async with simulator(fleet=fleet) as server:
        await lexport.snapshot(tmp_path, settings(server.url, account_role="lexport-reader", accounts=MEMBERS))
        with pytest.raises(IncompleteError, match="stored and costs nothing next time"):
            await lexport.packages(tmp_path, settings(server.url))
        result = await lexport.packages(tmp_path, settings(server.url, allow_partial=True))

    own = zips(look, fleet)
    assert set(own) <= set(stored(tmp_path))
    denied = [row for row in look.read_rows(tmp_path)["packages"] if row["status"] == "denied"]
    assert denied
    assert all("give --account-role" in row["reason"] for row in denied)
    assert result.manifest.gaps == len(denied)


# --- which ones -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choice", "is_wanted"),
    [
        ({"packages_for": "latest"}, lambda row: row["version"] == "$LATEST"),
        ({"packages_for": "published"}, lambda row: row["version"] != "$LATEST"),
        ({"runtimes": ("python3.12", "python3.13")}, lambda row: row["runtime"] in ("python3.12", "python3.13")),
        ({"names": ("*-1*", "b*")}, lambda row: "-1" in row["function_name"] or row["function_name"][0] == "b"),
        ({"max_size_bytes": 2000}, lambda row: row["code_size"] <= 2000),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
async def test_choice(simulator, aws, settings, look, fleet, tmp_path, choice, is_wanted):
    """A choice fetches what some chosen version refers to, and the others' rows say why they were skipped."""
    async with simulator(fleet=fleet) as server:
        await lexport.snapshot(tmp_path, settings(server.url))
        await lexport.packages(tmp_path, choosing(settings, server.url, **choice, allow_partial=True))

    expected = {row["code_sha256"] for row in look.expected_rows(fleet)["functions"] if is_wanted(row)}
    skipped = {
        row["code_sha256"]: row["reason"] for row in look.read_rows(tmp_path)["packages"] if row["status"] == "skipped"
    }
    assert set(zips(look, fleet)) & expected == set(stored(tmp_path))
    assert set(zips(look, fleet)) - expected <= set(skipped)
    reason = survey.TOO_LARGE if "max_size_bytes" in choice else survey.FILTERED_OUT
    assert set(skipped.values()) == {reason}


async def test_a_region(simulator, aws, settings, look, plain, tmp_path):
    """--region fetches what the dataset's functions of that Region refer to, and has rows for the others."""
    regions = ("eu-west-1", "us-east-1")
    async with simulator(fleet=plain) as server:
        await lexport.snapshot(tmp_path, settings(server.url, regions=regions))
        await lexport.packages(tmp_path, choosing(settings, server.url, regions=regions[:1]))

    here, there = (zips(look, plain, Scope(account_id=HUB, region=region)) for region in regions)
    assert stored(tmp_path) == here
    assert statuses(look.read_rows(tmp_path)) == {"stored": len(here), "skipped": len(there.keys() - here.keys())}


async def test_a_choice_while_reading(simulator, aws, settings, look, fleet, tmp_path):
    """Links that come by are used for chosen packages only."""
    more = {"packages_for": "latest", "max_size_bytes": 3000, "allow_partial": True}
    async with simulator(fleet=fleet) as server:
        await lexport.snapshot(tmp_path, choosing(settings, server.url, **more))

    expected = {
        row["code_sha256"]
        for row in look.expected_rows(fleet)["functions"]
        if row["version"] == "$LATEST" and row["code_size"] <= 3000
    }
    assert set(zips(look, fleet)) & expected == set(stored(tmp_path))


# --- what is not to be had --------------------------------------------------------------------------------------------


async def test_gone(simulator, aws, settings, look, plain, tmp_path):
    """What is gone everywhere is a failed row and no gap; while one version still has it, it is fetched from there."""
    name, other = plain.name(0), plain.name(1)
    async with simulator(fleet=plain) as server:
        await lexport.snapshot(tmp_path, settings(server.url))
        plain.apply(Change(kind="delete_function", scope=look.scope, function_name=name))
        result = await lexport.packages(tmp_path, settings(server.url))

    kept = set(zips(look, plain))
    rows = look.read_rows(tmp_path)
    assert result.manifest.status == "complete"
    assert kept == set(stored(tmp_path))
    assert {row["code_sha256"] for row in rows["packages"] if row["status"] == "stored"} == kept
    assert {row["reason"].partition(":")[0] for row in rows["packages"] if row["status"] == "failed"} == {"gone"}
    assert {(row["error_code"], row["is_gap"]) for row in rows["errors"]} == {("gone", False)}
    assert other in {row["function_name"] for row in look.expected_rows(plain)["functions"]}


async def test_another_version_has_it(simulator, aws, settings, look, plain, tmp_path):
    """Where one of the versions that share a package is denied, another is asked."""
    shared = Counter(row["code_sha256"] for row in look.expected_rows(plain)["functions"])
    code, count = shared.most_common(1)[0]
    rows = [row for row in look.expected_rows(plain)["functions"] if row["code_sha256"] == code]
    published = [row for row in rows if row["version"] != "$LATEST"]
    first = published[0] if published else rows[0]
    async with simulator(fleet=plain) as server:
        await lexport.snapshot(tmp_path, settings(server.url))
        server.inject(
            Fault(
                operation="GetFunction",
                function_name=first["function_name"],
                qualifier=first["version"],
                kind="denied",
                times=None,
            )
        )
        await lexport.packages(tmp_path, settings(server.url))

    assert count > 1
    assert zips(look, plain) == stored(tmp_path)


async def test_changed(simulator, aws, settings, look, fleet, tmp_path):
    """A function whose code was changed meanwhile is followed to its new package; the old one's row tells of it."""
    rows = look.expected_rows(fleet)["functions"]
    counts, before = Counter(row["code_sha256"] for row in rows), zips(look, fleet)
    name, code = next(
        (row["function_name"], row["code_sha256"])
        for row in rows
        if row["version"] == "$LATEST" and counts[row["code_sha256"]] == 1 and row["code_sha256"] in before
    )
    async with simulator(fleet=fleet) as server:
        await lexport.snapshot(tmp_path, settings(server.url))
        fleet.apply(Change(kind="update_code", scope=look.scope, function_name=name))
        await lexport.packages(tmp_path, choosing(settings, server.url, names=(name,)))

    newer = set(zips(look, fleet)) - set(before)
    told = {row["code_sha256"]: row for row in look.read_rows(tmp_path)["packages"]}
    assert len(newer) == 1
    assert newer <= set(stored(tmp_path))
    assert told[newer.pop()]["status"] == "stored"
    assert (told[code]["status"], told[code]["reason"].partition(":")[0]) == ("failed", "replaced")
    errors = look.read_rows(tmp_path)["errors"]
    assert [(row["function_name"], row["error_code"], row["is_gap"]) for row in errors] == [(name, "replaced", False)]


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (Fault(operation="GetFunction", kind="denied", times=None), "denied", "AccessDeniedException"),
        (
            Fault(operation="GetObject", kind="error", status=403, code="AccessDenied", times=None),
            "denied",
            "AccessDenied",
        ),
        (Fault(operation="GetObject", kind="corrupt", times=None), "failed", "hash_mismatch"),
    ],
    ids=["denied by Lambda", "denied by S3", "not what it should be"],
)
async def test_lost(simulator, run_lexport, flags, look, plain, tmp_path, fault, status, code):
    """A package that cannot be had is a row and a gap: exit 1 and nothing published, 3 where that is allowed."""
    name, dest = plain.name(0), tmp_path / "fleet"
    async with simulator(fleet=plain) as aws:
        await run_lexport("snapshot", dest, *flags(aws.url))
        commits = set(dest.glob("_runs/*"))
        aws.inject(replace(fault, function_name=name))
        refused = await run_lexport("packages", dest, *flags(aws.url))
        unpublished = set(dest.glob("_runs/*"))
        allowed = await run_lexport("packages", dest, *flags(aws.url, "--allow-partial"))

    lost = {
        row["code_sha256"]
        for row in look.expected_rows(plain)["functions"]
        if row["function_name"] == name and row["code_sha256"] not in stored(dest)
    }
    assert (refused.code, allowed.code) == (1, 3)
    assert "stored and costs nothing next time" in refused.last
    assert commits == unpublished
    assert lost
    assert set(zips(look, plain)) - lost == set(stored(dest))
    rows = look.read_rows(dest)
    assert {row["code_sha256"] for row in rows["packages"] if row["status"] == status} == lost
    assert {(row["error_code"], row["is_gap"]) for row in rows["errors"]} == {(code, True)}
    assert "X-Amz-" not in refused.err + allowed.err + str(rows)


async def test_no_room(simulator, aws, settings, look, plain, tmp_path, monkeypatch):
    """Where the disk has no room for all of it, that is said before the first byte."""
    async with simulator(fleet=plain) as server:
        await lexport.snapshot(tmp_path, settings(server.url))
        calls(server)
        full = os.statvfs_result((4096, 4096, 100, 1, 1, 1, 1, 1, 0, 255))
        monkeypatch.setattr(os, "statvfs", lambda _: full)  # the one answer of the system that no test can arrange
        with pytest.raises(RunError, match=r"bytes .* are to be fetched, but .* has 4,096 free") as caught:
            await lexport.packages(tmp_path, settings(server.url))

        assert calls(server) == {}
    assert caught.value.exit_code == 1
    assert stored(tmp_path) == {}
    assert list((tmp_path / "_staging").iterdir()) == []


async def test_no_room_for_a_snapshots_packages(simulator, aws, settings, look, plain, tmp_path, monkeypatch):
    """Where there is no room for the packages of a snapshot, what was read is kept: each package is a failed row."""
    full = os.statvfs_result((4096, 4096, 100, 1, 1, 1, 1, 1, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _: full)  # the one answer of the system that no test can arrange
    nothing_by_hand = Fault(operation="GetObject", kind="denied", times=None)
    async with simulator(nothing_by_hand, fleet=plain) as server:
        result = await lexport.snapshot(
            tmp_path, settings(server.url, packages=lexport.PackageSettings(), allow_partial=True)
        )

    rows, expected = look.read_rows(tmp_path), zips(look, plain)
    lost = [row for row in rows["packages"] if row["status"] == "failed"]
    assert look.expected_rows(plain)["functions"] == look.facts(rows["functions"])
    assert len(lost) == len(expected)
    assert {row["reason"].partition(":")[0] for row in lost} == {"no_room"}
    assert result.manifest.gaps == len(lost) == len(rows["errors"])
    assert any("has 4,096 free" in note for note in result.notes)


# --- interrupted, and two at once -------------------------------------------------------------------------------------


async def test_killed(simulator, run_lexport, start_lexport, flags, look, plain, tmp_path):
    """kill -9 in the middle loses nothing that was stored: the next run fetches the rest, and only that."""
    dest = tmp_path / "fleet"
    expected = zips(look, plain)
    async with simulator(fleet=plain) as aws:
        await run_lexport("snapshot", dest, *flags(aws.url))
        aws.inject(Fault(operation="GetObject", kind="hang", after=4, times=1))
        aws.calls.clear()
        one_by_one = flags(aws.url, "--package-concurrency", "1")
        async with start_lexport("packages", dest, *one_by_one) as process:
            with anyio.fail_after(20):
                while calls_so_far(aws, "GetObject") < 5:  # noqa: ASYNC110 - it has no event
                    await anyio.sleep(0.005)
            process.kill()
            await process.wait()
        before = stored(dest)
        calls(aws)
        done = await run_lexport("packages", dest, *flags(aws.url))
        asked = calls(aws)

    assert len(before) == 4
    assert done.code == 0, done.err
    assert asked["GetObject"] == len(expected) - len(before)
    assert expected == stored(dest)


def calls_so_far(server, operation):
    return sum(count for (_, _, name), count in server.calls.items() if name == operation)


async def test_two_at_once(simulator, aws, settings, look, fleet, tmp_path):
    """Two runs at once both commit, and the store holds every package whole."""
    async with simulator(fleet=fleet) as server:
        await lexport.snapshot(tmp_path, settings(server.url))
        results = await asyncio.gather(
            *(lexport.packages(tmp_path, settings(server.url, allow_partial=True)) for _ in range(2))
        )

    assert zips(look, fleet) == stored(tmp_path)
    assert {result.published for result in results} == {True}
    assert len(list(tmp_path.glob("_runs/*.json"))) == 3


# --- layers -----------------------------------------------------------------------------------------------------------


async def test_layers(simulator, aws, settings, look, fleet, tmp_path):
    """Every distinct layer version in use is asked for once; what another account denies is a row, not a failure."""
    async with simulator(fleet=fleet) as server:
        await lexport.snapshot(tmp_path, settings(server.url))
        arns = {row["layer_arn"] for row in look.read_rows(tmp_path)["layers"]}
        foreign = next(arn for arn in sorted(arns) if f":{look.account}:" not in arn)
        own = next(arn for arn in sorted(arns) if f":{look.account}:" in arn)
        server.inject(Fault(operation="GetLayerVersionByArn", layer_arn=foreign, kind="denied", times=None))
        choice = choosing(settings, server.url, layers=True, names=("[!%]*",), allow_partial=True)
        await lexport.packages(tmp_path, choice)
        first, rows = calls(server), look.read_rows(tmp_path)
        await lexport.packages(tmp_path, choice)
        second = calls(server)

    by_arn = {row["layer_arn"]: row for row in rows["layer_versions"]}
    assert set(by_arn) == arns
    assert first["GetLayerVersionByArn"] == len(arns)
    assert second["GetLayerVersionByArn"] == 1  # what was denied
    assert Counter(row["status"] for row in by_arn.values()) == {"stored": len(arns) - 1, "denied": 1}
    assert by_arn[foreign]["reason"].startswith("AccessDeniedException: ")
    assert (by_arn[own]["compatible_runtimes"], by_arn[own]["compatible_architectures"]) == (
        '["python3.12","python3.13"]',
        '["x86_64","arm64"]',
    )
    assert by_arn[own]["created_at"].isoformat() == "2024-05-14T06:20:50.057000+00:00"
    assert by_arn[own]["code_sha256"] in stored(tmp_path)
    assert [row["is_gap"] for row in rows["errors"] if row["operation"] == "GetLayerVersionByArn"] == [False]
    newest = {row["layer_arn"]: row for row in look.read_rows(tmp_path)["layer_versions"]}
    assert newest[own] | {"status": "stored"} == by_arn[own] | {
        name: newest[own][name] for name in ("snapshot_id", "snapshot_at")
    }


@pytest.mark.parametrize("member", [HUB, MEMBERS[1]])
async def test_reference_packages(simulator, aws, settings, look, tmp_path, member):
    """--reference-packages fetches from the customer's own bucket, with the credentials that read the account."""
    fleet = Fleet(FleetSpec(functions=60, versions=3, accounts=MEMBERS))
    scope = Scope(account_id=member, region=look.region)
    functions = look.expected_rows(fleet, scope)["functions"]
    rows = [row for row in functions if row["code_resolved_s3_object_bucket"]]
    name = rows[0]["function_name"]
    entering = {"account_role": "lexport-reader"}
    async with simulator(fleet=fleet) as server:
        await lexport.snapshot(tmp_path, settings(server.url, **entering, accounts=(member,), aliases=False))
        calls(server)
        choice = {"reference_packages": True, "names": (name,)}
        await lexport.packages(tmp_path, choosing(settings, server.url, **choice, **entering))
        asked = calls(server)

    expected = {row["code_sha256"]: row["code_size"] for row in rows}
    assert expected
    assert expected == stored(tmp_path)
    assert (asked["GetObject"], asked["GetFunction"]) == (len(expected), 0)
    assert {row["code_sha256"] for row in look.read_rows(tmp_path)["packages"] if row["status"] == "stored"} == set(
        expected
    )


async def test_inspect(simulator, run_lexport, flags, look, fleet, tmp_path):
    """--inspect has rows for everything stored, layers too, and looks into nothing twice."""
    dest = tmp_path / "fleet"
    choice = ("--layers", "--inspect", "--allow-partial")
    async with simulator(fleet=fleet) as aws:
        await run_lexport("snapshot", dest, *flags(aws.url))
        first = await run_lexport("packages", dest, *flags(aws.url, *choice))
        rows = look.read_rows(dest)
        second = await run_lexport("packages", dest, *flags(aws.url, *choice))

    contents = {path.stem for path in dest.glob("packages/sha256/*/*.zip")}
    assert {row["sha256_hex"] for row in rows["package_files"]} == contents
    assert {base64.b64decode(row["code_sha256"]).hex() for row in rows["layer_versions"]} <= contents
    assert f"packages: {len(contents):,} looked into" in first.err
    assert "looked into" not in second.err
    assert look.read_rows(dest)["package_files"] == []
    asked = await lexport.sql(dest, "SELECT count(DISTINCT sha256_hex) AS n FROM package_files")
    assert asked.to_pylist() == [{"n": len(contents)}]


# --- wrong use --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--max-package-size", "big"), "is not a size"),
        (("--package-rate", "0"), "--package-rate is a number of bytes"),
        (("--package-concurrency", "0"), "--package-concurrency is from 1 to 256"),
        (("--package-host", "http://x/y"), "--package-host is a HOST or HOST:PORT"),
        (("--package-name", ""), "--package-name is not empty"),
    ],
)
async def test_wrong_options(simulator, run_lexport, flags, plain, tmp_path, arguments, words):
    """Each wrong option is one clear line and exit code 2."""
    async with simulator(fleet=plain) as aws:
        await run_lexport("snapshot", tmp_path / "fleet", *flags(aws.url))
        done = await run_lexport("packages", tmp_path / "fleet", *flags(aws.url, *arguments))

    assert done.code == 2
    assert words in done.last


async def test_a_choice_of_nothing(simulator, run_lexport, flags, plain, tmp_path):
    """A Region that the dataset does not have, or a dataset of listed functions alone, is no fleet without packages."""
    name = plain.function(Scope(account_id=HUB, region="us-east-1"), 0).name
    async with simulator(fleet=plain) as aws:
        await run_lexport("snapshot", tmp_path / "fleet", *flags(aws.url))
        region = await run_lexport("packages", tmp_path / "fleet", *flags(aws.url, "--region", "eu-west-1"))
        await run_lexport("snapshot", tmp_path / "listed", *flags(aws.url, "--function", name))
        listed = await run_lexport("packages", tmp_path / "listed", *flags(aws.url))

    assert (region.code, listed.code) == (2, 1)
    assert "--region eu-west-1: the dataset has no latest functions there, only of us-east-1" in region.last
    assert "was ever read whole" in listed.last


async def test_no_snapshot(run_lexport, tmp_path):
    """Without a snapshot there are no functions whose packages could be wanted; options without --packages are said."""
    nothing = await run_lexport("packages", tmp_path / "fleet")
    options = await run_lexport("snapshot", tmp_path / "fleet", "--layers")

    assert (nothing.code, options.code) == (2, 2)
    assert "does not exist" in nothing.last
    assert "go with --packages" in options.last


async def test_settings_of_a_snapshot(aws, settings, tmp_path):
    """What only a snapshot, or only a run over packages, can do is refused by name."""
    with pytest.raises(SettingsError, match="--function is for a snapshot"):
        await lexport.packages(tmp_path, settings("http://127.0.0.1:1", functions=("f",)))
    with pytest.raises(SettingsError, match="--inspect looks into the store of a dataset"):
        await lexport.snapshot(tmp_path, choosing(settings, "http://127.0.0.1:1", inspect=True))
