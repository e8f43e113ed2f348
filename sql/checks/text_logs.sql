-- title: Logs are plain text
-- severity: low
-- remediation: Set the log format to JSON, which makes levels and fields searchable.
-- default: off
-- grain: one row per function, by its `$LATEST`
-- reference: AWS Config lambda-function-log-format-json
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` or the number of a published version
-- column logging_config_log_format: log format; NULL if AWS does not report it
SELECT f.account_id, f.region, f.function_name, f.version, f.logging_config_log_format
FROM functions AS f
WHERE f.version = '$LATEST'
  AND COALESCE(f.logging_config_log_format, '') <> 'JSON'
