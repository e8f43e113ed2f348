-- title: X-Ray tracing is not active
-- severity: low
-- remediation: Set the tracing mode to Active, and let the role write to X-Ray.
-- grain: one row per function, by its `$LATEST`
-- reference: Security Hub Lambda.7, AWS Config lambda-function-xray-enabled, Steampipe lambda_function_tracing_enabled
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` or the number of a published version
-- column tracing_config_mode: `PassThrough`; NULL if AWS does not report it
SELECT f.account_id, f.region, f.function_name, f.version, f.tracing_config_mode
FROM functions AS f
WHERE f.version = '$LATEST'
  AND COALESCE(f.tracing_config_mode, '') <> 'Active'
