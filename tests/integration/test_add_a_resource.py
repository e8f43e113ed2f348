"""The guide "Add an API resource" is true: its code, run as it stands, adds a resource and leaves the source alone."""

from __future__ import annotations

import json
import re
import sys
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import aiohttp
import anyio
import pyarrow.parquet as pq
import pytest
from aiohttp import web
from yarl import URL

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "add-a-resource.md"
PAGE = (
    GUIDE.read_text(encoding="utf-8") if GUIDE.exists() else "```python\n```\n" * 2
)  # the wheel is tested without docs
DECLARE, REGISTER = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
COMMAND = """
import importlib, pkgutil
import lexport
for module in pkgutil.walk_packages(lexport.__path__, "lexport."):  # a registration may come after every import
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
{code}
from lexport.cli.main import main
main()
"""
WITH = ("--with", "function_concurrency")


@asynccontextmanager
async def serve(simulator_url, path, respond):
    """A server that answers what begins with a path, None as "not found", and hands on every other request.

    Yields its URL and the calls that it answered: the name of the function and the query.
    """
    calls = []

    async def handle(request):
        if request.path.startswith(path):
            calls.append((request.path.removeprefix(path).split("/")[0], dict(request.query)))
            if (document := respond(*calls[-1])) is not None:
                return web.json_response(document)
            body = {"message": "none", "Type": "User"}
            return web.json_response(body, status=404, headers={"x-amzn-errortype": "ResourceNotFoundException"})
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
def run(forks):
    """Return a function that runs a command of lexport in a process that has registered the resource of some code."""

    async def run(*arguments, code=DECLARE + REGISTER):
        script = COMMAND.format(code=code)
        done = await anyio.to_thread.run_sync(partial(forks.run, *arguments, script=script, within_s=60.0))
        assert done.code == 0, done.err
        return done.out

    return run


async def test_the_guide(run, simulator, flags, tmp_path):
    """A declared resource is planned, called, written, queried, compared, fed, tried, and in schema and policy."""
    fleet, reserved = tmp_path / "fleet", {}

    def respond(name, _query):
        return {"ReservedConcurrentExecutions": reserved[name], "NewField": "n"} if name in reserved else None

    path = "/2019-09-30/functions/"
    async with simulator(functions=6, versions=1) as server, serve(server.url, path, respond) as (url, calls):
        (plan,) = json.loads(await run("plan", *flags(url), *WITH, "--output", "json"))
        await run("snapshot", fleet, *flags(url))
        assert calls == []  # it is read where --with names it
        names = await run("sql", fleet, "SELECT DISTINCT function_name FROM functions ORDER BY 1", "--output", "csv")
        names = [name for name in names.split()[1:] if "." not in name]
        reserved |= {names[0]: 5, names[1]: 0}
        await run("snapshot", fleet, *flags(url), *WITH)
        first = sorted(name for name, _ in calls)
        reserved |= {names[0]: 7, names[2]: 1}
        del reserved[names[1]]
        await run("snapshot", fleet, *flags(url), *WITH)
        examined = json.loads(await run("doctor", *flags(url), *WITH, "--output", "json"))

    assert first == sorted(names)
    assert [row["level"] for row in examined if row["subject"] == "GetFunctionConcurrency"] == ["ok"]
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


NOTES = """
from lexport.tables.call import Call, Page
from lexport.tables.registry import register
from lexport.tables.resource import Resource
from lexport.tables.table import COMMON, FUNCTION_KEY, FUNCTION_NAME, Column, INT32, Table, key

_QUALIFIER = key("qualifier", "Alias or version.")
_NAME = key("name", "Name of the note.", source="Notes[].Name")
NOTES = Table(
    "notes",
    "One row per note.",
    (*COMMON, FUNCTION_NAME, _QUALIFIER, _NAME),
    (*FUNCTION_KEY, "qualifier", "name"),
    answer_key=5,
)
_WORD = key("word", "Word.", source="Notes[].Words[]")
WORDS = Table(
    "words",
    "One row per word of a note.",
    (*COMMON, FUNCTION_NAME, _QUALIFIER, key("name", "Name of the note."), _WORD),
    (*FUNCTION_KEY, "qualifier", "name", "word"),
    answer_key=5,
    parent=NOTES,
)
CALL = Call(
    operation="ListNotes",
    path="/2099-01-01/notes/{function_name}",
    query=("Qualifier={qualifier}",),
    iam=("lambda:ListNotes",),
    page=Page(items="Notes"),
)
register(Resource(name="notes", per="PER", call=CALL, tables=(NOTES, WORDS), default=False))
"""


@pytest.mark.parametrize(("per", "table"), [("alias", "aliases"), ("version", "functions")])
async def test_lists_of_aliases_and_versions(run, simulator, flags, tmp_path, per, table):
    """A paged list per alias or version is read to its end for each of them, with child rows of arrays."""

    def respond(_name, query):
        if "Marker" in query:
            return {"Notes": [{"Name": "second"}]}
        return {"Notes": [{"Name": "first", "Words": ["b", "a"]}], "NextMarker": "m"}

    code, fleet = NOTES.replace("PER", per), tmp_path / "fleet"
    async with (
        simulator(functions=5, versions=2) as server,
        serve(server.url, "/2099-01-01/notes/", respond) as (url, calls),
    ):
        await run("snapshot", fleet, *flags(url), "--with", "notes", code=code)

    async def rows(query):
        return [list(row.values()) for row in json.loads(await run("sql", fleet, query, "--output", "json", code=code))]

    subjects = await rows(f"SELECT function_name, {per} FROM {table} ORDER BY ALL")
    assert len(subjects) > 3
    assert sorted([name, query["Qualifier"]] for name, query in calls if "Marker" in query) == subjects
    assert await rows("SELECT function_name, qualifier, name FROM notes ORDER BY ALL") == [
        [*subject, name] for subject in subjects for name in ("first", "second")
    ]
    assert await rows("SELECT function_name, qualifier, name, word FROM words ORDER BY ALL") == [
        [*subject, "first", word] for subject in subjects for word in ("a", "b")
    ]


async def test_rows_that_would_replace_each_other(environment, tmp_path):
    """A table whose rows of different items would be taken for one is refused when it is declared."""
    code = NOTES.replace("    answer_key=5,\n", "")
    done = await anyio.run_process([sys.executable, "-c", code], env=environment, cwd=tmp_path, check=False)

    assert b"the table notes needs answer_key=5" in done.stderr
