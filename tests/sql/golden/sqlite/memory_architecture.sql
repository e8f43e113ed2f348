SELECT
  "account_id",
  "region",
  "architecture",
  "memory_size",
  COUNT(CASE WHEN "version" = '$LATEST' THEN 1 END) AS "latest_functions",
  COUNT(DISTINCT "function_name") AS "functions",
  COUNT(*) AS "versions"
FROM "functions" AS "functions"
GROUP BY
  "account_id",
  "region",
  "architecture",
  "memory_size"
ORDER BY
  "account_id" NULLS LAST,
  "region" NULLS LAST,
  "architecture" NULLS LAST,
  "memory_size" NULLS LAST
