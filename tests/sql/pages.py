"""The simulated fleet of ``docs/reference/views.md``; run this file after a change of a view to write that page."""

import importlib.util
import io
import re
import tempfile
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from lexport.cli._rows.formats import write_rows
from lexport.model import Scope
from lexport.query.row_values import arrow_rows
from lexport.query.shipped_views import shipped_views
from lexport.query.sql import open_query_session
from lexport.simulator import Fleet, FleetSpec

AT = datetime(2026, 11, 22, 2, tzinfo=UTC)
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "views.md"
SPEC = FleetSpec(
    functions=500, versions=2, seed=7, accounts=("111122223333", "111122223334"), regions=("eu-west-1", "us-east-1")
)
READ = ("event-sources", "invoke-configs", "policies", "urls")
"""The resources around functions that the snapshot has read."""
_COMMAND = re.compile(r'(?<=\n```console\n\$ lexport sql fleet ")(?P<query>.+)"\n(?P<answer>(?:.*\n)*?)(?=```\n)')


def simulated_rows():
    """Return the rows of a right snapshot of the fleet by table, and its scopes."""
    fleet, rows, scopes = Fleet(SPEC), {}, []
    for account in SPEC.accounts:
        for region in SPEC.regions or ():
            scope = Scope(account_id=account, region=region)
            counts = fleet.counts(scope)
            scopes.append(
                {
                    "account_id": account,
                    "region": region,
                    "functions": counts.functions,
                    "versions": counts.versions,
                    "aliases": counts.aliases,
                    "function_count_reported": counts.functions,
                    "get_function_calls": counts.versions,
                    "list_calls": counts.functions + counts.versions // 50 + 2,
                    "throttles": 0,
                    "carried_rows": 0,
                    "started_at": AT,
                    "ended_at": AT,
                }
            )
            for table, row in fleet.expected(scope, value_hmac=hmac_of, hash_key_id="k", with_resources=READ):
                rows.setdefault(table, []).append(row | ({"fetched_at": AT} if table == "functions" else {}))
            rows.setdefault("scope_resources", []).extend(
                {"account_id": account, "region": region, "resource": name, "status": "complete"} for name in READ
            )
    return rows, scopes


def hmac_of(value):
    """Tell values apart, as an HMAC does."""
    return sha256(value.encode()).hexdigest()[:32]


def answered(page, session):
    """Return a page with the answers that its commands give."""

    def answer(found):
        reader = session.read(found["query"])
        stream = io.BytesIO()
        write_rows(reader.schema.names, arrow_rows(reader), output="table", stream=stream)
        return f'{found["query"]}"\n{stream.getvalue().decode()}'

    return _COMMAND.sub(answer, page)


def _draft(page):
    """Return the page with a section for every view, those that are there as they are."""
    head, *parts = re.split(r"^(?=## )", page, flags=re.MULTILINE)
    known = {part.split("\n", 1)[0].removeprefix("## "): part.rstrip("\n") + "\n\n" for part in parts}
    for view in shipped_views():
        command = f'$ lexport sql fleet "SELECT * FROM {view.name} LIMIT 3"'
        known.setdefault(view.name, f"## {view.name}\n\n\n```console\n{command}\n```\n\n")
        body = known[view.name].split("```console", 1)[1]
        known[view.name] = f"## {view.name}\n\n{view.question} {_sentence(view.grain)}\n\n```console{body}"
    return head + "".join(known[view.name] for view in shipped_views()).rstrip("\n") + "\n"


def _sentence(grain):
    return f"{grain[0].upper()}{grain[1:]}."


def _main():
    path = Path(__file__).with_name("dataset.py")
    spec = importlib.util.spec_from_file_location("dataset", path)
    dataset = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(dataset)
    rows, scopes = simulated_rows()
    with tempfile.TemporaryDirectory() as folder:
        dataset.write_dataset(Path(folder), [{"at": AT, "scopes": scopes, **rows}])
        with open_query_session(folder) as session:
            PAGE.write_text(answered(_draft(PAGE.read_text(encoding="utf-8")), session), encoding="utf-8")


if __name__ == "__main__":
    _main()
