-- title: Environment is not encrypted with a customer-managed key
-- severity: low
-- remediation: Set a customer-managed KMS key, so that permission to call GetFunction alone does not show the variables.
-- grain: one row per version in use: `$LATEST`, and versions that an alias sends traffic to; only if it has variables
-- reference: Prowler awslambda_function_env_vars_not_encrypted_with_cmk, Steampipe lambda_function_encryption_enabled
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` or the number of a published version
-- column variables: number of variables
WITH routed AS (
  SELECT DISTINCT account_id, region, function_name, version
  FROM alias_routes
  WHERE weight > 0
), used AS (
  SELECT account_id, region, function_name, version, COUNT(*) AS variables
  FROM env_vars
  GROUP BY account_id, region, function_name, version
)
SELECT f.account_id, f.region, f.function_name, f.version, u.variables
FROM functions AS f
JOIN used AS u
  ON u.account_id = f.account_id
  AND u.region = f.region
  AND u.function_name = f.function_name
  AND u.version = f.version
LEFT JOIN routed AS r
  ON r.account_id = f.account_id
  AND r.region = f.region
  AND r.function_name = f.function_name
  AND r.version = f.version
WHERE (f.version = '$LATEST' OR r.version IS NOT NULL)
  AND COALESCE(f.kms_key_arn, '') = ''
