-- question: Which functions cannot be invoked because their reserved concurrency is 0?
-- grain: one row per function
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column function_arn: ARN of the function
-- column runtime: runtime identifier; NULL for images
-- column state: state of $LATEST
-- column aliases: number of its aliases; NULL if aliases were not read
-- column role: execution role
-- column last_modified_at: last update of $LATEST
WITH named AS (
  SELECT account_id, region, function_name, COUNT(*) AS aliases
  FROM aliases
  GROUP BY account_id, region, function_name
)
SELECT
  f.account_id,
  f.region,
  f.function_name,
  f.function_arn,
  f.runtime,
  f.state,
  CASE WHEN s.aliases IS NOT NULL THEN COALESCE(n.aliases, 0) END AS aliases,
  f.role,
  f.last_modified_at
FROM functions AS f
LEFT JOIN scopes AS s
  ON s.account_id = f.account_id
  AND s.region = f.region
LEFT JOIN named AS n
  ON n.account_id = f.account_id
  AND n.region = f.region
  AND n.function_name = f.function_name
WHERE f.version = '$LATEST' AND f.reserved_concurrent_executions = 0
ORDER BY f.account_id, f.region, f.function_name
