-- question: How much changed from night to night, and of what kind?
-- grain: one row per account, region, snapshot, table and kind of change
-- column account_id: account
-- column region: Region
-- column snapshot_at: start of the snapshot
-- column table_name: table of what changed
-- column kind: `added`, `removed` or `changed`
-- column functions: functions concerned
-- column things: rows of that table that were added, removed or changed
-- column changes: changes, one for each column of a changed row
-- column snapshot_id: the snapshot
-- column previous_snapshot_id: the snapshot that it is compared with
SELECT
  account_id,
  region,
  snapshot_at,
  table_name,
  kind,
  COUNT(DISTINCT CASE WHEN table_name <> 'account_settings' THEN SUBSTR(key, 1, STRPOS(key, '/') - 1) END) AS functions,
  COUNT(DISTINCT key) AS things,
  COUNT(*) AS changes,
  snapshot_id,
  previous_snapshot_id
FROM history.changes
GROUP BY account_id, region, snapshot_id, snapshot_at, previous_snapshot_id, table_name, kind
ORDER BY snapshot_id DESC, account_id, region, table_name, kind
