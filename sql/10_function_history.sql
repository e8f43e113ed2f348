-- question: What happened to a function, and between which two nights?
-- grain: one row per change: per version or child added or removed, per column that changed
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: version, where the change belongs to one; NULL for tags, aliases and their routes
-- column previous_snapshot_at: start of the snapshot before: the change came after it
-- column snapshot_at: start of the snapshot that found it
-- column kind: `added`, `removed` or `changed`
-- column table_name: table of what changed
-- column key: its key, parts joined by `/`
-- column column_name: what changed about it
-- column old_value: before
-- column new_value: after
-- column snapshot_id: the snapshot that found it
SELECT
  c.account_id,
  c.region,
  SUBSTR(c.key, 1, STRPOS(c.key, '/') - 1) AS function_name,
  CASE WHEN c.table_name NOT IN ('tags', 'aliases', 'alias_routes') THEN
    SUBSTR(c.rest, 1, STRPOS(c.rest || '/', '/') - 1)
  END AS version,
  p.snapshot_at AS previous_snapshot_at,
  c.snapshot_at,
  c.kind,
  c.table_name,
  c.key,
  c.column_name,
  c.old_value,
  c.new_value,
  c.snapshot_id
FROM (
  SELECT
    account_id,
    region,
    snapshot_id,
    snapshot_at,
    previous_snapshot_id,
    kind,
    table_name,
    key,
    SUBSTR(key, STRPOS(key, '/') + 1) AS rest,
    column_name,
    old_value,
    new_value
  FROM history.changes
  WHERE table_name <> 'account_settings'
) AS c
LEFT JOIN history.scopes AS p
  ON p.snapshot_id = c.previous_snapshot_id
  AND p.account_id = c.account_id
  AND p.region = c.region
ORDER BY c.account_id, c.region, function_name, c.snapshot_id, c.table_name, c.key, c.kind, c.column_name
