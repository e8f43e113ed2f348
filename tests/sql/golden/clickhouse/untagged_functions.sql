WITH "each_function" AS (
  SELECT
    "account_id",
    "region",
    "function_name",
    MAX("function_arn") AS "function_arn",
    MAX("tags_error_code") AS "tags_error_code",
    COALESCE(MAX(CASE WHEN "version" = '$LATEST' THEN "runtime" END), MAX("runtime")) AS "runtime",
    COALESCE(MAX(CASE WHEN "version" = '$LATEST' THEN "role" END), MAX("role")) AS "role",
    MAX("last_modified_at") AS "last_modified_at"
  FROM "lexport"."functions"
  GROUP BY
    "account_id",
    "region",
    "function_name"
), "tagged" AS (
  SELECT DISTINCT
    "account_id",
    "region",
    "function_name"
  FROM "lexport"."tags"
)
SELECT
  "f"."account_id" AS "account_id",
  "f"."region" AS "region",
  "f"."function_name" AS "function_name",
  "f"."function_arn" AS "function_arn",
  CASE WHEN "f"."tags_error_code" IS NULL THEN 'untagged' ELSE 'denied' END AS "tag_status",
  "f"."tags_error_code" AS "tags_error_code",
  "f"."runtime" AS "runtime",
  "f"."role" AS "role",
  "f"."last_modified_at" AS "last_modified_at"
FROM "each_function" AS "f"
LEFT JOIN "tagged" AS "t"
  ON "t"."account_id" = "f"."account_id"
  AND "t"."region" = "f"."region"
  AND "t"."function_name" = "f"."function_name"
WHERE
  "t"."function_name" IS NULL
ORDER BY
  "f"."account_id",
  "f"."region",
  "f"."function_name"
SETTINGS "join_use_nulls" = 1
