SELECT
  "c"."account_id" AS "account_id",
  "c"."region" AS "region",
  SUBSTRING("c"."key", 1, POSITION("c"."key" || '/', '/') - 1) AS "function_name",
  CASE
    WHEN "c"."table_name" IN (
      'functions',
      'env_vars',
      'layers',
      'subnets',
      'security_groups',
      'file_systems',
      'runtime_management_configs'
    )
    THEN SUBSTRING("c"."rest", 1, POSITION("c"."rest" || '/', '/') - 1)
  END AS "version",
  "p"."snapshot_at" AS "previous_snapshot_at",
  "c"."snapshot_at" AS "snapshot_at",
  "c"."kind" AS "kind",
  "c"."table_name" AS "table_name",
  "c"."key" AS "key",
  "c"."column_name" AS "column_name",
  "c"."old_value" AS "old_value",
  "c"."new_value" AS "new_value",
  "c"."snapshot_id" AS "snapshot_id"
FROM (
  SELECT
    "account_id",
    "region",
    "snapshot_id",
    "snapshot_at",
    "previous_snapshot_id",
    "kind",
    "table_name",
    "key",
    SUBSTRING("key", POSITION("key", '/') + 1) AS "rest",
    "column_name",
    "old_value",
    "new_value"
  FROM "lexport_history"."changes"
  WHERE
    NOT (
      "table_name" IN (
        'account_settings',
        'capacity_providers',
        'code_signing_configs',
        'event_source_mappings'
      )
    )
) AS "c"
LEFT JOIN "lexport_history"."scopes" AS "p"
  ON "p"."snapshot_id" = "c"."previous_snapshot_id"
  AND "p"."account_id" = "c"."account_id"
  AND "p"."region" = "c"."region"
ORDER BY
  "c"."account_id",
  "c"."region",
  "function_name",
  "c"."snapshot_id",
  "c"."table_name",
  "c"."key",
  "c"."kind",
  "c"."column_name"
SETTINGS "join_use_nulls" = 1
