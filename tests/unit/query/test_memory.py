"""The memory limit of a query."""

import pytest

from lexport.query.memory import LEAST_BYTES, cgroup_limits, query_limit_bytes

MIB = 2**20


@pytest.mark.parametrize(
    ("limits_mib", "room_mib", "query_mib"),
    [
        ([65536], None, 52428),
        ([65536, 400], None, 272),  # a small cgroup: ours is more than a fifth of it
        ([640], None, 512),
        ([641], None, 512),
        ([639], None, 511),
        ([128], None, 32),
        ([10], None, 32),
        ([65536], 1000, 872),
        ([65536], 0, 32),
        ([400], 1000, 272),
    ],
)
def test_limit(limits_mib, room_mib, query_mib):
    """A query gets four fifths of the smallest limit, or all but 128 MiB if that is less, but at least 32 MiB."""
    limit = query_limit_bytes(
        [mib * MIB for mib in limits_mib], address_space_bytes=None if room_mib is None else room_mib * MIB
    )

    assert limit // MIB == query_mib
    assert limit >= LEAST_BYTES


@pytest.mark.parametrize(
    ("membership", "files", "limits"),
    [
        ("0::/a/b\n", {"a/b/memory.max": "max\n", "a/memory.max": "1000\n"}, [1000]),
        ("0::/a/b\n", {"a/b/memory.max": "500\n", "a/memory.max": "1000\n", "memory.max": "9\n"}, [500, 1000, 9]),
        ("0::/\n", {"memory.max": "700\n"}, [700]),
        ("0::/../outside\n", {"memory.max": "700\n"}, [700]),
        ("4:memory:/x\n0::/\n", {"memory/x/memory.limit_in_bytes": "400\n"}, [400]),
        ("4:cpu,memory:/seen/outside\n", {"memory/memory.limit_in_bytes": "400\n"}, [400]),
        ("4:cpuset:/x\n", {"memory/x/memory.limit_in_bytes": "400\n"}, []),
        ("0::/a\n", {"a/memory.max": "no number\n"}, []),
        ("", {}, []),
    ],
)
def test_cgroups(tmp_path, membership, files, limits):
    """Cgroups and their parents limit a process, in both versions, also where a container sees only the root."""
    for name, text in files.items():
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "cgroup").write_text(membership)

    assert list(cgroup_limits(tmp_path / "root", tmp_path / "cgroup")) == limits


def test_no_cgroups(tmp_path):
    """A system without cgroups has no limits of cgroups."""
    assert list(cgroup_limits(tmp_path, tmp_path / "none")) == []
