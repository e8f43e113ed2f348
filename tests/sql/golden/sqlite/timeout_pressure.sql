SELECT
  "account_id",
  "region",
  "function_name",
  "version",
  "timeout",
  "duration_max_ms",
  CAST("duration_ms" AS REAL) / NULLIF("invocations", 0) AS "duration_avg_ms",
  CAST("duration_max_ms" AS REAL) / NULLIF("timeout" * 1000, 0) AS "share_of_timeout",
  "invocations",
  "errors",
  "last_used_day"
FROM "version_use" AS "version_use"
WHERE
  NOT "duration_max_ms" IS NULL
ORDER BY
  "share_of_timeout" DESC,
  "account_id" NULLS LAST,
  "region" NULLS LAST,
  "function_name" NULLS LAST,
  LENGTH("version") NULLS LAST,
  "version" NULLS LAST
