-- title: Changes, one by one
-- about: Functions first, then their tags, variables and other parts. The values of variables are not shown, because they may be secrets.
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
