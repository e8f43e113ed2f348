"""A loader of feeds as docs/guides/feed.md describes one, in plain Python: it knows nothing but what feeds say."""

import json
from collections import defaultdict

import pyarrow.parquet as pq

from lexport.tables.content import CONTENT_RULES
from lexport.tables.registry import BY_NAME


class Warehouse:
    """Tables, each as rows by key. ``load`` applies a feed folder; ``plain`` shows a table as ``lexport sql`` does."""

    def __init__(self):
        self.tables, self.about, self.since = defaultdict(dict), {}, None

    def load(self, folder, *, again=False):
        """Apply a feed that follows what was loaded; ``again`` applies the last one once more, as after a cut."""
        feed = json.loads((folder / "feed.json").read_text())
        assert again or feed["since"] in (None, self.since)
        self.about = {about["table"]: about for about in feed["tables"]}
        if feed["since"] is None:
            self.tables.clear()
        ended = {(s["account_id"], s["region"]) for s in feed["scopes"] if s["mode"] in ("whole", "gone")}
        for name, about in self.about.items():
            if about["kind"] == "state":
                self._delete(name, ended, ("account_id", "region"))
        keys = defaultdict(set)
        for row in pq.read_table(folder / "deletes.parquet").to_pylist():
            keys[row["table_name"]].add(tuple(row[column] for column in self.about[row["table_name"]]["delete_by"]))
        for name, values in keys.items():
            self._delete(name, values, self.about[name]["delete_by"])
        for part in feed["parts"]:
            if part["table"] is not None:
                key = self.about[part["table"]]["key"]
                for row in pq.read_table(folder / part["path"]).to_pylist():
                    self.tables[part["table"]][tuple(row[column] for column in key)] = row
        self.since = feed["next_since"]

    def _delete(self, name, values, columns):
        rows = self.tables[name]
        for key in [key for key, row in rows.items() if tuple(row[column] for column in columns) in values]:
            del rows[key]

    def latest_scopes(self):
        """The newest whole reading of each account-region that was not retired since."""
        newest = {}
        for row in sorted(self.tables["scopes"].values(), key=lambda row: row["snapshot_id"]):
            if row["coverage"] == "fleet" and row["status"] in ("complete", "retired"):
                newest[row["account_id"], row["region"]] = row
        return {scope: row for scope, row in newest.items() if row["status"] == "complete"}

    def plain(self, name):
        """The rows of the plain name: the views over the fed tables."""
        rows, latest = self.tables[name].values(), self.latest_scopes()
        if self.about[name]["kind"] == "content":
            rule = CONTENT_RULES[BY_NAME[name]]
            named = {row[column] for table, column in rule.named_by for row in self.plain(table.name)}
            return [row for row in rows if row[rule.key] in named - {None}]
        if name == "snapshots":
            return [row for row in rows if row["snapshot_id"] in {of["snapshot_id"] for of in latest.values()}]
        shown = [(row, latest.get((row["account_id"], row["region"]))) for row in rows]
        if self.about[name]["kind"] == "run":
            return [row for row, of in shown if of is not None and of["snapshot_id"] == row["snapshot_id"]]
        shown = [
            ({"snapshot_id": of["snapshot_id"], "snapshot_at": of["snapshot_at"], **row}) for row, of in shown if of
        ]
        for row in shown:
            if "fetched_at" in row:
                row["fetched_at"] = row["fetched_at"] or row["snapshot_at"]
        return shown
