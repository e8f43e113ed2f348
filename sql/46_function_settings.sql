-- question: Which functions have tracing, a dead-letter target, customer-managed keys, structured logs or a signature?
-- grain: one row per function, by the settings of its $LATEST
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column function_arn: ARN of the function
-- column runtime: runtime identifier; NULL for images
-- column is_traced: whether X-Ray tracing is active
-- column has_dead_letter_target: whether failed asynchronous events go to a queue or topic
-- column has_variables: whether it has environment variables, readable or not; FALSE for all with `--env none`
-- column has_environment_key: whether a customer-managed key encrypts them
-- column has_code_key: whether a customer-managed key encrypts the package
-- column is_signed: whether the package is signed
-- column log_format: `Text` or `JSON`
-- column log_group: CloudWatch log group; Lambda does not report its retention
-- column has_default_log_group: whether the log group is /aws/lambda/ and the function's name
-- column role: execution role
-- column last_modified_at: last update
WITH variables AS (
  SELECT DISTINCT account_id, region, function_name, version
  FROM env_vars
)
SELECT
  f.account_id,
  f.region,
  f.function_name,
  f.function_arn,
  f.runtime,
  CASE WHEN f.tracing_config_mode = 'Active' THEN TRUE ELSE FALSE END AS is_traced,
  CASE WHEN f.dead_letter_config_target_arn <> '' THEN TRUE ELSE FALSE END AS has_dead_letter_target,
  CASE WHEN v.version IS NOT NULL OR f.environment_error_code IS NOT NULL THEN TRUE ELSE FALSE END AS has_variables,
  CASE WHEN f.kms_key_arn <> '' THEN TRUE ELSE FALSE END AS has_environment_key,
  CASE WHEN f.code_source_kms_key_arn <> '' THEN TRUE ELSE FALSE END AS has_code_key,
  CASE WHEN f.signing_job_arn <> '' THEN TRUE ELSE FALSE END AS is_signed,
  f.logging_config_log_format AS log_format,
  f.logging_config_log_group AS log_group,
  CASE
    WHEN f.logging_config_log_group = '/aws/lambda/' || f.function_name THEN TRUE
    WHEN f.logging_config_log_group IS NOT NULL THEN FALSE
  END AS has_default_log_group,
  f.role,
  f.last_modified_at
FROM functions AS f
LEFT JOIN variables AS v
  ON v.account_id = f.account_id
  AND v.region = f.region
  AND v.function_name = f.function_name
  AND v.version = f.version
WHERE f.version = '$LATEST'
ORDER BY f.account_id, f.region, f.function_name
