-- question: How much code is signed, and with which signing profiles?
-- grain: one row per account, region, package type and signing profile version; one without profile for unsigned code
-- column account_id: account
-- column region: Region
-- column package_type: `Zip` or `Image`; images cannot be signed by Lambda
-- column signing_profile_version_arn: signing profile version; NULL for unsigned code
-- column latest_functions: functions whose `$LATEST` is signed with it, or not signed
-- column functions: functions with any such version
-- column versions: such versions, including `$LATEST`
SELECT
  account_id,
  region,
  package_type,
  signing_profile_version_arn,
  COUNT(CASE WHEN version = '$LATEST' THEN 1 END) AS latest_functions,
  COUNT(DISTINCT function_name) AS functions,
  COUNT(*) AS versions
FROM functions
GROUP BY account_id, region, package_type, signing_profile_version_arn
ORDER BY account_id, region, package_type, signing_profile_version_arn
