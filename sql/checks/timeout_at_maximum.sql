-- title: Timeout is at the maximum
-- severity: low
-- remediation: Set the timeout a little above the usual duration: an invocation that hangs costs money until it ends.
-- grain: one row per function, by its `$LATEST`
-- threshold seconds: 900 (seconds): timeout from which there is a finding
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` or the number of a published version
-- column timeout: configured timeout, seconds
SELECT f.account_id, f.region, f.function_name, f.version, f.timeout
FROM functions AS f
CROSS JOIN thresholds AS t
WHERE f.version = '$LATEST'
  AND f.timeout >= t.seconds
