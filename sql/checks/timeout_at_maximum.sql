-- title: Timeout is at the maximum
-- severity: low
-- remediation: Set the timeout near what its calls take: one that hangs is paid for until then.
-- grain: one row per function, by its `$LATEST`
-- threshold seconds: 900 (seconds): timeout from which to say so
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` or the number of a published version
-- column timeout: as set, seconds
SELECT f.account_id, f.region, f.function_name, f.version, f.timeout
FROM functions AS f
CROSS JOIN thresholds AS t
WHERE f.version = '$LATEST'
  AND f.timeout >= t.seconds
