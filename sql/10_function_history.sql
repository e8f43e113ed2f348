-- question: How did each function change, and between which two snapshots?
-- grain: one row per added or removed row, and per changed column
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: version, if the table has a row per version; NULL otherwise, as for tags and aliases
-- column previous_snapshot_at: start of the previous snapshot; the change was made after it
-- column snapshot_at: start of the snapshot that shows the change
-- column kind: `added`, `removed` or `changed`
-- column table_name: table of the changed row
-- column key: key of the row, its parts joined by `/`
-- column column_name: name of the changed column
-- column old_value: value before the change
-- column new_value: value after the change
-- column snapshot_id: snapshot that shows the change
SELECT
  c.account_id,
  c.region,
  SUBSTR(c.key, 1, STRPOS(c.key || '/', '/') - 1) AS function_name,
  CASE WHEN c.table_name IN (
    'functions', 'env_vars', 'layers', 'subnets', 'security_groups', 'file_systems', 'runtime_management_configs'
  ) THEN SUBSTR(c.rest, 1, STRPOS(c.rest || '/', '/') - 1) END AS version,
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
  WHERE table_name NOT IN ('account_settings', 'capacity_providers', 'code_signing_configs', 'event_source_mappings')
) AS c
LEFT JOIN history.scopes AS p
  ON p.snapshot_id = c.previous_snapshot_id
  AND p.account_id = c.account_id
  AND p.region = c.region
ORDER BY c.account_id, c.region, function_name, c.snapshot_id, c.table_name, c.key, c.kind, c.column_name
