-- title: The fleet at a glance
-- about: The sum of the latest whole readings of all account-regions. Code storage is as AWS counts it, including layers.
-- empty: No account-region was ever read whole.
SELECT
  COUNT(DISTINCT account_id) AS accounts,
  COUNT(DISTINCT region) AS regions,
  COUNT(*) AS account_regions,
  SUM(functions)::BIGINT AS functions,
  SUM(versions)::BIGINT AS versions,
  SUM(aliases)::BIGINT AS aliases,
  (SELECT SUM(code_size_used)::BIGINT FROM account_settings) AS code_bytes,
  (SELECT COUNT(*) FROM account_settings WHERE code_size_used IS NULL) AS code_unknown_in,
  (SELECT COUNT(*) FROM errors) AS errors,
  MIN(snapshot_at) AS oldest_at,
  MAX(snapshot_at) AS newest_at
FROM scopes
