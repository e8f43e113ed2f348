"""read_shard reads one account-region of the simulator: its status, its batches, carried versions and lost items."""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

import lexport
from lexport.aws.client import LambdaClient
from lexport.aws.endpoints import Endpoints
from lexport.aws.http.pool import open_pool
from lexport.aws.quota.pacer import Pacer
from lexport.aws.quota.retry import FIRST_BACKOFF_S
from lexport.aws.session import open_session
from lexport.dataset.references import describe_missing
from lexport.extract.context import RunContext
from lexport.extract.failures import Failures
from lexport.extract.hash_key import HashKey
from lexport.extract.incremental import PendingBudget
from lexport.extract.progress import Progress, ShardProgress
from lexport.extract.read_shard import read_shard
from lexport.extract.rows import BATCH_ITEMS, Staging, ValueHasher
from lexport.model import GET_FUNCTION_QUOTA, LIST_QUOTA, FunctionRef, RunSpec, Shard, ShardResult
from lexport.settings import SnapshotSettings
from lexport.simulator import Fault, Fleet, FleetSpec, open_simulator
from lexport.tables.staged import CHILD_TABLES

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

AT = datetime(2026, 11, 22, 3, tzinfo=UTC)
ARN = "arn:aws:lambda:us-east-1:111122223333:function:"


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    """Retries wait a twentieth as long."""
    monkeypatch.setattr("lexport.aws.quota.retry.FIRST_BACKOFF_S", FIRST_BACKOFF_S / 20)


@dataclass
class Read:
    """The result of one account-region."""

    result: ShardResult
    staging: Watched
    progress: ShardProgress
    calls: Any

    @property
    def failures(self) -> Failures:
        return self.staging.failures

    def rows(self, table: str) -> list[dict[str, Any]]:
        """The staged rows of a table."""
        runs = self.staging.runs.get(table, ())
        return [row for run in runs for batch in run.blocks() for row in batch.to_pylist()]

    @property
    def versions(self) -> list[dict[str, Any]]:
        """The staged rows of ``functions``."""
        return self.rows("functions")


class Watched(Staging):
    """Keeps the number of function versions in each batch."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.sizes = []

    async def add(self, batch, *, is_last=False):
        self.sizes.append(len(batch.get("functions", ())))
        await super().add(batch, is_last=is_last)


@asynccontextmanager
async def client(url, connections):
    async with (
        open_session(profile=None, endpoint_url=url) as session,
        open_pool(ca_bundle=None, connections=connections) as send,
    ):
        yield LambdaClient(
            region="us-east-1",
            endpoint=await Endpoints(session).url("us-east-1"),
            find_endpoint=partial(Endpoints(session).url, "us-east-1"),
            credentials=session.credentials,
            renew=session.renew,
            send=send,
            clock=lambda: datetime.now(UTC),
        )


@pytest.fixture
def read(aws, look, tmp_path):
    """Return a function: faults, a fleet and perhaps references -> what came of the account-region."""

    async def run(*faults, fleet, refs=None, aliases=True, connections=16, budget=None):
        staging = Watched(tmp_path, file_mode=0o600, hasher=ValueHasher(HashKey(b"k" * 32)))
        shard, progress = Shard(scope=look.scope, refs=refs), Progress()
        spec = RunSpec(
            snapshot_id="0" * 26,
            snapshot_at=AT,
            settings_fingerprint="",
            hash_key_id=None,
            lexport_version="",
            shards=(shard,),
        )
        async with open_simulator(fleet, quotas=False, faults=faults) as server, client(server.url, connections) as api:
            context = RunContext(
                spec=spec,
                settings=SnapshotSettings(aliases=aliases),
                store=None,
                pacer=Pacer(dict.fromkeys((GET_FUNCTION_QUOTA, LIST_QUOTA), look.fast), 1.0),
                budget=budget or PendingBudget(),
                progress=progress,
            )
            result = await read_shard(context, shard, api, staging)
        await staging.flush_all()
        return Read(result, staging, progress.shards[0], server.calls)

    return run


# --- the status -----------------------------------------------------------------------------------------------------


BOTH = ("ListFunctions", "GetAccountSettings")


@pytest.mark.parametrize(
    ("faults", "status"),
    [
        ([Fault(operation=name, kind="denied", times=None) for name in BOTH], "denied"),
        ([Fault(operation="ListFunctions", kind="denied", times=None)], "denied"),
        ([Fault(operation=name, kind="error", status=500, times=None) for name in BOTH], "partial"),
        ([Fault(operation=name, kind="reset", times=None) for name in BOTH], "partial"),
        ([Fault(operation="GetAccountSettings", kind="denied", times=None)], "complete"),
        ([Fault(operation="GetFunction", kind="denied", times=None)], "partial"),
        (
            [Fault(operation=name, kind="denied", times=None) for name in ("GetFunction", "ListAliases", *BOTH)],
            "denied",
        ),
    ],
    ids=["all denied", "listing denied", "broken", "reset", "settings denied", "half denied", "everything denied"],
)
async def test_status(read, faults, status):
    """``denied`` is what nothing but denials kept from being read; a server or network that fails makes ``partial``.

    Settings that are denied are no gap, so they neither make a status nor hinder one.
    """
    found = await read(*faults, fleet=Fleet(FleetSpec(functions=2, versions=1)))

    assert found.result.status == status


@pytest.mark.parametrize(
    ("kind", "is_answering"), [(None, True), ("denied", True), ("gone", True), ("error", False), ("reset", False)]
)
async def test_who_answers(read, kind, is_answering):
    """A function that may not be read, or that is gone, shows that its Region takes the credentials."""
    fleet = Fleet(FleetSpec(functions=1, versions=0))
    faults = [] if kind is None else [Fault(operation="GetFunction", kind=kind, times=None)]
    found = await read(*faults, fleet=fleet, refs=(FunctionRef(function_name=fleet.name(0), is_named=True),))

    assert found.result.is_answering is is_answering


@pytest.mark.parametrize(("kind", "is_answering"), [("denied", True), ("error", False)])
async def test_who_answers_a_listing(read, kind, is_answering):
    """A Region that denies the listings takes the credentials; one that fails shows nothing."""
    found = await read(Fault(operation=None, kind=kind, times=None), fleet=Fleet(FleetSpec(functions=1, versions=0)))

    assert found.result.is_answering is is_answering


async def test_settings_of_a_wrong_type(read):
    """An error in the account settings is recorded with its call, and is no gap."""
    patch = {"AccountLimit": {"ConcurrentExecutions": "many"}}
    fault = Fault(operation="GetAccountSettings", kind="replace_body", patch=patch, times=None)
    found = await read(fault, fleet=Fleet(FleetSpec(functions=1, versions=0)))

    ((kind, count, _),) = found.failures.summary()
    assert (kind.operation, kind.error_code, kind.is_gap, count) == ("GetAccountSettings", "wrong_type", False, 1)
    assert found.result.status == "complete"


async def test_each_reader_has_its_share(read):
    """The memory for pending versions is shared by the shards that are read, each from its start to its end."""
    shares = []

    class Budget(PendingBudget):
        @contextmanager
        def reader(self):
            with super().reader(), super().reader():
                shares.append(self.share)
                yield

    budget = Budget()
    await read(fleet=Fleet(FleetSpec(functions=1, versions=0)), budget=budget)
    with PendingBudget.reader(budget):
        assert [share * 2 for share in shares] == [budget.share]


# --- batches --------------------------------------------------------------------------------------------------------


async def test_rows_go_on_by_the_batch(read, look):
    """Responses are passed on as soon as they are a batch: Python lists do not grow with the fleet."""
    found = await read(fleet=Fleet(FleetSpec(functions=BATCH_ITEMS + 150, versions=0, seed=3)), aliases=False)

    assert len(found.versions) == BATCH_ITEMS + 150
    assert (look.scope.account_id, look.scope.region, "ListAliases") not in +found.calls
    assert max(found.staging.sizes) <= BATCH_ITEMS + 64  # some come while one is written


async def test_progress_ends(read):
    """At the end nothing is due any more, and as much was fetched as was listed."""
    found = await read(fleet=Fleet(FleetSpec(functions=5, versions=2)))

    assert (found.progress.calls_due, found.progress.is_done) == (0, True)
    assert found.progress.fetched == found.progress.listed == len(found.versions)


async def test_empty_lists_among_wrong_answers(read, look):
    """A list of aliases that is empty, and after which answers are wrong, may be another function's: read it again."""
    fleet = Fleet(FleetSpec(functions=4, versions=3))
    found = await read(
        Fault(operation="GetAccountSettings", kind="denied", times=None),
        Fault(operation="ListAliases", kind="replace_body", patch={"Aliases": []}, times=4),
        Fault(operation="GetFunction", kind="replace_body", patch=lambda _: {}, times=None),
        fleet=fleet,
        connections=1,
    )

    expected = [(row["function_name"], row["alias"]) for row in look.expected_rows(fleet)["aliases"]]
    assert expected == sorted((row["function_name"], row["alias"]) for row in found.rows("aliases"))
    assert expected
    assert found.progress.calls_due == 0


async def test_doubtful_lists_that_fail(read):
    """A list of aliases that is not believed and cannot be read again is a gap."""
    found = await read(
        Fault(operation="GetAccountSettings", kind="denied", times=None),
        Fault(operation="ListAliases", kind="replace_body", patch={"Aliases": []}, times=2),
        Fault(operation="ListAliases", kind="denied", after=2, times=None),
        Fault(operation="GetFunction", kind="replace_body", patch=lambda _: {}, times=None),
        fleet=Fleet(FleetSpec(functions=2, versions=0)),
        connections=1,
    )

    gaps = {kind.operation: count for kind, count, _ in found.failures.summary() if kind.is_gap}
    assert gaps == {"GetFunction": 2, "ListAliases": 2}


@pytest.mark.parametrize("is_gone", [False, True])
async def test_an_alias_of_latest(read, look, is_gone):
    """An alias that leads to $LATEST is read without it as well, which brings the tags; gone by then, it is a gap."""
    fleet = Fleet(FleetSpec(functions=60, versions=3))
    name, alias = next(
        (fleet.name(index), each.name)
        for index in fleet.indexes(look.scope)
        for each in fleet.aliases(look.scope, index)
        if each.function_version == "$LATEST"
    )
    faults = [
        Fault(operation="GetFunction", function_name=name, qualifier="$LATEST", kind="gone", times=None)
    ] * is_gone
    found = await read(*faults, fleet=fleet, refs=(FunctionRef(function_name=name, qualifier=alias, is_named=True),))

    assert found.result.status == ("partial" if is_gone else "complete")
    assert describe_missing(found.result.references) is None
    assert [row["version"] for row in found.versions] == ["$LATEST"] * (1 if is_gone else 2)


# --- odd functions --------------------------------------------------------------------------------------------------


async def test_replicas_at_the_edge(read, look):
    """A Lambda@Edge replica has a dot in its name, which ListAliases rejects: it is not called for replicas."""
    fleet = Fleet(FleetSpec(functions=2, versions=0))
    replica = {"FunctionName": "us-east-1.edge", "FunctionArn": f"{ARN}us-east-1.edge:$LATEST", "Version": "$LATEST"}

    def with_replica(document):
        document["Functions"].append(document["Functions"][0] | replica)

    other = fleet.name(0)
    found = await read(
        Fault(operation="ListFunctions", kind="replace_body", patch=with_replica, times=None),
        Fault(operation="GetFunction", function_name="us-east-1.edge", kind="gone", times=None),
        fleet=fleet,
    )

    assert found.result.status == "complete"
    assert found.calls[look.scope.account_id, look.scope.region, "ListAliases"] == 2
    assert [kind.error_code for kind, *_ in found.failures.summary()] == ["gone"]
    assert other in {row["function_name"] for row in found.versions}


async def test_the_better_answer_stays(aws, settings, look, tmp_path):
    """Of a version that was named by alias and by number, the row is from the answer by number."""
    fleet = Fleet(FleetSpec(functions=60, versions=3))
    name, alias = next(
        (fleet.name(index), aliases[0])
        for index in fleet.indexes(look.scope)
        if (aliases := [each for each in fleet.aliases(look.scope, index) if each.function_version != "$LATEST"])
    )
    patch = {"Configuration": {"Description": "by alias"}}
    fault = Fault(operation="GetFunction", qualifier=alias.name, kind="replace_body", patch=patch, times=None)
    async with open_simulator(fleet, quotas=False, faults=[fault]) as server:
        await lexport.snapshot(
            tmp_path / "fleet",
            settings(server.url, functions=(f"{name}:{alias.name}", f"{name}:{alias.function_version}")),
        )
    rows = look.facts(look.read_rows(tmp_path / "fleet")["functions"])

    key = (name, alias.function_version)
    expected = look.expected_rows(fleet)["functions"]
    assert rows == [row for row in expected if (row["function_name"], row["version"]) == key]


async def test_a_listing_that_cannot_be_carried_exactly(aws, settings, look, tmp_path):
    """A version whose listing has a number beyond 64 bits is fetched in an incremental run, and loses nothing."""
    fleet = Fleet(FleetSpec(functions=4, versions=2))
    number = 2**70 + 1

    def listed(document):
        return document | {"Functions": [item | {"Unknown": number} for item in document["Functions"]]}

    def fetched(document):
        return document | {"Configuration": document["Configuration"] | {"Unknown": number}}

    faults = [
        Fault(operation=operation, kind="replace_body", patch=patch, times=None)
        for operation, patch in (("ListFunctions", listed), ("GetFunction", fetched))
    ]
    async with open_simulator(fleet, quotas=False, faults=faults) as server:
        for incremental in (False, True):
            result = await lexport.snapshot(tmp_path / "fleet", settings(server.url, incremental=incremental))
    rows = look.read_rows(tmp_path / "fleet")["functions"]

    assert len(rows) == len(look.expected_rows(fleet)["functions"]) == result.manifest.scopes[0].references
    assert all(f'"Configuration.Unknown":{number}' in row["extra_json"] for row in rows)
    assert not any(row["carried_forward"] for row in rows)


async def test_what_is_odd_in_a_listing_that_is_carried(aws, settings, look, tmp_path):
    """A wrong type in the listing of a carried-over version is recorded, as it is for a fetched version."""
    fleet = Fleet(FleetSpec(functions=4, versions=2))

    def listed(document):
        return document | {"Functions": [item | {"Timeout": "long"} for item in document["Functions"]]}

    fault = Fault(operation="ListFunctions", kind="replace_body", patch=listed, times=None)
    async with open_simulator(fleet, quotas=False, faults=[fault]) as server:
        for incremental in (False, True):
            await lexport.snapshot(tmp_path / "fleet", settings(server.url, incremental=incremental))
    rows = look.read_rows(tmp_path / "fleet")

    carried = {(row["function_name"], row["version"]) for row in rows["functions"] if row["carried_forward"]}
    told = {(row["function_name"], row["qualifier"]) for row in rows["errors"] if row["operation"] == "ListFunctions"}
    assert carried
    assert told == carried


@pytest.mark.parametrize(("operation", "code"), [("GetFunction", "too_deep"), ("ListAliases", "invalid_item")])
async def test_what_cannot_be_made_a_row(read, operation, code):
    """A response that cannot be turned into a row is a gap, and is recorded with its call."""
    deep = []
    for _ in range(900):
        deep = [deep]
    more = {"Big": 10**30, "New": deep}  # so many digits need the exact parser, which goes less deep
    patch = {"Configuration": more} if operation == "GetFunction" else {"Aliases": [5]}
    fault = Fault(operation=operation, kind="replace_body", patch=patch, times=None)
    found = await read(fault, fleet=Fleet(FleetSpec(functions=1, versions=0)))

    ((kind, count, example),) = found.failures.summary()
    assert (kind.operation, kind.error_code, kind.is_gap, count) == (operation, code, True, 1)
    assert (example.stage, found.result.status) == ("flatten", "partial")


async def test_staged_rows_are_counted(read):
    """The staged rows are counted by table, those within the rows of function versions too."""
    found = await read(
        Fault(operation="GetFunction", kind="denied", times=1, after=3),
        fleet=Fleet(FleetSpec(functions=5, versions=2)),
    )
    counts = found.staging.row_counts

    children = {table.name for table in CHILD_TABLES}
    of_versions = {name: sum(len(row[name] or ()) for row in found.versions) for name in children}
    assert {name: counts[name] for name in children} == of_versions
    assert sum(of_versions.values()) > len(found.versions)
    staged = {name: len(found.rows(name)) for name in found.staging.runs}
    assert {name: count for name, count in counts.items() if name not in children} == staged
