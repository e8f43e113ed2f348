WITH "CALLS" AS (
  SELECT
    "ACCOUNT_ID",
    "REGION",
    "FUNCTION_NAME",
    "QUALIFIER",
    CASE
      WHEN "EVENT_SOURCE_TYPE" IN ('sqs', 'mq')
      THEN 'queue'
      WHEN "EVENT_SOURCE_TYPE" IN ('kinesis', 'dynamodb', 'docdb')
      THEN 'stream'
      WHEN "EVENT_SOURCE_TYPE" IN ('kafka', 'self_managed_kafka')
      THEN 'topic'
      ELSE 'service'
    END AS "TRIGGER_TYPE",
    'event-sources' AS "VIA",
    COALESCE("EVENT_SOURCE_ARN", "SELF_MANAGED_EVENT_SOURCE_ENDPOINTS") AS "SOURCE",
    CAST(NULL AS VARCHAR) AS "PRINCIPAL",
    CAST(NULL AS VARCHAR) AS "SID",
    "UUID" AS "EVENT_SOURCE_UUID",
    "STATE"
  FROM "LEXPORT"."EVENT_SOURCE_MAPPINGS"
  UNION ALL
  SELECT
    "ACCOUNT_ID",
    "REGION",
    "FUNCTION_NAME",
    "QUALIFIER",
    'url',
    'urls',
    "FUNCTION_URL",
    NULL,
    NULL,
    NULL,
    "AUTH_TYPE"
  FROM "LEXPORT"."FUNCTION_URLS"
  UNION ALL
  SELECT
    COALESCE(NULLIF(SPLIT_PART("DESTINATION", ':', 5), ''), ''),
    COALESCE(NULLIF(SPLIT_PART("DESTINATION", ':', 4), ''), ''),
    COALESCE(NULLIF(SPLIT_PART("DESTINATION", ':', 7), ''), ''),
    COALESCE(NULLIF(SPLIT_PART("DESTINATION", ':', 8), ''), '$LATEST'),
    'function',
    'invoke-configs',
    'arn:aws:lambda:' || "REGION" || ':' || "ACCOUNT_ID" || ':function:' || "FUNCTION_NAME" || CASE WHEN "QUALIFIER" = '$LATEST' THEN '' ELSE ':' || "QUALIFIER" END,
    NULL,
    NULL,
    NULL,
    NULL
  FROM "LEXPORT"."FUNCTION_DESTINATIONS"
  WHERE
    "DESTINATION_TYPE" = 'function'
  UNION
  SELECT
    "ACCOUNT_ID",
    "REGION",
    "FUNCTION_NAME",
    "QUALIFIER",
    CASE
      WHEN "PRINCIPAL_TYPE" = 'Service' AND "PRINCIPAL" = 's3.amazonaws.com'
      THEN 'bucket'
      WHEN "PRINCIPAL_TYPE" = 'Service' AND "PRINCIPAL" = 'sns.amazonaws.com'
      THEN 'topic'
      WHEN "PRINCIPAL_TYPE" = 'Service' AND "PRINCIPAL" = 'sqs.amazonaws.com'
      THEN 'queue'
      WHEN "PRINCIPAL_TYPE" = 'Service'
      AND "PRINCIPAL" IN ('events.amazonaws.com', 'scheduler.amazonaws.com')
      THEN 'schedule'
      WHEN "PRINCIPAL_TYPE" = 'Service' AND "PRINCIPAL" = 'apigateway.amazonaws.com'
      THEN 'api'
      WHEN "PRINCIPAL_TYPE" = 'Service'
      AND "PRINCIPAL" = 'elasticloadbalancing.amazonaws.com'
      THEN 'load_balancer'
      WHEN "PRINCIPAL_TYPE" = 'Service'
      THEN 'service'
      WHEN NOT "PRINCIPAL_ORG_ID" IS NULL
      THEN 'organization'
      WHEN "IS_PUBLIC_PRINCIPAL"
      THEN 'anyone'
      WHEN "PRINCIPAL" = "ACCOUNT_ID"
      OR CHARINDEX(':' || "ACCOUNT_ID" || ':', "PRINCIPAL") > 0
      THEN 'principal'
      ELSE 'account'
    END,
    'policies',
    CASE WHEN "PRINCIPAL_TYPE" = 'Service' THEN "SOURCE_ARN" ELSE "PRINCIPAL" END,
    "PRINCIPAL",
    "SID",
    NULL,
    NULL
  FROM "LEXPORT"."POLICY_STATEMENTS"
  WHERE
    "EFFECT" = 'Allow'
    AND "COVERS_INVOKE_FUNCTION"
    AND NOT COALESCE("INVOKED_VIA_FUNCTION_URL", FALSE)
  UNION ALL
  SELECT
    "ACCOUNT_ID",
    "REGION",
    NULL,
    NULL,
    'unread',
    "RESOURCE",
    NULL,
    NULL,
    NULL,
    NULL,
    "STATUS"
  FROM "LEXPORT"."SCOPE_RESOURCES"
  WHERE
    "RESOURCE" IN ('event-sources', 'policies', 'urls', 'invoke-configs')
    AND NOT "STATUS" IN ('complete', 'unavailable')
)
SELECT
  "ACCOUNT_ID",
  "REGION",
  "FUNCTION_NAME",
  "QUALIFIER",
  "TRIGGER_TYPE",
  "VIA",
  "SOURCE",
  "PRINCIPAL",
  "SID",
  "EVENT_SOURCE_UUID",
  "STATE"
FROM "CALLS"
ORDER BY
  "ACCOUNT_ID",
  "REGION",
  "FUNCTION_NAME",
  "QUALIFIER",
  "VIA",
  "TRIGGER_TYPE",
  "SOURCE",
  "PRINCIPAL",
  "SID",
  "EVENT_SOURCE_UUID"
