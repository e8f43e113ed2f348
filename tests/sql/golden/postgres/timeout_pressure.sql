SELECT
  "account_id",
  "region",
  "function_name",
  "version",
  "timeout",
  "duration_max_ms",
  CAST("duration_ms" AS DOUBLE PRECISION) / NULLIF("invocations", 0) AS "duration_avg_ms",
  CAST("duration_max_ms" AS DOUBLE PRECISION) / NULLIF("timeout" * 1000, 0) AS "share_of_timeout",
  "invocations",
  "errors",
  "last_used_day"
FROM "lexport"."version_use"
WHERE
  NOT "duration_max_ms" IS NULL
ORDER BY
  "share_of_timeout" DESC NULLS LAST,
  "account_id",
  "region",
  "function_name",
  LENGTH("version"),
  "version"
