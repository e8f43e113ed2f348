-- question: Which runtimes are in use, and how long are they supported?
-- grain: one row per account, region, package type and runtime, customer-managed runtimes separately; days count from the snapshot
-- column account_id: account
-- column region: Region
-- column package_type: `Zip` or `Image`
-- column runtime: runtime identifier; NULL for images, because AWS does not report their runtime
-- column status: `update_blocked`, `create_blocked`, `deprecated`, `soon` (180 days), `supported`, `not_scheduled`, `image`, `customer_managed` or `unknown`
-- column deprecation_date: day on which support ends
-- column block_create_date: day from which no function can be created with it
-- column block_update_date: day from which no function that uses it can be updated
-- column days_left: days from the snapshot to the deprecation; negative after it
-- column successor: newest runtime of the language
-- column latest_functions: functions whose `$LATEST` uses it
-- column functions: functions with any version that uses it
-- column versions: versions that use it, including `$LATEST`
WITH used AS (
  SELECT
    account_id,
    region,
    package_type,
    runtime,
    CASE WHEN runtime_config_runtime_arn IS NULL THEN 0 ELSE 1 END AS is_customer_managed,
    CAST(MAX(snapshot_at) AS DATE) AS day,
    COUNT(CASE WHEN version = '$LATEST' THEN 1 END) AS latest_functions,
    COUNT(DISTINCT function_name) AS functions,
    COUNT(*) AS versions
  FROM functions
  GROUP BY
    account_id, region, package_type, runtime, CASE WHEN runtime_config_runtime_arn IS NULL THEN 0 ELSE 1 END
)
SELECT
  u.account_id,
  u.region,
  u.package_type,
  u.runtime,
  CASE
    WHEN u.package_type = 'Image' THEN 'image'
    WHEN u.is_customer_managed = 1 THEN 'customer_managed'
    WHEN l.runtime IS NULL THEN 'unknown'
    WHEN l.block_update_date <= u.day THEN 'update_blocked'
    WHEN l.block_create_date <= u.day THEN 'create_blocked'
    WHEN l.deprecation_date <= u.day THEN 'deprecated'
    WHEN CAST(l.deprecation_date - u.day AS INTEGER) <= 180 THEN 'soon'
    WHEN l.deprecation_date IS NULL THEN 'not_scheduled'
    ELSE 'supported'
  END AS status,
  l.deprecation_date,
  l.block_create_date,
  l.block_update_date,
  CAST(l.deprecation_date - u.day AS INTEGER) AS days_left,
  l.successor,
  u.latest_functions,
  u.functions,
  u.versions
FROM used AS u
LEFT JOIN lambda_runtimes AS l
  ON l.runtime = u.runtime
  AND u.is_customer_managed = 0
ORDER BY l.deprecation_date, u.account_id, u.region, u.package_type, u.runtime, u.is_customer_managed
