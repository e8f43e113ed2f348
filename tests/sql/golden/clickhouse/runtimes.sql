SELECT
  "account_id",
  "region",
  "package_type",
  "runtime",
  COUNT(CASE WHEN "version" = '$LATEST' THEN 1 END) AS "latest_functions",
  COUNT(DISTINCT "function_name") AS "functions",
  COUNT(*) AS "versions",
  MAX("last_modified_at") AS "last_modified_at"
FROM "lexport"."functions"
GROUP BY
  "account_id",
  "region",
  "package_type",
  "runtime"
ORDER BY
  "versions" DESC,
  "account_id",
  "region",
  "package_type",
  "runtime"
