"""The guide "Add an API resource" is true: its code, run as it stands, adds a resource and leaves the source alone."""

from __future__ import annotations

import json
import re
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import anyio
import pyarrow.parquet as pq
import pytest
from aiohttp import web
from yarl import URL

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "add-a-resource.md"
DECLARE, REGISTER = re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
COMMAND = """
import importlib, pkgutil, sys
import lexport
for module in pkgutil.walk_packages(lexport.__path__, "lexport."):  # a registration may come after every import
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
from lexport.cli.main import run
sys.exit(run())
"""
WITH = ("--with", "function_concurrency")


@asynccontextmanager
async def serve(simulator_url, reserved):
    """A server that answers GetFunctionConcurrency and hands on every other request; yields its URL and the calls."""
    calls = []

    async def handle(request):
        found = re.fullmatch(r"/2019-09-30/functions/([^/]+)/concurrency", request.path)
        if found:
            calls.append(found[1])
            if found[1] not in reserved:
                body = {"message": "none", "Type": "User"}
                return web.json_response(body, status=404, headers={"x-amzn-errortype": "ResourceNotFoundException"})
            return web.json_response({"ReservedConcurrentExecutions": reserved[found[1]], "NewField": "n"})
        url = URL(simulator_url + request.raw_path, encoded=True)
        async with session.request(request.method, url, headers=request.headers, data=await request.read()) as response:
            kept = {name: value for name, value in response.headers.items() if name.lower().startswith("x-amz")}
            return web.Response(status=response.status, body=await response.read(), headers=kept)

    async with aiohttp.ClientSession() as session:
        runner = web.ServerRunner(web.Server(handle), shutdown_timeout=0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}", calls
        finally:
            await runner.cleanup()


@pytest.fixture
def run(environment, tmp_path):
    """Return a function that runs a command of lexport in a process that has registered the guide's resource."""
    script = tmp_path / "with_resource.py"
    begin, end = COMMAND.split("from lexport.cli.main")
    future = "from __future__ import annotations\n"
    script.write_text(f"{future}{begin}\n{DECLARE}\n{REGISTER}\nfrom lexport.cli.main{end}", encoding="utf-8")

    async def run(*arguments):
        command = [sys.executable, str(script), *map(str, arguments)]
        done = await anyio.run_process(command, env=environment, cwd=tmp_path, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    return run


async def test_the_guide(run, simulator, flags, tmp_path):
    """A declared resource is planned, called, written, queried, compared, fed, and in the schema and the policy."""
    fleet, reserved = tmp_path / "fleet", {}
    async with simulator(functions=6, versions=1) as server, serve(server.url, reserved) as (url, calls):
        (plan,) = json.loads(await run("plan", *flags(url), *WITH, "--output", "json"))
        await run("snapshot", fleet, *flags(url))
        assert calls == []  # it is read where --with names it
        names = await run("sql", fleet, "SELECT DISTINCT function_name FROM functions ORDER BY 1", "--output", "csv")
        names = [name for name in names.split()[1:] if "." not in name]
        reserved |= {names[0]: 5, names[1]: 0}
        await run("snapshot", fleet, *flags(url), *WITH)
        first = sorted(calls)
        reserved |= {names[0]: 7, names[2]: 1}
        del reserved[names[1]]
        await run("snapshot", fleet, *flags(url), *WITH)

    assert first == sorted(names)
    assert plan["function_concurrency_calls"] == plan["functions"]
    assert plan["minimum_s"] == pytest.approx(plan["functions"] / (15.0 * 0.8), abs=0.06)

    rows = json.loads(await run("sql", fleet, "SELECT * FROM function_concurrency ORDER BY ALL", "--output", "json"))
    assert [(row["function_name"], row["reserved"], row["extra_json"]) for row in rows] == [
        (names[0], 7, '{"NewField":"n"}'),
        (names[2], 1, '{"NewField":"n"}'),
    ]
    changes = json.loads(await run("diff", fleet, "--output", "json"))["changes"]
    assert [(row["kind"], row["key"], row["column_name"], row["new_value"]) for row in changes] == [
        ("changed", names[0], "reserved", "7"),
        ("removed", names[1], None, None),
        ("added", names[2], None, None),
    ]
    assert f"~ {names[0]} function concurrency reserved 5 -> 7" in await run("diff", fleet)
    await run("feed", fleet, "--output", "parquet", "-o", tmp_path / "feed")
    assert pq.read_table(tmp_path / "feed" / "function_concurrency.parquet").num_rows == 2
    await run("verify", fleet)

    assert "function_concurrency" in await run("schema", "--table", "function_concurrency")
    assert "s3://b/f/function_concurrency" in await run("schema", "--ddl", "athena", "--location", "s3://b/f")
    read = json.loads(await run("iam-policy", *WITH))["Statement"][1]
    assert "lambda:GetFunctionConcurrency" in read["Action"]
    assert "GetFunctionConcurrency" not in await run("iam-policy")


async def test_a_name_is_registered_once(environment, tmp_path):
    """A second registration of a name that is taken is an error that names it, and changes nothing."""
    twice = f"{DECLARE}\n{REGISTER}\nregister(RESOURCE)\n"
    done = await anyio.run_process([sys.executable, "-c", twice], env=environment, cwd=tmp_path, check=False)

    assert b"cannot register the resource function_concurrency: function_concurrency is registered" in done.stderr
