-- question: Which function versions use a runtime that is deprecated, or will be in at most 180 days?
-- grain: one row per function version; unknown and customer-managed runtimes and images are in runtimes_by_age
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` or the number of a published version
-- column function_arn: ARN of the function
-- column runtime: runtime identifier
-- column status: `update_blocked`, `create_blocked`, `deprecated` or `soon`
-- column days_left: days from the snapshot to the deprecation; negative after it
-- column deprecation_date: day on which support ends
-- column block_create_date: day from which no function can be created with it
-- column block_update_date: day from which no function that uses it can be updated
-- column successor: newest runtime of the language
-- column aliases: aliases that send traffic to the version; NULL if aliases were not read
-- column last_modified_at: last update of the version
-- column role: execution role
WITH traffic AS (
  SELECT account_id, region, function_name, version, COUNT(*) AS aliases
  FROM alias_routes
  WHERE weight > 0
  GROUP BY account_id, region, function_name, version
)
SELECT
  f.account_id,
  f.region,
  f.function_name,
  f.version,
  f.function_arn,
  f.runtime,
  CASE
    WHEN l.block_update_date <= CAST(f.snapshot_at AS DATE) THEN 'update_blocked'
    WHEN l.block_create_date <= CAST(f.snapshot_at AS DATE) THEN 'create_blocked'
    WHEN l.deprecation_date <= CAST(f.snapshot_at AS DATE) THEN 'deprecated'
    ELSE 'soon'
  END AS status,
  CAST(l.deprecation_date - CAST(f.snapshot_at AS DATE) AS INTEGER) AS days_left,
  l.deprecation_date,
  l.block_create_date,
  l.block_update_date,
  l.successor,
  CASE WHEN s.aliases IS NOT NULL THEN COALESCE(t.aliases, 0) END AS aliases,
  f.last_modified_at,
  f.role
FROM functions AS f
JOIN lambda_runtimes AS l
  ON l.runtime = f.runtime
LEFT JOIN scopes AS s
  ON s.account_id = f.account_id
  AND s.region = f.region
LEFT JOIN traffic AS t
  ON t.account_id = f.account_id
  AND t.region = f.region
  AND t.function_name = f.function_name
  AND t.version = f.version
WHERE f.runtime_config_runtime_arn IS NULL
  AND CAST(l.deprecation_date - CAST(f.snapshot_at AS DATE) AS INTEGER) <= 180
ORDER BY days_left, f.account_id, f.region, f.function_name, f.version
