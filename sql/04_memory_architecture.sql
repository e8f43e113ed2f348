-- question: How is the fleet spread over instruction sets and memory sizes?
-- grain: one row per account, region, architecture and memory size
-- column account_id: account
-- column region: Region
-- column architecture: `x86_64` or `arm64`
-- column memory_size: memory at run time, MB
-- column latest_functions: functions whose `$LATEST` is set so
-- column functions: functions with any version set so
-- column versions: versions set so, `$LATEST` ones included
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
