-- question: How much would arm64 save, by what the functions really ran?
-- grain: one row per row of arm64_candidates; the use of all its x86_64 versions
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column function_arn: ARN of the function
-- column runtime: runtime identifier
-- column layers: number of layers; each must support arm64 too
-- column invocations: calls that ran on x86_64 within the days that were read; NULL where the use is not known as a whole
-- column gb_seconds: duration in seconds, times memory in GB; NULL likewise
-- column usd_per_30_days: price of that duration for 30 days on x86_64
-- column saved_usd_per_30_days: what is saved of it if the calls take as long on arm64
WITH prices AS (
  SELECT
    MAX(CASE WHEN architecture = 'x86_64' THEN gb_second_usd END) AS x86_64_usd,
    MAX(CASE WHEN architecture = 'arm64' THEN gb_second_usd END) AS arm64_usd
  FROM lambda_prices
), used AS (
  SELECT account_id, region, function_name, days, invocations, gb_seconds
  FROM cost_estimate
  WHERE architecture = 'x86_64'
), joined AS (
  SELECT
    a.account_id,
    a.region,
    a.function_name,
    a.function_arn,
    a.runtime,
    a.layers,
    CASE WHEN n.function_name IS NULL THEN COALESCE(u.invocations, 0) END AS invocations,
    CASE WHEN n.function_name IS NULL THEN COALESCE(u.gb_seconds, 0) END AS gb_seconds,
    CAST(w.last_day - w.first_day AS INTEGER) + 1 AS days
  FROM arm64_candidates AS a
  LEFT JOIN used AS u
    ON u.account_id = a.account_id
    AND u.region = a.region
    AND u.function_name = a.function_name
  LEFT JOIN usage_unread AS n
    ON n.account_id = a.account_id
    AND n.region = a.region
    AND n.function_name = a.function_name
    AND n.reason IN ('not_read', 'failed', 'not_attributed')
  LEFT JOIN usage_windows AS w
    ON w.account_id = a.account_id
    AND w.region = a.region
)
SELECT
  j.account_id,
  j.region,
  j.function_name,
  j.function_arn,
  j.runtime,
  j.layers,
  j.invocations,
  j.gb_seconds,
  CAST(j.gb_seconds * p.x86_64_usd * 30 AS DOUBLE) / NULLIF(j.days, 0) AS usd_per_30_days,
  CAST(j.gb_seconds * (p.x86_64_usd - p.arm64_usd) * 30 AS DOUBLE) / NULLIF(j.days, 0) AS saved_usd_per_30_days
FROM joined AS j
CROSS JOIN prices AS p
ORDER BY saved_usd_per_30_days DESC, j.account_id, j.region, j.function_name
