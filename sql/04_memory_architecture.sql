-- question: How many functions use which architecture and memory size?
-- grain: one row per account, region, architecture and memory size
-- column account_id: account
-- column region: Region
-- column architecture: `x86_64` or `arm64`
-- column memory_size: memory at run time, MB
-- column latest_functions: functions whose `$LATEST` has these settings
-- column functions: functions with any version that has them
-- column versions: versions that have them, including `$LATEST`
SELECT
  account_id,
  region,
  architecture,
  memory_size,
  COUNT(CASE WHEN version = '$LATEST' THEN 1 END) AS latest_functions,
  COUNT(DISTINCT function_name) AS functions,
  COUNT(*) AS versions
FROM functions
GROUP BY account_id, region, architecture, memory_size
ORDER BY account_id, region, architecture, memory_size
