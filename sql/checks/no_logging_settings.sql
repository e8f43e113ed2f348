-- title: Function has no logging settings
-- severity: low
-- remediation: Set the log group and the log format.
-- default: off
-- grain: one row per function, by its `$LATEST`, for which AWS reports neither log group nor log format
-- reference: Steampipe lambda_function_logging_config_enabled
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` or the number of a published version
SELECT f.account_id, f.region, f.function_name, f.version
FROM functions AS f
WHERE f.version = '$LATEST'
  AND COALESCE(f.logging_config_log_group, '') = ''
  AND COALESCE(f.logging_config_log_format, '') = ''
