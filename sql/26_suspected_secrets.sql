-- question: Which environment variables seem to contain a secret, by their name or the format of their value?
-- grain: one row per suspected variable of a function version
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` or the number of a published version
-- column name: name of the variable
-- column secret_rule: rule that matched; `name` is the weakest, the others match the format of the value
-- column value_length: length of the value, characters
-- column value_hmac: keyed hash of the value; equal values have equal hashes if hash_key_id is equal
-- column hash_key_id: id of the key of the hash
-- column function_arn: ARN of the function
-- column runtime: runtime identifier; NULL for images
-- column role: execution role
-- column kms_key_arn: customer-managed key of the environment; NULL for the AWS-owned key
-- column last_modified_at: last update of the version
SELECT
  e.account_id,
  e.region,
  e.function_name,
  e.version,
  e.name,
  e.secret_rule,
  e.value_length,
  e.value_hmac,
  e.hash_key_id,
  f.function_arn,
  f.runtime,
  f.role,
  NULLIF(f.kms_key_arn, '') AS kms_key_arn,
  f.last_modified_at
FROM env_vars AS e
LEFT JOIN functions AS f
  ON f.account_id = e.account_id
  AND f.region = e.region
  AND f.function_name = e.function_name
  AND f.version = e.version
WHERE e.secret_rule IS NOT NULL
ORDER BY e.account_id, e.region, e.function_name, e.version, e.name
