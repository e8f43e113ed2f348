-- title: Variable has the name of a secret, and no customer-managed key encrypts it
-- severity: medium
-- remediation: Move it to Secrets Manager or Parameter Store; at least encrypt the environment with a customer-managed key.
-- grain: one row per version in use: `$LATEST`, and versions that an alias sends traffic to, and variable; only if its name, but not its value, looks like a secret
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` or the number of a published version
-- column subject: name of the variable
WITH routed AS (
  SELECT DISTINCT account_id, region, function_name, version
  FROM alias_routes
  WHERE weight > 0
)
SELECT f.account_id, f.region, f.function_name, f.version, e.name AS subject
FROM env_vars AS e
JOIN functions AS f
  ON f.account_id = e.account_id
  AND f.region = e.region
  AND f.function_name = e.function_name
  AND f.version = e.version
LEFT JOIN routed AS r
  ON r.account_id = f.account_id
  AND r.region = f.region
  AND r.function_name = f.function_name
  AND r.version = f.version
WHERE (f.version = '$LATEST' OR r.version IS NOT NULL)
  AND e.secret_rule = 'secret_name'
  AND COALESCE(f.kms_key_arn, '') = ''
