"""Whatever is wrong with answers: a snapshot that calls itself complete has exactly the rows of the oracle.

Sampled; LEXPORT_FUZZ_RUNS sets how many snapshots each test takes (`make fuzz` takes many).
"""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

import lexport
from lexport.aws.quota.retry import FIRST_BACKOFF_S
from lexport.simulator import Fault, Fleet, FleetSpec, open_simulator

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

RUNS = int(os.environ.get("LEXPORT_FUZZ_RUNS", "8"))
TABLES = ("functions", "aliases", "alias_routes", "tags", "env_vars", "layers")
OPERATIONS = ("GetFunction", "ListFunctions", "ListAliases", "ListVersionsByFunction")
LISTS = {"ListFunctions": "Functions", "ListAliases": "Aliases", "ListVersionsByFunction": "Versions"}
PARTS = ("FunctionName", "FunctionArn", "Version", "AliasArn", "FunctionVersion", "Name")
STRANGE: tuple[Any, ...] = (None, "", 0, True, [], {}, ["f"], {"a": 1}, "$LATEST", "1", "2", "x", "f\nn")
OTHERS = ("arn:aws:lambda:eu-west-1:444455556666:function:f", "arn:aws:lambda:us-east-1:111122223333:function:f:1", "f")


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    """Retries wait a twentieth as long."""
    monkeypatch.setattr("lexport.aws.quota.retry.FIRST_BACKOFF_S", FIRST_BACKOFF_S / 20)


# --- what goes wrong ------------------------------------------------------------------------------------------------


def bend_parts(dice: random.Random, names: list[str], *, is_call: bool) -> Callable[[dict[str, Any]], Any]:
    """Return a function that damages an object of a function or an alias: parts are missing, swapped or wrong."""
    chosen = dice.random()
    other, strange = dice.choice(names), dice.choice((*STRANGE, *OTHERS))
    way = dice.choice(["missing", "strange", "another", *(["all"] if is_call else [])])  # of a listing it is sound

    def bend(item: dict[str, Any]) -> Any:
        parts = [name for name in PARTS if name in item]
        if way == "another" or strange in ("$LATEST", "1", "2"):  # any version may be what an alias leads to
            parts = [name for name in parts if name != "FunctionVersion"]
        part = parts[int(chosen * len(parts))]
        if way == "missing":
            return {name: value for name, value in item.items() if name != part}
        if way == "strange":
            return item | {part: strange}
        own = item.get("FunctionName") or "f"
        if way == "another":
            replaced = str(item.get(part)).replace(own, other)
            return item | {part: replaced if replaced != item.get(part) else f"{replaced}2"}
        return {name: value.replace(own, other) if isinstance(value, str) else value for name, value in item.items()}

    return bend


def wrong_answer(dice: random.Random, operation: str, names: list[str]) -> Callable[[Any], Any]:
    """Return a function that turns a right response into a wrong one."""
    nothing = dice.choice([{}, {"Configuration": None}, {"Configuration": {}}, {"Configuration": [1]}, {"Code": {}}])
    bend, place = bend_parts(dice, names, is_call=operation == "GetFunction"), dice.random()
    if dice.random() < 0.2:
        return lambda _: nothing
    if operation == "GetFunction":
        return lambda document: document | {"Configuration": bend(document["Configuration"])}

    def bend_one(document: dict[str, Any]) -> dict[str, Any]:
        key = LISTS[operation]
        items = list(document[key])
        if not items:
            return {key: None}
        at = int(place * len(items))
        return document | {key: [*items[:at], bend(items[at]), *items[at + 1 :]]}

    return bend_one


def faults(dice: random.Random, names: list[str]) -> list[Fault]:
    """Draw some faults: wrong answers, repeated pages, versions that must be listed function by function."""
    drawn = []
    if dice.random() < 0.4:
        drawn.append(Fault(operation="ListFunctions", kind="unqualified_all", times=None))
    for _ in range(dice.randint(1, 3)):
        operation = dice.choice(OPERATIONS)
        listing = operation == "ListFunctions"
        drawn.append(
            Fault(
                operation=operation,
                kind="replace_body",
                function_name=None if listing else dice.choice([None, *names]),
                times=dice.choice([1, 2, 3, None]),
                after=dice.randint(0, 3),
                patch=wrong_answer(dice, operation, names),
            )
        )
    if dice.random() < 0.3:
        kind = dice.choice(["duplicate_page", "repeat_marker", "cycle_markers"])
        drawn.append(Fault(operation=dice.choice(["ListFunctions", "ListAliases"]), kind=kind, times=2))
    return drawn


@asynccontextmanager
async def one_behind(url: str, dice: random.Random) -> AsyncIterator[str]:
    """Serve a proxy some of whose connections answer, from some request on, with the answer to the one before."""
    connections: dict[Any, list[Any]] = {}

    async def forward(request: web.BaseRequest) -> web.Response:
        target = URL(f"{url}{request.raw_path}", encoded=True)
        async with session.request(request.method, target, headers=request.headers, data=await request.read()) as found:
            own = found.status, await found.read(), found.headers
        told = connections.setdefault(request.transport, [dice.choice([1, 1, 2, 5, 1000]), own])
        told[0] -= 1
        status, body, headers = own if told[0] >= 0 or request.method != "GET" else told[1]
        told[1] = own
        kept = {name: headers[name] for name in ("Content-Type", "x-amzn-ErrorType") if name in headers}
        return web.Response(status=status, body=body, headers=kept)

    async with aiohttp.ClientSession() as session:
        runner = web.ServerRunner(web.Server(forward), shutdown_timeout=0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield "http://{}:{}".format(*runner.addresses[0][:2])
        finally:
            await runner.cleanup()


# --- what must hold -------------------------------------------------------------------------------------------------


async def judge(dest, options, fleet, look) -> str:
    """Take a snapshot and compare each account-region with the oracle; return its status."""
    result = await lexport.snapshot(dest, options)
    rows = look.read_rows(dest)
    (entry,) = result.manifest.scopes
    for table in TABLES:
        found, expected = look.facts(rows[table]), look.expected_rows(fleet)[table]
        assert [row for row in found if row not in expected] == [], table
        if entry.status == "complete":
            assert found == expected, table
    assert await lexport.verify(dest) == ()
    return entry.status


@pytest.mark.parametrize("seed", range(RUNS))
async def test_wrong_answers(aws, settings, look, tmp_path, seed):
    """No wrong answer, whatever is wrong with it, makes a row, or makes one go missing in silence."""
    dice = random.Random(seed)
    fleet = Fleet(FleetSpec(functions=5, versions=2, seed=seed))
    drawn = faults(dice, list(fleet.names(look.scope)))
    async with open_simulator(fleet, quotas=False, faults=drawn) as server:
        await judge(tmp_path / "fleet", settings(server.url, allow_partial=True), fleet, look)


@pytest.mark.parametrize("seed", range(RUNS // 2))
async def test_connections_that_are_one_behind(aws, settings, look, tmp_path, seed):
    """Behind a proxy that gives each answer to the next question on the connection, every row is right."""
    dice = random.Random(seed)
    fleet = Fleet(FleetSpec(functions=40, versions=3, seed=seed))
    drawn = [Fault(operation="ListFunctions", kind="unqualified_all", times=None)] if seed % 3 == 2 else []
    async with open_simulator(fleet, quotas=False, faults=drawn) as server, one_behind(server.url, dice) as url:
        status = await judge(tmp_path / "fleet", settings(url, allow_partial=True), fleet, look)

    assert status == "complete"
