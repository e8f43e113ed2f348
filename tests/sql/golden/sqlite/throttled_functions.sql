WITH "named" AS (
  SELECT
    "account_id",
    "region",
    "function_name",
    COUNT(*) AS "aliases"
  FROM "aliases" AS "aliases"
  GROUP BY
    "account_id",
    "region",
    "function_name"
)
SELECT
  "f"."account_id",
  "f"."region",
  "f"."function_name",
  "f"."function_arn",
  "f"."runtime",
  "f"."state",
  CASE WHEN NOT "s"."aliases" IS NULL THEN COALESCE("n"."aliases", 0) END AS "aliases",
  "f"."role",
  "f"."last_modified_at"
FROM "functions" AS "f"
LEFT JOIN "scopes" AS "s"
  ON "s"."account_id" = "f"."account_id" AND "s"."region" = "f"."region"
LEFT JOIN "named" AS "n"
  ON "n"."account_id" = "f"."account_id"
  AND "n"."region" = "f"."region"
  AND "n"."function_name" = "f"."function_name"
WHERE
  "f"."version" = '$LATEST' AND "f"."reserved_concurrent_executions" = 0
ORDER BY
  "f"."account_id" NULLS LAST,
  "f"."region" NULLS LAST,
  "f"."function_name" NULLS LAST
