-- question: How much of each account-region's concurrency is reserved, and how much is left for functions without reservation?
-- grain: one row per account and region; only functions whose $LATEST was read count
-- column account_id: account
-- column region: Region
-- column concurrent_executions_limit: limit of the account-region; NULL if GetAccountSettings was denied
-- column unreserved_concurrent_executions: concurrency left for functions without reservation, as AWS reports it; NULL if GetAccountSettings was denied
-- column reserved_concurrent_executions: sum of the functions' reservations
-- column share_reserved: share of the limit that is reserved, 0 to 1
-- column reserving_functions: functions with a reservation, including those of 0
-- column throttled_functions: functions with a reservation of 0, which cannot be invoked
-- column functions: functions whose $LATEST was read
WITH latest AS (
  SELECT
    account_id,
    region,
    COALESCE(CAST(SUM(reserved_concurrent_executions) AS BIGINT), 0) AS reserved,
    COUNT(reserved_concurrent_executions) AS reserving_functions,
    COUNT(CASE WHEN reserved_concurrent_executions = 0 THEN 1 END) AS throttled_functions,
    COUNT(*) AS functions
  FROM functions
  WHERE version = '$LATEST'
  GROUP BY account_id, region
)
SELECT
  s.account_id,
  s.region,
  a.concurrent_executions_limit,
  a.unreserved_concurrent_executions,
  COALESCE(f.reserved, 0) AS reserved_concurrent_executions,
  CAST(COALESCE(f.reserved, 0) AS DOUBLE) / NULLIF(a.concurrent_executions_limit, 0) AS share_reserved,
  COALESCE(f.reserving_functions, 0) AS reserving_functions,
  COALESCE(f.throttled_functions, 0) AS throttled_functions,
  COALESCE(f.functions, 0) AS functions
FROM scopes AS s
LEFT JOIN account_settings AS a
  ON a.account_id = s.account_id
  AND a.region = s.region
LEFT JOIN latest AS f
  ON f.account_id = s.account_id
  AND f.region = s.region
ORDER BY share_reserved DESC, s.account_id, s.region
