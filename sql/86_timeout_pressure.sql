-- question: Which versions run close to their timeout?
-- grain: one row per version that ran within the days that were read and whose longest call is known, the one closest to its timeout first
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: version that ran
-- column timeout: its timeout, seconds
-- column duration_max_ms: time that the longest call ran
-- column duration_avg_ms: mean time of a call
-- column share_of_timeout: longest call as a share of the timeout; 1 and more means that a call timed out, or that the timeout was a longer one
-- column invocations: calls that ran
-- column errors: calls that failed
-- column last_used_day: last day with a call
SELECT
  account_id,
  region,
  function_name,
  version,
  timeout,
  duration_max_ms,
  CAST(duration_ms AS DOUBLE) / NULLIF(invocations, 0) AS duration_avg_ms,
  CAST(duration_max_ms AS DOUBLE) / NULLIF(timeout * 1000, 0) AS share_of_timeout,
  invocations,
  errors,
  last_used_day
FROM version_use
WHERE duration_max_ms IS NOT NULL
ORDER BY share_of_timeout DESC, account_id, region, function_name, LENGTH(version), version
