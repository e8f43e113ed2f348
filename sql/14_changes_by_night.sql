-- question: How much changed from snapshot to snapshot, and in which way?
-- grain: one row per account, region, snapshot, table and kind of change
-- column account_id: account
-- column region: Region
-- column snapshot_at: start of the snapshot
-- column table_name: table of the changed rows
-- column kind: `added`, `removed` or `changed`
-- column functions: functions that the changes belong to; 0 where rows are not of one function
-- column things: rows that were added, removed or changed
-- column changes: number of changes; each column of a changed row counts
-- column snapshot_id: snapshot
-- column previous_snapshot_id: snapshot that it is compared with
SELECT
  account_id,
  region,
  snapshot_at,
  table_name,
  kind,
  COUNT(DISTINCT CASE WHEN table_name NOT IN (
    'account_settings', 'capacity_providers', 'code_signing_configs', 'event_source_mappings'
  ) THEN SUBSTR(key, 1, STRPOS(key || '/', '/') - 1) END) AS functions,
  COUNT(DISTINCT key) AS things,
  COUNT(*) AS changes,
  snapshot_id,
  previous_snapshot_id
FROM history.changes
GROUP BY account_id, region, snapshot_id, snapshot_at, previous_snapshot_id, table_name, kind
ORDER BY snapshot_id DESC, account_id, region, table_name, kind
