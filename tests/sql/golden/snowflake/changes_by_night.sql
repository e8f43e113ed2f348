SELECT
  "ACCOUNT_ID",
  "REGION",
  "SNAPSHOT_AT",
  "TABLE_NAME",
  "KIND",
  COUNT(
    DISTINCT CASE
      WHEN NOT "TABLE_NAME" IN (
        'account_settings',
        'capacity_providers',
        'code_signing_configs',
        'event_source_mappings'
      )
      THEN SUBSTRING("KEY", 1, CHARINDEX('/', "KEY" || '/') - 1)
    END
  ) AS "FUNCTIONS",
  COUNT(DISTINCT "KEY") AS "THINGS",
  COUNT(*) AS "CHANGES",
  "SNAPSHOT_ID",
  "PREVIOUS_SNAPSHOT_ID"
FROM "LEXPORT_HISTORY"."CHANGES"
GROUP BY
  "ACCOUNT_ID",
  "REGION",
  "SNAPSHOT_ID",
  "SNAPSHOT_AT",
  "PREVIOUS_SNAPSHOT_ID",
  "TABLE_NAME",
  "KIND"
ORDER BY
  "SNAPSHOT_ID" DESC NULLS LAST,
  "ACCOUNT_ID",
  "REGION",
  "TABLE_NAME",
  "KIND"
