SELECT
  "account_id",
  "region",
  "snapshot_at",
  "table_name",
  "kind",
  COUNT(
    DISTINCT CASE
      WHEN NOT (
        "table_name" IN (
          'account_settings',
          'capacity_providers',
          'code_signing_configs',
          'event_source_mappings'
        )
      )
      THEN SUBSTRING("key", 1, POSITION("key" || '/', '/') - 1)
    END
  ) AS "functions",
  COUNT(DISTINCT "key") AS "things",
  COUNT(*) AS "changes",
  "snapshot_id",
  "previous_snapshot_id"
FROM "lexport_history"."changes"
GROUP BY
  "account_id",
  "region",
  "snapshot_id",
  "snapshot_at",
  "previous_snapshot_id",
  "table_name",
  "kind"
ORDER BY
  "snapshot_id" DESC,
  "account_id",
  "region",
  "table_name",
  "kind"
