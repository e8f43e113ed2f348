"""The SQL of docs/guides/feed.md loads a feed and shows the rows of ``lexport sql``."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from lexport.query.feed import write_feed
from lexport.query.sql import open_query_session

PAGE = Path(__file__).parents[4] / "docs" / "guides" / "feed.md"
AT = datetime(2026, 11, 20, 2, tzinfo=UTC)
OTHER = {"region": "us-east-1"}


def tag(key, value, **place):
    return {"function_name": "f", "key": key, "value": value, **place}


def test_the_sql_of_the_page(tmp_path, write_dataset, monkeypatch):
    """Each statement runs as pasted; the view has the plain rows, `scopes` those of every commit; twice is the same."""
    fleet = tmp_path / "fleet"
    nights = [
        {"at": AT, "tags": [tag("a", "1"), tag("b", "1"), tag("c", "1")]},
        {
            "at": AT + timedelta(days=1),
            "scopes": [{}, OTHER],
            "tags": [tag("a", "1"), tag("b", "2"), tag("d", "1", **OTHER)],
        },
    ]
    (first,) = write_dataset(fleet, nights[:1])
    write_feed(fleet, tmp_path / "first-load")
    write_dataset(fleet, nights)
    write_feed(fleet, tmp_path / "next-load", first.snapshot_id)
    monkeypatch.chdir(tmp_path)
    load, views = re.findall(r"(?<=^```sql\n).*?(?=^```$)", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    with duckdb.connect() as warehouse, open_query_session(fleet) as session:
        for view, query in 2 * (("latest_tags", "FROM tags"), ("scopes", "FROM history.scopes")):
            warehouse.execute(load)
            warehouse.execute(views)
            loaded = warehouse.sql(f"FROM {view} ORDER BY ALL").to_arrow_table().to_pylist()
            assert loaded == session.read(f"{query} ORDER BY ALL").read_all().to_pylist()
            assert len(loaded) == 3
