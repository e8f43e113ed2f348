SELECT
  "account_id",
  "region",
  "function_name",
  "version",
  "timeout",
  "duration_max_ms",
  CAST("duration_ms" AS Nullable(Float64)) / nullIf("invocations", 0) AS "duration_avg_ms",
  CAST("duration_max_ms" AS Nullable(Float64)) / nullIf("timeout" * 1000, 0) AS "share_of_timeout",
  "invocations",
  "errors",
  "last_used_day"
FROM "lexport"."version_use"
WHERE
  NOT (
    "duration_max_ms" IS NULL
  )
ORDER BY
  "share_of_timeout" DESC,
  "account_id",
  "region",
  "function_name",
  CHAR_LENGTH("version"),
  "version"
