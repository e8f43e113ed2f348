"""A browser for the session, and datasets to report on."""

import importlib.util
from functools import partial
from pathlib import Path

import anyio
import pytest

import lexport


def _load(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def browser(need_program, tmp_path_factory):
    """One Chromium for all tests."""
    program = need_program("chromium-headless-shell", "chromium", package="chromium-headless-shell")
    opened = _load("lexport_tests_chromium", Path(__file__).with_name("chromium.py")).Browser(
        program, tmp_path_factory.mktemp("profile")
    )
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def write_report(tmp_path_factory, write_dataset):
    """Write the report of a small hand-written dataset, and return dataset and file."""

    def write(snapshots, **options):
        folder = tmp_path_factory.mktemp("report")
        write_dataset(folder / "fleet", snapshots)
        written = anyio.run(partial(lexport.report, folder / "fleet", **options))
        (folder / "fleet.html").write_text(written.html, encoding="utf-8")
        return folder / "fleet", folder / "fleet.html"

    return write
