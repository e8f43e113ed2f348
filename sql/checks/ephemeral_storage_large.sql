-- title: Ephemeral storage is large
-- severity: low
-- remediation: Lower it to what /tmp needs: beyond 512 MB it is paid for while the function runs.
-- grain: one row per function, by its `$LATEST`
-- threshold storage_mb: 4096 (MB): storage from which to say so
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` or the number of a published version
-- column ephemeral_storage_size: as set, MB
SELECT f.account_id, f.region, f.function_name, f.version, f.ephemeral_storage_size
FROM functions AS f
CROSS JOIN thresholds AS t
WHERE f.version = '$LATEST'
  AND f.ephemeral_storage_size >= t.storage_mb
