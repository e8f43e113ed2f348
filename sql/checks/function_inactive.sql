-- title: Function is inactive: the next invocation fails or waits
-- severity: low
-- remediation: Delete the function if it is not used, or invoke it; AWS removed its resources because it was idle.
-- grain: one row per version in use: `$LATEST`, and versions that an alias sends traffic to; the state is that at the row's fetched_at
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` or the number of a published version
-- column state_reason_code: code of the reason
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
