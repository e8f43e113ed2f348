"""The report in a real browser: no requests, right numbers, keyboard, phone, dark mode, and texts that attack it."""

from __future__ import annotations

import base64
import os
import re
from datetime import UTC, datetime
from pathlib import Path

import anyio
import pytest

import lexport
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
    tags = [{"function_name": "alpha", "key": "team", "value": "payments"}]
    now = {"at": SECOND, "functions": FLEET, "scopes": SCOPES, "account_settings": SETTINGS, "tags": tags}
    return write_report([before, now], owner_tag="team", title="Lambda at Example")


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
    night = {"at": SECOND, "scopes": scopes, "status": "partial", "gaps": 9, **tables}
    names = {"111122223333": ATTACKS[1]}
    return write_report([{"at": FIRST}, night], owner_tag=ATTACKS[0], title=ATTACKS[2], account_names=names)


@pytest.fixture(scope="module")
def one(write_report):
    """Return a fleet of one function without a tag, over one night."""
    return write_report([{"functions": [version("only")], "scopes": [{"functions": 1}]}], owner_tag="team")


@pytest.fixture(scope="module")
def none(write_report):
    """Return a fleet without a function."""
    return write_report([{"scopes": [{"functions": 0}]}])


@pytest.fixture(scope="module")
def unread(write_report):
    """Return a dataset in which no account-region was ever read whole."""
    return write_report([{"scopes": [{"status": "denied"}, {**EAST, "status": "partial"}], "status": "partial"}])


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """Return the folder of the pictures: LEXPORT_PICTURES, or a temporary one."""
    folder = Path(os.environ.get("LEXPORT_PICTURES") or tmp_path_factory.mktemp("pictures"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def many(write_report):
    """Return 10,000 functions in 40 accounts and 12 Regions, with names as long as AWS allows, of 300 owners."""
    regions = [
        f"{place}-{side}-{number}" for place in ("eu", "us", "ap") for side in ("west", "east") for number in (1, 2)
    ]
    places = [(f"{111122220000 + number}", region) for number in range(40) for region in regions]
    rows, tags = [], []
    for number in range(10_000):
        account, region = places[number % len(places)]
        place = {"account_id": account, "region": region, "function_name": f"{'Orders-Api_' * 5}{number:09}"[:64]}
        rows.append(version("", **place, code_size=number, runtime=("python3.8", "nodejs24.x")[number % 2]))
        tags.append({**place, "key": "owner", "value": f"team-{number % 300} of the department of long names"})
    scopes = [{"account_id": account, "region": region, "functions": 21} for account, region in places]
    names = {account: f"account {account[-2:]} of a long name {'x' * 20}" for account, _ in places}
    night = {"functions": rows, "tags": tags, "scopes": scopes}
    return write_report([night], owner_tag="owner", account_names=names)


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
        "[...row.cells].map((cell) => cell.dataset.name ?? cell.dataset.v ?? cell.textContent)))()"
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
        "[...document.querySelectorAll('#figure-big_functions .bars > li')].map((bar) => ["
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

    assert head.split("\t")[:5] == ["Account", "Region", "Function", "Versions", "Size of packages"]
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
    assert page.run("document.querySelector('h1').textContent") == ATTACKS[2]
    assert ATTACKS[1] in page.run("document.querySelector('.matrix').textContent")
    assert page.run("[...document.links].every((one) => /^(#|https:)/.test(one.getAttribute('href')))")


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


FITS = """
(() => {
  const page = document.documentElement.clientWidth;
  const wrong = [];
  const told = (node) => `${node.tagName}.${node.getAttribute("class") ?? ""}: ${node.textContent.slice(0, 40)}`;
  for (const node of document.querySelectorAll("body *")) {
    if (!node.checkVisibility() || ["SCRIPT", "TITLE", "DESC"].includes(node.tagName.toUpperCase())) continue;
    const scrolls = node.parentElement.closest(".scroll, pre");
    const box = node.getBoundingClientRect();
    const isWide = box.right > page + 1 || box.left < -1;
    if (isWide && !scrolls && !node.closest(".patterns")) wrong.push(`wide ${told(node)}`);
    const isBox = !node.closest("svg") && getComputedStyle(node).display !== "inline";
    const isCut = isBox && !node.matches(".scroll, pre, input") && node.scrollWidth > node.clientWidth + 1;
    if (isCut) wrong.push(`cut ${told(node)}`);
    if (parseFloat(getComputedStyle(node).fontSize) < 11) wrong.push(`small ${told(node)}`);
  }
  return wrong;
})()
"""
HOLES = """
(() => {
  const wrong = [];
  for (const grid of document.querySelectorAll(".tiles, .figures")) {
    const boxes = [...grid.children].map((one) => one.getBoundingClientRect());
    const whole = grid.getBoundingClientRect();
    for (const top of new Set(boxes.map((box) => Math.round(box.top)))) {
      const row = boxes.filter((box) => Math.round(box.top) === top);
      if (Math.max(...row.map((box) => box.right)) < whole.right - 2) wrong.push(`${grid.className} at ${top}`);
    }
  }
  return wrong;
})()
"""


@pytest.mark.parametrize("width", [360, 768, 1280])
@pytest.mark.parametrize("which", ["written", "hostile", "one", "none", "unread", "many"])
def test_nothing_is_cut_or_wider_than_the_page(show, request, which, width):
    """On a phone, a tablet and a desktop no text is cut, no element is wider than the page, and no row has a hole."""
    page = show(request.getfixturevalue(which), width=width, height=900)
    page.run("for (const one of document.querySelectorAll('details')) one.open = true")

    assert page.run("document.documentElement.scrollWidth") <= width
    assert page.run(FITS) == []
    assert page.run(HOLES) == []


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


BROKEN_WORDS = """
(() => {
  const broken = [];
  const range = document.createRange();
  for (const cell of document.querySelectorAll("th, td, .label, .value, .row-note, p, li, dt, dd, h1, h2, h3")) {
    if (!cell.checkVisibility()) continue;
    for (const text of cell.childNodes) {
      if (text.nodeType !== 3) continue;
      for (const word of text.data.matchAll(/[A-Za-z0-9]{2,24}/g)) {
        if (/[A-Za-z0-9]/.test(text.data[word.index + word[0].length] ?? "")) continue;
        range.setStart(text, word.index);
        range.setEnd(text, word.index + word[0].length);
        const tops = new Set([...range.getClientRects()].map((box) => Math.round(box.top)));
        if (tops.size > 1) broken.push(`${cell.tagName} ${word[0]}`);
      }
    }
  }
  return broken;
})()
"""


def pages_of(page, path):
    """Print a page to a PDF file, and return the number of its pages."""
    body = base64.b64decode(page.call("Page.printToPDF", preferCSSPageSize=True)["data"])
    path.write_bytes(body)
    return len(re.findall(rb"/Type\s*/Page\b", body))


@pytest.mark.parametrize("which", ["written", "hostile", "one", "none", "unread", "many"])
def test_prints_on_few_pages(show, request, which, tmp_path):
    """At most 12 pages of A4 are printed, with whole words, without controls, and as wide as the paper."""
    page = show(request.getfixturevalue(which), width=703)  # A4 between its margins
    pages = pages_of(page, tmp_path / "report.pdf")
    page.call("Emulation.setEmulatedMedia", media="print")
    visible = page.run(
        "[...document.querySelectorAll('nav, .tools, .theme, details.sql, summary')]"
        ".filter((one) => one.checkVisibility()).length"
    )
    widest = page.run(
        "Math.max(0, ...[...document.querySelectorAll('body *')].filter((one) => one.checkVisibility())"
        ".map((one) => one.getBoundingClientRect().right))"
    )
    rows = page.run(
        "Math.max(0, ...[...document.querySelectorAll('details.data tbody')]"
        ".map((body) => [...body.rows].filter((row) => row.checkVisibility()).length))"
    )

    assert 1 <= pages <= 12
    assert visible == 0
    assert widest <= 704
    assert rows <= 20
    if which != "hostile":
        assert page.run(BROKEN_WORDS) == []


def test_a_large_fleet_opens_at_once(show, many):
    """The report of 10,000 functions has less than 3 MB, and its first paint comes within a second."""
    page = show(many)
    paint_ms = page.run(
        "new Promise((done) => { const look = () => {"
        " const found = performance.getEntriesByName('first-contentful-paint')[0];"
        " if (found) done(found.startTime); else setTimeout(look, 20); }; look(); })"
    )

    assert many[1].stat().st_size < 3_000_000
    assert paint_ms < 1_000
    assert page.run("document.querySelectorAll('#figure-places .matrix thead th').length") == 9


@pytest.mark.parametrize("look", ["desktop", "phone", "dark", "print"])
def test_pictures(show, written, pictures, look):
    """Pictures of the report are made as files: desktop, phone, dark, print."""
    width = 390 if look == "phone" else 1280
    page = show(written, width=width, height=900, dark=look == "dark")
    if look == "print":
        assert pages_of(page, pictures / "report-print.pdf") <= 12
        return
    height = page.run("document.documentElement.scrollHeight")
    clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
    shot = base64.b64decode(page.call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)["data"])
    (pictures / f"report-{look}.png").write_bytes(shot)

    assert shot.startswith(b"\x89PNG")
    assert int.from_bytes(shot[16:20]) == width
    assert int.from_bytes(shot[20:24]) == height > 1500


def test_the_age_is_told_when_the_page_is_opened(show, written):
    """The file holds the time of the snapshot; its age is computed when it is opened, with the clock of that moment."""
    page = show(written)
    shown = page.run("document.querySelector('.read').textContent")

    ages = r"\d+ \w+ ago|in the future by this computer's clock"
    assert re.fullmatch(rf"Snapshot of 22 Nov 2026 02:00 UTC({ages})", shown)
    assert " ago" not in re.sub(r"<script>.*?</script>", "", written[1].read_text(encoding="utf-8"), flags=re.DOTALL)


def test_numbers_are_those_of_the_checks(show, written):
    """The first numbers of the page are those that SQL and `check` give."""
    dataset, _ = written
    page = show(written)
    tiles = dict(
        page.run(
            "[...document.querySelectorAll('.tile')]"
            ".map((one) => [...one.children].slice(0, 2).map((two) => two.textContent))"
        )
    )
    checked = anyio.run(lexport.check, dataset)
    worst = {}
    for finding in checked.findings:
        if finding.function_key is not None:
            worst.setdefault(finding.function_key, finding.check.severity)
    with open_query_session(dataset) as session:
        query = "SELECT count(*) AS n FROM functions WHERE runtime = 'python3.8'"
        deprecated = session.read(query).read_all().to_pylist()[0]["n"]

    assert tiles["Functions with critical findings"] == str(sum(one == "critical" for one in worst.values()))
    assert tiles["Functions with high findings"] == str(sum(one == "high" for one in worst.values())) == "3"
    assert tiles["Functions on deprecated runtimes"] == str(deprecated) == "3"
    assert page.run("document.querySelector('h1').textContent") == "Lambda at Example"
    assert cells(page, "owners")[1:] == [["no owner", "3", "0", "2", "0"], ["payments", "1", "0", "1", "0"]]


def test_links_lead_to_the_console(show, written):
    """Each function is a link to its page in the AWS console, opened without saying where it comes from."""
    page = show(written)
    links = page.run(
        "[...document.querySelectorAll('#figure-big_functions .bars a')].map((one) => [one.href, one.rel, one.target])"
    )

    assert links[0] == [
        "https://eu-west-1.console.aws.amazon.com/lambda/home?region=eu-west-1#/functions/beta",
        "noopener noreferrer",
        "_blank",
    ]
    assert len(links) == 4


def test_reads_the_same_without_the_script(written):
    """Every table and chart is in the file; the script adds sorting, filtering and copying."""
    text = written[1].read_text(encoding="utf-8")
    plain_text = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)

    assert plain_text.count("<table") == text.count("<table") > 8
    assert " on" not in "".join(re.findall(r"<[a-z]+( on[a-z]+=)", plain_text))
    assert " style=" not in plain_text
