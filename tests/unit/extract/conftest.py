"""One answer in, rows as dicts out; and a Lambda API made of a few pages."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from lexport.aws.http.message import Response
from lexport.aws.json import parse_document
from lexport.dataset.parquet import children_of
from lexport.extract.flatten import Rules, flatten_function
from lexport.extract.flatten_resource import flatten_item
from lexport.extract.hash_key import HashKey
from lexport.extract.rows import Rows, ValueHasher
from lexport.model import FunctionRef, Reply, Scope
from lexport.tables import account_settings, aliases
from lexport.tables.functions import FUNCTIONS
from lexport.tables.resource import Subject
from lexport.tables.staged import ANSWER, CHILD_TABLES, staged_names

SCOPE = Scope(account_id="123456789012", region="us-west-2")
AT = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
KEY = HashKey(b"0123456789abcdef")
OF_RUN = {"fetched_at": AT, "carried_forward": False}


def reply(document):
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    value, cleaned = parse_document(body)
    return Reply(parsed=value, body=body, cleaned=cleaned)


def as_dicts(rows):
    """Every table's rows, without what is NULL and what is the same in all of them."""
    common = {"account_id", "region", "fetched_at", "_answer"}
    tables = {name: pa.Table.from_batches([batch]) for name, batch in rows.take().items()}
    if "functions" in tables:
        versions = tables["functions"]
        tables["functions"] = versions.select(staged_names(FUNCTIONS))
        tables |= {table.name: found for table in CHILD_TABLES if len(found := children_of(versions, table))}
    return {
        name: [
            {column: value for column, value in row.items() if value is not None and column not in common}
            for row in table.to_pylist()
        ]
        for name, table in tables.items()
    }


@pytest.fixture
def flatten():
    """Return a function: a GetFunction answer -> its rows by table, the version, the findings as texts."""

    def run(document, *, env="keys", qualifier=None, name="asked-for", keep_latest=True):
        rows = Rows(None if env == "none" else ValueHasher(KEY))
        version, findings = flatten_function(
            reply(document),
            FunctionRef(function_name=name, qualifier=qualifier),
            scope=SCOPE,
            rules=Rules(
                env=env,
                fetched_at=AT,
                keep_latest=keep_latest,
            ),
            answer="0",
            rows=rows,
        )
        return as_dicts(rows), version, [f"{finding.code}: {finding.message}" for finding in findings]

    return run


@pytest.fixture
def flatten_page():
    """Return a function: the items of a ListAliases page -> rows by table, without the columns of the run; findings."""

    def run(*items, name="my-function"):
        page = reply({"Aliases": list(items)})
        rows, findings = Rows(), []
        for position, item in enumerate(page.document["Aliases"]):
            values = {**Subject(SCOPE, name).columns(), **OF_RUN, ANSWER: "0"}
            findings += flatten_item(aliases.RESOURCE, page, position, item, values, rows=rows)[1]
        of_page = {
            table: [{name: value for name, value in row.items() if name not in OF_RUN} for row in found]
            for table, found in as_dicts(rows).items()
        }
        return of_page, [f"{finding.code}: {finding.message}" for finding in findings]

    return run


@pytest.fixture
def flatten_settings():
    """Return a function: a GetAccountSettings answer -> its rows by table, AWS's own count, findings."""

    def run(document):
        rows, answer = Rows(), reply(document)
        values = {**Subject(SCOPE).columns(), **OF_RUN, ANSWER: ""}
        row, findings = flatten_item(account_settings.RESOURCE, answer, 0, answer.document, values, rows=rows)
        return as_dicts(rows), row["function_count"], [f"{finding.code}: {finding.message}" for finding in findings]

    return run


class FakeApi:
    """A Lambda API whose answers are functions of the marker; what they raise is raised."""

    def __init__(self, *, functions=None, versions=None, aliases=None, answer=None):
        self.functions, self.versions, self.aliases, self.answer = functions, versions, aliases, answer
        self.calls = []
        self.fresh_calls = 0

    def on_fresh_connections(self):
        self.fresh_calls += 1
        return self

    async def call(self, call, marker=None, function_name=None, qualifier=None, versions=None, item=None):
        match call.operation:
            case "GetFunction":
                return self._response(self.answer, function_name, qualifier)
            case "ListFunctions":
                return self._response(self.functions, marker, versions == "ALL")
            case "ListVersionsByFunction":
                return self._response(self.versions, function_name, marker)
            case "ListAliases":
                return self._response(self.aliases, function_name, marker)
        raise NotImplementedError

    def _response(self, script, *arguments):
        self.calls.append(arguments)
        answer = script(*arguments)
        return Response(200, {}, answer if isinstance(answer, bytes) else json.dumps(answer).encode())


@pytest.fixture
def fake_api():
    return FakeApi
