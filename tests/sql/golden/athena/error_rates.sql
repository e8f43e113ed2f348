WITH "failed" AS (
  SELECT DISTINCT
    "account_id",
    "region",
    "function_name",
    "qualifier"
  FROM "lexport"."errors"
  WHERE
    "operation" = 'GetMetricData'
), "summed" AS (
  SELECT
    "account_id",
    "region",
    "function_name",
    "qualifier",
    "dimension",
    "executed_version",
    SUM("u"."invocations") AS "invocations",
    SUM("u"."errors") AS "errors",
    SUM("u"."throttles") AS "throttles",
    SUM(CASE WHEN "u"."errors" > 0 AND "u"."invocations" IS NULL THEN 1 ELSE 0 END) AS "days_without_calls",
    SUM(CASE WHEN "u"."invocations" > 0 AND "u"."errors" IS NULL THEN 1 ELSE 0 END) AS "days_without_errors",
    SUM(CASE WHEN "u"."invocations" > 0 AND "u"."throttles" IS NULL THEN 1 ELSE 0 END) AS "days_without_throttles",
    MIN("day") AS "first_day",
    MAX("day") AS "last_day"
  FROM "lexport"."function_usage" AS "u"
  GROUP BY
    "account_id",
    "region",
    "function_name",
    "qualifier",
    "dimension",
    "executed_version"
)
SELECT
  "s"."account_id",
  "s"."region",
  "s"."function_name",
  "s"."qualifier",
  "s"."dimension",
  "s"."executed_version",
  CAST(COALESCE("s"."invocations", 0) AS BIGINT) AS "invocations",
  CAST("s"."errors" AS BIGINT) AS "errors",
  CASE
    WHEN "f"."function_name" IS NULL
    AND "s"."days_without_calls" = 0
    AND "s"."days_without_errors" = 0
    THEN CAST("s"."errors" AS DOUBLE) / NULLIF("s"."invocations", 0)
  END AS "error_rate",
  CAST("s"."throttles" AS BIGINT) AS "throttles",
  CASE
    WHEN "f"."function_name" IS NULL
    AND "s"."days_without_calls" = 0
    AND "s"."days_without_throttles" = 0
    THEN CAST("s"."throttles" AS DOUBLE) / NULLIF(COALESCE("s"."invocations", 0) + "s"."throttles", 0)
  END AS "throttle_rate",
  "s"."first_day",
  "s"."last_day"
FROM "summed" AS "s"
LEFT JOIN "failed" AS "f"
  ON "f"."account_id" = "s"."account_id"
  AND "f"."region" = "s"."region"
  AND "f"."function_name" = "s"."function_name"
  AND "f"."qualifier" = "s"."qualifier"
ORDER BY
  "errors" DESC,
  "s"."account_id",
  "s"."region",
  "s"."function_name",
  "s"."qualifier",
  "s"."dimension",
  "s"."executed_version"
