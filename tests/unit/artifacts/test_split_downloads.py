"""How the packages of a run are split into tasks."""

from __future__ import annotations

from itertools import chain

from hypothesis import given
from hypothesis import strategies as st

from lexport.artifacts.package_refs import ReferencedPackage, item_to_line
from lexport.artifacts.split_downloads import MOST_BYTES, batches, share_of
from lexport.model import PackageRef
from lexport.settings import PackageSettings, SnapshotSettings

SIZES = st.lists(st.one_of(st.none(), st.integers(0, 2 * MOST_BYTES)), max_size=60)


def line_of(number, size_bytes):
    package = PackageRef(code_sha256=f"{number}", size_bytes=size_bytes)
    return item_to_line(
        ReferencedPackage(package=package, package_type="Zip", is_selected=True, s3_object=None, refs=())
    )


@given(SIZES, st.integers(1, 10))
def test_tasks_are_bounded(sizes, most):
    """Every package is in one task, in order; a task has few of them, and more than the bytes only for one alone."""
    lines = [line_of(number, size) for number, size in enumerate(sizes)]
    tasks = list(batches("packages", iter(lines), most))
    assert list(chain.from_iterable(some for some, _ in tasks)) == lines
    assert sum(size for _, size in tasks) == sum(size or 0 for size in sizes)
    assert all(1 <= len(some) <= most and (size <= MOST_BYTES or len(some) == 1) for some, size in tasks)


def test_workers_share_what_one_process_has():
    """The rates and the downloads at once of all workers together are those of one process."""
    chosen = PackageSettings(concurrency=16, rate_bytes_per_s=900.0)
    own = share_of(SnapshotSettings(quota_share=0.6), chosen, 3)
    assert own.packages is not None
    assert (own.quota_share * 3, own.packages.rate_bytes_per_s, own.packages.concurrency) == (0.6, 300.0, 5)
    assert share_of(SnapshotSettings(), chosen, 40).packages.concurrency == 1
