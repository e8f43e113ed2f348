WITH "each_function" AS (
  SELECT
    "account_id",
    "region",
    "function_name",
    MAX(CASE WHEN "tags_error_code" IS NULL THEN 0 ELSE 1 END) AS "is_unreadable"
  FROM "lexport"."functions"
  GROUP BY
    "account_id",
    "region",
    "function_name"
), "fleet" AS (
  SELECT
    "account_id",
    "region",
    COUNT(*) AS "functions",
    COUNT(CASE WHEN "is_unreadable" = 1 THEN 1 END) AS "unreadable"
  FROM "each_function"
  GROUP BY
    "account_id",
    "region"
), "tagged" AS (
  SELECT
    "account_id",
    "region",
    "key",
    COUNT(*) AS "tagged"
  FROM "lexport"."tags"
  GROUP BY
    "account_id",
    "region",
    "key"
)
SELECT
  "f"."account_id" AS "account_id",
  "f"."region" AS "region",
  "t"."key" AS "key",
  "f"."functions" AS "functions",
  "f"."unreadable" AS "unreadable",
  COALESCE("t"."tagged", 0) AS "tagged",
  "f"."functions" - "f"."unreadable" - COALESCE("t"."tagged", 0) AS "untagged",
  CAST(COALESCE("t"."tagged", 0) AS Nullable(Float64)) / nullIf("f"."functions" - "f"."unreadable", 0) AS "share"
FROM "fleet" AS "f"
LEFT JOIN "tagged" AS "t"
  ON "t"."account_id" = "f"."account_id" AND "t"."region" = "f"."region"
ORDER BY
  "f"."account_id",
  "f"."region",
  "tagged" DESC,
  "t"."key"
SETTINGS "join_use_nulls" = 1
