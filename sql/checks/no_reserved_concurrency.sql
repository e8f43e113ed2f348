-- title: Function has no concurrency of its own
-- severity: low
-- remediation: Reserve concurrency for functions that must not take all of the account's, or that must always have some. Reserved concurrency is taken from all other functions.
-- default: off
-- grain: one row per function, by its `$LATEST`
-- reference: AWS Config lambda-concurrency-check, Steampipe lambda_function_concurrent_execution_limit_configured
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` or the number of a published version
SELECT f.account_id, f.region, f.function_name, f.version
FROM functions AS f
WHERE f.version = '$LATEST'
  AND f.reserved_concurrent_executions IS NULL
