-- question: Where do results, failed events and failed batches of functions go?
-- grain: one row per destination of a function, alias or version; one row of the kind `unread` per account, region and resource that was not read whole
-- column account_id: account
-- column region: Region
-- column function_name: function; NULL in rows of the kind `unread`
-- column qualifier: `$LATEST` for the function itself, else the alias or version
-- column kind: `dead_letter`, `async_failure`, `async_success`, `batch_failure` or `batch_success`; `unread`
-- column destination_type: `queue`, `topic`, `event_bus`, `function`, `bucket` or `other`
-- column destination: ARN of the destination
-- column event_source_arn: event source of the batches
-- column event_source_uuid: event source mapping of the batches
-- column unread_resource: resource that was not read whole; its destinations may be missing
-- column unread_status: `partial`, `denied` or `not_requested`
WITH destinations AS (
  SELECT
    account_id,
    region,
    function_name,
    version AS qualifier,
    'dead_letter' AS kind,
    dead_letter_config_target_arn AS destination,
    CAST(NULL AS VARCHAR) AS event_source_arn,
    CAST(NULL AS VARCHAR) AS event_source_uuid
  FROM functions
  UNION ALL
  SELECT
    account_id,
    region,
    function_name,
    qualifier,
    'async_failure' AS kind,
    on_failure_destination,
    NULL AS event_source_arn,
    NULL AS event_source_uuid
  FROM event_invoke_configs
  UNION ALL
  SELECT
    account_id,
    region,
    function_name,
    qualifier,
    'async_success' AS kind,
    on_success_destination,
    NULL AS event_source_arn,
    NULL AS event_source_uuid
  FROM event_invoke_configs
  UNION ALL
  SELECT
    account_id,
    region,
    function_name,
    qualifier,
    'batch_failure' AS kind,
    on_failure_destination,
    event_source_arn,
    uuid
  FROM event_source_mappings
  UNION ALL
  SELECT
    account_id,
    region,
    function_name,
    qualifier,
    'batch_success' AS kind,
    on_success_destination,
    event_source_arn,
    uuid
  FROM event_source_mappings
), shown AS (
  SELECT
    account_id,
    region,
    function_name,
    qualifier,
    kind,
    CASE -- the function first: only its ARN has a qualifier at the end, which may be any word
      WHEN destination LIKE 'arn:%:lambda:%' THEN 'function'
      WHEN destination LIKE 'arn:%:sqs:%' THEN 'queue'
      WHEN destination LIKE 'arn:%:sns:%' THEN 'topic'
      WHEN destination LIKE 'arn:%:events:%' THEN 'event_bus'
      WHEN destination LIKE 'arn:%:s3:%' THEN 'bucket'
      ELSE 'other'
    END AS destination_type,
    destination,
    event_source_arn,
    event_source_uuid,
    CAST(NULL AS VARCHAR) AS unread_resource,
    CAST(NULL AS VARCHAR) AS unread_status
  FROM destinations
  WHERE destination <> ''
  UNION ALL
  SELECT
    account_id,
    region,
    NULL AS function_name,
    NULL AS qualifier,
    'unread' AS kind,
    NULL AS destination_type,
    NULL AS destination,
    NULL AS event_source_arn,
    NULL AS event_source_uuid,
    resource,
    status
  FROM scope_resources
  WHERE resource IN ('event-sources', 'invoke-configs') AND status NOT IN ('complete', 'unavailable')
)
SELECT
  account_id,
  region,
  function_name,
  qualifier,
  kind,
  destination_type,
  destination,
  event_source_arn,
  event_source_uuid,
  unread_resource,
  unread_status
FROM shown
ORDER BY account_id, region, function_name, qualifier, kind, destination, event_source_uuid, unread_resource
