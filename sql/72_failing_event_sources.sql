-- question: Which event source mappings fail or are disabled?
-- grain: one row per such event source mapping; one row with the problem `unread` per account and region whose mappings were not read whole
-- column account_id: account
-- column region: Region
-- column function_name: function that is not called; NULL in rows with the problem `unread`
-- column qualifier: `$LATEST` for the function itself, else the alias or version
-- column uuid: event source mapping
-- column event_source_type: kind of the event source
-- column event_source_arn: event source; NULL for self-managed Kafka
-- column problem: `disabled`, `failing` or `filters`, the first that applies; `unread`
-- column state: state of the mapping; for `unread`, the status of the resource
-- column state_transition_reason: who or what changed the state last
-- column last_processing_result: result of the last invocation; queues have none
-- column filter_criteria_error_message: why the filters cannot be used
-- column last_modified_at: last change of settings or state
WITH judged AS (
  SELECT
    account_id,
    region,
    function_name,
    qualifier,
    uuid,
    event_source_type,
    event_source_arn,
    CASE
      WHEN state IN ('Disabled', 'Disabling') THEN 'disabled'
      WHEN last_processing_result LIKE 'PROBLEM%' THEN 'failing'
      WHEN filter_criteria_error_code IS NOT NULL THEN 'filters'
    END AS problem,
    state,
    state_transition_reason,
    last_processing_result,
    filter_criteria_error_message,
    last_modified_at
  FROM event_source_mappings
  UNION ALL
  SELECT
    account_id,
    region,
    NULL AS function_name,
    NULL AS qualifier,
    NULL AS uuid,
    NULL AS event_source_type,
    NULL AS event_source_arn,
    'unread' AS problem,
    status,
    NULL AS state_transition_reason,
    NULL AS last_processing_result,
    NULL AS filter_criteria_error_message,
    NULL AS last_modified_at
  FROM scope_resources
  WHERE resource = 'event-sources' AND status NOT IN ('complete', 'unavailable')
)
SELECT
  account_id,
  region,
  function_name,
  qualifier,
  uuid,
  event_source_type,
  event_source_arn,
  problem,
  state,
  state_transition_reason,
  last_processing_result,
  filter_criteria_error_message,
  last_modified_at
FROM judged
WHERE problem IS NOT NULL
ORDER BY account_id, region, problem, function_name, uuid
