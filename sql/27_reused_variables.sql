-- question: Which values of environment variables of 8 characters or more do several functions share?
-- grain: one row per value, told by its keyed hash, that more than one function has; find its functions in env_vars by value_hmac
-- column hash_key_id: which key made the hash; values are compared within one
-- column value_hmac: keyed hash of the value
-- column name: name of the variable; the first one where there are several
-- column names: different names
-- column secret_rule: rule that took it for a secret; NULL where none did
-- column value_length: length of the value, characters
-- column functions: functions that have it
-- column versions: versions that have it, `$LATEST` ones included
-- column accounts: accounts
-- column regions: Regions
WITH each_function AS (
  SELECT
    hash_key_id,
    value_hmac,
    account_id,
    region,
    function_name,
    name,
    MAX(secret_rule) AS secret_rule,
    MAX(value_length) AS value_length,
    COUNT(*) AS versions
  FROM env_vars
  WHERE value_length >= 8 AND value_hmac IS NOT NULL
  GROUP BY hash_key_id, value_hmac, account_id, region, function_name, name
)
SELECT
  hash_key_id,
  value_hmac,
  MIN(name) AS name,
  COUNT(DISTINCT name) AS names,
  MAX(secret_rule) AS secret_rule,
  MAX(value_length) AS value_length,
  COUNT(DISTINCT account_id || ':' || region || ':' || function_name) AS functions,
  CAST(SUM(versions) AS BIGINT) AS versions,
  COUNT(DISTINCT account_id) AS accounts,
  COUNT(DISTINCT region) AS regions
FROM each_function
GROUP BY hash_key_id, value_hmac
HAVING COUNT(DISTINCT account_id || ':' || region || ':' || function_name) > 1
ORDER BY functions DESC, hash_key_id, value_hmac
