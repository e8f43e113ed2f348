-- title: Last update failed: the old code runs
-- severity: medium
-- remediation: Read the reason, repair what it names, and deploy again.
-- grain: one row per function, by its `$LATEST`
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` or the number of a published version
-- column last_update_status_reason_code: AWS's code
-- column last_update_status_reason: the same in words
SELECT f.account_id, f.region, f.function_name, f.version, f.last_update_status_reason_code, f.last_update_status_reason
FROM functions AS f
WHERE f.version = '$LATEST'
  AND f.last_update_status = 'Failed'
