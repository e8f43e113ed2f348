"""What is written reaches the disk in the order that a loss of power needs: bytes, names, then the commit."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import PurePosixPath

import pytest
from anyio import run_process

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


class Order:
    """The calls of a run, and where among them each stands."""

    def __init__(self, calls):
        self.calls = calls

    def named(self, path):
        """Where a name is given, and to which file."""
        (found,) = [
            (number, source)
            for number, (call, source, target) in enumerate(self.calls)
            if call in ("link", "rename", "renameat2") and target == path
        ]
        return found

    def synced(self, path):
        return [number for number, call in enumerate(self.calls) if call[:2] == ("fsync", path.removeprefix("."))]

    def check(self, path):
        """Check that a file was on disk before its name, its name soon after; return when that was."""
        named, source = self.named(path)
        written = [number for number, call in enumerate(self.calls) if call[:2] == ("write", source)]
        assert max(written) < max(self.synced(source)) < named, path
        assert not [number for number in written if number > named]
        return min(number for number in self.synced(str(PurePosixPath(path).parent)) if number > named)


async def test_a_loss_of_power_finds_a_whole_dataset(simulator, run_lexport, flags, look, disk, tmp_path, environment):
    """Every file is synced before its name, every folder after it, and all of it before the commit is made."""
    with disk.failing(tmp_path):
        async with simulator(functions=3) as aws:
            done = await run_lexport(
                "snapshot",
                tmp_path / "fleet",
                *flags(aws.url, "--packages"),
                LEXPORT_HASH_KEY=None,
                **disk.variables(),
            )
    assert done.code == 0, done.err
    order = Order(disk.calls)
    commit = look.newest(tmp_path / "fleet")
    run = f"fleet/_runs/{commit.snapshot_id}.json"
    made, _ = order.named(run)

    # what the commit names is whole by then, and so is each folder on the way to it
    packages = [str(path.relative_to(tmp_path)) for path in (tmp_path / "fleet").rglob("*.zip")]
    assert packages
    for path in [f"fleet/{entry.path}" for entry in commit.files] + packages + ["state/lexport/hash.key"]:
        assert order.check(path) < made, path
    folders: dict[str, int] = {}
    for number, (call, path, _) in enumerate(order.calls):
        if call == "mkdir" and "/.work-" not in str(PurePosixPath(path).parent):  # where nothing has to last
            folders.setdefault(path, number)  # two downloads may try at once
    assert {"fleet", "fleet/_staging", f"fleet/_staging/{commit.snapshot_id}", "fleet/_runs", "fleet/tags"} <= {
        *folders
    }
    for path, number in folders.items():
        then = made if number < made else len(order.calls)
        assert [each for each in order.synced(str(PurePosixPath(path).parent)) if number < each < then], path

    # the commit itself, then its row and the hint
    assert made < order.check(run)
    (row,) = (tmp_path / "fleet" / "snapshots").rglob("*.parquet")
    assert order.check(run) < order.check(str(row.relative_to(tmp_path))) < order.check("fleet/_latest.json")


async def test_a_rename_that_does_not_replace(disk, tmp_path):
    """Without hard links, too, a file that exists is not replaced, and no draft is left."""
    script = (
        "import sys; from pathlib import Path; from lexport.dataset.local import LocalStore\n"
        "from lexport.errors import PublishError\n"
        "store = LocalStore(Path(sys.argv[1])); store.create('a', b'one')\n"
        "try: store.create('a', b'two')\n"
        "except PublishError as error: print(error, store.names(''), store.read('a'))"
    )
    dest = tmp_path / "dest"
    with disk.failing(dest, denied="link linkat", denied_error=errno.EOPNOTSUPP):
        done = await run_process([sys.executable, "-c", script, str(dest)], env={**os.environ, **disk.variables()})

    assert done.stdout.decode() == f"{dest / 'a'} exists already ['a'] b'one'\n"


@pytest.mark.parametrize(
    ("denied", "number"),
    [
        ("link linkat", errno.EPERM),
        ("link linkat", errno.EMLINK),
        ("sync folder", errno.EINVAL),
        ("sync folder", errno.ENOSYS),
    ],
    ids=["exFAT", "one link a file", "SMB", "FUSE"],
)
async def test_lesser_file_systems(simulator, run_lexport, flags, disk, tmp_path, denied, number):
    """Where there are no hard links, or a folder cannot be synced, a run publishes by what there is."""
    dest = tmp_path / "fleet"
    with disk.failing(tmp_path, denied=denied, denied_error=number):
        async with simulator(functions=3) as aws:
            done = await run_lexport("snapshot", dest, *flags(aws.url), LEXPORT_HASH_KEY=None, **disk.variables())
    checked = await run_lexport("verify", "--data", dest)

    assert (done.code, checked.code) == (0, 0), done.err + checked.out
    assert "warning" not in done.err
    assert ("renameat2" in {call for call, _, _ in disk.calls}) is denied.startswith("link")
    assert len(list(dest.glob("_runs/*.json"))) == 1
    assert not [path for path in tmp_path.rglob(".*") if path.is_file()]


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.EPERM, "Operation not permitted: files cannot be created there without risking an overwrite"),
        (errno.ENOSYS, "Function not implemented: files cannot be created there without risking an overwrite"),
        (errno.EXDEV, "it is on a different file system from"),
        (errno.EROFS, "Read-only file system"),
    ],
)
async def test_a_destination_that_could_not_be_published_into(
    simulator, run_lexport, flags, disk, no_hard_links, tmp_path, number, reason
):
    """What would fail at the end is found before the first call to AWS, and no probe is left."""
    with disk.failing(tmp_path / "fleet", denied=no_hard_links, denied_error=number):
        async with simulator() as aws:
            done = await run_lexport("snapshot", tmp_path / "fleet", *flags(aws.url), **disk.variables())

    assert done.code == 2
    (line,) = done.err.splitlines()
    assert line.startswith(f"lexport: DEST {tmp_path / 'fleet'} cannot be written: ")
    assert reason in line
    assert not aws.calls
    assert [path for path in (tmp_path / "fleet").rglob("*") if path.is_file()] == []


async def test_each_folder_is_tried(simulator, run_lexport, flags, look, tmp_path):
    """A table's folder that leads out of DEST is refused before the first call: readers do not follow it."""
    dest = tmp_path / "fleet"
    async with simulator() as aws:
        assert (await run_lexport("snapshot", dest, *flags(aws.url))).code == 0
        (dest / "tags").rename(tmp_path / "elsewhere")
        (dest / "tags").symlink_to(tmp_path / "elsewhere")
        before = look.tree(tmp_path)
        aws.calls.clear()
        done = await run_lexport("snapshot", dest, *flags(aws.url))

    assert done.code == 2
    assert f"{dest / 'tags'} is a link to {tmp_path / 'elsewhere'}, outside of DEST" in done.err
    assert not aws.calls
    assert look.tree(tmp_path) == before


async def test_a_feed_outlives_a_loss_of_power(simulator, run_lexport, flags, disk, tmp_path):
    """Every file of a feed, and their folder, are synced before the folder gets its name."""
    async with simulator(functions=3) as aws:
        assert (await run_lexport("snapshot", tmp_path / "fleet", *flags(aws.url))).code == 0
    with disk.failing(tmp_path):
        done = await run_lexport(
            "feed", tmp_path / "fleet", "--output", "parquet", "-o", tmp_path / "feed", **disk.variables()
        )
    assert done.code == 0, done.err
    order = Order(disk.calls)
    named, draft = order.named("feed")
    files = {path.name for path in (tmp_path / "feed").iterdir()}

    assert {"functions.parquet", "deletes.parquet", "feed.json"} <= files
    for path in [*(f"{draft}/{name}" for name in files), draft]:
        assert ("fsync", path, "") in order.calls[:named], path
    assert max(order.synced("")) > named
