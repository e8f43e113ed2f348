WITH "summed" AS (
  SELECT
    "account_id",
    "region",
    "function_name",
    "qualifier",
    "dimension",
    "executed_version",
    SUM("invocations") AS "invocations",
    SUM("errors") AS "errors",
    SUM("throttles") AS "throttles",
    MIN("day") AS "first_day",
    MAX("day") AS "last_day"
  FROM "lexport"."function_usage"
  GROUP BY
    "account_id",
    "region",
    "function_name",
    "qualifier",
    "dimension",
    "executed_version"
)
SELECT
  "account_id",
  "region",
  "function_name",
  "qualifier",
  "dimension",
  "executed_version",
  CAST(COALESCE("invocations", 0) AS BIGINT) AS "invocations",
  CAST("errors" AS BIGINT) AS "errors",
  CAST("errors" AS DOUBLE) / NULLIF("invocations", 0) AS "error_rate",
  CAST("throttles" AS BIGINT) AS "throttles",
  CAST("throttles" AS DOUBLE) / NULLIF(COALESCE("invocations", 0) + "throttles", 0) AS "throttle_rate",
  "first_day",
  "last_day"
FROM "summed"
ORDER BY
  "errors" DESC,
  "account_id",
  "region",
  "function_name",
  "qualifier",
  "dimension",
  "executed_version"
