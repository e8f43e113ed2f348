"""Write the view ``lambda_runtimes`` from ``sql/data/runtimes.csv``: run this file after a change of the CSV."""

import csv
from pathlib import Path

SQL = Path(__file__).parents[2] / "sql"
CSV = SQL / "data" / "runtimes.csv"
VIEW = SQL / "20_lambda_runtimes.sql"

_HEAD = """\
-- question: Which runtimes does AWS Lambda know, and when is each deprecated?
-- grain: one row per runtime identifier; generated from data/runtimes.csv, which has source and date of each line
-- column runtime: runtime identifier
-- column language: language; `OS only` if the function contains its own
-- column runs_on_arm64: whether functions with it can run on arm64
-- column runs_snap_start: whether SnapStart supports it
-- column deprecation_date: day on which support ends; NULL if AWS has set none
-- column block_create_date: day from which no function can be created with it
-- column block_update_date: day from which no function that uses it can be updated
-- column successor: newest runtime of the language, if that is another one
"""


def read():
    """Return the lines of the CSV as dicts."""
    with CSV.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _cell(name, text):
    if name.endswith("_date"):
        return f"CAST('{text}' AS DATE)" if text else "CAST(NULL AS DATE)"
    if name.startswith("runs_"):
        return text.upper()
    return f"'{text}'" if text else "CAST(NULL AS TEXT)"


def render(rows):
    """Write the view as SELECTs that every warehouse reads."""
    names = [line.split(" ")[2].removesuffix(":") for line in _HEAD.splitlines() if line.startswith("-- column")]
    selects = []
    for number, row in enumerate(rows):
        cells = [_cell(name, row[name]) + ("" if number else f" AS {name}") for name in names]
        selects.append("SELECT " + ", ".join(cells))
    return _HEAD + "\nUNION ALL ".join(selects) + "\n"


if __name__ == "__main__":
    VIEW.write_text(render(read()), encoding="utf-8")
