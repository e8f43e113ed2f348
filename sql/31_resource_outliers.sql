-- question: Which functions are configured with far more memory, time or disk than others?
-- grain: one row per function whose $LATEST has over 4 times the average memory of its account-region, the longest timeout (900 s or more) or over 512 MB of /tmp
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column function_arn: ARN of the function
-- column runtime: runtime identifier; NULL for images
-- column memory_size: memory at run time, MB
-- column average_memory_size: average over the functions of the account and Region, MB
-- column is_memory_high: whether memory_size is over 4 times that average
-- column timeout: maximum duration, seconds
-- column is_timeout_longest: whether timeout is 900 seconds or more
-- column ephemeral_storage_size: size of /tmp, MB
-- column is_storage_extended: whether it is over 512 MB, the size that is free of charge
-- column last_modified_at: last update
WITH latest AS (
  SELECT
    account_id,
    region,
    function_name,
    function_arn,
    runtime,
    memory_size,
    AVG(CAST(memory_size AS DOUBLE)) OVER (PARTITION BY account_id, region) AS average_memory_size,
    timeout,
    ephemeral_storage_size,
    last_modified_at
  FROM functions
  WHERE version = '$LATEST'
)
SELECT
  account_id,
  region,
  function_name,
  function_arn,
  runtime,
  memory_size,
  average_memory_size,
  CASE WHEN memory_size > 4 * average_memory_size THEN TRUE ELSE FALSE END AS is_memory_high,
  timeout,
  CASE WHEN timeout >= 900 THEN TRUE ELSE FALSE END AS is_timeout_longest,
  ephemeral_storage_size,
  CASE WHEN ephemeral_storage_size > 512 THEN TRUE ELSE FALSE END AS is_storage_extended,
  last_modified_at
FROM latest
WHERE memory_size > 4 * average_memory_size OR timeout >= 900 OR ephemeral_storage_size > 512
ORDER BY account_id, region, function_name
