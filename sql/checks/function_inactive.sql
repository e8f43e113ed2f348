-- title: Function sleeps: the next call fails or waits
-- severity: low
-- remediation: Delete it if nobody calls it, or call it; AWS took its resources back because it was idle.
-- grain: one row per version that runs: `$LATEST`, and those that an alias sends traffic to; the state is as old as the row's fetched_at
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` or the number of a published version
-- column state_reason_code: AWS's code
WITH routed AS (
  SELECT DISTINCT account_id, region, function_name, version
  FROM alias_routes
  WHERE weight > 0
)
SELECT f.account_id, f.region, f.function_name, f.version, f.state_reason_code
FROM functions AS f
LEFT JOIN routed AS r
  ON r.account_id = f.account_id
  AND r.region = f.region
  AND r.function_name = f.function_name
  AND r.version = f.version
WHERE (f.version = '$LATEST' OR r.version IS NOT NULL)
  AND f.state = 'Inactive'
