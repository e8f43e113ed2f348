-- question: Which functions were not called lately, and of which can CloudWatch not tell?
-- grain: one row per function that was not called within the last two weeks of the days that were read, or whose use is not known
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column function_arn: ARN of the function
-- column verdict: `unused` (no call within 30 days or more), `idle` (none within the last two weeks), `throttled` (called, but throttled every time) or `unknown`
-- column why_unknown: `not_read`, `failed`, `changed` (last updated within the days, so it may be new) or `short_window` (fewer than 30 days were read); NULL for the other verdicts
-- column last_used_day: last day with a call that ran; NULL if there was none within the days
-- column known_since: first day that was read; what was before it is unknown; NULL if nothing was read
-- column known_until: last day that was read
-- column throttles: calls that were throttled
-- column last_modified_at: last update of `$LATEST`
-- column code_size: sizes of the packages of all versions, bytes
WITH used AS (
  SELECT
    account_id,
    region,
    function_name,
    MAX(CASE WHEN invocations > 0 THEN day END) AS last_used_day,
    SUM(throttles) AS throttles
  FROM function_usage
  WHERE dimension = 'function'
  GROUP BY account_id, region, function_name
), sizes AS (
  SELECT account_id, region, function_name, SUM(code_size) AS code_size
  FROM functions
  GROUP BY account_id, region, function_name
), judged AS (
  SELECT
    f.account_id,
    f.region,
    f.function_name,
    f.function_arn,
    CASE
      WHEN r.reason IN ('not_read', 'failed') THEN r.reason
      WHEN u.last_used_day IS NOT NULL OR u.throttles > 0 THEN NULL
      WHEN f.last_modified_at IS NULL OR CAST(f.last_modified_at AS DATE) >= w.first_day THEN 'changed'
      WHEN CAST(w.last_day - w.first_day AS INTEGER) + 1 < 30 THEN 'short_window'
    END AS why_unknown,
    u.last_used_day,
    w.first_day,
    w.last_day,
    u.throttles,
    f.last_modified_at,
    s.code_size
  FROM functions AS f
  JOIN sizes AS s
    ON s.account_id = f.account_id
    AND s.region = f.region
    AND s.function_name = f.function_name
  LEFT JOIN usage_windows AS w
    ON w.account_id = f.account_id
    AND w.region = f.region
  LEFT JOIN usage_unread AS r
    ON r.account_id = f.account_id
    AND r.region = f.region
    AND r.function_name = f.function_name
  LEFT JOIN used AS u
    ON u.account_id = f.account_id
    AND u.region = f.region
    AND u.function_name = f.function_name
  WHERE f.version = '$LATEST'
    AND (u.last_used_day IS NULL OR CAST(w.last_day - u.last_used_day AS INTEGER) >= 14)
)
SELECT
  account_id,
  region,
  function_name,
  function_arn,
  CASE
    WHEN why_unknown IS NOT NULL THEN 'unknown'
    WHEN last_used_day IS NOT NULL THEN 'idle'
    WHEN j.throttles > 0 THEN 'throttled'
    ELSE 'unused'
  END AS verdict,
  why_unknown,
  last_used_day,
  first_day AS known_since,
  last_day AS known_until,
  CAST(COALESCE(j.throttles, 0) AS BIGINT) AS throttles,
  last_modified_at,
  CAST(code_size AS BIGINT) AS code_size
FROM judged AS j
ORDER BY account_id, region, function_name
