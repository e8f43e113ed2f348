-- question: Of which calls of aliases is it not known which version ran?
-- grain: one row per alias that was called more often than the versions that are known to have run for it; they ran for versions that the alias led to before the earliest snapshot in the dataset and does not lead to now
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column alias: alias that was called
-- column invocations: calls that ran, without those of which the version is known
-- column errors: calls that failed, likewise
-- column duration_ms: time that these calls ran
WITH called AS (
  SELECT
    account_id,
    region,
    function_name,
    qualifier,
    SUM(CASE WHEN dimension = 'alias' THEN invocations ELSE 0 - invocations END) AS invocations,
    SUM(CASE WHEN dimension = 'alias' THEN errors ELSE 0 - errors END) AS errors,
    SUM(CASE WHEN dimension = 'alias' THEN duration_ms ELSE 0 - duration_ms END) AS duration_ms
  FROM function_usage
  WHERE dimension IN ('alias', 'executed_version')
  GROUP BY account_id, region, function_name, qualifier
)
SELECT
  account_id,
  region,
  function_name,
  qualifier AS alias,
  CAST(c.invocations AS BIGINT) AS invocations,
  CAST(CASE WHEN errors > 0 THEN errors ELSE 0 END AS BIGINT) AS errors,
  CASE WHEN duration_ms > 0 THEN duration_ms ELSE 0 END AS duration_ms
FROM called AS c
WHERE c.invocations > 0
ORDER BY account_id, region, function_name, alias
