"""The views of changes on a small hand-written history, with all their rows."""

from datetime import UTC, datetime, timedelta

import pytest

from lexport.query.shipped_views import tables_read
from lexport.tables.registry import state_tables

A, R, OTHER = "111122223333", "eu-west-1", "us-east-1"
NIGHTS = [datetime(2026, 11, 20, 2, tzinfo=UTC) + timedelta(days=day) for day in range(4)]
FIRST, SECOND, THIRD, FOURTH = (f"01K0000000000000000000000{number}" for number in range(1, 5))
OF_NO_FUNCTION = sorted(table.name for table in state_tables() if table.key[2:] and table.key[2] != "function_name")


def change(kind, key, *, table="functions", since=FIRST, **more):
    return {"kind": kind, "table_name": table, "key": key, "previous_snapshot_id": since, **more}


def versions(*keys, **more):
    return [dict(zip(("function_name", "version"), key.split("/"), strict=True), **more) for key in keys]


@pytest.fixture
def history():
    """Four nights: a function is added, one deleted, one added again; the third night is not whole in one Region."""
    both = [{}, {"region": OTHER}]
    return [
        {
            "at": NIGHTS[0],
            "scopes": both,
            "functions": versions("old/$LATEST", "gone/$LATEST", "gone/1", "back/$LATEST"),
        },
        {
            "at": NIGHTS[1],
            "scopes": both,
            "functions": versions("old/$LATEST", "old/1", "new/$LATEST"),
            "changes": [
                change("removed", "back/$LATEST"),
                change("removed", "gone/$LATEST"),
                change("removed", "gone/1"),
                change("added", "new/$LATEST"),
                change("added", "old/1"),
                change("changed", "old/$LATEST", column_name="memory_size", old_value="128", new_value="256"),
                change("changed", "old/$LATEST", column_name="timeout", old_value="3"),
                change("added", "old/team/a", table="tags"),
                change("changed", "", table="account_settings", column_name="code_size_limit", new_value="1"),
                change("added", "old", table="recursion_configs"),
                change("added", "old/prod", table="function_urls"),
                *(change("removed", "of:no:function", table=table) for table in OF_NO_FUNCTION),
            ],
        },
        {"at": NIGHTS[2], "scopes": [{"status": "partial"}, {"region": OTHER}], "status": "partial"},
        {
            "at": NIGHTS[3],
            "scopes": both,
            "functions": versions("old/$LATEST", "back/$LATEST") + versions("new/$LATEST", region=OTHER),
            "changes": [
                change("added", "back/$LATEST", since=SECOND),
                change("removed", "new/$LATEST", since=SECOND),
                change("removed", "old/1", since=SECOND),
                change("changed", "old/$LATEST/URL", table="env_vars", since=SECOND, column_name="value_hmac"),
                change("added", "new/$LATEST", since=THIRD, region=OTHER),
            ],
        },
    ]


def test_function_history(ask, history):
    """Every change of a function has its name, its version and the two nights; what is of no function does not show."""
    columns = "function_name, version, previous_snapshot_at, snapshot_at, kind, table_name, column_name, old_value"
    query = f"SELECT {columns}, new_value, snapshot_id FROM function_history WHERE function_name = 'old'"
    then, later = (NIGHTS[0], NIGHTS[1]), (NIGHTS[1], NIGHTS[3])

    assert ask(history, query) == [
        ("old", None, *then, "added", "function_urls", None, None, None, SECOND),
        ("old", "$LATEST", *then, "changed", "functions", "memory_size", "128", "256", SECOND),
        ("old", "$LATEST", *then, "changed", "functions", "timeout", "3", None, SECOND),
        ("old", "1", *then, "added", "functions", None, None, None, SECOND),
        ("old", None, *then, "added", "recursion_configs", None, None, None, SECOND),
        ("old", None, *then, "added", "tags", None, None, None, SECOND),
        ("old", "$LATEST", *later, "changed", "env_vars", "value_hmac", None, None, FOURTH),
        ("old", "1", *later, "removed", "functions", None, None, None, FOURTH),
    ]
    names = ask(history, "SELECT DISTINCT function_name, region FROM function_history ORDER BY ALL")
    assert names == [("back", R), ("gone", R), ("new", R), ("new", OTHER), ("old", R)]


def test_function_lifetimes(ask, history):
    """A function lives from its first to its last snapshot; a partial night does not end its life."""
    first, second, _, fourth = NIGHTS

    assert ask(history, "SELECT * FROM function_lifetimes") == [
        (A, R, "back", 1, first, True, fourth, False, FIRST, FOURTH),
        (A, R, "gone", 0, first, True, first, True, FIRST, FIRST),
        (A, R, "new", 0, second, False, second, True, SECOND, SECOND),
        (A, R, "old", 1, first, True, fourth, False, FIRST, FOURTH),
        (A, OTHER, "new", 1, fourth, False, fourth, False, FOURTH, FOURTH),
    ]


def test_deleted_functions(ask, history):
    """A function is deleted if its $LATEST is missing; a deleted version does not count, and a function can return."""
    assert ask(history, "SELECT * FROM deleted_functions") == [
        (A, R, "new", 1, NIGHTS[1], NIGHTS[3], False, FOURTH),
        (A, R, "back", 1, NIGHTS[0], NIGHTS[1], True, SECOND),
        (A, R, "gone", 2, NIGHTS[0], NIGHTS[1], False, SECOND),
    ]


def test_changes_by_night(ask, history):
    """Changes are counted by night, table and kind: as columns, as rows, as functions."""
    assert ask(history, "SELECT * FROM changes_by_night") == [
        (A, R, NIGHTS[3], "env_vars", "changed", 1, 1, 1, FOURTH, SECOND),
        (A, R, NIGHTS[3], "functions", "added", 1, 1, 1, FOURTH, SECOND),
        (A, R, NIGHTS[3], "functions", "removed", 2, 2, 2, FOURTH, SECOND),
        (A, OTHER, NIGHTS[3], "functions", "added", 1, 1, 1, FOURTH, THIRD),
        (A, R, NIGHTS[1], "account_settings", "changed", 0, 1, 1, SECOND, FIRST),
        *((A, R, NIGHTS[1], table, "removed", 0, 1, 1, SECOND, FIRST) for table in OF_NO_FUNCTION),
        (A, R, NIGHTS[1], "function_urls", "added", 1, 1, 1, SECOND, FIRST),
        (A, R, NIGHTS[1], "functions", "added", 2, 2, 2, SECOND, FIRST),
        (A, R, NIGHTS[1], "functions", "changed", 1, 1, 2, SECOND, FIRST),
        (A, R, NIGHTS[1], "functions", "removed", 2, 3, 3, SECOND, FIRST),
        (A, R, NIGHTS[1], "recursion_configs", "added", 1, 1, 1, SECOND, FIRST),
        (A, R, NIGHTS[1], "tags", "added", 1, 1, 1, SECOND, FIRST),
    ]


def test_tables_that_views_read():
    """The name of a table in a text of a view is a value: what was left out of that table is no caveat of the view."""
    assert tables_read("FROM function_history") == {"changes", "scopes"}
    assert tables_read("FROM changes_by_night") == {"changes", "functions"}  # the latter is a column
