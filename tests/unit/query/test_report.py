"""The parts of the report that need no browser: texts, numbers, charts and sentences."""

from __future__ import annotations

import dataclasses
import re
from datetime import UTC, date, datetime, timedelta
from functools import partial

import anyio
import pytest

import lexport
from lexport.dataset.local import LocalStore
from lexport.errors import ViewError
from lexport.query.catalog import Catalog
from lexport.query.checks.finding import FunctionKey
from lexport.query.report import charts
from lexport.query.report.format import cell, percent, signed
from lexport.query.report.history import trends, why_unchanged
from lexport.query.report.labels import Labels, console_url
from lexport.query.report.markup import element, to_html
from lexport.query.report.nights import choose_days
from lexport.query.report.questions import Answer, questions, read_question
from lexport.query.report.words import column_words
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
    labels = Labels(accounts={"111122223333": "payments"}, checks={"untagged": "Has no tags"})

    def shown(name, value):
        return cell(name, value, labels)

    assert shown("code_bytes", 2048) == ("2.0 KB", "2048")
    assert shown("used_share", 0.001) == ("<1 %", "0.001")
    assert shown("functions", 12_345) == ("12,345", "12345")
    assert shown("read_at", NIGHTS[0]) == ("2026-11-20 02:00", "2026-11-20T02:00:00Z")
    assert shown("description", None) == ("-", "")
    assert shown("is_gap", True) == ("yes", "true")
    assert shown("role", "x" * 301) == ("x" * 300 + "… (301 characters)", None)
    assert shown("account_id", "111122223333") == ("payments", "111122223333")
    assert shown("account_id", "111122223334") == ("111122223334", None)
    assert shown("check", "untagged") == ("Has no tags", "untagged")
    assert shown("table_name", "alias_routes") == ("alias routes", "alias_routes")
    assert percent(0) == "0 %"
    assert (signed(0), signed(-1200), signed(3)) == ("\u00b10", "\u22121,200", "+3")


def test_an_account_name_that_two_accounts_have_is_told_apart():
    """Two accounts with one name are shown with their ids; an account without a name is its id."""
    labels = Labels(accounts={"1": "dev", "2": "dev", "3": "prod"})

    assert [labels.account(account) for account in "1234"] == ["dev (1)", "dev (2)", "prod", "4"]


def test_headings_are_words():
    """No column of a question is headed by its name with underscores."""
    names = {name for one in questions().values() for name in re.findall(r"\b[a-z]+(?:_[a-z0-9]+)+\b", one.query)}

    assert not [name for name in names if "_" in column_words(name)]
    assert [column_words(name) for name in ("account_id", "last_modified_at", "code_bytes", "version")] == [
        "Account",
        "Last modified",
        "Code storage",
        "Version",
    ]


@pytest.mark.parametrize(
    ("region", "name", "version", "url"),
    [
        ("eu-west-1", "f", None, "https://eu-west-1.console.aws.amazon.com/lambda/home?region=eu-west-1#/functions/f"),
        (
            "cn-north-1",
            "f",
            "7",
            "https://cn-north-1.console.amazonaws.cn/lambda/home?region=cn-north-1#/functions/f/versions/7",
        ),
        (
            "us-gov-west-1",
            "f",
            "$LATEST",
            "https://console.amazonaws-us-gov.com/lambda/home?region=us-gov-west-1#/functions/f",
        ),
        (
            "us-east-1",
            'a/b"?#<\ud800',
            None,
            "https://us-east-1.console.aws.amazon.com/lambda/home?region=us-east-1#/functions/a%2Fb%22%3F%23%3C%3F",
        ),
        ("us-iso-east-1", "f", None, None),
        ("evil.example/#us-east-1", "f", None, None),
        ("javascript:x", "f", None, None),
    ],
)
def test_links_to_the_console(region, name, version, url):
    """A link leads to the console of the partition, with the name encoded; a strange Region has no link."""
    assert console_url(region, name, version) == url


def test_nights_to_judge():
    """Of many nights at most twelve are judged: the last, the one before, those a week and more before; of few, all."""
    year = [date(2025, 12, 1) + timedelta(days=number) for number in range(365)]
    chosen = choose_days(year)

    assert (chosen[0], chosen[1], chosen[2]) == (year[-1], year[-2], year[-8])
    assert 9 <= len(chosen) <= 12
    assert chosen == sorted(set(chosen), reverse=True)
    assert choose_days(year[:12]) == year[:12][::-1]
    assert choose_days([year[0], *year[100:112]])[-1] == year[0]
    assert choose_days([]) == []


def places(drawn, path, *names):
    return [tuple(found.get(name) for name in names) for found in drawn.iterfind(path)]


def test_bars_add_up():
    """The parts of a bar follow each other; the longest bar has the whole width, and a small part can be seen."""
    rows = [
        charts.Bar(label="a", values=(30, 10), text="40"),
        charts.Bar(label="b", values=(0, 20), text="20"),
        charts.Bar(label="c", values=(0.01, 0), text="0"),
    ]
    drawn = charts.bars(rows, name="n", tones=("s1", "s2"))

    assert places(drawn, "li/svg/rect[@class='part s1']", "x", "width") == [("0%", "75%"), ("0%", "0.4%")]
    assert places(drawn, "li/svg/rect[@class='part s2']", "x", "width") == [("75%", "25%"), ("0%", "50%")]


def test_lines_leave_out_what_nobody_knows():
    """A day without a value is not a point of the line, and not zero."""
    series = charts.Series(name="code", values=(100, None, 100), tone="s3")
    svg = charts.lines([night.date() for night in NIGHTS], [series], name="n", about="a", write=str)
    line = next(path.get("d") for path in svg.iter("path") if path.get("class") == "line s3")

    assert len(line.split("L")) == 2
    assert [title.text for title in svg.iter("title")][2] == "Sat 21 Nov 2026\ncode: not known"


def test_trends_begin_with_the_first_night():
    """The axis begins with the first day and ends with the last, however few there are."""
    series = charts.Series(name="code", values=(1, 2, 3), tone="s3")
    svg = charts.lines([night.date() for night in NIGHTS], [series], name="n", about="a", write=str)
    line = next(path.get("d") for path in svg.iter("path") if path.get("class") == "line s3")

    assert [point.split()[0] for point in line[1:].split("L")] == ["0.0", "500.0", "1000.0"]
    assert {"20 Nov 2026", "22 Nov 2026"} <= {text.text for text in svg.iter("text")}


def test_a_year_of_nights_stays_small():
    """The charts of 365 nights take less than a quarter of a megabyte."""
    days = [date(2025, 12, 1) + timedelta(days=number) for number in range(365)]
    row = {"functions": 10_000, "versions": 50_000, "code_bytes": 2**37, "calls": 60_000, "throttles": 9, "gaps": 1}
    row |= {"errors": 3, "account_regions": 40, "read_that_day": 40}
    answer = Answer(
        question=questions()["trends"],
        names=("day", *row),
        rows=tuple({"day": day, **row} for day in days[::-1]),
        total=365,
    )
    figure = trends(answer)

    assert len(figure.charts) == 4
    assert sum(len(to_html(chart)) for chart in figure.charts) < 250_000


def test_calendar_marks_the_end_of_support():
    """A row changes from supported to deprecated on the day, and today is drawn over all rows."""
    life = charts.Life(label="old", text="", note="", ends=(date(2026, 1, 1), None, date(2027, 1, 1)))
    drawn = charts.calendar([life], today=date(2026, 7, 2), name="n")
    tones = [rect.get("class") for rect in drawn.iterfind("ul/li/svg/rect")]
    today = float(drawn.find("svg/line[@class='today']").get("x1").rstrip("%"))
    (ended_x, ended_width) = (
        float(text.rstrip("%")) for text in places(drawn, "ul/li/svg/rect[@class='ended']", "x", "width")[0]
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

    def run(snapshots, **options):
        write_dataset(tmp_path / "fleet", snapshots)
        written = anyio.run(partial(lexport.report, tmp_path / "fleet", **options))
        return re.sub(r"<(style|script)>.*?</\1>", "", written.html, flags=re.DOTALL)

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
    assert "<dt>Missing data</dt><dd>1 gap</dd>" in text
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


@pytest.mark.parametrize(
    "scope", [{"coverage": "selection", "functions": 1}, {"status": "denied"}, {"status": "partial", "functions": 3}]
)
def test_a_dataset_without_a_whole_reading_says_only_that(tmp_path, write_dataset, scope):
    """Where no account-region was ever read whole, the page says so and shows no number of a fleet."""
    write_dataset(tmp_path / "fleet", [{"scopes": [scope], "status": "partial", "gaps": 1}])
    written = anyio.run(lexport.report, tmp_path / "fleet")

    assert not written.is_about_a_fleet
    assert "No account-region was ever read whole, so there is no fleet to report about" in written.html
    assert "Nothing was read whole yet" in written.html
    assert 'class="tiles"' not in written.html
    assert 'id="figure-trends"' not in written.html


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
    removed = [{**CHANGE, "kind": "removed", "key": "old", "table_name": "tags"}]
    text = write([{"at": NIGHTS[0]}, {"at": NIGHTS[1], "changes": removed}, {"at": NIGHTS[2], "changes": changes}])

    assert ">1 added, 1 removed, 2 changed.<" in text
    assert ">Functions</span>" in text
    assert ">1 added, 2 changed</span>" in text
    assert "Sun 22 Nov 2026\nadded: 1\nremoved: 1\nchanged: 2" in text
    assert all(f">{value}</td>" in text for value in ("new/$LATEST", "Timeout", "9"))


@pytest.mark.parametrize(
    ("snapshots", "said"),
    [
        ([{}], "First snapshot: nothing to compare with."),
        ([{}, {}], "Nothing changed since the snapshot before."),
        ([{}, {"scopes": [{"status": "partial"}]}], "First snapshot: nothing to compare with."),
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


def test_what_was_not_read_around_the_functions_is_said(write):
    """Without --with policies and usage, no sentence calls a function safe, unused or free."""
    text = write([{"functions": [{"function_name": "f", "version": "$LATEST"}], "scopes": [{"functions": 1}]}])

    assert text.count("Not read: lexport snapshot --with policies,urls reads it.") == 2
    assert text.count("Not read: lexport snapshot --with urls reads it.") == 1
    assert text.count("Not read: lexport snapshot --with usage reads it.") == 2
    assert "No policy" not in text


@pytest.mark.asyncio
async def test_exposed_unused_cost(simulator, settings, aws, tmp_path):
    """What was read of one Region is counted by verdict, listed and priced; the other one is not taken for it."""
    async with simulator(functions=40, versions=1) as server:
        read = settings(server.url, with_resources=("policies", "urls", "usage"))
        await lexport.snapshot(tmp_path / "fleet", read)
        await lexport.snapshot(tmp_path / "fleet", settings(server.url, regions=("eu-west-1",)))
    written = await lexport.report(tmp_path / "fleet")
    found = dict(re.findall(r'<article[^>]* id="figure-(\w+)">(.*?)</article>', written.html, re.DOTALL))
    unread = "not read for 40 functions: --with"

    assert "any_aws_account" in found["exposure"]
    assert f"Policies {unread} policies,urls reads them." in found["exposure"]
    assert "confused_deputy" in found["exposed_functions"]
    assert f"Function URLs {unread} urls reads them." in found["open_urls"]
    assert f"Use {unread} usage reads them." in found["unused"]
    assert re.search(r"At least \$[0-9.,]+ in 30 days\.", found["cost"])


OLD = {"version": "$LATEST", "runtime": "python3.8", "package_type": "Zip"}
SECRET = {"name": "TOKEN", "version": "$LATEST", "secret_rule": "aws_access_key"}


def test_functions_are_counted_before_findings(write):
    """A function with many findings counts once, by its worst one; waived findings do not count."""
    functions = [{"function_name": name, **OLD} for name in ("a", "b")]
    functions += [{"function_name": "b", **OLD, "version": str(number)} for number in range(1, 9)]
    functions.append({"function_name": "c", **OLD, "state": "Failed"})
    secrets = [{"function_name": "b", **SECRET, "version": str(number)} for number in range(1, 9)]
    waiver = lexport.Waiver(check="deprecated_runtime", function_name="a", reason="known", expires=date(2999, 1, 1))
    text = write([{"at": NIGHTS[0], "functions": functions, "env_vars": secrets}], waivers=(waiver,))

    assert "<dt>Functions with critical findings</dt><dd>1</dd>" in text
    assert "<dt>Functions with high findings</dt><dd>1</dd>" in text
    assert "Functions by their worst finding: 1 critical, 1 high" in text
    assert "critical · 8 findings" in text
    assert "1 waived finding not counted" in text
    assert "2999-01-01" in text
    assert "-- deprecated_runtime" in text
    low = re.findall(r'class="row-note"><span>(\w+) · \d+ findings?', text)
    assert low == sorted(low, key=("critical", "high", "medium").index)


def test_what_to_do_first(write):
    """The most severe rules come first, with what to do, the functions in the console, and their owners."""
    functions = [{"function_name": name, **OLD} for name in ("a", "b", "c")]
    tags = [
        {"function_name": "a", "key": "team", "value": "payments"},
        {"function_name": "b", "key": "team", "value": " "},
        {"function_name": "c", "key": "Team", "value": "other case"},
    ]
    night = {"at": NIGHTS[0], "functions": functions, "tags": tags, "env_vars": [{"function_name": "a", **SECRET}]}
    text = write([night], owner_tag="team")
    steps = re.search(r'<ol class="steps">.*?</ol>', text)[0]
    first, second = steps.split("<li>")[1:3]

    assert "<strong>1 function</strong>" in first
    assert "Revoke it, move it to Secrets Manager" in first
    assert 'href="https://eu-west-1.console.aws.amazon.com/lambda/home?region=eu-west-1#/functions/a"' in first
    assert "Owners: payments 1<" in first
    assert "Uses a deprecated runtime" in second
    assert "Owners: payments 1, no owner 2<" in second
    assert "1 owner; 2 functions have no tag team." in text


def test_a_tag_that_nothing_has_is_said(tmp_path, write_dataset):
    """An owner tag that no function has is a note, with the keys that are like it."""
    tags = [{"function_name": "a", "key": "team", "value": "payments"}]
    write_dataset(tmp_path / "fleet", [{"functions": [{"function_name": "a", **OLD}], "tags": tags}])
    written = anyio.run(partial(lexport.report, tmp_path / "fleet", owner_tag="Teams'"))

    assert written.notes[0] == ("no function has the tag Teams', so every one is without an owner; did you mean team?")


def test_names_of_accounts(write):
    """The name of an account is that of the newest run that listed the organization, or the user's own."""
    both = [{"functions": 1}, {"account_id": "111122223334", "functions": 1}]
    named = [scope | {"account_name": f"listed-{number}"} for number, scope in enumerate(both)]
    text = write(
        [{"at": NIGHTS[0], "scopes": named}, {"at": NIGHTS[1], "scopes": both}],
        account_names={"111122223334": "<mine>"},
    )

    assert '<th scope="row" title="111122223333">listed-0</th>' in text
    assert '<th scope="row" title="111122223334">&lt;mine&gt;</th>' in text
    assert "listed-1" not in text


def test_what_got_better(write):
    """A function that no longer breaks a rule got better since last night; it is said if it was deleted."""

    def night(number, *names):
        return {"at": NIGHTS[-1] - timedelta(days=number), "functions": [{"function_name": n, **OLD} for n in names]}

    text = write([night(9, "a", "b", "c"), night(7, "a", "b", "c"), night(1, "a", "b"), night(0, "a", "d")])

    assert "Since last night (21 Nov): 1 function got better, 1 function worse." in text
    assert "Since last week (15 Nov): 2 functions got better, 1 function worse." in text
    rows = re.search(r'id="figure-better".*?</tbody>', text)[0]
    cells = [re.findall(r"<td[^>]*>(?:<span[^>]*>)?([^<]*)", row) for row in rows.split("<tr>")[2:]]
    assert ["last week", "high", "Uses a deprecated runtime", "3", "2", "2", "1", "2"] in cells
    nights = re.search(r'id="figure-findings_by_night".*?</article>', text)[0]
    assert re.findall(r'class="value short">([^<]*)', nights) == ["2 high", "2 high", "3 high", "3 high"]


def test_only_what_both_nights_read_is_compared(write):
    """An account-region that one night did not read whole makes nothing better or worse."""
    east = {"region": "us-east-1"}
    functions = [{"function_name": "a", **OLD}, {"function_name": "b", **OLD, **east}]
    text = write(
        [
            {"at": NIGHTS[0], "scopes": [{}, east], "functions": functions},
            {"at": NIGHTS[1], "scopes": [{}, {**east, "status": "denied"}], "functions": functions[:1]},
        ]
    )

    assert "Since last night (20 Nov): 0 functions got better, 0 functions worse." in text
    assert "1 of 2 account-regions read whole" in text


def test_a_damaged_night_is_left_out_aloud(tmp_path, write_dataset):
    """A night whose files are lost is not judged, and the page and the note say so; the others are."""
    dest = tmp_path / "fleet"
    nights = [{"at": at, "functions": [{"function_name": "a", **OLD}]} for at in NIGHTS]
    written = write_dataset(dest, nights)
    lost = next(entry for entry in written[0].files if entry.table == "functions")
    (dest / lost.path).unlink()
    report = anyio.run(lexport.report, dest)

    assert any("the night of 2026-11-20 is not judged" in note for note in report.notes)
    assert "the night of 2026-11-20 is not judged" in report.html
    assert report.notes[-1].startswith("judged 2 nights in ")


def test_no_finding_is_said(write):
    """The report states that no check found anything severe, and that low rules are in the table."""
    nothing = write([{"at": NIGHTS[0], "account_settings": [{"code_size_limit": 1}]}])
    low = write([{"at": NIGHTS[0], "functions": [{"function_name": "f", "version": "$LATEST"}]}])

    assert "No check found anything above low." in nothing
    assert "No function has a finding above low." in nothing
    assert "No finding above low. " in low


def test_an_owner_is_one_of_the_functions_key():
    """An unknown function has no owner."""
    key = FunctionKey("1", "eu-west-1", "f")

    assert Labels(owners={key: "payments"}).owner(key) == "payments"
    assert Labels().owner(key) == "no owner"
