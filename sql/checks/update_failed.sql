-- title: Last update failed: the previous code runs
-- severity: medium
-- remediation: Repair what the reason names, and deploy again.
-- grain: one row per function, by its `$LATEST`
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` or the number of a published version
-- column last_update_status_reason_code: code of the reason
-- column last_update_status_reason: reason as text
SELECT f.account_id, f.region, f.function_name, f.version, f.last_update_status_reason_code, f.last_update_status_reason
FROM functions AS f
WHERE f.version = '$LATEST'
  AND f.last_update_status = 'Failed'
