-- question: Of which functions could the environment variables not be read? They have no rows in env_vars.
-- grain: one row per function version whose variables could not be read
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` or the number of a published version
-- column function_arn: ARN of the function
-- column kms_key_arn: customer-managed key that could not be used; NULL for the AWS-owned key
-- column environment_error_code: error code of AWS
-- column environment_error_message: error message of AWS
-- column role: execution role
-- column last_modified_at: last update of the version
SELECT
  account_id,
  region,
  function_name,
  version,
  function_arn,
  NULLIF(kms_key_arn, '') AS kms_key_arn,
  environment_error_code,
  environment_error_message,
  role,
  last_modified_at
FROM functions
WHERE environment_error_code IS NOT NULL OR environment_error_message IS NOT NULL
ORDER BY account_id, region, function_name, version
