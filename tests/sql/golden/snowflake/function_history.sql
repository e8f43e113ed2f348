SELECT
  "C"."ACCOUNT_ID",
  "C"."REGION",
  SUBSTRING("C"."KEY", 1, CHARINDEX('/', "C"."KEY" || '/') - 1) AS "FUNCTION_NAME",
  CASE
    WHEN "C"."TABLE_NAME" IN (
      'functions',
      'env_vars',
      'layers',
      'subnets',
      'security_groups',
      'file_systems',
      'runtime_management_configs'
    )
    THEN SUBSTRING("C"."REST", 1, CHARINDEX('/', "C"."REST" || '/') - 1)
  END AS "VERSION",
  "P"."SNAPSHOT_AT" AS "PREVIOUS_SNAPSHOT_AT",
  "C"."SNAPSHOT_AT",
  "C"."KIND",
  "C"."TABLE_NAME",
  "C"."KEY",
  "C"."COLUMN_NAME",
  "C"."OLD_VALUE",
  "C"."NEW_VALUE",
  "C"."SNAPSHOT_ID"
FROM (
  SELECT
    "ACCOUNT_ID",
    "REGION",
    "SNAPSHOT_ID",
    "SNAPSHOT_AT",
    "PREVIOUS_SNAPSHOT_ID",
    "KIND",
    "TABLE_NAME",
    "KEY",
    SUBSTRING("KEY", CHARINDEX('/', "KEY") + 1) AS "REST",
    "COLUMN_NAME",
    "OLD_VALUE",
    "NEW_VALUE"
  FROM "LEXPORT_HISTORY"."CHANGES"
  WHERE
    NOT "TABLE_NAME" IN (
      'account_settings',
      'capacity_providers',
      'code_signing_configs',
      'event_source_mappings'
    )
) AS "C"
LEFT JOIN "LEXPORT_HISTORY"."SCOPES" AS "P"
  ON "P"."SNAPSHOT_ID" = "C"."PREVIOUS_SNAPSHOT_ID"
  AND "P"."ACCOUNT_ID" = "C"."ACCOUNT_ID"
  AND "P"."REGION" = "C"."REGION"
ORDER BY
  "C"."ACCOUNT_ID",
  "C"."REGION",
  "FUNCTION_NAME",
  "C"."SNAPSHOT_ID",
  "C"."TABLE_NAME",
  "C"."KEY",
  "C"."KIND",
  "C"."COLUMN_NAME"
