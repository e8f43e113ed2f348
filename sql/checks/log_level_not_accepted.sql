-- title: Log level is not among the accepted ones
-- severity: low
-- remediation: Set one of the accepted log levels, or add the level to application_levels or system_levels.
-- default: off
-- grain: one row per function with JSON logs, by its `$LATEST`, and kind of level; without thresholds, nothing is judged
-- reference: AWS Config lambda-function-application-log-level-check, AWS Config lambda-function-system-log-level-check
-- threshold application_levels: [] (log levels): levels accepted for the function's own logs
-- threshold system_levels: [] (log levels): levels accepted for the logs of Lambda
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` or the number of a published version
-- column subject: `application` or `system`
-- column log_level: log level; NULL if AWS does not report it
WITH levels AS (
  SELECT
    account_id,
    region,
    function_name,
    version,
    'application' AS kind,
    logging_config_application_log_level AS log_level
  FROM functions
  WHERE version = '$LATEST' AND logging_config_log_format = 'JSON'
  UNION ALL
  SELECT account_id, region, function_name, version, 'system', logging_config_system_log_level
  FROM functions
  WHERE version = '$LATEST' AND logging_config_log_format = 'JSON'
)

SELECT l.account_id, l.region, l.function_name, l.version, l.kind AS subject, l.log_level
FROM levels AS l
WHERE EXISTS (SELECT 1 FROM threshold_items AS i WHERE i.name = l.kind || '_levels')
  AND NOT EXISTS (
    SELECT 1
    FROM threshold_items AS i
    WHERE i.name = l.kind || '_levels' AND i.item = COALESCE(l.log_level, '')
  )
