"""Simulated packages hold manifests that the inspection reads, and libraries with known vulnerabilities among them."""

import hashlib

import pytest

from lexport.artifacts.inspect_package import inspect_package
from lexport.model import Scope
from lexport.simulator import Fleet, FleetSpec
from lexport.simulator.package_files import package
from lexport.simulator.package_manifests import SETS, kind_of

SCOPE = Scope(account_id="111122223333", region="us-east-1")
VULNERABLE = {
    "python": {("requests", "2.19.1"), ("pyyaml", "5.3.1"), ("jinja2", "2.10")},
    "nodejs": {("lodash", "4.17.15"), ("minimist", "1.2.5"), ("axios", "0.21.0")},
    "java": {
        ("org.apache.logging.log4j:log4j-core", "2.14.1"),
        ("com.fasterxml.jackson.core:jackson-databind", "2.9.8"),
    },
    "provided": {("golang.org/x/net", "v0.7.0"), ("gopkg.in/yaml.v2", "v2.2.2")},
    "dotnet": {("Newtonsoft.Json", "12.0.3"), ("System.Net.Http", "4.3.0")},
}
"""Versions with published advisories."""
ECOSYSTEMS = {"python": "pypi", "nodejs": "npm", "java": "maven", "provided": "golang", "dotnet": "nuget"}


@pytest.fixture
def libraries(tmp_path):
    def read(body):
        """Return ecosystem, name and version of the libraries that the inspection finds in a package."""
        path, batches = tmp_path / "package.zip", []
        path.write_bytes(body)
        inspect_package(path, sha256_hex=hashlib.sha256(body).hexdigest(), emit=batches.append)
        rows = [
            row
            for batch in batches
            if "package_dependencies" in batch
            for row in batch["package_dependencies"].to_pylist()
        ]
        return {tuple(row[name] for name in ("ecosystem", "name", "version")) for row in rows}

    return read


@pytest.mark.parametrize("kind", VULNERABLE)
def test_inspection_finds_the_libraries(libraries, kind):
    """Each package of a runtime holds libraries in manifests that are read, and is no larger than 4 KB."""
    bodies = [package(1, f"one/{number}#0#{kind}").body for number in range(3 * SETS)]
    found = [libraries(body) for body in bodies]

    assert all(found)
    assert max(map(len, bodies)) <= 4_096
    assert {(name, version) for each in found for _, name, version in each} >= VULNERABLE[kind]


def test_libraries_fit_the_runtime(libraries):
    """The packages of a fleet hold libraries of their runtime's ecosystem, of a few dozen names in total."""
    fleet, names = Fleet(FleetSpec(functions=120, versions=0)), set()
    for index in fleet.indexes(SCOPE):
        latest = fleet.version(SCOPE, index, "$LATEST")
        found = libraries(package(1, latest.package_key).body)
        kind = kind_of(latest.function.runtime)

        assert {ecosystem for ecosystem, _, _ in found} == ({ECOSYSTEMS[kind]} if kind else set())
        names |= {name for _, name, _ in found}

    assert 24 <= len(names) <= 60
