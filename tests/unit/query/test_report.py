"""The parts of the report that need no browser: texts, numbers, charts and sentences."""

from __future__ import annotations

import dataclasses
import re
from datetime import UTC, date, datetime
from functools import partial

import anyio
import pytest

import lexport
from lexport.dataset.local import LocalStore
from lexport.errors import ViewError
from lexport.query.catalog import Catalog
from lexport.query.report import charts
from lexport.query.report.figures import why_unchanged
from lexport.query.report.format import cell, percent
from lexport.query.report.markup import element, shorten, to_html
from lexport.query.report.questions import questions, read_question
from lexport.tables.text import visible

NIGHTS = [datetime(2026, 11, day, 2, tzinfo=UTC) for day in (20, 21, 22)]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("two\nlines", "two\nlines"),
        ("a\u202eb", "a\\u202eb"),
        ("nul\x00", "nul\\x00"),
        ("\ud800", "\\ud800"),
        ("עברית", "עברית"),
        ("\u2066isolated\u2069", "\\u2066isolated\\u2069"),
    ],
)
def test_what_hides_in_a_text_is_shown(text, shown):
    """Control characters, bidi marks and lone surrogates are written as escapes; letters of any script stay."""
    assert visible(text, keep="\n") == shown


def test_texts_and_attributes_are_escaped():
    """No text and no attribute can end its element."""
    made = element("p", "<b>&", element("i", "x"), "</p>", title="\"'><script>", class_="a", data_v=1.5)

    assert to_html(made).splitlines()[1] == (
        '<p title="&quot;\'&gt;<script&gt;" class="a" data-v="1.5">&lt;b&gt;&amp;<i>x</i>&lt;/p&gt;</p>'
    )


def test_cells_keep_the_value_beside_what_is_shown():
    """The table sorts and copies the exact value."""
    assert cell("code_bytes", 2048) == ("2.0 KB", "2048")
    assert cell("used_share", 0.001) == ("<1 %", "0.001")
    assert cell("functions", 12_345) == ("12,345", "12345")
    assert cell("read_at", NIGHTS[0]) == ("2026-11-20 02:00", "2026-11-20T02:00:00Z")
    assert cell("description", None) == ("-", "")
    assert cell("is_gap", True) == ("yes", "true")
    assert cell("role", "x" * 301) == ("x" * 300 + "… (301 characters)", None)
    assert percent(0) == "0 %"


def test_long_labels_keep_both_ends():
    """A name that is too long loses its middle, a sentence its end."""
    assert shorten("prefix-of-a-function-eu-1", 11) == "prefi…-eu-1"
    assert shorten("Runs on a deprecated runtime", 11) == "Runs on a…"


def places(svg, path, *names):
    return [tuple(found.get(name) for name in names) for found in svg.iterfind(path)]


def test_bars_add_up():
    """The parts of a bar follow each other; the longest bar has the whole width."""
    rows = [
        charts.Bar(label="a", values=(30, 10), text="40"),
        charts.Bar(label="b", values=(0, 20), text="20"),
    ]
    svg = charts.bars(rows, name="n", about="a", tones=("s1", "s2"))

    assert places(svg, "g/rect[@class='part s1']", "x", "width") == [("0%", "75%")]
    assert places(svg, "g/rect[@class='part s2']", "x", "width") == [("75%", "25%"), ("0%", "50%")]


def test_lines_leave_out_what_nobody_knows():
    """A day without a value is not a point of the line, and not zero."""
    series = charts.Series(name="code", values=(100, None, 100), tone="s3")
    svg = charts.lines([night.date() for night in NIGHTS], [series], name="n", about="a", write=str)
    line = next(path.get("d") for path in svg.iter("path") if path.get("class") == "line s3")

    assert len(line.split("L")) == 2
    assert [title.text for title in svg.iter("title")][2] == "Sat 21 Nov 2026\ncode: not known"


def test_calendar_marks_the_end_of_support():
    """A row changes from supported to deprecated on the day, and today is drawn over all rows."""
    life = charts.Life(label="old", text="", note="", ends=(date(2026, 1, 1), None, date(2027, 1, 1)))
    svg = charts.calendar([life], today=date(2026, 7, 2), name="n", about="a")
    tones = [rect.get("class") for rect in svg.iterfind("g/rect")][1:]
    today = float(svg.find("line[@class='today']").get("x1").rstrip("%"))
    (ended_x, ended_width) = (
        float(text.rstrip("%")) for text in places(svg, "g/rect[@class='ended']", "x", "width")[0]
    )

    assert tones == ["life", "ended", "frozen"]
    assert today == pytest.approx(ended_x + ended_width / 2, abs=0.2)


def test_questions_say_what_they_are():
    """Every file of sql/report has a title, an explanation and a sentence for no rows."""
    found = questions()

    assert len(found) >= 10
    assert all(one.title and one.about.endswith(".") and one.empty.endswith(".") for one in found.values())


def test_a_question_without_a_head_is_refused(tmp_path):
    """The error for a file without a head names the file."""
    path = tmp_path / "mine.sql"
    path.write_text("-- title: Mine\nSELECT 1")

    with pytest.raises(ViewError, match=r"report/mine\.sql: its head lacks"):
        read_question(path)


@pytest.fixture
def write(tmp_path, write_dataset):
    """Return a function that writes snapshots and returns the text of their report, without style and script."""

    def run(snapshots, **checks):
        write_dataset(tmp_path / "fleet", snapshots)
        checked = anyio.run(partial(lexport.check, tmp_path / "fleet", **checks)) if checks else None
        text = anyio.run(partial(lexport.report, tmp_path / "fleet", checked=checked))
        return re.sub(r"<(style|script)>.*?</\1>", "", text, flags=re.DOTALL)

    return run


def test_a_partial_fleet_never_looks_whole(write):
    """A denied account-region is named above all numbers, and its gaps are among the first of them."""
    scopes = [{"functions": 1}, {"region": "us-east-1", "status": "denied"}]
    errors = [
        {"region": "us-east-1", "error_code": "AccessDeniedException", "operation": "ListFunctions", "is_gap": True}
    ]
    text = write([{"scopes": scopes, "errors": errors, "status": "partial", "gaps": 1}])

    assert "This report is not whole." in text
    assert "never read whole, so not in plain table names: 111122223333 us-east-1 (denied)" in text
    assert "<dt>Gaps</dt><dd>1</dd>" in text
    assert "1 account-region of 2 could not be read whole the last time." in text


def test_a_failed_night_makes_no_dent(write):
    """On a night that could not read an account-region, the trend counts its last whole reading."""
    good = {"functions": 5, "versions": 7}
    text = write(
        [
            {"at": NIGHTS[0], "scopes": [good, {**good, "region": "us-east-1"}]},
            {"at": NIGHTS[1], "scopes": [good, {"status": "denied", "region": "us-east-1"}]},
            {"at": NIGHTS[2], "scopes": [good, {**good, "region": "us-east-1"}]},
        ]
    )

    assert [f"{day} Nov 2026\nversions: 14\nfunctions: 10" in text for day in (20, 21, 22)] == [True, True, True]
    assert "on 1 day of 3 not every known account-region was read whole" in text


def test_an_empty_fleet_says_so(write):
    """A fleet without functions has sentences instead of charts."""
    text = write([{"scopes": [{"functions": 0, "versions": 0}]}])

    assert "There are no functions, so there are no runtimes." in text
    assert "No function version uses a runtime that is deprecated" in text
    assert "This report is not whole." not in text


def test_a_list_of_functions_is_not_the_fleet(write):
    """A dataset that holds a selection alone reports that nothing was read whole."""
    text = write([{"scopes": [{"coverage": "selection", "functions": 1}]}])

    assert "no account-region was ever read whole" in text
    assert "never read" in text


def test_long_tables_are_cut_aloud(write):
    """A table that is cut states the number of all rows and how to get them."""
    rows = [{"function_name": f"f-{number}", "version": "$LATEST", "code_size": 1} for number in range(120)]
    text = write([{"functions": rows, "scopes": [{"functions": 120}]}])

    assert "The first 100 of 120 rows; the SQL below returns all." in text


CHANGE = {"table_name": "functions", "previous_snapshot_id": "01K00000000000000000000001"}


def test_changes_are_counted_and_listed(write):
    """Rows that were added, removed and changed since the snapshot before are counted by table and listed."""
    changes = [
        {**CHANGE, "kind": "added", "key": "new/$LATEST"},
        {
            **CHANGE,
            "kind": "changed",
            "key": "old/$LATEST",
            "column_name": "timeout",
            "old_value": "3",
            "new_value": "9",
        },
        {**CHANGE, "kind": "changed", "key": "old/$LATEST", "column_name": "runtime"},
        {**CHANGE, "kind": "removed", "key": "old", "table_name": "tags"},
    ]
    text = write([{"at": NIGHTS[0]}, {"at": NIGHTS[1], "changes": changes}])

    assert ">1 added, 1 removed, 2 changed.<" in text
    assert "functions: +1 ~2 (1 added, 2 changed)" in text
    assert "Sat 21 Nov 2026\nadded: 1\nremoved: 1\nchanged: 2" in text
    assert all(f">{value}</td>" in text for value in ("new/$LATEST", "timeout", "9"))


@pytest.mark.parametrize(
    ("snapshots", "said"),
    [
        ([{}], "First snapshot: nothing to compare with."),
        ([{}, {}], "Nothing changed since the snapshot before."),
        ([{}, {"scopes": [{"status": "partial"}]}], "First snapshot: nothing to compare with."),
        ([{"scopes": [{"status": "partial"}]}], "No account-region was ever read whole: nothing to compare."),
    ],
)
def test_no_change_is_explained(write, snapshots, said):
    """Without changes the report states whether nothing changed or nothing was compared."""
    text = write([{"at": at, **snapshot} for at, snapshot in zip(NIGHTS, snapshots, strict=False)])

    assert text.count(said) == 2


def test_a_night_of_an_older_release_was_not_compared(tmp_path, write_dataset):
    """A newest snapshot without a table ``changes`` is not taken for one without changes."""
    first, second = write_dataset(tmp_path, [{"at": NIGHTS[0]}, {"at": NIGHTS[1]}])
    files = tuple(entry for entry in second.files if entry.table != "changes")
    old = dataclasses.replace(second, files=files)
    dataset = Catalog(store=LocalStore(tmp_path), manifests=(old, first))

    assert why_unchanged(dataset).startswith("Not compared: ")


def test_packages_are_counted_once_they_are_there(write):
    """Stored packages of the latest functions are shown by status."""
    function = {"function_name": "f", "version": "$LATEST", "code_sha256": "abc="}
    text = write(
        [{"functions": [function], "packages": [{"code_sha256": "abc=", "status": "stored", "size_bytes": 2048}]}]
    )

    assert ">1 distinct package, 2.0 KB.<" in text


def test_findings_are_counted_by_check_and_by_function(write):
    """Findings are counted by severity, the worst function comes first, and waived findings do not count."""
    old = {"version": "$LATEST", "runtime": "python3.8", "package_type": "Zip"}
    functions = [{"function_name": name, **old} for name in ("a", "b")]
    failed = {
        "function_name": "c",
        "version": "$LATEST",
        "state": "Failed",
        "runtime": "python3.8",
        "package_type": "Zip",
    }
    waiver = lexport.Waiver(check="deprecated_runtime", function_name="a", reason="known", expires=date(2999, 1, 1))
    text = write(
        [{"at": NIGHTS[0], "functions": [*functions, failed]}],
        only=("deprecated_runtime", "function_failed", "untagged"),
        waivers=(waiver,),
    )

    assert ">3 high, 3 low. 1 waived finding not counted.<" in text
    assert "<dt>Findings</dt><dd>3</dd>" in text
    assert re.findall(r"<title>(\w): (\d) findings? \(", text) == [("c", "3"), ("b", "2"), ("a", "1")]
    assert "-- deprecated_runtime" in text
    assert "2999-01-01" in text


def test_no_finding_is_said(write):
    """The report states that no check found anything, or nothing severe."""
    nothing = write([{"at": NIGHTS[0]}], only=("deprecated_runtime",))
    low = write([{"at": NIGHTS[0], "functions": [{"function_name": "f", "version": "$LATEST"}]}], only=("untagged",))

    assert "No check found anything." in nothing
    assert "No function breaks a rule." in nothing
    assert "1 low; no findings at or above high." in low


def test_without_checks_there_are_no_findings(write):
    """A report without check results has no section of findings."""
    assert 'id="findings"' not in write([{"at": NIGHTS[0]}])
