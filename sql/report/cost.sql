-- title: Cost
-- about: What calls and duration cost at least, by list prices, for 30 days: without start-up, provisioned concurrency, SnapStart, /tmp and data transfer, and before the free tier and discounts.
-- empty: No function ran within the days that were read.
-- rows: 100
SELECT
  account_id,
  region,
  function_name,
  SUM(invocations)::BIGINT AS invocations,
  ROUND(SUM(gb_seconds), 1) AS gb_seconds,
  ROUND(SUM(usd), 4) AS usd,
  ROUND(SUM(usd_per_30_days), 4) AS usd_per_30_days,
  ROUND(SUM(SUM(usd_per_30_days)) OVER (), 2) AS usd_of_all,
  BOOL_AND(is_known) AS is_known
FROM cost_estimate
WHERE usd IS NOT NULL
GROUP BY account_id, region, function_name
ORDER BY usd_per_30_days DESC, account_id, region, function_name
