-- question: Which environment variables do most functions use, and do they share one value?
-- grain: one row per name of a variable, over all accounts and regions
-- column name: name of the variable
-- column functions: functions with it in any version
-- column versions: versions with it, `$LATEST` ones included
-- column distinct_values: different values, told apart by their HMACs; 0 where nothing was hashed
-- column longest_value: length of the longest value, characters
SELECT
  name,
  COUNT(DISTINCT account_id || ':' || region || ':' || function_name) AS functions,
  COUNT(*) AS versions,
  COUNT(DISTINCT hash_key_id || ':' || value_hmac) AS distinct_values,
  MAX(value_length) AS longest_value
FROM env_vars
GROUP BY name
ORDER BY functions DESC, name
