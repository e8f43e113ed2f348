WITH "latest" AS (
  SELECT
    "account_id",
    "region",
    COALESCE(CAST(SUM("reserved_concurrent_executions") AS INTEGER), 0) AS "reserved",
    COUNT("reserved_concurrent_executions") AS "reserving_functions",
    COUNT(CASE WHEN "reserved_concurrent_executions" = 0 THEN 1 END) AS "throttled_functions",
    COUNT(*) AS "functions"
  FROM "functions" AS "functions"
  WHERE
    "version" = '$LATEST'
  GROUP BY
    "account_id",
    "region"
)
SELECT
  "s"."account_id",
  "s"."region",
  "a"."concurrent_executions_limit",
  "a"."unreserved_concurrent_executions",
  COALESCE("f"."reserved", 0) AS "reserved_concurrent_executions",
  CAST(COALESCE("f"."reserved", 0) AS REAL) / NULLIF("a"."concurrent_executions_limit", 0) AS "share_reserved",
  COALESCE("f"."reserving_functions", 0) AS "reserving_functions",
  COALESCE("f"."throttled_functions", 0) AS "throttled_functions",
  COALESCE("f"."functions", 0) AS "functions"
FROM "scopes" AS "s"
LEFT JOIN "account_settings" AS "a"
  ON "a"."account_id" = "s"."account_id" AND "a"."region" = "s"."region"
LEFT JOIN "latest" AS "f"
  ON "f"."account_id" = "s"."account_id" AND "f"."region" = "s"."region"
ORDER BY
  "share_reserved" DESC,
  "s"."account_id" NULLS LAST,
  "s"."region" NULLS LAST
