-- question: What calls each function, alias and version?
-- grain: one row per function, alias or version and what may call it; one row of the type `unread` per account, region and resource that was not read whole
-- column account_id: account of the function
-- column region: Region of the function
-- column function_name: function; NULL in rows of the type `unread`. It may be deleted: see orphaned_event_sources
-- column qualifier: `$LATEST` for the function itself, else the alias or version
-- column trigger_type: `queue`, `stream`, `topic`, `bucket`, `schedule` (any EventBridge rule), `api`, `load_balancer`, `url`, `function`, `account` (another account), `principal` (of the same account), `organization`, `anyone` or `service`; `unread`
-- column via: where that is written: `event-sources`, `policies`, `urls` or `invoke-configs`
-- column source: ARN of the source, URL, or principal; a JSON array where a condition has several ARNs; NULL if a policy allows any source
-- column principal: principal that a policy allows
-- column sid: id of that statement of the policy
-- column event_source_uuid: event source mapping
-- column state: state of the mapping; AuthType of the URL; for `unread`, the status of the resource
WITH calls AS (
  SELECT
    account_id,
    region,
    function_name,
    qualifier,
    CASE
      WHEN event_source_type IN ('sqs', 'mq') THEN 'queue'
      WHEN event_source_type IN ('kinesis', 'dynamodb', 'docdb') THEN 'stream'
      WHEN event_source_type IN ('kafka', 'self_managed_kafka') THEN 'topic'
      ELSE 'service'
    END AS trigger_type,
    'event-sources' AS via,
    COALESCE(event_source_arn, self_managed_event_source_endpoints) AS source,
    CAST(NULL AS VARCHAR) AS principal,
    CAST(NULL AS VARCHAR) AS sid,
    uuid AS event_source_uuid,
    state
  FROM event_source_mappings
  UNION ALL
  SELECT
    account_id,
    region,
    function_name,
    qualifier,
    'url' AS trigger_type,
    'urls' AS via,
    function_url,
    NULL AS principal,
    NULL AS sid,
    NULL AS event_source_uuid,
    auth_type
  FROM function_urls
  UNION ALL
  SELECT
    COALESCE(NULLIF(SPLIT_PART(d.destination, ':', 5), ''), '') AS account_id,
    COALESCE(NULLIF(SPLIT_PART(d.destination, ':', 4), ''), '') AS region,
    COALESCE(NULLIF(SPLIT_PART(d.destination, ':', 7), ''), '') AS function_name,
    COALESCE(NULLIF(SPLIT_PART(d.destination, ':', 8), ''), '$LATEST') AS qualifier,
    'function' AS trigger_type,
    'invoke-configs' AS via,
    'arn:aws:lambda:' || d.region || ':' || d.account_id || ':function:' || d.function_name || CASE
      WHEN d.qualifier = '$LATEST' THEN ''
      ELSE ':' || d.qualifier
    END AS source,
    NULL AS principal,
    NULL AS sid,
    NULL AS event_source_uuid,
    NULL AS state
  FROM function_destinations AS d
  WHERE destination_type = 'function'
  UNION
  SELECT
    account_id,
    region,
    function_name,
    qualifier,
    CASE
      WHEN principal_type = 'Service' AND principal = 's3.amazonaws.com' THEN 'bucket'
      WHEN principal_type = 'Service' AND principal = 'sns.amazonaws.com' THEN 'topic'
      WHEN principal_type = 'Service' AND principal = 'sqs.amazonaws.com' THEN 'queue'
      WHEN principal_type = 'Service' AND principal IN ('events.amazonaws.com', 'scheduler.amazonaws.com') THEN 'schedule'
      WHEN principal_type = 'Service' AND principal = 'apigateway.amazonaws.com' THEN 'api'
      WHEN principal_type = 'Service' AND principal = 'elasticloadbalancing.amazonaws.com' THEN 'load_balancer'
      WHEN principal_type = 'Service' THEN 'service'
      WHEN principal_org_id IS NOT NULL THEN 'organization'
      WHEN is_public_principal THEN 'anyone'
      WHEN principal = account_id OR STRPOS(principal, ':' || account_id || ':') > 0 THEN 'principal'
      ELSE 'account'
    END AS trigger_type,
    'policies' AS via,
    CASE WHEN principal_type = 'Service' THEN source_arn ELSE principal END AS source,
    principal,
    sid,
    NULL AS event_source_uuid,
    NULL AS state
  FROM policy_statements
  WHERE effect = 'Allow' AND covers_invoke_function AND NOT COALESCE(invoked_via_function_url, FALSE)
  UNION ALL
  SELECT
    account_id,
    region,
    NULL AS function_name,
    NULL AS qualifier,
    'unread' AS trigger_type,
    resource,
    NULL AS source,
    NULL AS principal,
    NULL AS sid,
    NULL AS event_source_uuid,
    status
  FROM scope_resources
  WHERE resource IN ('event-sources', 'policies', 'urls', 'invoke-configs') AND status NOT IN ('complete', 'unavailable')
)
SELECT
  account_id,
  region,
  function_name,
  qualifier,
  trigger_type,
  via,
  source,
  principal,
  sid,
  event_source_uuid,
  state
FROM calls
ORDER BY account_id, region, function_name, qualifier, via, trigger_type, source, principal, sid, event_source_uuid
