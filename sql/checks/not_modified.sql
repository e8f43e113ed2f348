-- title: Not updated for a long time
-- severity: low
-- remediation: Ask the owner whether the function is still needed. Its dependencies are as old as its last update.
-- grain: one row per function, by its `$LATEST`
-- threshold days: 730 (days): age of the last update from which there is a finding
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` or the number of a published version
-- column last_modified_at: last update
SELECT f.account_id, f.region, f.function_name, f.version, f.last_modified_at
FROM functions AS f
CROSS JOIN thresholds AS t
WHERE f.version = '$LATEST'
  AND CAST(CAST(f.snapshot_at AS DATE) - CAST(f.last_modified_at AS DATE) AS INTEGER) >= t.days
