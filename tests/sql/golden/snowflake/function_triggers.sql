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
    'url' AS "TRIGGER_TYPE",
    'urls' AS "VIA",
    "FUNCTION_URL",
    NULL AS "PRINCIPAL",
    NULL AS "SID",
    NULL AS "EVENT_SOURCE_UUID",
    "AUTH_TYPE"
  FROM "LEXPORT"."FUNCTION_URLS"
  UNION ALL
  SELECT
    COALESCE(NULLIF(SPLIT_PART("D"."DESTINATION", ':', 5), ''), '') AS "ACCOUNT_ID",
    COALESCE(NULLIF(SPLIT_PART("D"."DESTINATION", ':', 4), ''), '') AS "REGION",
    COALESCE(NULLIF(SPLIT_PART("D"."DESTINATION", ':', 7), ''), '') AS "FUNCTION_NAME",
    COALESCE(NULLIF(SPLIT_PART("D"."DESTINATION", ':', 8), ''), '$LATEST') AS "QUALIFIER",
    'function' AS "TRIGGER_TYPE",
    'invoke-configs' AS "VIA",
    'arn:aws:lambda:' || "D"."REGION" || ':' || "D"."ACCOUNT_ID" || ':function:' || "D"."FUNCTION_NAME" || CASE WHEN "D"."QUALIFIER" = '$LATEST' THEN '' ELSE ':' || "D"."QUALIFIER" END AS "SOURCE",
    NULL AS "PRINCIPAL",
    NULL AS "SID",
    NULL AS "EVENT_SOURCE_UUID",
    NULL AS "STATE"
  FROM "LEXPORT"."FUNCTION_DESTINATIONS" AS "D"
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
    END AS "TRIGGER_TYPE",
    'policies' AS "VIA",
    CASE WHEN "PRINCIPAL_TYPE" = 'Service' THEN "SOURCE_ARN" ELSE "PRINCIPAL" END AS "SOURCE",
    "PRINCIPAL",
    "SID",
    NULL AS "EVENT_SOURCE_UUID",
    NULL AS "STATE"
  FROM "LEXPORT"."POLICY_STATEMENTS"
  WHERE
    "EFFECT" = 'Allow'
    AND "COVERS_INVOKE_FUNCTION"
    AND NOT COALESCE("INVOKED_VIA_FUNCTION_URL", FALSE)
  UNION ALL
  SELECT
    "ACCOUNT_ID",
    "REGION",
    NULL AS "FUNCTION_NAME",
    NULL AS "QUALIFIER",
    'unread' AS "TRIGGER_TYPE",
    "RESOURCE",
    NULL AS "SOURCE",
    NULL AS "PRINCIPAL",
    NULL AS "SID",
    NULL AS "EVENT_SOURCE_UUID",
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
