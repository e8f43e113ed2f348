"""The pages for people hold together: links lead somewhere, named files exist, lines are short enough to read."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

import click
import pytest
import python_reference

import lexport
from lexport.cli._commands import cli

ROOT = Path(__file__).parent.parent
DOCS = sorted((ROOT / "docs").rglob("*.md"))
PAGES = [*DOCS, *sorted(ROOT.glob("*.md")), ROOT / "benchmarks" / "README.md", *sorted(ROOT.glob("deploy/*/*.md"))]
GENERATED = ROOT / "docs" / "reference" / "views.md"  # its sentences are the heads of the views
_CODE_BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_PATH = re.compile(
    r"`((?:src|docs|sql|tests|benchmarks|deploy|requirements|\.ci)/[\w./-]*|[\w./-]+\.(?:py|md|toml)|[a-z]\w*(?:/\w+)*/)`"
)
_NOT_OURS = {"lexport.toml", "pylock.toml"}
_COMMAND = re.compile(r"(?<![\w/])lexport ([a-z][a-z-]+)([^`\n|&]*)")
_OPTION = re.compile(r"(?<!\S)--[a-z][a-z0-9-]+")
_OPTION_ALONE = re.compile(r"`(--[a-z][a-z0-9-]+)[^`]*`")
_CONTEXT = click.Context(cli)
ADDED = {"CHANGELOG.md": {"--transport"}}
"""Options that no command has by default: the page adds them, or states that they were removed."""

MADE_FROM_DOCSTRINGS = (
    "<!-- From here on made from the docstrings by tests/test_docs.py; LEXPORT_WRITE_GOLDEN=1 rewrites it. -->\n"
)


def flags(command: click.Command) -> set[str]:
    """The options of a command and of those below it."""
    below = command.commands.values() if isinstance(command, click.Group) else ()
    own = {flag for option in command.params for flag in option.opts + option.secondary_opts}
    return own.union(*map(flags, below))


OPTIONS = {name: {"--help"} | flags(cli.get_command(_CONTEXT, name)) for name in cli.list_commands(_CONTEXT)}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def prose(path: Path) -> str:
    """The text of a page without its blocks of code."""
    text = _CODE_BLOCK.sub("", path.read_text(encoding="utf-8"))
    return "\n".join(line for line in text.splitlines() if not line.startswith("    "))


def anchors(path: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    headings = _HEADING.findall(prose(path))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_to_pages(page):
    """Every relative link of a page leads to a file of the project, and its anchor to a heading there."""
    broken = []
    for link in _LINK.findall(prose(page)):
        if re.match(r"https?:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)

    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_named_files_exist(page):
    """Every file that a page names in code exists: below the root, below src/lexport, or beside the page."""
    folders = (ROOT, ROOT / "src" / "lexport", page.parent)
    named = {path for path in _PATH.findall(prose(page)) if path not in _NOT_OURS}

    assert [path for path in sorted(named) if not any((folder / path).exists() for folder in folders)] == []


def test_each_promise_has_a_test():
    """Every line of the page of promises names a test that exists."""
    page = ROOT / "docs" / "reference" / "promises.md"
    lines = [line for line in page.read_text(encoding="utf-8").splitlines() if re.match(r"\| (?!promise )", line)]
    missing = []
    for line in lines:
        matched = re.fullmatch(r"\| [A-Z`].*\. \| `(tests/[\w/]+\.py)::(test_\w+)` \|", line)
        path = ROOT / matched[1] if matched else None
        if path is None or not path.is_file() or f"def {matched[2]}(" not in path.read_text(encoding="utf-8"):
            missing.append(line)

    assert len(lines) > 50
    assert missing == []


@pytest.mark.parametrize("page", [page for page in DOCS if page != GENERATED], ids=name_of)
def test_lines_are_short(page):
    """No line of prose is longer than 120 characters; tables and code may be."""
    assert [line for line in prose(page).splitlines() if len(line) > 120 and not line.startswith("|")] == []


def test_sums_of_the_plan():
    """Each sum of the plan on paper, computed from the values that the page gives, has the result beside it."""
    page = (ROOT / "docs" / "guides" / "many-machines.md").read_text(encoding="utf-8")
    (given,) = re.findall(r"\((V = [^)]*)\)", page)
    values = {name: int(number.replace(",", "")) for name, number in re.findall(r"([A-Z]) = ([\d,]+\d|\d)", given)}
    sums = re.findall(r"^\|[^|]+\| `([^`|]+)` \| ([\d,.]+) \|$", page, re.MULTILINE)
    wrong = []
    for text, result in sums:
        plain = re.sub(r"(?<=\d),(?=\d{3})", "", text).replace("\N{MULTIPLICATION SIGN}", "*")
        assert re.fullmatch(r"(max|[VFNC]|[\d.]+|[-+*/(), ])+", plain), text
        computed = eval(plain, {"__builtins__": {}, "max": max}, values)
        decimals = len(result.partition(".")[2])
        if f"{computed:,.{decimals}f}" != result:
            wrong.append((text, computed, result))

    assert set(values) == set("VFNC")
    assert len(sums) >= 15
    assert wrong == []


def test_the_index_names_every_page():
    """docs/README.md links every page of the documentation, each on one line of its own."""
    index = ROOT / "docs" / "README.md"
    lines = index.read_text(encoding="utf-8").splitlines()
    linked = [str((index.parent / link).resolve()) for line in lines for link in _LINK.findall(line)[:1]]

    assert sorted(linked) == sorted(str(page.resolve()) for page in DOCS if page != index)


def test_named_files_are_in_the_source_distribution():
    """Every file that a page names by its path from the root is in the source distribution."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    included = set(settings["tool"]["hatch"]["build"]["targets"]["sdist"]["include"])
    named = {path for page in PAGES for path in _PATH.findall(prose(page)) if (ROOT / path).exists()}

    assert {path.split("/")[0] for path in named} - included == set()


def test_readme_works_on_a_package_page():
    """README.md has no relative links: a package page cannot follow them. It names files by their path instead."""
    links = _LINK.findall((ROOT / "README.md").read_text(encoding="utf-8"))

    assert [link for link in links if not re.match(r"https?:|#", link)] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_and_options_exist(page):
    """Every option that a page shows with a command is an option of that command."""
    text = page.read_text(encoding="utf-8")
    shown = [(name, option) for name, rest in _COMMAND.findall(text) for option in _OPTION.findall(rest)]

    assert [
        (name, option) for name, option in shown if option not in {*OPTIONS.get(name, ()), *ADDED.get(page.name, ())}
    ] == []


@pytest.mark.parametrize("page", [page for page in PAGES if page.parent.name != "benchmarks"], ids=name_of)
def test_options_shown_alone_exist(page):
    """Every option that a page shows without a command is an option of some command."""
    known = {"--help", "--version"}.union(ADDED.get(page.name, ()), *OPTIONS.values())

    assert set(_OPTION_ALONE.findall(prose(page))) - known == set()


def test_python_reference_is_that_of_the_docstrings():
    """docs/reference/python.md has every public name as its docstring; ``LEXPORT_WRITE_GOLDEN=1`` writes it anew."""
    page = ROOT / "docs" / "reference" / "python.md"
    head, mark, shown = page.read_text(encoding="utf-8").partition(MADE_FROM_DOCSTRINGS)
    expected = f"\n{python_reference.reference()}"
    if os.environ.get("LEXPORT_WRITE_GOLDEN"):
        page.write_text(f"{head}{mark}{expected}", encoding="utf-8")
        shown = expected

    assert mark
    assert shown == expected, "run this test with LEXPORT_WRITE_GOLDEN=1, and commit the page"
    assert [name for name in lexport.__all__ if f"\n### {name}\n" not in shown] == []
