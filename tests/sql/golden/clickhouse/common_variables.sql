WITH "each_function" AS (
  SELECT
    "name",
    "account_id",
    "region",
    "function_name",
    COUNT(*) AS "versions",
    MAX("value_length") AS "longest_value"
  FROM "lexport"."env_vars"
  GROUP BY
    "name",
    "account_id",
    "region",
    "function_name"
), "each_name" AS (
  SELECT
    "name",
    COUNT(*) AS "functions",
    CAST(SUM("versions") AS Nullable(Int64)) AS "versions",
    MAX("longest_value") AS "longest_value"
  FROM "each_function"
  GROUP BY
    "name"
), "each_value" AS (
  SELECT
    "name",
    "hash_key_id",
    "value_hmac"
  FROM "lexport"."env_vars"
  WHERE
    NOT (
      "hash_key_id" IS NULL
    ) AND NOT (
      "value_hmac" IS NULL
    )
  GROUP BY
    "name",
    "hash_key_id",
    "value_hmac"
), "told" AS (
  SELECT
    "name",
    COUNT(*) AS "distinct_values"
  FROM "each_value"
  GROUP BY
    "name"
)
SELECT
  "n"."name" AS "name",
  "n"."functions" AS "functions",
  "n"."versions" AS "versions",
  COALESCE("t"."distinct_values", 0) AS "distinct_values",
  "n"."longest_value" AS "longest_value"
FROM "each_name" AS "n"
LEFT JOIN "told" AS "t"
  ON "t"."name" = "n"."name"
ORDER BY
  "n"."functions" DESC,
  "n"."name"
SETTINGS "join_use_nulls" = 1
