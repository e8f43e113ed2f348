-- title: Accounts and Regions
-- about: Functions by account and Region; a stronger colour means more functions. An empty field has no functions or was never read: see Completeness.
-- empty: No account-region was ever read whole.
-- rows: 2000
SELECT
  account_id,
  region,
  s.functions,
  s.versions,
  s.aliases,
  a.code_size_used AS code_bytes,
  a.code_size_limit AS limit_bytes,
  a.concurrent_executions_limit AS concurrency_limit,
  s.snapshot_at AS read_at
FROM scopes AS s
LEFT JOIN account_settings AS a USING (account_id, region)
ORDER BY s.functions DESC, account_id, region
