-- title: Ephemeral storage is large
-- severity: low
-- remediation: Lower it to what /tmp needs: storage over 512 MB costs money while the function runs.
-- grain: one row per function, by its `$LATEST`
-- threshold storage_mb: 4096 (MB): storage from which there is a finding
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` or the number of a published version
-- column ephemeral_storage_size: configured size, MB
SELECT f.account_id, f.region, f.function_name, f.version, f.ephemeral_storage_size
FROM functions AS f
CROSS JOIN thresholds AS t
WHERE f.version = '$LATEST'
  AND f.ephemeral_storage_size >= t.storage_mb
