"""Whatever the arguments and variables are, a command ends soon, with a documented code and without a traceback.

Values of variables are sampled; ``make fuzz`` takes all.
"""

import os

import pytest
from sampled import IS_WHOLE

pytestmark = pytest.mark.slow

COMMANDS = {
    "sql": ["{}", "SELECT 1"],
    "diff": ["{}"],
    "feed": ["{}"],
    "status": ["{}"],
    "verify": ["{}"],
    "check": ["{}"],
    "views": ["{}", "--db", "v.duckdb"],
    "report": ["{}", "-o", "r.html"],
    "sbom": ["{}"],
    "packages": ["{}"],
    "snapshot": ["{}", "--region", "us-east-1", "--endpoint-url", "http://127.0.0.1:1", "--functions-from", "{}"],
}
PLACES = [
    "",
    "\udcff",
    "nowhere",
    "file",
    "pipe",
    "loop",
    "/dev/zero",
    "/dev/null",
    "a\nb",
    "x" * 5000,
    "s3://bucket//x",
]
VALUES = [
    "",
    "-1",
    "nan",
    "1e999",
    "9" * 400,
    "\u0663",
    "\x1b[31m",
    "\udcff",
    "=",
    "/dev/full",
    "0001-01-01",
    "9999-12-31",
]
OPTIONS = [
    ("status", "--max-age"),
    ("sql", "--as-of"),
    ("sql", "--max-skew"),
    ("feed", "--since"),
    ("snapshot", "--quota-share"),
    ("snapshot", "--refresh-after"),
    ("snapshot", "--list-rate"),
    ("packages", "--max-package-size"),
    ("packages", "--package-concurrency"),
    ("check", "--checks"),
    ("report", "--output-file"),
]
CODES = {0, 1, 2, 3, 4, 5, 6}


def is_clean(done):
    """Tell whether a command ended as the pages say."""
    return (
        done.code in CODES
        and "Traceback" not in done.err
        and "internal error" not in done.err
        and (done.code in (0, 4) or done.err.startswith("lexport"))
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_places(forks, command):
    """A DEST may be anything: a device, a pipe, a loop of links, no text at all."""
    (forks.folder / "file").write_text("text")
    os.mkfifo(forks.folder / "pipe")
    (forks.folder / "loop").symlink_to("loop")
    places = [place for place in PLACES if command != "snapshot" or place != "pipe"]  # a list may come slowly
    ends = {place: forks.run(command, *(part.format(place) for part in COMMANDS[command])) for place in places}

    assert {place: done for place, done in ends.items() if not is_clean(done)} == {}


@pytest.mark.parametrize(("command", "option"), OPTIONS)
def test_values(forks, command, option):
    """The value of an option may be anything, from a flag or from a variable."""
    variable = "LEXPORT_" + option.removeprefix("--").replace("-", "_").upper()
    arguments = [part.format("nowhere") for part in COMMANDS[command]]
    ends = {}
    for number, value in enumerate(VALUES, start=OPTIONS.index((command, option))):
        ends[value, "flag"] = forks.run(command, *arguments, option, value)
        if IS_WHOLE or number % 3 == 0:
            ends[value, "variable"] = forks.run(command, *arguments, **{variable: value})

    assert {key: done for key, done in ends.items() if not is_clean(done)} == {}
