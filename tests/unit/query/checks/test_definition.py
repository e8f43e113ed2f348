"""The head of a check, the choice of checks, and their thresholds."""

from pathlib import Path

import pytest

from lexport.errors import SettingsError, ViewError
from lexport.query.checks.definition import Threshold, choose, fill_thresholds, load_checks, read_check
from lexport.query.shipped_views import sql_dir

HEAD = """-- title: Too slow
-- severity: medium
-- remediation: Be quick.
-- grain: one row per function
-- reference: Guide 1, Guide 2
-- threshold seconds: 900 (seconds): from when
-- threshold keys: ["a", "b"] (tag keys): which
-- column account_id: account
-- column region: Region
"""
QUERY = "SELECT account_id, region FROM scopes;\n"


def write(folder, text, name="slow.sql"):
    path = folder / name
    path.write_text(text)
    return path


def test_head(tmp_path):
    """A check has the facts of its head, and the line of its query in the file."""
    found = read_check(write(tmp_path, HEAD + QUERY))

    assert (found.name, found.title, found.severity) == ("slow", "Too slow", "medium")
    assert found.references == ("Guide 1", "Guide 2")
    assert found.thresholds == {
        "seconds": Threshold(name="seconds", default=900, unit="seconds", meaning="from when"),
        "keys": Threshold(name="keys", default=("a", "b"), unit="tag keys", meaning="which"),
    }
    assert (found.query, found.query_line) == ("SELECT account_id, region FROM scopes", 10)


@pytest.mark.parametrize(
    ("wrong", "right", "message"),
    [
        ("-- severity: bad", "-- severity: medium", "line 2: severity must be one of low, medium, high, critical"),
        ("-- titel: x", "-- title: Too slow", "line 1: not a line of the head: -- titel: x"),
        ("-- just words", "-- reference: Guide 1, Guide 2", "line 5: not a line of the head"),
        ("-- title: again", "-- reference: Guide 1, Guide 2", "line 5: this fact is given twice"),
        ("-- title x: y", "-- reference: Guide 1, Guide 2", "line 5: not a line of the head"),
        ("", "-- grain: one row per function\n", "the head lacks -- grain"),
        ("", "-- column region: Region\n", "the head lacks -- column region"),
        ("-- threshold seconds: x", "-- threshold seconds: 900 (seconds): from when", "line 6: write it like"),
        ("-- threshold seconds: -1 (s): x", "-- threshold seconds: 900 (seconds): from when", "line 6: write it like"),
        ("-- threshold seconds: true (s): x", "-- threshold seconds: 900 (seconds): from when", "line 6: write it"),
        ("-- threshold keys: [1] (s): x", '-- threshold keys: ["a", "b"] (tag keys): which', "line 7: write it like"),
        ("", QUERY, "line 10: no SELECT follows the head"),
    ],
)
def test_bad_head(tmp_path, wrong, right, message):
    """A wrong head is rejected with file and line."""
    path = write(tmp_path, (HEAD + QUERY).replace(right, wrong, 1))

    with pytest.raises(ViewError, match=r"^slow\.sql, line \d+: ") as caught:
        read_check(path)

    assert message in str(caught.value)


@pytest.mark.parametrize("name", ["Slow.sql", "1.sql", "a b.sql", "a-b.sql"])
def test_bad_name(tmp_path, name):
    """A name that cannot be a key or a rule is rejected."""
    with pytest.raises(ViewError, match="the file's name may have"):
        read_check(write(tmp_path, HEAD + QUERY, name))


def test_own_checks(tmp_path):
    """The user's checks are added to the shipped ones; hidden and other files are ignored."""
    write(tmp_path, HEAD + QUERY)
    write(tmp_path, "junk", ".slow2.sql")
    write(tmp_path, "junk", "notes.txt")
    shipped = load_checks(sql_dir() / "checks")

    own = [check for check in load_checks(sql_dir() / "checks", [tmp_path]) if not check.is_shipped]

    assert [check.name for check in own] == ["slow"]
    assert all(check.is_shipped for check in shipped)


def test_refused_folders(tmp_path):
    """A missing or empty folder, a broken file and a name that exists are errors of --checks."""
    empty, broken, taken = tmp_path / "empty", tmp_path / "broken", tmp_path / "taken"
    for folder in (empty, broken, taken):
        folder.mkdir()
    (broken / "slow.sql").write_bytes(b"-- title: \xff\n")
    write(taken, HEAD + QUERY, "untagged.sql")
    refused = {
        tmp_path / "none": "No such file",
        empty: "the folder has no .sql file",
        broken: "slow.sql cannot be read",
        taken: "untagged.sql: a shipped check has that name",
    }

    for folder, message in refused.items():
        with pytest.raises(SettingsError, match=message) as caught:
            load_checks(sql_dir() / "checks", [Path(folder)])
        assert caught.value.option == "--checks"


def test_choose(tmp_path):
    """Names, skipped names and the minimum severity combine; an unknown name or an empty choice is rejected."""
    write(tmp_path, HEAD + QUERY)
    checks = load_checks(sql_dir() / "checks", [tmp_path])

    def names(**how):
        return [check.name for check in choose(checks, **how)]

    assert names(only=["slow", "untagged"], min_severity="medium") == ["slow"]
    assert "slow" not in names(skip=["slow"])
    assert names() == [check.name for check in checks if check.is_default]
    assert len(names(all_of_them=True)) == len(checks) > len(names())
    assert names(frameworks=["aws-config"], only=["slow"], min_severity="medium") == [
        "any_aws_account",
        "internet",
        "service_weak",
        "single_subnet",
        "slow",
    ]
    for how in ({"only": ["nope"]}, {"skip": ["nope"]}, {"only": ["slow"], "skip": ["slow"]}):
        with pytest.raises(SettingsError):
            choose(checks, **how)


def test_thresholds(tmp_path):
    """Given values replace defaults, and must have the type of the default."""
    write(tmp_path, HEAD.replace("900 (", "0.5 (") + QUERY)
    checks = [check for check in load_checks(sql_dir() / "checks", [tmp_path]) if check.name == "slow"]

    assert fill_thresholds(checks, {}) == {"slow": {"seconds": 0.5, "keys": ("a", "b")}}
    assert fill_thresholds(checks, {"slow": {"seconds": 2, "keys": []}}) == {"slow": {"seconds": 2, "keys": ()}}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"nope": {}}, "check.thresholds.nope: no check has that name"),
        ({"slow": 3}, "check.thresholds.slow: write it as a table"),
        (
            {"slow": {"second": 3}},
            "check.thresholds.slow.second: the check has no such threshold; it has: seconds, keys",
        ),
        ({"slow": {"seconds": "x"}}, "check.thresholds.slow.seconds: must be a whole number, 0 or more"),
        ({"slow": {"seconds": 1.5}}, "check.thresholds.slow.seconds: must be a whole number"),
        ({"slow": {"seconds": True}}, "check.thresholds.slow.seconds: must be a whole number"),
        ({"slow": {"seconds": -1}}, "check.thresholds.slow.seconds: must be a whole number"),
        ({"slow": {"seconds": 2**63}}, "check.thresholds.slow.seconds: must be a whole number"),
        ({"slow": {"keys": "a"}}, "check.thresholds.slow.keys: must be a list of texts"),
        ({"slow": {"keys": [1]}}, "check.thresholds.slow.keys: must be a list of texts"),
    ],
)
def test_bad_thresholds(tmp_path, given, message):
    """An invalid threshold is rejected with its key."""
    write(tmp_path, HEAD + QUERY)

    with pytest.raises(SettingsError) as caught:
        fill_thresholds([read_check(tmp_path / "slow.sql")], given)

    assert message in str(caught.value)
