WITH "reused" AS (
  SELECT
    "hash_key_id",
    "value_hmac"
  FROM "env_vars" AS "env_vars"
  WHERE
    "value_length" >= 8 AND NOT "value_hmac" IS NULL
  GROUP BY
    "hash_key_id",
    "value_hmac"
  HAVING
    MIN("function_name") <> MAX("function_name")
    OR MIN("account_id") <> MAX("account_id")
    OR MIN("region") <> MAX("region")
)
SELECT
  "e"."hash_key_id",
  "e"."value_hmac",
  MIN("e"."name") AS "name",
  COUNT(DISTINCT "e"."name") AS "names",
  MAX("e"."secret_rule") AS "secret_rule",
  MAX("e"."value_length") AS "value_length",
  COUNT(DISTINCT "e"."account_id" || ':' || "e"."region" || ':' || "e"."function_name") AS "functions",
  COUNT(*) AS "versions",
  COUNT(DISTINCT "e"."account_id") AS "accounts",
  COUNT(DISTINCT "e"."region") AS "regions"
FROM "env_vars" AS "e"
JOIN "reused" AS "r"
  ON "r"."hash_key_id" = "e"."hash_key_id" AND "r"."value_hmac" = "e"."value_hmac"
WHERE
  "e"."value_length" >= 8
GROUP BY
  "e"."hash_key_id",
  "e"."value_hmac"
ORDER BY
  "functions" DESC,
  "e"."hash_key_id" NULLS LAST,
  "e"."value_hmac" NULLS LAST
