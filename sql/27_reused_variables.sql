-- question: Which values of environment variables, of at least 8 characters, do several functions share?
-- grain: one row per value, by its keyed hash, that more than one function has; its functions are in env_vars, by value_hmac
-- column hash_key_id: id of the key of the hash; only values with the same key are compared
-- column value_hmac: keyed hash of the value
-- column name: name of the variable; the first one if there are several
-- column names: number of different names
-- column secret_rule: rule by which it is suspected to be a secret; NULL if none matched
-- column value_length: length of the value, characters
-- column functions: functions that have it
-- column versions: versions that have it, including `$LATEST`
-- column accounts: number of accounts
-- column regions: number of Regions
WITH reused AS (
  SELECT hash_key_id, value_hmac
  FROM env_vars
  WHERE value_length >= 8 AND value_hmac IS NOT NULL
  GROUP BY hash_key_id, value_hmac
  HAVING MIN(function_name) <> MAX(function_name)
    OR MIN(account_id) <> MAX(account_id)
    OR MIN(region) <> MAX(region)
)
SELECT
  e.hash_key_id,
  e.value_hmac,
  MIN(e.name) AS name,
  COUNT(DISTINCT e.name) AS names,
  MAX(e.secret_rule) AS secret_rule,
  MAX(e.value_length) AS value_length,
  COUNT(DISTINCT e.account_id || ':' || e.region || ':' || e.function_name) AS functions,
  COUNT(*) AS versions,
  COUNT(DISTINCT e.account_id) AS accounts,
  COUNT(DISTINCT e.region) AS regions
FROM env_vars AS e
JOIN reused AS r
  ON r.hash_key_id = e.hash_key_id
  AND r.value_hmac = e.value_hmac
WHERE e.value_length >= 8
GROUP BY e.hash_key_id, e.value_hmac
ORDER BY functions DESC, e.hash_key_id, e.value_hmac
