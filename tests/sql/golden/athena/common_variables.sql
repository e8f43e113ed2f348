SELECT
  "name",
  COUNT(
    DISTINCT CONCAT(
      CAST("account_id" AS VARCHAR),
      CAST(':' AS VARCHAR),
      CAST("region" AS VARCHAR),
      CAST(':' AS VARCHAR),
      CAST("function_name" AS VARCHAR)
    )
  ) AS "functions",
  COUNT(*) AS "versions",
  COUNT(
    DISTINCT CONCAT(CAST("hash_key_id" AS VARCHAR), CAST(':' AS VARCHAR), CAST("value_hmac" AS VARCHAR))
  ) AS "distinct_values",
  MAX("value_length") AS "longest_value"
FROM "lexport"."env_vars"
GROUP BY
  "name"
ORDER BY
  "functions" DESC,
  "name"
