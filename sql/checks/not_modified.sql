-- title: Nobody has touched it for long
-- severity: low
-- remediation: Ask its owner whether it is still wanted: its dependencies are as old as it.
-- grain: one row per function, by its `$LATEST`
-- threshold days: 730 (days): how old is too old
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` or the number of a published version
-- column last_modified_at: last update
SELECT f.account_id, f.region, f.function_name, f.version, f.last_modified_at
FROM functions AS f
CROSS JOIN thresholds AS t
WHERE f.version = '$LATEST'
  AND DATE_DIFF('day', CAST(f.last_modified_at AS DATE), CAST(f.snapshot_at AS DATE)) >= t.days
