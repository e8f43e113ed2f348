"""Packages that are gone, denied, changed or wrong, full disks, and interrupted or concurrent runs."""

import asyncio
import os
import shlex
from collections import Counter
from dataclasses import replace

import anyio
import pytest

import lexport
from lexport.errors import RunError
from lexport.simulator import Change, Fault

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

HUB = "111122223333"
MEMBERS = tuple(str(int(HUB) + number) for number in range(3))


async def test_gone(simulator, aws, zip_fleet, tmp_path, look, settings, packages):
    """A package that is gone everywhere is a failed row and no gap; if one version still has it, it is downloaded."""
    name, other = zip_fleet.name(0), zip_fleet.name(1)
    async with simulator(fleet=zip_fleet) as server:
        await lexport.snapshot(tmp_path, settings(server.url))
        zip_fleet.apply(Change(kind="delete_function", scope=look.scope, function_name=name))
        result = await lexport.packages(tmp_path, settings(server.url))

    kept = set(packages.expected(zip_fleet))
    rows = look.read_rows(tmp_path)
    assert result.manifest.status == "complete"
    assert kept == set(packages.stored(tmp_path))
    assert {row["code_sha256"] for row in rows["packages"] if row["status"] == "stored"} == kept
    assert {row["reason"].partition(":")[0] for row in rows["packages"] if row["status"] == "failed"} == {"gone"}
    assert {(row["error_code"], row["is_gap"]) for row in rows["errors"]} == {("gone", False)}
    assert other in {row["function_name"] for row in look.expected_rows(zip_fleet)["functions"]}


async def test_another_version_has_the_package(simulator, aws, zip_fleet, tmp_path, look, settings, packages):
    """If one of the versions that share a package is denied, the link is requested for another."""
    shared = Counter(row["code_sha256"] for row in look.expected_rows(zip_fleet)["functions"])
    code, count = shared.most_common(1)[0]
    rows = [row for row in look.expected_rows(zip_fleet)["functions"] if row["code_sha256"] == code]
    published = [row for row in rows if row["version"] != "$LATEST"]
    first = published[0] if published else rows[0]
    async with simulator(fleet=zip_fleet) as server:
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
    assert packages.expected(zip_fleet) == packages.stored(tmp_path)


async def test_changed(simulator, aws, fleet, tmp_path, look, settings, packages):
    """If a function's code changed meanwhile, its new package is stored and the row of the old one says so."""
    rows = look.expected_rows(fleet)["functions"]
    counts, before = Counter(row["code_sha256"] for row in rows), packages.expected(fleet)
    name, code = next(
        (row["function_name"], row["code_sha256"])
        for row in rows
        if row["version"] == "$LATEST" and counts[row["code_sha256"]] == 1 and row["code_sha256"] in before
    )
    async with simulator(fleet=fleet) as server:
        await lexport.snapshot(tmp_path, settings(server.url))
        fleet.apply(Change(kind="update_code", scope=look.scope, function_name=name))
        await lexport.packages(tmp_path, packages.settings(server.url, names=(name,)))

    newer = set(packages.expected(fleet)) - set(before)
    by_code = {row["code_sha256"]: row for row in look.read_rows(tmp_path)["packages"]}
    assert len(newer) == 1
    assert newer <= set(packages.stored(tmp_path))
    assert by_code[newer.pop()]["status"] == "stored"
    assert (by_code[code]["status"], by_code[code]["reason"].partition(":")[0]) == ("failed", "replaced")
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
async def test_failed(simulator, run_lexport, flags, zip_fleet, tmp_path, fault, status, code, look, packages):
    """A package that cannot be had is a row, and no gap; with --require packages it is one: exit 1, or published, 3."""
    name, dest = zip_fleet.name(0), tmp_path / "fleet"
    async with simulator(fleet=zip_fleet) as aws:
        await run_lexport("snapshot", dest, *flags(aws.url))
        commits = set(dest.glob("_runs/*"))
        aws.inject(replace(fault, function_name=name))
        refused = await run_lexport("packages", dest, *flags(aws.url, "--require", "packages"))
        unpublished = set(dest.glob("_runs/*"))
        shown = await run_lexport(*shlex.split(refused.last.partition("every one by kind: lexport ")[2]))
        allowed = await run_lexport("packages", dest, *flags(aws.url, "--require", "packages", "--allow-partial"))
        gaps = look.read_rows(dest)["errors"]
        optional = await run_lexport("packages", dest, *flags(aws.url))
        status_line = await run_lexport("status", dest)

    lost = {
        row["code_sha256"]
        for row in look.expected_rows(zip_fleet)["functions"]
        if row["function_name"] == name and row["code_sha256"] not in packages.stored(dest)
    }
    assert (refused.code, allowed.code, optional.code) == (1, 3, 0)
    total = len(packages.expected(zip_fleet))
    assert f"warning: {total - len(lost):,} of {total:,} packages" in optional.err
    assert "--require packages makes" in optional.err
    assert "--require packages makes" not in refused.err + allowed.err
    assert f"{total - len(lost)} of {total}" in status_line.out
    assert "stored and costs nothing next time" in refused.last
    assert shown.code == 0
    assert code in shown.out
    assert commits == unpublished
    assert lost
    assert set(packages.expected(zip_fleet)) - lost == set(packages.stored(dest))
    rows = look.read_rows(dest)
    assert {row["code_sha256"] for row in rows["packages"] if row["status"] == status} == lost
    assert {(row["error_code"], row["is_gap"]) for row in gaps} == {(code, True)}
    assert {(row["error_code"], row["is_gap"]) for row in rows["errors"]} == {(code, False)}
    assert "X-Amz-" not in refused.err + allowed.err + str(rows)


async def test_no_disk_space(simulator, aws, zip_fleet, tmp_path, monkeypatch, settings, packages):
    """If the disk has no space for all packages, the run fails before the first byte."""
    async with simulator(fleet=zip_fleet) as server:
        await lexport.snapshot(tmp_path, settings(server.url))
        packages.calls(server)
        full = os.statvfs_result((4096, 4096, 100, 1, 1, 1, 1, 1, 0, 255))
        monkeypatch.setattr(os, "statvfs", lambda _: full)  # a test cannot fill the disk
        with pytest.raises(RunError, match=r"bytes .* are to be fetched, but .* has 4,096 free") as caught:
            await lexport.packages(tmp_path, settings(server.url))

        assert packages.calls(server) == {}
    assert caught.value.exit_code == 1
    assert packages.stored(tmp_path) == {}
    assert list((tmp_path / "_staging").iterdir()) == []


async def test_no_disk_space_in_a_snapshot(simulator, aws, zip_fleet, tmp_path, monkeypatch, look, settings, packages):
    """If the disk has no space for the packages of a snapshot, its tables are published with a failed row for each."""
    full = os.statvfs_result((4096, 4096, 100, 1, 1, 1, 1, 1, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _: full)  # a test cannot fill the disk
    no_early_download = Fault(operation="GetObject", kind="denied", times=None)
    async with simulator(no_early_download, fleet=zip_fleet) as server:
        result = await lexport.snapshot(tmp_path, settings(server.url, packages=lexport.PackageSettings()))

    rows, expected = look.read_rows(tmp_path), packages.expected(zip_fleet)
    lost = [row for row in rows["packages"] if row["status"] == "failed"]
    assert look.expected_rows(zip_fleet)["functions"] == look.facts(rows["functions"])
    assert len(lost) == len(expected)
    assert {row["reason"].partition(":")[0] for row in lost} == {"no_room"}
    assert (result.manifest.gaps, result.manifest.packages_stored) == (0, 0)
    assert result.manifest.packages == len(lost) == len(rows["errors"])
    assert any("has 4,096 free" in note for note in result.notes)


async def test_killed(simulator, run_lexport, start_lexport, flags, zip_fleet, tmp_path, packages):
    """kill -9 loses no stored package: the next run downloads only the others."""
    dest = tmp_path / "fleet"
    expected = packages.expected(zip_fleet)
    async with simulator(fleet=zip_fleet) as aws:
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
        before = packages.stored(dest)
        packages.calls(aws)
        done = await run_lexport("packages", dest, *flags(aws.url))
        counts = packages.calls(aws)

    assert len(before) == 4
    assert done.code == 0, done.err
    assert counts["GetObject"] == len(expected) - len(before)
    assert expected == packages.stored(dest)


def calls_so_far(server, operation):
    return sum(count for (_, _, name), count in server.calls.items() if name == operation)


async def test_two_at_once(simulator, aws, fleet, tmp_path, settings, packages):
    """Two runs at once both commit, and the store holds every package."""
    async with simulator(fleet=fleet) as server:
        await lexport.snapshot(tmp_path, settings(server.url))
        results = await asyncio.gather(
            *(lexport.packages(tmp_path, settings(server.url, allow_partial=True)) for _ in range(2))
        )

    assert packages.expected(fleet) == packages.stored(tmp_path)
    assert {result.published for result in results} == {True}
    assert len(list(tmp_path.glob("_runs/*.json"))) == 3
