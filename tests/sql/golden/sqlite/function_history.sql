SELECT
  "c"."account_id",
  "c"."region",
  SUBSTRING("c"."key", 1, INSTR("c"."key" || '/', '/') - 1) AS "function_name",
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
    THEN SUBSTRING("c"."rest", 1, INSTR("c"."rest" || '/', '/') - 1)
  END AS "version",
  "p"."snapshot_at" AS "previous_snapshot_at",
  "c"."snapshot_at",
  "c"."kind",
  "c"."table_name",
  "c"."key",
  "c"."column_name",
  "c"."old_value",
  "c"."new_value",
  "c"."snapshot_id"
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
    SUBSTRING("key", INSTR("key", '/') + 1) AS "rest",
    "column_name",
    "old_value",
    "new_value"
  FROM "history_changes" AS "changes"
  WHERE
    NOT "table_name" IN (
      'account_settings',
      'capacity_providers',
      'code_signing_configs',
      'event_source_mappings'
    )
) AS "c"
LEFT JOIN "history_scopes" AS "p"
  ON "p"."snapshot_id" = "c"."previous_snapshot_id"
  AND "p"."account_id" = "c"."account_id"
  AND "p"."region" = "c"."region"
ORDER BY
  "c"."account_id" NULLS LAST,
  "c"."region" NULLS LAST,
  "function_name" NULLS LAST,
  "c"."snapshot_id" NULLS LAST,
  "c"."table_name" NULLS LAST,
  "c"."key" NULLS LAST,
  "c"."kind" NULLS LAST,
  "c"."column_name" NULLS LAST
