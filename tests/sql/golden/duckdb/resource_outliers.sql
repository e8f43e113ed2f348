WITH "latest" AS (
  SELECT
    "account_id",
    "region",
    "function_name",
    "function_arn",
    "runtime",
    "memory_size",
    AVG(CAST("memory_size" AS DOUBLE)) OVER (PARTITION BY "account_id", "region") AS "average_memory_size",
    "timeout",
    "ephemeral_storage_size",
    "last_modified_at"
  FROM "lexport"."functions"
  WHERE
    "version" = '$LATEST'
)
SELECT
  "account_id",
  "region",
  "function_name",
  "function_arn",
  "runtime",
  "memory_size",
  "average_memory_size",
  CASE WHEN "memory_size" > 4 * "average_memory_size" THEN TRUE ELSE FALSE END AS "is_memory_high",
  "timeout",
  CASE WHEN "timeout" >= 900 THEN TRUE ELSE FALSE END AS "is_timeout_longest",
  "ephemeral_storage_size",
  CASE WHEN "ephemeral_storage_size" > 512 THEN TRUE ELSE FALSE END AS "is_storage_extended",
  "last_modified_at"
FROM "latest"
WHERE
  "memory_size" > 4 * "average_memory_size"
  OR "timeout" >= 900
  OR "ephemeral_storage_size" > 512
ORDER BY
  "account_id",
  "region",
  "function_name"
