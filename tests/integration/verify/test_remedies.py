"""``lexport verify`` says for each kind of damage how to go on."""

import json

import pytest
from damage import PACKAGES_ID, STORED, file_of, flip

from lexport.cli.main import run

pytestmark = pytest.mark.slow

READ_AGAIN = (
    "bring the file back, or read the fleet again: lexport snapshot {dest}; to go on without that snapshot:"
    " lexport prune {dest} --snapshot {id}"
)


def damage_data(dest):
    flip(dest / file_of(dest, "functions"))


def lose_data(dest):
    (dest / file_of(dest, "tags")).unlink()


def damage_manifest(dest):
    (dest / "_runs" / f"{PACKAGES_ID}.json").write_bytes(b"{")


def newer_manifest(dest):
    path = dest / "_runs" / f"{PACKAGES_ID}.json"
    path.write_bytes(path.read_bytes().replace(b"lexport-manifest/1", b"lexport-manifest/9"))


def damage_package(dest):
    (dest / STORED).write_bytes(b"x")


def lose_package(dest):
    (dest / STORED).unlink()


def lose_announcement(dest):
    (dest / file_of(dest, "snapshots")).unlink()


@pytest.mark.parametrize(
    ("damage", "remedy"),
    [
        (damage_data, READ_AGAIN),
        (lose_data, READ_AGAIN),
        (
            damage_manifest,
            "bring the file back; to go on without that snapshot: lexport prune {dest} --snapshot " + PACKAGES_ID,
        ),
        (newer_manifest, "upgrade lexport"),
        (damage_package, "remove it; lexport packages {dest} fetches it again"),
        (lose_package, "lexport packages {dest} fetches it again"),
        (lose_announcement, "the next lexport snapshot {dest} writes it again"),
    ],
)
def test_what_to_do(dest, capsys, damage, remedy):
    """Each line of damage names the command that goes on, with the destination and the snapshot."""
    snapshot_id = file_of(dest, "functions").rpartition("/")[2][:26]
    damage(dest)

    assert run(["verify", str(dest), "--output", "jsonl"]) == 4
    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert line["remedy"] == remedy.format(dest=dest, id=snapshot_id)
