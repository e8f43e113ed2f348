"""The library in a real notebook: what a cell shows is a table, holds no secret, and runs nothing."""

from __future__ import annotations

import json
import os
from html.parser import HTMLParser

import pytest

from lexport.simulator import Fault, Fleet, FleetSpec

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

VALUE = "canary-of-a-variable-0123456789"
LINK = "canary-of-a-link-0123456789"
SIGNED = f"https://bucket.s3.amazonaws.com/x.zip?X-Amz-Signature={LINK}"
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>"
PLAIN_TAGS = {"div", "p", "b", "i", "code", "table", "thead", "tbody", "tr", "th", "td"}
CELLS = (
    """
import lexport
settings = lexport.SnapshotSettings(regions=("us-east-1",), env="values")
await lexport.snapshot("fleet", settings)
""",
    "fleet = lexport.Dataset('fleet')\nfleet",
    "fleet.sql('SELECT function_name, description, code_size FROM functions')",
    "fleet.sql('SELECT function_name, error_code, message FROM errors')",
    "await lexport.sql('fleet', 'SELECT $text AS \"<script>\", key, value FROM tags', parameters={'text': '<script>'})",
    "await lexport.check('fleet')",
)


class Tags(HTMLParser):
    """The tags of a page, each with its attributes."""

    def __init__(self, page):
        super().__init__()
        self.found = set()
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.add((tag, *attrs))


@pytest.fixture
def fleet():
    return Fleet(FleetSpec(functions=5, versions=1))


@pytest.fixture
def planted(fleet):
    """Faults that put secrets and markup into the answers of AWS."""

    def function(document):
        document["Configuration"]["Environment"] = {"Variables": {"PASSWORD": VALUE, HOSTILE: VALUE}}
        document["Configuration"]["Description"] = f"{HOSTILE} {SIGNED}"
        document["Code"]["Location"] = SIGNED
        document["Tags"] = {HOSTILE: HOSTILE}

    return (
        Fault(
            operation="GetFunction",
            function_name=fleet.name(1),
            kind="error",
            status=404,
            code="ResourceNotFoundException",
            times=None,
            message=f"{HOSTILE} {SIGNED}",
        ),
        Fault(operation="GetFunction", kind="replace_body", patch=function, times=None),
    )


async def test_a_notebook(simulator, fleet, planted, aws, tmp_path):
    """A snapshot, a dataset, rows and checks show tables; markup of a fleet is text there, and no secret is shown."""
    import nbformat  # here, because it takes seconds, which each worker of pytest would wait for
    from nbclient import NotebookClient

    (tmp_path / "home").mkdir()
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    async with simulator(*planted, fleet=fleet) as server:
        aws.setenv("AWS_ENDPOINT_URL", server.url)
        aws.setenv("PATH", os.environ["PATH"])
        await NotebookClient(
            nbformat.v4.new_notebook(cells=cells),
            timeout=60,
            kernel_name="python3",
            resources={"metadata": {"path": str(tmp_path)}},
        ).async_execute()
    outputs = [output for cell in cells for output in cell.outputs]
    pages = [cell.outputs[-1].data["text/html"] for cell in cells]
    saved = json.dumps(outputs)

    assert {output.output_type for output in outputs} == {"display_data", "execute_result"}
    assert all("<table>" in page for page in pages)
    assert {tag for page in pages for tag in Tags(page).found} <= {(tag,) for tag in PLAIN_TAGS}
    assert all(page.count("&lt;script&gt;") for page in (pages[0], *pages[2:5]))
    assert [canary for canary in (VALUE, LINK, "testing") if canary in saved] == []
    assert "published, complete" in pages[0]
    assert "1 snapshot" in pages[1]
