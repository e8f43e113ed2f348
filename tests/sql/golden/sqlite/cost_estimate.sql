WITH "used" AS (
  SELECT
    "v"."account_id",
    "v"."region",
    "v"."function_name",
    "v"."architecture",
    SUM("v"."invocations") AS "invocations",
    SUM("v"."gb_seconds") AS "gb_seconds",
    MAX("f"."capacity_provider_arn") AS "capacity_provider_arn"
  FROM "version_use" AS "v"
  JOIN "functions" AS "f"
    ON "f"."account_id" = "v"."account_id"
    AND "f"."region" = "v"."region"
    AND "f"."function_name" = "v"."function_name"
    AND "f"."version" = "v"."version"
  GROUP BY
    "v"."account_id",
    "v"."region",
    "v"."function_name",
    "v"."architecture"
), "unknown" AS (
  SELECT
    "account_id",
    "region",
    "function_name"
  FROM "usage_unread" AS "usage_unread"
  WHERE
    "reason" IN ('not_read', 'failed', 'not_attributed')
), "rows_shown" AS (
  SELECT
    "u"."account_id",
    "u"."region",
    "u"."function_name",
    "u"."architecture",
    "u"."invocations",
    "u"."gb_seconds",
    "u"."capacity_provider_arn",
    CASE WHEN "n"."function_name" IS NULL THEN TRUE ELSE FALSE END AS "is_known"
  FROM "used" AS "u"
  LEFT JOIN "unknown" AS "n"
    ON "n"."account_id" = "u"."account_id"
    AND "n"."region" = "u"."region"
    AND "n"."function_name" = "u"."function_name"
  UNION ALL
  SELECT
    "n"."account_id",
    "n"."region",
    "n"."function_name",
    "f"."architecture",
    NULL AS "invocations",
    NULL AS "gb_seconds",
    NULL AS "capacity_provider_arn",
    FALSE AS "is_known"
  FROM "unknown" AS "n"
  JOIN "functions" AS "f"
    ON "f"."account_id" = "n"."account_id"
    AND "f"."region" = "n"."region"
    AND "f"."function_name" = "n"."function_name"
    AND "f"."version" = '$LATEST'
  LEFT JOIN "used" AS "u"
    ON "u"."account_id" = "n"."account_id"
    AND "u"."region" = "n"."region"
    AND "u"."function_name" = "n"."function_name"
  WHERE
    "u"."function_name" IS NULL
), "priced" AS (
  SELECT
    "r"."account_id",
    "r"."region",
    "r"."function_name",
    "r"."architecture",
    CAST(CAST((JULIANDAY("w"."last_day") - JULIANDAY("w"."first_day")) AS INTEGER) AS INTEGER) + 1 AS "days",
    "r"."invocations",
    "r"."gb_seconds",
    "r"."invocations" * "p"."request_usd" AS "requests_usd",
    CASE
      WHEN "r"."capacity_provider_arn" IS NULL
      THEN "r"."gb_seconds" * "p"."gb_second_usd"
    END AS "duration_usd",
    "r"."is_known",
    "p"."price_region",
    "p"."stated_on"
  FROM "rows_shown" AS "r"
  LEFT JOIN "lambda_prices" AS "p"
    ON "p"."architecture" = COALESCE("r"."architecture", 'x86_64')
  LEFT JOIN "usage_windows" AS "w"
    ON "w"."account_id" = "r"."account_id" AND "w"."region" = "r"."region"
)
SELECT
  "account_id",
  "region",
  "function_name",
  "architecture",
  "days",
  CAST("invocations" AS INTEGER) AS "invocations",
  "gb_seconds",
  "requests_usd",
  "duration_usd",
  "requests_usd" + "duration_usd" AS "usd",
  CAST((
    "requests_usd" + "duration_usd"
  ) * 30 AS REAL) / NULLIF("days", 0) AS "usd_per_30_days",
  "is_known",
  "price_region",
  "stated_on" AS "price_stated_on"
FROM "priced"
ORDER BY
  "usd" DESC,
  "account_id" NULLS LAST,
  "region" NULLS LAST,
  "function_name" NULLS LAST,
  "architecture" NULLS LAST
