"""Fleets with packages, and what a run over packages has to store, call and publish for them."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter

import pytest
from anyio.from_thread import start_blocking_portal
from commands import Forks, shared_server

import lexport
from lexport.simulator import Fleet, FleetSpec, open_simulator


@pytest.fixture
def fleet():
    """Sixty functions with every kind of code that AWS knows, and with packages that versions and functions share."""
    return Fleet(FleetSpec(functions=60, versions=3))


@pytest.fixture
def serve():
    """Serve a fleet from a thread of its own, because the commands block this one."""
    with start_blocking_portal() as portal:
        opened = []

        def start(*faults, **spec):
            fleet = Fleet(FleetSpec(**({"functions": 2, "versions": 1} | spec)))
            context = portal.wrap_async_context_manager(open_simulator(fleet, quotas=False, faults=faults))
            opened.append(context)
            return context.__enter__()

        yield start
        for context in opened:
            context.__exit__(None, None, None)


@pytest.fixture
def zip_fleet():
    """A few functions, all of them with zip packages that AWS hands out."""
    return Fleet(FleetSpec(functions=4, versions=3, seed=3))


class Packages:
    """Expected and actual packages."""

    def __init__(self, look, settings) -> None:
        self._look, self._settings = look, settings

    def expected(self, fleet, *scopes):
        """Return CodeSha256 -> CodeSize of every package that AWS hands out."""
        return {
            row["code_sha256"]: row["code_size"]
            for row in self._look.expected_rows(fleet, *scopes)["functions"]
            if row["package_type"] == "Zip" and not row["code_resolved_s3_object_bucket"] and not row["code_error_code"]
        }

    def stored(self, dest):
        """Return CodeSha256 -> size of every file in the store, after checking its hash, name and mode."""
        sizes = {}
        for path in dest.glob("_packages/sha256/*/*"):
            body = path.read_bytes()
            digest = hashlib.sha256(body)
            assert path.name == f"{digest.hexdigest()}.zip"
            assert path.parent.name == path.name[:2]
            assert path.stat().st_mode & 0o777 == 0o600
            sizes[base64.b64encode(digest.digest()).decode()] = len(body)
        return sizes

    def calls(self, server):
        """Return operation -> number of calls since the last time."""
        counts = Counter()
        for (_, _, operation), count in server.calls.items():
            counts[operation] += count
        server.calls.clear()
        return counts

    def statuses(self, rows):
        """Return status -> number of rows of ``packages``."""
        return Counter(row["status"] for row in rows["packages"])

    def settings(self, url, **more):
        """Return the settings of a run over packages; ``more`` are package settings and others."""
        names = lexport.PackageSettings.__dataclass_fields__
        fields = {name: more.pop(name) for name in tuple(more) if name in names}
        return self._settings(url, packages=lexport.PackageSettings(**fields), **more)


@pytest.fixture
def packages(look, settings):
    """Return helpers that read packages."""
    return Packages(look, settings)


@pytest.fixture
def forks(environment, tmp_path) -> Forks:
    """Run many commands, quickly; their working folder is ``tmp_path``."""
    return Forks(shared_server(), tmp_path, environment | {"TMPDIR": str(tmp_path)})
