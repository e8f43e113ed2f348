-- question: Where are events or batches retried, and lost or blocked in the end because no failure destination is set?
-- grain: one row per function, alias or version with settings of asynchronous invocations but without failure destination and dead-letter target, and per stream mapping that retries forever without a failure destination; one row of the kind `unread` per account, region and resource that was not read whole
-- column account_id: account
-- column region: Region
-- column function_name: function; NULL in rows of the kind `unread`
-- column qualifier: `$LATEST` for the function itself, else the alias or version
-- column kind: `async` (an event is dropped after its retries) or `stream` (a batch that fails blocks its shard until it expires); `unread`
-- column maximum_retry_attempts: retries; NULL is the default, 2 for `async` and infinite for `stream`
-- column maximum_age_in_seconds: how long an event or record is kept; NULL or -1 is the default
-- column event_source_arn: event source of the stream; the redrive policy of a queue belongs to the queue and is not read
-- column event_source_uuid: event source mapping
-- column unread_resource: resource that was not read whole
-- column unread_status: `partial`, `denied` or `not_requested`
WITH targets AS (
  SELECT
    c.account_id,
    c.region,
    c.function_name,
    c.qualifier,
    COALESCE(a.function_version, c.qualifier) AS version,
    c.maximum_retry_attempts,
    c.maximum_event_age_in_seconds
  FROM event_invoke_configs AS c
  LEFT JOIN aliases AS a
    ON a.account_id = c.account_id
    AND a.region = c.region
    AND a.function_name = c.function_name
    AND a.alias = c.qualifier
  WHERE COALESCE(c.on_failure_destination, '') = ''
), found AS (
  SELECT
    t.account_id,
    t.region,
    t.function_name,
    t.qualifier,
    'async' AS kind,
    t.maximum_retry_attempts,
    t.maximum_event_age_in_seconds AS maximum_age_in_seconds,
    CAST(NULL AS VARCHAR) AS event_source_arn,
    CAST(NULL AS VARCHAR) AS event_source_uuid,
    CAST(NULL AS VARCHAR) AS unread_resource,
    CAST(NULL AS VARCHAR) AS unread_status
  FROM targets AS t
  JOIN functions AS f
    ON f.account_id = t.account_id
    AND f.region = t.region
    AND f.function_name = t.function_name
    AND f.version = t.version
  WHERE COALESCE(f.dead_letter_config_target_arn, '') = ''
  UNION ALL
  SELECT
    account_id,
    region,
    function_name,
    qualifier,
    'stream' AS kind,
    maximum_retry_attempts,
    maximum_record_age_in_seconds,
    event_source_arn,
    uuid,
    NULL AS unread_resource,
    NULL AS unread_status
  FROM event_source_mappings
  WHERE
    COALESCE(on_failure_destination, '') = ''
    AND COALESCE(maximum_record_age_in_seconds, -1) = -1
    AND (
      maximum_retry_attempts = -1
      OR (maximum_retry_attempts IS NULL AND event_source_type IN ('kinesis', 'dynamodb'))
    )
  UNION ALL
  SELECT
    account_id,
    region,
    NULL AS function_name,
    NULL AS qualifier,
    'unread' AS kind,
    NULL AS maximum_retry_attempts,
    NULL AS maximum_age_in_seconds,
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
  maximum_retry_attempts,
  maximum_age_in_seconds,
  event_source_arn,
  event_source_uuid,
  unread_resource,
  unread_status
FROM found
ORDER BY account_id, region, function_name, qualifier, kind, event_source_uuid, unread_resource
