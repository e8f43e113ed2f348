-- title: Runtime will be deprecated soon
-- severity: medium
-- remediation: Plan the move to the successor.
-- grain: one row per version in use: `$LATEST`, and versions that an alias sends traffic to; for deprecated runtimes see deprecated_runtime
-- threshold days: 90 (days): how long before the deprecation there is a finding
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` or the number of a published version
-- column runtime: runtime identifier
-- column deprecation_date: day on which support ends
-- column successor: newest runtime of the language
WITH routed AS (
  SELECT DISTINCT account_id, region, function_name, version
  FROM alias_routes
  WHERE weight > 0
)
SELECT f.account_id, f.region, f.function_name, f.version, f.runtime, l.deprecation_date, l.successor
FROM functions AS f
JOIN lambda_runtimes AS l
  ON l.runtime = f.runtime
CROSS JOIN thresholds AS t
LEFT JOIN routed AS r
  ON r.account_id = f.account_id
  AND r.region = f.region
  AND r.function_name = f.function_name
  AND r.version = f.version
WHERE (f.version = '$LATEST' OR r.version IS NOT NULL)
  AND f.runtime_config_runtime_arn IS NULL
  AND l.deprecation_date > CAST(f.snapshot_at AS DATE)
  AND CAST(l.deprecation_date - CAST(f.snapshot_at AS DATE) AS INTEGER) <= t.days
