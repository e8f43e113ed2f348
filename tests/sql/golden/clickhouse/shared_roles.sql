WITH "each_function" AS (
  SELECT
    "account_id",
    "role",
    "region",
    "function_name",
    MAX("function_arn") AS "function_arn",
    COUNT(CASE WHEN "version" = '$LATEST' THEN 1 END) AS "latest_functions",
    COUNT(*) AS "versions",
    MAX("last_modified_at") AS "last_modified_at"
  FROM "lexport"."functions"
  WHERE
    NOT (
      "role" IS NULL
    )
  GROUP BY
    "account_id",
    "role",
    "region",
    "function_name"
)
SELECT
  "account_id",
  "role",
  COUNT(*) AS "functions",
  CAST(SUM("latest_functions") AS Nullable(Int64)) AS "latest_functions",
  CAST(SUM("versions") AS Nullable(Int64)) AS "versions",
  COUNT(DISTINCT "region") AS "regions",
  MIN("function_arn") AS "example_function_arn",
  MAX("last_modified_at") AS "last_modified_at"
FROM "each_function"
GROUP BY
  "account_id",
  "role"
HAVING
  COUNT(*) > 1
ORDER BY
  "functions" DESC,
  "account_id",
  "role"
