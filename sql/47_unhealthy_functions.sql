-- question: Which functions are failed, inactive, or stuck in an update?
-- grain: one row per function version that is not Active with its last update successful
-- column account_id: account
-- column region: Region
-- column function_name: function
-- column version: `$LATEST` or the number of a published version
-- column function_arn: ARN of the function
-- column state: state at `fetched_at`
-- column state_reason_code: code of the reason
-- column state_reason: reason as text
-- column last_update_status: outcome of the last update
-- column last_update_status_reason_code: code of the reason
-- column last_update_status_reason: reason as text
-- column last_modified_at: last update of the version
-- column days_since_update: days from its last update to `fetched_at`; an update in progress for a day is stuck
-- column fetched_at: when state and status were read
-- column runtime: runtime identifier; NULL for images
SELECT
  account_id,
  region,
  function_name,
  version,
  function_arn,
  state,
  state_reason_code,
  state_reason,
  last_update_status,
  last_update_status_reason_code,
  last_update_status_reason,
  last_modified_at,
  CAST(CAST(fetched_at AS DATE) - CAST(last_modified_at AS DATE) AS INTEGER) AS days_since_update,
  fetched_at,
  runtime
FROM functions
WHERE (state IS NOT NULL AND state NOT IN ('Active', 'ActiveNonInvocable'))
  OR (last_update_status IS NOT NULL AND last_update_status <> 'Successful')
ORDER BY account_id, region, function_name, version
