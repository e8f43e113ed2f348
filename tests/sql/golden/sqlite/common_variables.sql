WITH "each_function" AS (
  SELECT
    "name",
    "account_id",
    "region",
    "function_name",
    COUNT(*) AS "versions",
    MAX("value_length") AS "longest_value"
  FROM "env_vars" AS "env_vars"
  GROUP BY
    "name",
    "account_id",
    "region",
    "function_name"
), "each_name" AS (
  SELECT
    "name",
    COUNT(*) AS "functions",
    CAST(SUM("versions") AS INTEGER) AS "versions",
    MAX("longest_value") AS "longest_value"
  FROM "each_function"
  GROUP BY
    "name"
), "each_value" AS (
  SELECT
    "name",
    "hash_key_id",
    "value_hmac"
  FROM "env_vars" AS "env_vars"
  WHERE
    NOT "hash_key_id" IS NULL AND NOT "value_hmac" IS NULL
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
  "n"."name",
  "n"."functions",
  "n"."versions",
  COALESCE("t"."distinct_values", 0) AS "distinct_values",
  "n"."longest_value"
FROM "each_name" AS "n"
LEFT JOIN "told" AS "t"
  ON "t"."name" = "n"."name"
ORDER BY
  "n"."functions" DESC,
  "n"."name" NULLS LAST
