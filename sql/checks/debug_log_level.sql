-- title: Application logs are at DEBUG or TRACE
-- severity: low
-- remediation: Set the application log level to INFO: debug logs often contain personal or secret data, and each line costs money.
-- grain: one row per version in use: `$LATEST`, and versions that an alias sends traffic to
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` or the number of a published version
-- column logging_config_application_log_level: log level
WITH routed AS (
  SELECT DISTINCT account_id, region, function_name, version
  FROM alias_routes
  WHERE weight > 0
)
SELECT f.account_id, f.region, f.function_name, f.version, f.logging_config_application_log_level
FROM functions AS f
LEFT JOIN routed AS r
  ON r.account_id = f.account_id
  AND r.region = f.region
  AND r.function_name = f.function_name
  AND r.version = f.version
WHERE (f.version = '$LATEST' OR r.version IS NOT NULL)
  AND f.logging_config_application_log_level IN ('TRACE', 'DEBUG')
