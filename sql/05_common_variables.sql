-- question: Which environment variables do most functions use, and do they share one value?
-- grain: one row per variable name, over all accounts and Regions
-- column name: name of the variable
-- column functions: functions with any version that has it
-- column versions: versions that have it, including `$LATEST`
-- column distinct_values: number of different values, by their HMACs; 0 if no value was hashed
-- column longest_value: length of the longest value, characters
WITH each_function AS (
  SELECT name, account_id, region, function_name, COUNT(*) AS versions, MAX(value_length) AS longest_value
  FROM env_vars
  GROUP BY name, account_id, region, function_name
), each_name AS (
  SELECT
    name,
    COUNT(*) AS functions,
    CAST(SUM(versions) AS BIGINT) AS versions,
    MAX(longest_value) AS longest_value
  FROM each_function
  GROUP BY name
), each_value AS (
  SELECT name, hash_key_id, value_hmac
  FROM env_vars
  WHERE hash_key_id IS NOT NULL AND value_hmac IS NOT NULL
  GROUP BY name, hash_key_id, value_hmac
), told AS (
  SELECT name, COUNT(*) AS distinct_values
  FROM each_value
  GROUP BY name
)
SELECT
  n.name,
  n.functions,
  n.versions,
  COALESCE(t.distinct_values, 0) AS distinct_values,
  n.longest_value
FROM each_name AS n
LEFT JOIN told AS t
  ON t.name = n.name
ORDER BY n.functions DESC, n.name
