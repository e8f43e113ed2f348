"""The report in a real browser: no requests, right numbers, keyboard, phone, dark mode, and texts that attack it."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import pytest

from lexport.query.report.questions import questions
from lexport.query.sql import open_query_session
from lexport.tables import registry, run
from lexport.tables.functions import FUNCTIONS
from lexport.tables.run import SNAPSHOTS
from lexport.tables.table import Type

pytestmark = pytest.mark.slow

FIRST, SECOND = datetime(2026, 11, 21, 2, tzinfo=UTC), datetime(2026, 11, 22, 2, tzinfo=UTC)
EAST = {"region": "us-east-1"}
ATTACKS = (
    "<script>window.pwned = 'script'</script>",
    '"><img src=x onerror="window.pwned = \'attribute\'">',
    "</style></title></textarea><svg onload=\"window.pwned = 'svg'\">",
    "javascript:window.pwned='link'",
    "--></script><script>alert(1)</script>",
    "invoice\u202efdp.exe",
    '=HYPERLINK("https://example.invalid")',
    "a\x00b\tc\nd",
    "x" * 10_000,
)


def version(name, number="$LATEST", **row):
    return {
        "function_name": name,
        "version": number,
        "function_arn": f"arn:aws:lambda:eu-west-1:111122223333:function:{name}",
        "runtime": "python3.8",
        "package_type": "Zip",
        "role": "arn:aws:iam::111122223333:role/shared",
        "code_size": 1_000_000,
        "code_sha256": f"{name} {number}",
        "memory_size": 128,
        "architecture": "arm64",
        **row,
    }


FLEET = [
    version("alpha"),
    version("beta", code_size=10_000_000, memory_size=256),
    version("gamma", code_size=2_500_000, memory_size=256, role="arn:aws:iam::111122223333:role/own"),
    version("delta", memory_size=1024, architecture="x86_64", runtime="nodejs24.x", **EAST),
]
SCOPES = [{"functions": 3, "versions": 3}, {"functions": 1, "versions": 1, **EAST}]
SETTINGS = [{"code_size_used": 14_500_000, "code_size_limit": 80_000_000}, {"code_size_used": 1_000_000, **EAST}]


@pytest.fixture(scope="module")
def written(write_report):
    before = {"at": FIRST, "functions": FLEET[:3], "scopes": [{"functions": 3, "versions": 3}]}
    return write_report([before, {"at": SECOND, "functions": FLEET, "scopes": SCOPES, "account_settings": SETTINGS}])


@pytest.fixture(scope="module")
def hostile(write_report):
    """Return a fleet in which every text is an attack, except for those that lexport writes itself."""
    ours = {"account_id", "region", "coverage", "status", "snapshot_id", "kind", "table_name", "previous_snapshot_id"}
    given = {
        "functions": {"version": "$LATEST"},
        "changes": {"kind": "changed", "table_name": "functions"},
        "packages": {"status": "stored"},
    }
    tables = {
        table.name: [
            {
                column.name: f"{attack}{number}" if number else attack
                for column in table.columns
                if column.type is Type.TEXT and column.name not in ours
            }
            | given.get(table.name, {})
            | ({"code_size": 5_000 + number} if table is FUNCTIONS else {})
            for number, attack in enumerate(ATTACKS)
        ]
        for table in registry.tables()
        if table not in (run.SCOPES, SNAPSHOTS)
    }
    gap = {"is_gap": True}
    tables["errors"] = [row | gap for row in tables["errors"]]
    scopes = [{"functions": len(ATTACKS), "versions": len(ATTACKS)}, {"status": "denied", **EAST}]
    return write_report([{"at": FIRST}, {"at": SECOND, "scopes": scopes, "status": "partial", "gaps": 9, **tables}])


@pytest.fixture
def show(browser):
    """Open a report, and close its page at the end."""
    opened = []

    def run(written, **options):
        opened.append(browser.open(written[1], **options))
        return opened[-1]

    yield run
    for page in opened:
        page.close()


def cells(page, figure):
    """Return the table of a figure as it is copied: names, then rows, as text."""
    return page.run(
        f"(() => [...document.querySelectorAll('#figure-{figure} details.data tr')].map((row) => "
        "[...row.cells].map((cell) => cell.dataset.v ?? cell.textContent)))()"
    )


def test_opens_without_a_word_or_a_request(show, written):
    """Opening the report requests the file alone and writes nothing to the console."""
    page = show(written)

    assert page.complaints() == []
    assert [written[1].as_uri()] == page.requests()


def test_tables_are_what_their_sql_says(show, written):
    """The table of each figure has the rows that the SQL beside it returns."""
    dataset, _ = written
    page = show(written)
    shown = page.run(
        "Object.fromEntries([...document.querySelectorAll('article')]"
        ".filter((one) => one.querySelector('details.data'))"
        ".map((one) => [one.id.slice(7), one.querySelector('details.sql code').textContent]))"
    )
    expected = {}
    with open_query_session(dataset) as session:
        for name in set(shown) & set(questions()):  # those of the checks are no single SELECT
            answer = session.read(shown[name]).read_all()
            rows = [[plain(value) for value in row.values()] for row in answer.to_pylist()]
            expected[name] = [list(answer.schema.names), *rows]

    assert {"runtimes", "trends", "places", "memory", "storage", "big_functions", "roles", "parts"} <= set(shown)
    assert {"findings", "worst_functions", "finding_list"} <= set(shown)
    assert expected == {name: cells(page, name) for name in expected}


def plain(value):
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else str(value)


def test_bars_are_as_long_as_their_numbers(show, written):
    """The length of a bar is its share of the longest one, and its text is its number."""
    page = show(written)
    drawn = page.run(
        "[...document.querySelectorAll('#figure-big_functions .chart > g')].map((bar) => ["
        "bar.querySelector('.label').textContent, bar.querySelector('.value').textContent, "
        "[...bar.querySelectorAll('.s3, .s3h')]"
        ".reduce((sum, part) => sum + parseFloat(part.getAttribute('width')), 0)])"
    )

    assert drawn == [
        ["beta", "9.5 MB", 100],
        ["gamma", "2.4 MB", 25],
        ["alpha", "977 KB", 10],
        ["delta", "977 KB", 10],
    ]


def test_trends_tell_each_day(show, written):
    """Each day of a trend shows its numbers; an account-region that was not read counts by its last reading."""
    page = show(written)
    said = page.run(
        "[...document.querySelectorAll('#figure-trends figure:first-child .hit title')].map((one) => one.textContent)"
    )

    assert said == [
        "Sat 21 Nov 2026\nversions: 3\nfunctions: 3",
        "Sun 22 Nov 2026\nversions: 4\nfunctions: 4",
    ]


def test_sorts_and_filters_by_keyboard(show, written):
    """Enter on a heading sorts, the second time in reverse; a filter keeps the rows that contain all words."""
    page = show(written)
    page.run("document.querySelector('#figure-big_functions details.data').open = true")
    page.run("document.querySelectorAll('#figure-big_functions th button')[2].focus()")
    orders = []
    for _ in range(2):
        page.press("Enter", 13, "\r")
        orders.append([row[2] for row in cells(page, "big_functions")[1:]])
    page.run("document.querySelector('#figure-big_functions input').focus()")
    page.write("EU-west ALPHA")
    left = page.run(
        "[...document.querySelectorAll('#figure-big_functions tbody tr')].filter((row) => row.checkVisibility()).length"
    )

    assert orders == [["alpha", "beta", "delta", "gamma"], ["gamma", "delta", "beta", "alpha"]]
    assert left == 1
    assert page.run("document.querySelector('#figure-big_functions output').textContent") == "1 of 4 rows"
    assert page.run("document.querySelectorAll('#figure-big_functions th')[2].ariaSort") == "descending"


def test_copies_what_is_shown(browser, show, hostile):
    """Copy TSV gives one line per row with exact numbers, and a text that begins like a formula gets an apostrophe."""
    browser.call("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    page = show(hostile)
    page.run("document.querySelector('#figure-big_functions details.data').open = true")
    page.run(
        "[...document.querySelectorAll('#figure-big_functions button')]"
        ".find((one) => one.textContent == 'Copy TSV').click()"
    )
    page.run("new Promise((done) => setTimeout(done))")
    head, *rows = page.run("navigator.clipboard.readText()").rstrip("\n").split("\n")

    assert head.split("\t")[:5] == ["account_id", "region", "function_name", "versions", "packages_bytes"]
    assert {len(row.split("\t")) for row in rows} == {8}
    assert sorted(int(row.split("\t")[4]) for row in rows) == [5_000 + number for number in range(len(ATTACKS))]
    assert sum("\t'=HYPERLINK" in row for row in rows) == 1


def test_a_hostile_fleet_runs_nothing(show, hostile):
    """The texts of a fleet are shown as text: no script, no element, no request, no violation."""
    page = show(hostile)
    page.run("for (const one of document.querySelectorAll('details')) one.open = true")
    names = {row[2] for row in cells(page, "big_functions")[1:]}

    assert page.run("window.pwned ?? null") is None
    assert page.complaints() == []
    assert page.events("Page.javascriptDialogOpening") == []
    assert [hostile[1].as_uri()] == page.requests()
    assert page.run("document.scripts.length + document.images.length + document.querySelectorAll('style').length") == 2
    assert ATTACKS[0] in names
    assert "invoice\\u202efdp.exe5" in names
    assert "a\\x00b\\tc\nd7" in names
    assert f"{'x' * 300}… (10,001 characters)" in names


def test_the_policy_refuses_what_is_not_ours(show, written):
    """Even markup that got into the page would neither run nor send a request."""
    page = show(written)
    tries = {
        "fetch": "await fetch('https://example.invalid/')",
        "eval": "window.eval('window.pwned = 1')",
        "handler": "document.body.setAttribute('onclick', 'window.pwned = 1'); document.body.click()",
        "markup": "document.body.innerHTML = '<img src=x onerror=window.pwned=1>'",
        "style": "document.body.setAttribute('style', 'width: 1px'); if (document.body.offsetWidth > 1) throw 1",
    }
    ended = {
        name: page.run(f"(async () => {{ try {{ {script}; return 'done' }} catch {{ return 'refused' }} }})()")
        for name, script in tries.items()
    }

    assert ended == dict.fromkeys(tries, "refused")
    assert page.run("window.pwned ?? null") is None


@pytest.mark.parametrize("which", ["written", "hostile"])
def test_fits_a_phone(show, request, which):
    """At 360 pixels the page does not scroll sideways, and every text of a chart is visible and large enough."""
    page = show(request.getfixturevalue(which), width=360, height=740)
    page.run("for (const one of document.querySelectorAll('details')) one.open = true")
    texts = json.loads(
        page.run(
            "JSON.stringify([...document.querySelectorAll('.chart text')].map((one) => {"
            " const box = one.getBoundingClientRect();"
            " return [one.textContent, box.left, box.right, parseFloat(getComputedStyle(one).fontSize)]; }))"
        )
    )

    assert page.run("document.documentElement.scrollWidth") <= 360
    assert [text for text, left, right, pixels in texts if left < 0 or right > 360 or pixels < 11] == []


CONTRAST = """
(() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const pixel = (...colours) => {
    canvas.clearRect(0, 0, 1, 1);
    for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
    return canvas.getImageData(0, 0, 1, 1).data;
  };
  const light = (data) => [0.2126, 0.7152, 0.0722].reduce((sum, weight, index) => {
    const part = data[index] / 255;
    return sum + weight * (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  }, 0);
  const papers = (node) => node ? [...papers(node.parentElement), getComputedStyle(node).backgroundColor] : [];
  const found = new Map();
  for (const details of document.querySelectorAll("details")) details.open = true;
  for (const node of document.querySelectorAll("body *")) {
    if (![...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim())) continue;
    if (!node.checkVisibility() || ["SCRIPT", "TITLE", "DESC"].includes(node.tagName.toUpperCase())) continue;
    const style = getComputedStyle(node);
    const paper = papers(node);
    const ink = node.closest("svg") ? style.fill : style.color;
    const pair = [light(pixel(...paper)), light(pixel(...paper, ink))];
    const contrast = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    if (contrast < 4.5) found.set(`${node.tagName}.${node.getAttribute("class")}`, contrast.toFixed(2));
  }
  return Object.fromEntries(found);
})()
"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_texts_stand_out(show, hostile, dark):
    """Every text has a contrast of at least 4.5 to its background (WCAG AA), in light and dark mode."""
    page = show(hostile, dark=dark)

    assert page.run(CONTRAST) == {}


def test_switches_to_dark_and_back(show, written):
    """The button switches dark mode against the preference and back, and stores nothing."""
    page = show(written)
    paper = "getComputedStyle(document.body).backgroundColor"
    before = page.run(paper)
    page.run("document.querySelector('.theme').click()")
    switched = page.run(paper)
    page.run("document.querySelector('.theme').click()")

    assert before == page.run(paper)
    assert before != switched
    assert page.run("document.cookie + document.documentElement.dataset.theme") == "light"


def test_prints_with_open_tables(show, hostile):
    """In print every table is open and as wide as the paper, without controls; afterwards the page is as before."""
    page = show(hostile, width=703)  # A4 between its margins
    counted = "document.querySelectorAll('details.data:not([open])').length"
    before = page.run(counted)
    page.run(f"addEventListener('beforeprint', () => {{ window.closed_on_paper = {counted}; }})")
    page.call("Page.printToPDF")
    after = page.run(counted)
    page.call("Emulation.setEmulatedMedia", media="print")
    visible = page.run(
        "[...document.querySelectorAll('nav, .tools, .theme')].filter((one) => one.checkVisibility()).length"
    )

    page.run("for (const one of document.querySelectorAll('details.data')) one.open = true")
    widest = page.run("Math.max(...[...document.querySelectorAll('table')].map((one) => one.offsetWidth))")

    assert page.run("window.closed_on_paper") == 0
    assert 0 < widest <= 703
    assert (before, visible) == (after, 0)
    assert before > 0


def test_reads_the_same_without_the_script(written):
    """Every table and chart is in the file; the script adds sorting, filtering and copying."""
    text = written[1].read_text(encoding="utf-8")
    plain_text = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)

    assert plain_text.count("<table") == text.count("<table") > 8
    assert " on" not in "".join(re.findall(r"<[a-z]+( on[a-z]+=)", plain_text))
    assert " style=" not in plain_text
