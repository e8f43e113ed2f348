SELECT
  "stage",
  "operation",
  "error_code",
  "is_gap",
  COUNT(*) AS "errors",
  COUNT(DISTINCT "account_id") AS "accounts",
  COUNT(DISTINCT "region") AS "regions",
  COUNT(DISTINCT "account_id" || ':' || "region" || ':' || "function_name") AS "functions",
  COALESCE(CAST(SUM("attempts") AS INTEGER), 0) AS "attempts",
  MIN("message") AS "example"
FROM "snapshot_errors" AS "errors"
GROUP BY
  "stage",
  "operation",
  "error_code",
  "is_gap"
ORDER BY
  "errors" DESC,
  "stage" NULLS LAST,
  "operation" NULLS LAST,
  "error_code" NULLS LAST,
  "is_gap" NULLS LAST
