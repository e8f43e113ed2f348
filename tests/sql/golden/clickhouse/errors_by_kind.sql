SELECT
  "stage",
  "operation",
  "error_code",
  "is_gap",
  COUNT(*) AS "errors",
  COUNT(DISTINCT "account_id") AS "accounts",
  COUNT(DISTINCT "region") AS "regions",
  COUNT(DISTINCT "account_id" || ':' || "region" || ':' || "function_name") AS "functions",
  COALESCE(CAST(SUM("attempts") AS Nullable(Int64)), 0) AS "attempts",
  MIN("message") AS "example"
FROM "lexport_snapshot"."errors"
GROUP BY
  "stage",
  "operation",
  "error_code",
  "is_gap"
ORDER BY
  "errors" DESC,
  "stage",
  "operation",
  "error_code",
  "is_gap"
