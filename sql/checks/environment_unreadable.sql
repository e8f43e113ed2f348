-- title: Environment variables could not be read
-- severity: medium
-- remediation: Allow kms:Decrypt on the key through Lambda, or repair the key; without it the variables cannot be checked for secrets.
-- grain: one row per version in use: `$LATEST`, and versions that an alias sends traffic to; only if its variables could not be read
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` or the number of a published version
-- column error_code: error code of AWS
-- column kms_key_arn: customer-managed key of the environment; NULL for the AWS-owned key
WITH routed AS (
  SELECT DISTINCT account_id, region, function_name, version
  FROM alias_routes
  WHERE weight > 0
)
SELECT f.account_id, f.region, f.function_name, f.version, f.environment_error_code AS error_code, NULLIF(f.kms_key_arn, '') AS kms_key_arn
FROM functions AS f
LEFT JOIN routed AS r
  ON r.account_id = f.account_id
  AND r.region = f.region
  AND r.function_name = f.function_name
  AND r.version = f.version
WHERE (f.version = '$LATEST' OR r.version IS NOT NULL)
  AND (f.environment_error_code IS NOT NULL OR f.environment_error_message IS NOT NULL)
