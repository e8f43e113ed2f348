-- title: Memory is larger than most functions need
-- severity: low
-- remediation: Measure with AWS Lambda Power Tuning; configured memory costs money whether it is used or not.
-- grain: one row per function, by its `$LATEST`
-- threshold memory_mb: 4096 (MB): memory from which there is a finding
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` or the number of a published version
-- column memory_size: configured size, MB
SELECT f.account_id, f.region, f.function_name, f.version, f.memory_size
FROM functions AS f
CROSS JOIN thresholds AS t
WHERE f.version = '$LATEST'
  AND f.memory_size >= t.memory_mb
