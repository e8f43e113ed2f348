SELECT
  "account_id",
  "region",
  "package_type",
  "signing_profile_version_arn",
  COUNT(CASE WHEN "version" = '$LATEST' THEN 1 END) AS "latest_functions",
  COUNT(DISTINCT "function_name") AS "functions",
  COUNT(*) AS "versions"
FROM "functions" AS "functions"
GROUP BY
  "account_id",
  "region",
  "package_type",
  "signing_profile_version_arn"
ORDER BY
  "account_id" NULLS LAST,
  "region" NULLS LAST,
  "package_type" NULLS LAST,
  "signing_profile_version_arn" NULLS LAST
