"""``lexport packages --inspect``: its tables, an SBOM, and a dataset that verifies."""

import io
import json
import zipfile

import pyarrow.parquet as pq
import pytest

import lexport
from lexport.dataset.manifest import Manifest
from lexport.model import LATEST
from lexport.simulator import Fault, Fleet, FleetSpec, lambda_documents
from lexport.simulator.package_files import package

pytestmark = [pytest.mark.slow, pytest.mark.asyncio]


def rows_of(dest, table):
    """Return the rows of a table in the newest commit."""
    commit = Manifest.from_json(max(dest.glob("_runs/*.json")).read_bytes())
    (path,) = (entry.path for entry in commit.files if entry.table == table)
    return pq.ParquetFile(dest / path).read().to_pylist()


async def test_inspect_the_fleet(simulator, run_lexport, flags, tmp_path):
    """Each stored package and layer is inspected once, its rows are its directory; the next run adds none."""
    dest = tmp_path / "fleet"
    async with simulator(functions=30, versions=3) as aws:
        assert (await run_lexport("snapshot", dest, *flags(aws.url))).code == 0
        look = ("packages", dest, *flags(aws.url), "--layers", "--inspect", "--allow-partial")
        first = await run_lexport(*look)
        files = rows_of(dest, "package_files")
        second = await run_lexport(*look)
    stored = {path.stem: path for path in dest.glob("_packages/sha256/*/*.zip")}
    expected = [
        (name, info.filename, info.file_size, info.compress_size, info.CRC)
        for name, path in stored.items()
        for info in zipfile.ZipFile(path).infolist()
    ]

    assert {first.code, second.code} <= {0, 3}
    assert f"packages: {len(stored):,} inspected" in first.err.splitlines()
    assert "inspected" not in second.err
    assert sorted(expected) == [
        (row["sha256_hex"], row["path"], row["size_bytes"], row["compressed_bytes"], row["crc32"]) for row in files
    ]
    assert rows_of(dest, "package_files") == []
    layers = rows_of(dest, "layer_versions")
    contents = {row["code_sha256"]: row["sha256_hex"] for row in rows_of(dest, "packages")}
    assert {contents[row["code_sha256"]] for row in layers if row["status"] == "present"} <= stored.keys()
    counted = await run_lexport("sql", dest, "SELECT count(*) AS n FROM package_files", "--output", "csv")
    assert counted.out.split() == ["n", str(len(expected))]

    statuses = "SELECT DISTINCT dependencies_status FROM packages WHERE path IS NOT NULL ORDER BY 1"
    of_stored = await lexport.sql(dest, statuses)
    assert of_stored.column(0).to_pylist() == ["complete", "incomplete", "unknown"]  # layers hold no manifest
    assert {row["dependencies_status"] for row in rows_of(dest, "packages")} == {None}  # the second run read none

    bill = await run_lexport("sbom", dest, "-o", "-")
    components, unknown = (json.loads(bill.out)[name] for name in ("components", "compositions"))
    assert bill.code == 0
    functions = {item["bom-ref"] for item in components if item["type"] == "application"}
    assert set() < {part["dependencies"][0] for part in unknown} < functions
    assert {"pkg:pypi/requests@2.19.1", "pkg:npm/lodash@4.17.15"} < {item.get("purl") for item in components}
    assert "not all dependencies are known" in bill.err
    assert stored.keys() <= {item["hashes"][0]["content"] for item in components if item["type"] == "file"}
    assert (await run_lexport("verify", dest, "--data")).code == 0


LOG4J = "META-INF/maven/org.apache.logging.log4j/log4j-core/pom.properties"


async def test_functions_that_contain_log4j(simulator, run_lexport, flags, look, tmp_path):
    """One query returns the function versions that contain log4j 2.14."""
    fleet, dest = Fleet(FleetSpec(functions=60, versions=0, large_packages=True)), tmp_path / "fleet"
    limit = ("--max-package-size", "300KB")
    async with simulator(fleet=fleet) as aws:
        await run_lexport("snapshot", dest, *flags(aws.url))
        await run_lexport("packages", dest, *flags(aws.url, *limit, "--inspect", "--allow-partial"))
    found = await lexport.sql(
        dest,
        "SELECT function_name, path FROM dependencies_in_use WHERE dependency ="
        " 'org.apache.logging.log4j:log4j-core' AND dependency_version LIKE '2.14.%' ORDER BY function_name",
    )
    expected = set()
    for index in fleet.indexes(look.scope):
        version = fleet.version(look.scope, index, LATEST)
        if lambda_documents.has_location(version) and version.code_size_bytes <= 300 * 1024:
            with zipfile.ZipFile(io.BytesIO(package(fleet.spec.seed, version.package_key).body)) as opened:
                if LOG4J in opened.namelist() and b"version=2.14.1" in opened.read(LOG4J):
                    expected.add(version.function.name)

    assert expected
    assert found.to_pylist() == [{"function_name": name, "path": LOG4J} for name in sorted(expected)]


async def test_a_package_that_is_refused(simulator, run_lexport, flags, tmp_path):
    """If one package is refused, what was looked into is published; with --require packages nothing is.

    The error of an SBOM before names a command that makes it possible.
    """
    dest = tmp_path / "fleet"
    async with simulator(functions=10, versions=0) as aws:
        assert (await run_lexport("snapshot", dest, *flags(aws.url))).code == 0
        aws.inject(Fault(operation="GetObject", kind="error", status=403, code="AccessDenied", times=1))
        refused = await run_lexport("packages", dest, *flags(aws.url), "--inspect", "--require", "packages")
        bill = await run_lexport("sbom", dest)
        aws.inject(Fault(operation="GetObject", kind="error", status=403, code="AccessDenied", times=1))
        published = await run_lexport("packages", dest, *flags(aws.url), "--inspect")

    assert (refused.code, bill.code, published.code) == (1, 1, 0)
    assert "--allow-partial" in refused.err
    assert f"run: lexport packages {dest} --inspect\n" in bill.err
    assert (await run_lexport("sbom", dest)).code == 0
