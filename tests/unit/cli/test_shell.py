"""What Tab offers in the SQL shell, and what of the typed text is kept."""

import stat

import pytest

from lexport.cli._shell.commands import all_names
from lexport.cli._shell.completion import candidates
from lexport.cli._shell.history import PrivateHistory, open_history


@pytest.mark.parametrize(
    ("before", "after", "offered", "not_offered"),
    [
        ("FROM func", "", ["functions"], ["FROM"]),
        ("FROM runt", "", ["runtimes", "runtimes_by_age"], []),
        ("FROM snap", "", ["snapshot.", "snapshots"], []),
        ("SELECT * FROM history.al", "", ["aliases", "alias_routes"], ["ALL"]),
        ("SELECT memory_s", " FROM functions", ["memory_size"], []),
        ("SELECT mem", "", [], ["memory_size"]),
        ("SELECT f.mem", " FROM functions AS f JOIN tags t USING (function_name)", ["memory_size"], ["meaning"]),
        ("SELECT t.ke", " FROM functions AS f JOIN tags t", ["key"], []),
        ("SELECT t.mem", " FROM functions AS f JOIN tags t", [], ["memory_size"]),
        ("SELECT latest_f", " FROM runtimes", ["latest_functions"], []),
        ("SEL", "", ["SELECT"], []),
        ("sel", "", ["select"], ["SELECT"]),
        ("SELECT 'mem", " FROM functions", [], ["memory_size"]),
        (".t", "", [".tables", ".timer", ".trim"], ["tags"]),
        (".schema runt", "", ["runtimes"], []),
        (".mode j", "", ["json", "jsonl"], ["table"]),
        (".timer o", "", ["on", "off"], []),
    ],
)
def test_offered(before, after, offered, not_offered):
    """Tables, views and columns of the named tables, keywords, and dot commands with their words."""
    words = [word for word, _ in candidates(before, after, all_names())]

    assert [word for word in offered if word not in words] == []
    assert [word for word in not_offered if word in words] == []


def test_kept_statements(tmp_path, monkeypatch):
    """The history is 0600; statements that begin with a blank and values of parameters are not in it."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    history, why = open_history()
    for text in ("SELECT 1;", " SELECT 'secret';", ".param key=secret", "SELECT\n 2;", "x" * 100_000):
        history.store_string(text)
    path = tmp_path / "lexport" / "sql_history"

    assert why == ""
    assert list(history.load_history_strings()) == ["SELECT\n 2;", "SELECT 1;"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert b"secret" not in path.read_bytes()


def test_bounded(tmp_path):
    """The file does not grow for ever: the newest statements are kept."""
    history = PrivateHistory(tmp_path / "history")
    for number in range(2_001):
        history.store_string(f"SELECT {number};")
    history.shorten()

    assert len(list(history.load_history_strings())) == 1_000
    assert next(iter(history.load_history_strings())) == "SELECT 2000;"
    assert [path.name for path in tmp_path.iterdir()] == ["history"]


def test_no_place(tmp_path, monkeypatch):
    """Where nothing can be kept, the shell still works."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))

    assert open_history()[1] == f"{tmp_path}/file/lexport: Not a directory"
