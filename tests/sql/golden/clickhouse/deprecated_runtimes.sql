WITH "traffic" AS (
  SELECT
    "account_id",
    "region",
    "function_name",
    "version",
    COUNT(*) AS "aliases"
  FROM "lexport"."alias_routes"
  WHERE
    "weight" > 0
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
  "f"."version" AS "version",
  "f"."function_arn" AS "function_arn",
  "f"."runtime" AS "runtime",
  CASE
    WHEN "l"."block_update_date" <= CAST("f"."snapshot_at" AS Nullable(DATE))
    THEN 'update_blocked'
    WHEN "l"."block_create_date" <= CAST("f"."snapshot_at" AS Nullable(DATE))
    THEN 'create_blocked'
    WHEN "l"."deprecation_date" <= CAST("f"."snapshot_at" AS Nullable(DATE))
    THEN 'deprecated'
    ELSE 'soon'
  END AS "status",
  CAST(DATE_DIFF(DAY, CAST("f"."snapshot_at" AS Nullable(DATE)), "l"."deprecation_date") AS Nullable(Int32)) AS "days_left",
  "l"."deprecation_date" AS "deprecation_date",
  "l"."block_create_date" AS "block_create_date",
  "l"."block_update_date" AS "block_update_date",
  "l"."successor" AS "successor",
  CASE WHEN NOT (
    "s"."aliases" IS NULL
  ) THEN COALESCE("t"."aliases", 0) END AS "aliases",
  "f"."last_modified_at" AS "last_modified_at",
  "f"."role" AS "role"
FROM "lexport"."functions" AS "f"
JOIN "lexport"."lambda_runtimes" AS "l"
  ON "l"."runtime" = "f"."runtime"
LEFT JOIN "lexport"."scopes" AS "s"
  ON "s"."account_id" = "f"."account_id" AND "s"."region" = "f"."region"
LEFT JOIN "traffic" AS "t"
  ON "t"."account_id" = "f"."account_id"
  AND "t"."region" = "f"."region"
  AND "t"."function_name" = "f"."function_name"
  AND "t"."version" = "f"."version"
WHERE
  "f"."runtime_config_runtime_arn" IS NULL
  AND CAST(DATE_DIFF(DAY, CAST("f"."snapshot_at" AS Nullable(DATE)), "l"."deprecation_date") AS Nullable(Int32)) <= 180
ORDER BY
  "days_left",
  "f"."account_id",
  "f"."region",
  "f"."function_name",
  "f"."version"
SETTINGS "join_use_nulls" = 1
