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
  SELECT account_id, region, function_name, qualifier, 'url', 'urls', function_url, NULL, NULL, NULL, auth_type
  FROM function_urls
  UNION ALL
  SELECT
    COALESCE(NULLIF(SPLIT_PART(destination, ':', 5), ''), ''),
    COALESCE(NULLIF(SPLIT_PART(destination, ':', 4), ''), ''),
    COALESCE(NULLIF(SPLIT_PART(destination, ':', 7), ''), ''),
    COALESCE(NULLIF(SPLIT_PART(destination, ':', 8), ''), '$LATEST'),
    'function',
    'invoke-configs',
    'arn:aws:lambda:' || region || ':' || account_id || ':function:' || function_name || CASE
      WHEN qualifier = '$LATEST' THEN ''
      ELSE ':' || qualifier
    END,
    NULL,
    NULL,
    NULL,
    NULL
  FROM function_destinations
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
    END,
    'policies',
    CASE WHEN principal_type = 'Service' THEN source_arn ELSE principal END,
    principal,
    sid,
    NULL,
    NULL
  FROM policy_statements
  WHERE effect = 'Allow' AND covers_invoke_function AND NOT COALESCE(invoked_via_function_url, FALSE)
  UNION ALL
  SELECT account_id, region, NULL, NULL, 'unread', resource, NULL, NULL, NULL, NULL, status
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
