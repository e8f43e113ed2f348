WITH "published" AS (
  SELECT
    "account_id",
    "region",
    "function_name",
    COUNT(*) AS "versions"
  FROM "functions" AS "functions"
  WHERE
    "version" <> '$LATEST'
  GROUP BY
    "account_id",
    "region",
    "function_name"
), "mounted" AS (
  SELECT DISTINCT
    "account_id",
    "region",
    "function_name",
    "version"
  FROM "file_systems" AS "file_systems"
)
SELECT
  "f"."account_id",
  "f"."region",
  "f"."function_name",
  "f"."function_arn",
  "f"."runtime",
  "f"."memory_size",
  COALESCE("p"."versions", 0) AS "published_versions",
  "f"."role",
  "f"."last_modified_at"
FROM "functions" AS "f"
JOIN "lambda_runtimes" AS "l"
  ON "l"."runtime" = "f"."runtime"
LEFT JOIN "published" AS "p"
  ON "p"."account_id" = "f"."account_id"
  AND "p"."region" = "f"."region"
  AND "p"."function_name" = "f"."function_name"
LEFT JOIN "mounted" AS "m"
  ON "m"."account_id" = "f"."account_id"
  AND "m"."region" = "f"."region"
  AND "m"."function_name" = "f"."function_name"
  AND "m"."version" = "f"."version"
WHERE
  "f"."version" = '$LATEST'
  AND "f"."package_type" = 'Zip'
  AND "l"."runs_snap_start"
  AND "f"."runtime_config_runtime_arn" IS NULL
  AND COALESCE("f"."snap_start_apply_on", 'None') <> 'PublishedVersions'
  AND COALESCE("f"."ephemeral_storage_size", 512) <= 512
  AND "m"."function_name" IS NULL
  AND "f"."master_arn" IS NULL
  AND "f"."capacity_provider_arn" IS NULL
ORDER BY
  "f"."account_id" NULLS LAST,
  "f"."region" NULLS LAST,
  "f"."function_name" NULLS LAST
