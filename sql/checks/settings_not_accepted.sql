-- title: Setting is not among the accepted ones
-- severity: low
-- remediation: Change the setting, or add its value to the thresholds of this check.
-- default: off
-- grain: one row per function, by its `$LATEST`, and setting; a setting without threshold is not judged
-- reference: AWS Config lambda-function-settings-check
-- threshold runtimes: [] (runtimes): accepted runtimes; images have none and are not judged
-- threshold roles: [] (role ARNs): accepted execution roles
-- threshold timeouts: [] (seconds): accepted timeouts, as texts
-- threshold memory_sizes: [] (MB): accepted memory sizes, as texts
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` or the number of a published version
-- column subject: the setting
-- column setting_value: its value; NULL if AWS does not report it
WITH settings AS (
  SELECT account_id, region, function_name, version, 'runtimes' AS setting, runtime AS setting_value
  FROM functions
  WHERE version = '$LATEST' AND COALESCE(package_type, 'Zip') <> 'Image'
  UNION ALL
  SELECT account_id, region, function_name, version, 'roles', role
  FROM functions
  WHERE version = '$LATEST'
  UNION ALL
  SELECT account_id, region, function_name, version, 'timeouts', CAST(timeout AS VARCHAR)
  FROM functions
  WHERE version = '$LATEST'
  UNION ALL
  SELECT account_id, region, function_name, version, 'memory_sizes', CAST(memory_size AS VARCHAR)
  FROM functions
  WHERE version = '$LATEST'
)

SELECT s.account_id, s.region, s.function_name, s.version, s.setting AS subject, s.setting_value
FROM settings AS s
WHERE EXISTS (SELECT 1 FROM threshold_items AS i WHERE i.name = s.setting)
  AND NOT EXISTS (
    SELECT 1 FROM threshold_items AS i WHERE i.name = s.setting AND i.item = COALESCE(s.setting_value, '')
  )
