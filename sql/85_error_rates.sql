-- question: Which functions, aliases and versions fail, and how often?
-- grain: one row per function, alias, version, and version that ran for an alias, with a call within the days that were read
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column qualifier: `$LATEST` for the function as a whole, else the alias or version that was called
-- column dimension: `function`, `alias`, `version` or `executed_version`
-- column executed_version: version that ran for the alias; NULL but for `executed_version`
-- column invocations: calls that ran
-- column errors: calls that failed
-- column error_rate: share of the calls that ran and failed, 0 to 1; NULL where no call ran or an answer is missing
-- column throttles: calls that were throttled
-- column throttle_rate: share of all calls that was throttled, 0 to 1
-- column first_day: first day with a call
-- column last_day: last day with a call
WITH summed AS (
  SELECT
    account_id,
    region,
    function_name,
    qualifier,
    dimension,
    executed_version,
    SUM(invocations) AS invocations,
    SUM(errors) AS errors,
    SUM(throttles) AS throttles,
    MIN(day) AS first_day,
    MAX(day) AS last_day
  FROM function_usage
  GROUP BY account_id, region, function_name, qualifier, dimension, executed_version
)
SELECT
  account_id,
  region,
  function_name,
  qualifier,
  dimension,
  executed_version,
  CAST(COALESCE(invocations, 0) AS BIGINT) AS invocations,
  CAST(errors AS BIGINT) AS errors,
  CAST(errors AS DOUBLE) / NULLIF(invocations, 0) AS error_rate,
  CAST(throttles AS BIGINT) AS throttles,
  CAST(throttles AS DOUBLE) / NULLIF(COALESCE(invocations, 0) + throttles, 0) AS throttle_rate,
  first_day,
  last_day
FROM summed
ORDER BY errors DESC, account_id, region, function_name, qualifier, dimension, executed_version
