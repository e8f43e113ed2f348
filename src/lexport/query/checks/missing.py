"""The tables of each account-region that hold less than AWS has, beside those that the run was told to leave out.

A check that looks at one of them is not judged in full there. Blocking.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator

from lexport.model import Scope
from lexport.query.resources import read_resources
from lexport.query.sql import QuerySession
from lexport.tables.packages import PACKAGE_SECRETS
from lexport.tables.registry import fleet_resources
from lexport.tables.text import agree, plural, words_of

Missing = tuple[Scope, tuple[str, ...], str]
"""An account-region, the tables, and the reason."""

_WHY = {"denied": "{} were denied", "partial": "{} were not read whole"}


def missing_limits(session: QuerySession) -> Iterator[Missing]:
    """Yield the account-regions without limits of the account."""
    rows = session.read("SELECT account_id, region FROM account_settings").read_all().to_pylist()
    with_limits = {Scope(**row) for row in rows}
    for scope in session.catalog.latest():
        if scope not in with_limits:
            yield scope, ("account_settings",), "the account's limits could not be read"


def unread_tables(session: QuerySession, tables: Collection[str]) -> Iterator[Missing]:
    """Yield which of these tables AWS refused to show, and packages that were not searched for secrets."""
    catalog, tables_of = session.catalog, defaultdict[str, dict[str, None]](dict)
    for resource in fleet_resources():
        if not resource.is_gap:  # what is a gap makes the whole account-region unread
            tables_of[resource.option].update({table.name: None for table in resource.tables})
    if any(not names.keys().isdisjoint(tables) for names in tables_of.values()):
        for row in read_resources(catalog.store, catalog.latest()):
            if row["status"] in _WHY and row["resource"] in tables_of:
                reason = _WHY[row["status"]].format(words_of(row["resource"]))
                scope = Scope(account_id=row["account_id"], region=row["region"])
                yield scope, tuple(tables_of[row["resource"]]), reason
    if PACKAGE_SECRETS.name in tables:
        yield from _unsearched_packages(session)


def _unsearched_packages(session: QuerySession) -> Iterator[Missing]:
    rows = session.read(
        """
        WITH contents AS (
          SELECT account_id, region, code_sha256 FROM functions WHERE package_type IS DISTINCT FROM 'Image'
          UNION
          SELECT y.account_id, y.region, COALESCE(v.code_sha256, y.layer_arn)
          FROM layers AS y
          LEFT JOIN layer_versions AS v ON v.layer_arn = y.layer_arn
        )
        SELECT c.account_id, c.region, COUNT(*) AS contents,
          COUNT(*) FILTER (p.secrets_status IS DISTINCT FROM 'complete') AS unsearched
        FROM contents AS c
        LEFT JOIN packages AS p ON p.code_sha256 = c.code_sha256
        GROUP BY c.account_id, c.region
        ORDER BY c.account_id, c.region
        """
    ).read_all()
    for row in rows.to_pylist():
        if row["unsearched"]:
            count = f"{row['unsearched']:,} of {plural(row['contents'], 'package or layer', 'packages and layers')}"
            verb = agree(row["unsearched"], "was", "were")
            reason = f"{count} {verb} not searched whole for secrets (packages --inspect --secrets)"
            yield Scope(account_id=row["account_id"], region=row["region"]), (PACKAGE_SECRETS.name,), reason
