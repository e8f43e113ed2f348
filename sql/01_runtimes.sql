-- question: Which runtimes are in use, where, and by how many functions?
-- grain: one row per account, region, package type and runtime
-- column account_id: account
-- column region: Region
-- column package_type: `Zip` or `Image`
-- column runtime: runtime identifier; NULL for images
-- column latest_functions: functions whose `$LATEST` uses it
-- column functions: functions with any version that uses it
-- column versions: versions that use it, including `$LATEST`
-- column last_modified_at: newest update of these versions
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
