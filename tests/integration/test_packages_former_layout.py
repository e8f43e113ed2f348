"""Packages that a former release stored in the folder of the table ``packages`` stay where they are, and count."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from damage import fix

from lexport.simulator import Fleet, FleetSpec

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


def make_former(dest):
    """Move the stored packages to where former releases stored them, and say so in the tables."""
    (dest / "_packages/sha256").rename(dest / "packages/sha256")
    (dest / "_packages").rmdir()
    for file in dest.glob("packages/snapshot_date=*/*.parquet"):
        rows = pq.ParquetFile(file).read()
        paths = [path and path.removeprefix("_") for path in rows.column("path").to_pylist()]
        place = rows.schema.get_field_index("path")
        rows = rows.set_column(place, rows.schema.field(place), pa.array(paths, pa.string()))
        pq.write_table(rows, file, compression="zstd", write_page_checksum=True)
        fix(dest, str(file.relative_to(dest)))


async def test_a_dataset_of_a_former_release(simulator, run_lexport, flags, look, packages, tmp_path):
    """A dataset of the former layout is verified, inspected and extended; no stored package is downloaded or moved."""
    dest, small = tmp_path / "fleet", Fleet(FleetSpec(functions=4, versions=2, seed=3))
    async with simulator(fleet=small) as aws:
        assert (await run_lexport("snapshot", dest, *flags(aws.url, "--packages"))).code == 0
    make_former(dest)
    former = {path: path.read_bytes() for path in dest.glob("packages/sha256/*/*.zip")}
    assert "nothing is damaged" in (await run_lexport("verify", dest, "--data")).err

    fleet = Fleet(FleetSpec(functions=7, versions=2, seed=3))
    async with simulator(fleet=fleet) as aws:
        again = await run_lexport("snapshot", dest, *flags(aws.url, "--packages", "--allow-partial"))
        downloaded = packages.calls(aws)["GetObject"]
        inspected = await run_lexport("packages", dest, *flags(aws.url, "--inspect", "--allow-partial"))
    rows, stored = look.read_rows(dest)["packages"], packages.stored(dest)

    assert {again.code, inspected.code} <= {0, 3}
    assert 0 < downloaded == len(stored)
    assert {path: path.read_bytes() for path in dest.glob("packages/sha256/*/*.zip")} == former
    assert {row["path"] for row in rows if row["path"]} == {
        str(path.relative_to(dest))
        for pattern in ("_packages/*/*/*", "packages/sha256/*/*")
        for path in dest.glob(pattern)
    }
    assert f"packages: {len(former) + len(stored):,} inspected" in inspected.err
    files = (
        await run_lexport("sql", dest, "SELECT count(DISTINCT sha256_hex) FROM package_files", "--output", "csv")
    ).out
    assert files.split()[-1] == str(len(former) + len(stored))
    verified = await run_lexport("verify", dest, "--data", "--output", "jsonl")
    assert (verified.code, verified.out) == (0, "")
