-- question: Of which functions could the environment variables not be read, so that no rows in env_vars does not mean none?
-- grain: one row per function version whose variables AWS did not show
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` or the number of a published version
-- column function_arn: ARN of the function
-- column kms_key_arn: key that could not be used; NULL for AWS's own
-- column environment_error_code: AWS's code
-- column environment_error_message: AWS's words
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
