"""``docs/reference/views.md`` has each view with the output of its command."""

import importlib.util
import re
from pathlib import Path

from lexport.query.shipped_views import shipped_views
from lexport.query.sql import open_query_session


def _pages():
    spec = importlib.util.spec_from_file_location("lexport_tests_pages", Path(__file__).with_name("pages.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_answers_are_those_of_the_commands(simulated):
    """Every command of the page prints the output below it; `python tests/sql/pages.py` rewrites the page."""
    dest, _, _ = simulated
    pages = _pages()
    page = pages.PAGE.read_text(encoding="utf-8")
    with open_query_session(dest) as session:
        assert page == pages.answered(page, session)


def test_every_view_is_shown():
    """The page has a section for each view, in order, with its question and a command that queries it."""
    page = _pages().PAGE.read_text(encoding="utf-8")
    sections = re.split(r"^## ", page, flags=re.MULTILINE)[1:]

    assert [section.split("\n", 1)[0] for section in sections] == [view.name for view in shipped_views()]
    for section, view in zip(sections, shipped_views(), strict=True):
        assert view.question in section
        assert f"FROM {view.name} " in section
