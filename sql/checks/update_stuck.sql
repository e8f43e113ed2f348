-- title: Update or creation does not end
-- severity: medium
-- remediation: Deploy again; if that does not help, contact AWS Support.
-- grain: one row per version in use: `$LATEST`, and versions that an alias sends traffic to
-- threshold days: 2 (days): calendar days in UTC from which there is a finding; 2 days are at least 24 hours
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` or the number of a published version
-- column state: state of the function
-- column last_update_status: status of the update
-- column last_modified_at: when the update began
WITH routed AS (
  SELECT DISTINCT account_id, region, function_name, version
  FROM alias_routes
  WHERE weight > 0
)
SELECT f.account_id, f.region, f.function_name, f.version, f.state, f.last_update_status, f.last_modified_at
FROM functions AS f
CROSS JOIN thresholds AS t
LEFT JOIN routed AS r
  ON r.account_id = f.account_id
  AND r.region = f.region
  AND r.function_name = f.function_name
  AND r.version = f.version
WHERE (f.version = '$LATEST' OR r.version IS NOT NULL)
  AND (f.state = 'Pending' OR f.last_update_status = 'InProgress')
  AND CAST(CAST(COALESCE(f.fetched_at, f.snapshot_at) AS DATE) - CAST(f.last_modified_at AS DATE) AS INTEGER) >= t.days
