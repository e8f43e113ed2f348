"""The README is true: its commands print what it shows, its tables are the tables."""

from __future__ import annotations

import json
import os
import re
import shlex
import sysconfig
from collections import Counter
from pathlib import Path

import anyio
import pytest

from lexport.simulator import Fleet, FleetSpec, open_simulator
from lexport.tables import registry
from lexport.tables.registry import PACKAGE_TABLES

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8") if (ROOT / "README.md").exists() else ""
MADE_FROM_TABLES = "<!-- made from src/lexport/tables, checked by tests/test_readme.py -->\n"
CHANGING = (
    (re.compile(r"\b[0-7][0-9A-HJKMNP-TV-Z]{25}\b"), "ULID"),
    (re.compile(r"\b\d{4}-\d\d-\d\dT[\d:.]+Z"), "INSTANT"),
    (re.compile(r"\d+\.\d s$", re.MULTILINE), "SECONDS"),
    (re.compile(r'("age_s"|"size_bytes"): [\d.]+'), r"\1: NUMBER"),
)


def steady(text: str) -> str:
    for pattern, name in CHANGING:
        text = pattern.sub(name, text)
    return text


@pytest.mark.slow
@pytest.mark.asyncio
async def test_commands_print_what_the_readme_shows(tmp_path, monkeypatch):
    """Every command of README.md and docs/guides/checks.md prints what stands below it; ``# exit 4`` is how it ends."""
    pages = (README, (ROOT / "docs" / "guides" / "checks.md").read_text(encoding="utf-8"))
    blocks = [block for page in pages for block in re.findall(r"```console\n(.*?)```", page, re.DOTALL)]
    shown = [part.split("\n", 1) for block in blocks for part in re.split(r"^\$ ", block, flags=re.MULTILINE) if part]
    command = Path(sysconfig.get_path("scripts")) / "lexport"
    async with open_simulator(Fleet(FleetSpec(functions=40, versions=3, seed=7))) as simulator:
        for name, value in {
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_ENDPOINT_URL": simulator.url,
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "XDG_STATE_HOME": str(tmp_path / "state"),
            "NO_PROXY": "127.0.0.1",
        }.items():
            monkeypatch.setenv(name, value)
        for shown_line, expected in shown:
            line, _, code = shown_line.partition("  # exit ")
            done = await anyio.run_process([str(command), *shlex.split(line)[1:]], check=False, cwd=tmp_path, stderr=-2)

            assert done.returncode == int(code or 0)
            assert steady(expected) == steady(done.stdout.decode().replace("\r\n", "\n"))


def test_tables_of_the_readme_are_the_tables():
    """The README names some of the declared tables, with their meaning."""
    declared = [f"| `{table.name}` | {table.meaning} |" for table in registry.tables()]
    shown = re.findall(r"^\| `[a-z_]+` \| .* \|$", README, re.MULTILINE)

    assert len(shown) >= 5
    assert shown == [line for line in declared if line in shown]


def test_the_page_of_tables_has_every_table():
    """docs/reference/tables.md is made of the declared tables; ``LEXPORT_WRITE_GOLDEN=1`` writes it anew."""
    page = ROOT / "docs" / "reference" / "tables.md"
    head, mark, shown = page.read_text(encoding="utf-8").partition(MADE_FROM_TABLES)
    expected = "\n" + "".join(f"{line}\n" for line in table_lines())
    if os.environ.get("LEXPORT_WRITE_GOLDEN"):
        page.write_text(f"{head}{mark}{expected}", encoding="utf-8")
        shown = expected

    assert mark
    assert shown == expected, "run this test with LEXPORT_WRITE_GOLDEN=1, and commit the page"


def table_lines():
    """Return the lines of the table of tables."""
    yield "| table | what a row is | key | written by |"
    yield "|---|---|---|---|"
    for table in registry.tables():
        names = ", ".join(f"`{name}`" for name in table.key)
        yield f"| `{table.name}` | {table.meaning} | {names} | {writer_of(table)} |"


def writer_of(table):
    """Return which runs write a table."""
    if table in PACKAGE_TABLES:
        return "`lexport packages`, `--packages`"
    resource = registry.resource_of(table)
    if resource is None or resource.in_every_snapshot:
        return "every snapshot"
    return f"snapshots, unless `--without {resource.option}`" if resource.default else f"`--with {resource.option}`"


def test_checks_of_the_docs_are_the_checks():
    """The page of checks lists each shipped check with severity, title, thresholds and references, worst first."""
    from lexport.query.checks.definition import SEVERITIES, load_checks
    from lexport.query.shipped_views import sql_dir

    checks = load_checks(sql_dir() / "checks")
    expected = [
        f"| `{check.name}` | {check.severity} | {check.title} | "
        + ", ".join(f"`{each.name}` {json.dumps(each.default)} {each.unit}" for each in check.thresholds.values())
        + f" | {', '.join(check.references)} |"
        for check in sorted(checks, key=lambda check: (-SEVERITIES.index(check.severity), check.name))
    ]
    page = (ROOT / "docs" / "reference" / "checks.md").read_text(encoding="utf-8")

    assert expected == re.findall(r"^\| `\w+` \| (?:low|medium|high|critical) \| .*$", page, re.MULTILINE)


def test_controls_of_the_docs_are_the_references():
    """The page of checks has each control that a check names, with its checks; the others have the reason instead."""
    from lexport.query.checks.definition import load_checks
    from lexport.query.checks.frameworks import split_reference
    from lexport.query.shipped_views import sql_dir

    expected = {}
    for check in load_checks(sql_dir() / "checks"):
        for reference in check.references:
            framework, control = split_reference(reference)
            expected.setdefault((framework.name, control), []).append(f"`{check.name}`")
    page = (ROOT / "docs" / "reference" / "checks.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([a-z-]+) \| `([\w.-]+)` \| (.+) \|$", page, re.MULTILINE)
    covered = {(framework, control): shown for framework, control, shown in rows if not shown.startswith("none: ")}

    assert {key: ", ".join(names) for key, names in expected.items()} == covered
    assert Counter(framework for framework, _, _ in rows) == {
        "prowler": 13,
        "security-hub": 6,
        "aws-config": 11,
        "steampipe": 14,
    }


def test_every_command_and_view_is_named():
    """The README names every command, docs/reference/views.md every view, and it names no other."""
    from lexport.cli._commands import COMMANDS
    from lexport.query.shipped_views import shipped_views

    missing = [name for name in COMMANDS if f"`{name}`" not in README]
    shown = re.findall(
        r"^## (\w+)$", (ROOT / "docs" / "reference" / "views.md").read_text(encoding="utf-8"), re.MULTILINE
    )

    assert missing == []
    assert shown == [view.name for view in shipped_views()]
    assert len(README.splitlines()) <= 150
