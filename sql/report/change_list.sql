-- title: What changed, one by one
-- about: Functions first, then what belongs to them. Values that may be secrets are left out: of a variable it shows only that it changed.
-- empty: Nothing changed.
-- rows: 300
SELECT
  kind,
  table_name,
  key,
  column_name,
  old_value,
  new_value,
  account_id,
  region,
  snapshot_at AS seen_at
FROM changes
ORDER BY table_name <> 'functions', table_name, kind, account_id, region, key, column_name
