-- title: Reserved concurrency is zero: every invocation is throttled
-- severity: medium
-- remediation: Raise or remove the reservation, or delete the function if it is no longer needed.
-- grain: one row per function, by its `$LATEST`
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` or the number of a published version
SELECT f.account_id, f.region, f.function_name, f.version
FROM functions AS f
WHERE f.version = '$LATEST'
  AND f.reserved_concurrent_executions = 0
