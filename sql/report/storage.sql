-- title: Code storage
-- about: How much of its limit each account-region uses, and how much of that belongs to old versions that no alias points to.
-- empty: No account-region was ever read whole.
SELECT
  account_id,
  region,
  code_size_used AS used_bytes,
  code_size_limit AS limit_bytes,
  share_used AS used_share,
  distinct_code_size AS packages_bytes,
  prunable_versions,
  bytes_freed AS prunable_bytes
FROM code_storage
ORDER BY share_used DESC NULLS LAST, account_id, region
