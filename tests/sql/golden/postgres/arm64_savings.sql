WITH "prices" AS (
  SELECT
    MAX(CASE WHEN "architecture" = 'x86_64' THEN "gb_second_usd" END) AS "x86_64_usd",
    MAX(CASE WHEN "architecture" = 'arm64' THEN "gb_second_usd" END) AS "arm64_usd"
  FROM "lexport"."lambda_prices"
), "used" AS (
  SELECT
    "account_id",
    "region",
    "function_name",
    "days",
    "invocations",
    "gb_seconds"
  FROM "lexport"."cost_estimate"
  WHERE
    "architecture" = 'x86_64'
), "joined" AS (
  SELECT
    "a"."account_id",
    "a"."region",
    "a"."function_name",
    "a"."function_arn",
    "a"."runtime",
    "a"."layers",
    CASE WHEN "n"."function_name" IS NULL THEN COALESCE("u"."invocations", 0) END AS "invocations",
    CASE WHEN "n"."function_name" IS NULL THEN COALESCE("u"."gb_seconds", 0) END AS "gb_seconds",
    CAST("w"."last_day" - "w"."first_day" AS INT) + 1 AS "days"
  FROM "lexport"."arm64_candidates" AS "a"
  LEFT JOIN "used" AS "u"
    ON "u"."account_id" = "a"."account_id"
    AND "u"."region" = "a"."region"
    AND "u"."function_name" = "a"."function_name"
  LEFT JOIN "lexport"."usage_unread" AS "n"
    ON "n"."account_id" = "a"."account_id"
    AND "n"."region" = "a"."region"
    AND "n"."function_name" = "a"."function_name"
    AND "n"."reason" IN ('not_read', 'failed', 'not_attributed')
  LEFT JOIN "lexport"."usage_windows" AS "w"
    ON "w"."account_id" = "a"."account_id" AND "w"."region" = "a"."region"
)
SELECT
  "j"."account_id",
  "j"."region",
  "j"."function_name",
  "j"."function_arn",
  "j"."runtime",
  "j"."layers",
  "j"."invocations",
  "j"."gb_seconds",
  CAST("j"."gb_seconds" * "p"."x86_64_usd" * 30 AS DOUBLE PRECISION) / NULLIF("j"."days", 0) AS "usd_per_30_days",
  CAST("j"."gb_seconds" * (
    "p"."x86_64_usd" - "p"."arm64_usd"
  ) * 30 AS DOUBLE PRECISION) / NULLIF("j"."days", 0) AS "saved_usd_per_30_days"
FROM "joined" AS "j"
CROSS JOIN "prices" AS "p"
ORDER BY
  "saved_usd_per_30_days" DESC NULLS LAST,
  "j"."account_id",
  "j"."region",
  "j"."function_name"
