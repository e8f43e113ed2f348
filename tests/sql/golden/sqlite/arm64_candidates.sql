WITH "attached" AS (
  SELECT
    "account_id",
    "region",
    "function_name",
    "version",
    COUNT(*) AS "layers"
  FROM "layers" AS "layers"
  GROUP BY
    "account_id",
    "region",
    "function_name",
    "version"
)
SELECT
  "f"."account_id",
  "f"."region",
  "f"."function_name",
  "f"."function_arn",
  "f"."runtime",
  "f"."memory_size",
  "f"."timeout",
  "f"."code_size",
  COALESCE("a"."layers", 0) AS "layers",
  "f"."role",
  "f"."last_modified_at"
FROM "functions" AS "f"
JOIN "lambda_runtimes" AS "l"
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
  "f"."account_id" NULLS LAST,
  "f"."region" NULLS LAST,
  "f"."function_name" NULLS LAST
