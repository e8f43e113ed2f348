WITH "attached" AS (
  SELECT
    "account_id",
    "region",
    "function_name",
    "version",
    COUNT(*) AS "layers"
  FROM "lexport"."layers"
  GROUP BY
    "account_id",
    "region",
    "function_name",
    "version"
)
SELECT
  "f"."account_id" AS "account_id",
  "f"."region" AS "region",
  "f"."function_name" AS "function_name",
  "f"."function_arn" AS "function_arn",
  "f"."runtime" AS "runtime",
  "f"."memory_size" AS "memory_size",
  "f"."timeout" AS "timeout",
  "f"."code_size" AS "code_size",
  COALESCE("a"."layers", 0) AS "layers",
  "f"."role" AS "role",
  "f"."last_modified_at" AS "last_modified_at"
FROM "lexport"."functions" AS "f"
JOIN "lexport"."lambda_runtimes" AS "l"
  ON "l"."runtime" = "f"."runtime"
LEFT JOIN "attached" AS "a"
  ON "a"."account_id" = "f"."account_id"
  AND "a"."region" = "f"."region"
  AND "a"."function_name" = "f"."function_name"
  AND "a"."version" = "f"."version"
WHERE
  "f"."version" = '$LATEST'
  AND "f"."package_type" = 'Zip'
  AND "f"."architecture" = 'x86_64'
  AND "l"."runs_on_arm64"
  AND "f"."runtime_config_runtime_arn" IS NULL
  AND "f"."master_arn" IS NULL
  AND "f"."capacity_provider_arn" IS NULL
ORDER BY
  "f"."memory_size" DESC,
  "f"."account_id",
  "f"."region",
  "f"."function_name"
SETTINGS "join_use_nulls" = 1
