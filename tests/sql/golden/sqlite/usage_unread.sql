WITH "failed" AS (
  SELECT
    "account_id",
    "region",
    "function_name",
    MIN("message") AS "message"
  FROM "errors" AS "errors"
  WHERE
    "operation" = 'GetMetricData'
  GROUP BY
    "account_id",
    "region",
    "function_name"
), "unlisted" AS (
  SELECT
    "account_id",
    "region",
    MIN("message") AS "message"
  FROM "errors" AS "errors"
  WHERE
    "operation" = 'ListMetrics'
  GROUP BY
    "account_id",
    "region"
), "routing_unread" AS (
  SELECT
    "s"."account_id",
    "s"."region"
  FROM "scopes" AS "s"
  LEFT JOIN "scope_resources" AS "p"
    ON "p"."account_id" = "s"."account_id"
    AND "p"."region" = "s"."region"
    AND "p"."resource" = 'aliases'
  WHERE
    "s"."aliases" IS NULL OR "p"."status" <> 'complete'
), "unattributed" AS (
  SELECT DISTINCT
    "account_id",
    "region",
    "function_name"
  FROM "unattributed_calls" AS "unattributed_calls"
), "judged" AS (
  SELECT
    "f"."account_id",
    "f"."region",
    "f"."function_name",
    CASE
      WHEN "w"."first_day" IS NULL
      THEN 'not_read'
      WHEN NOT "o"."message" IS NULL OR NOT "a"."message" IS NULL
      THEN 'failed'
      WHEN NOT "u"."message" IS NULL
      THEN 'not_listed'
      WHEN NOT "p"."account_id" IS NULL
      THEN 'aliases_not_read'
      WHEN NOT "c"."function_name" IS NULL
      THEN 'not_attributed'
    END AS "reason",
    COALESCE("o"."message", "a"."message", "u"."message") AS "message"
  FROM "functions" AS "f"
  LEFT JOIN "usage_windows" AS "w"
    ON "w"."account_id" = "f"."account_id" AND "w"."region" = "f"."region"
  LEFT JOIN "failed" AS "o"
    ON "o"."account_id" = "f"."account_id"
    AND "o"."region" = "f"."region"
    AND "o"."function_name" = "f"."function_name"
  LEFT JOIN "failed" AS "a"
    ON "a"."account_id" = "f"."account_id"
    AND "a"."region" = "f"."region"
    AND "a"."function_name" IS NULL
  LEFT JOIN "unlisted" AS "u"
    ON "u"."account_id" = "f"."account_id" AND "u"."region" = "f"."region"
  LEFT JOIN "routing_unread" AS "p"
    ON "p"."account_id" = "f"."account_id" AND "p"."region" = "f"."region"
  LEFT JOIN "unattributed" AS "c"
    ON "c"."account_id" = "f"."account_id"
    AND "c"."region" = "f"."region"
    AND "c"."function_name" = "f"."function_name"
)
SELECT DISTINCT
  "account_id",
  "region",
  "function_name",
  "reason",
  "message"
FROM "judged"
WHERE
  NOT "reason" IS NULL
ORDER BY
  "account_id" NULLS LAST,
  "region" NULLS LAST,
  "function_name" NULLS LAST
