-- question: Which runtimes are in use, where, and by how much of the fleet?
-- grain: one row per account, region, package type and runtime
-- column account_id: account
-- column region: Region
-- column package_type: `Zip` or `Image`
-- column runtime: runtime identifier; NULL for images
-- column latest_functions: functions whose `$LATEST` is on it
-- column functions: functions with any version on it
-- column versions: versions on it, `$LATEST` ones included
-- column last_modified_at: newest change of such a version
SELECT
  account_id,
  region,
  package_type,
  runtime,
  COUNT(CASE WHEN version = '$LATEST' THEN 1 END) AS latest_functions,
  COUNT(DISTINCT function_name) AS functions,
  COUNT(*) AS versions,
  MAX(last_modified_at) AS last_modified_at
FROM functions
GROUP BY account_id, region, package_type, runtime
ORDER BY versions DESC, account_id, region, package_type, runtime
