WITH "calls" AS (
  SELECT
    "account_id",
    "region",
    "function_name",
    "qualifier",
    CASE
      WHEN "event_source_type" IN ('sqs', 'mq')
      THEN 'queue'
      WHEN "event_source_type" IN ('kinesis', 'dynamodb', 'docdb')
      THEN 'stream'
      WHEN "event_source_type" IN ('kafka', 'self_managed_kafka')
      THEN 'topic'
      ELSE 'service'
    END AS "trigger_type",
    'event-sources' AS "via",
    COALESCE("event_source_arn", "self_managed_event_source_endpoints") AS "source",
    CAST(NULL AS TEXT) AS "principal",
    CAST(NULL AS TEXT) AS "sid",
    "uuid" AS "event_source_uuid",
    "state"
  FROM "event_source_mappings" AS "event_source_mappings"
  UNION ALL
  SELECT
    "account_id",
    "region",
    "function_name",
    "qualifier",
    'url' AS "trigger_type",
    'urls' AS "via",
    "function_url",
    NULL AS "principal",
    NULL AS "sid",
    NULL AS "event_source_uuid",
    "auth_type"
  FROM "function_urls" AS "function_urls"
  UNION ALL
  SELECT
    COALESCE(
      NULLIF(
        JSON_EXTRACT('[' || REPLACE(JSON_QUOTE("d"."destination"), ':', '","') || ']', '$[4]'),
        ''
      ),
      ''
    ) AS "account_id",
    COALESCE(
      NULLIF(
        JSON_EXTRACT('[' || REPLACE(JSON_QUOTE("d"."destination"), ':', '","') || ']', '$[3]'),
        ''
      ),
      ''
    ) AS "region",
    COALESCE(
      NULLIF(
        JSON_EXTRACT('[' || REPLACE(JSON_QUOTE("d"."destination"), ':', '","') || ']', '$[6]'),
        ''
      ),
      ''
    ) AS "function_name",
    COALESCE(
      NULLIF(
        JSON_EXTRACT('[' || REPLACE(JSON_QUOTE("d"."destination"), ':', '","') || ']', '$[7]'),
        ''
      ),
      '$LATEST'
    ) AS "qualifier",
    'function' AS "trigger_type",
    'invoke-configs' AS "via",
    'arn:aws:lambda:' || "d"."region" || ':' || "d"."account_id" || ':function:' || "d"."function_name" || CASE WHEN "d"."qualifier" = '$LATEST' THEN '' ELSE ':' || "d"."qualifier" END AS "source",
    NULL AS "principal",
    NULL AS "sid",
    NULL AS "event_source_uuid",
    NULL AS "state"
  FROM "function_destinations" AS "d"
  WHERE
    "destination_type" = 'function'
  UNION
  SELECT
    "account_id",
    "region",
    "function_name",
    "qualifier",
    CASE
      WHEN "principal_type" = 'Service' AND "principal" = 's3.amazonaws.com'
      THEN 'bucket'
      WHEN "principal_type" = 'Service' AND "principal" = 'sns.amazonaws.com'
      THEN 'topic'
      WHEN "principal_type" = 'Service' AND "principal" = 'sqs.amazonaws.com'
      THEN 'queue'
      WHEN "principal_type" = 'Service'
      AND "principal" IN ('events.amazonaws.com', 'scheduler.amazonaws.com')
      THEN 'schedule'
      WHEN "principal_type" = 'Service' AND "principal" = 'apigateway.amazonaws.com'
      THEN 'api'
      WHEN "principal_type" = 'Service'
      AND "principal" = 'elasticloadbalancing.amazonaws.com'
      THEN 'load_balancer'
      WHEN "principal_type" = 'Service'
      THEN 'service'
      WHEN NOT "principal_org_id" IS NULL
      THEN 'organization'
      WHEN "is_public_principal"
      THEN 'anyone'
      WHEN "principal" = "account_id" OR INSTR("principal", ':' || "account_id" || ':') > 0
      THEN 'principal'
      ELSE 'account'
    END AS "trigger_type",
    'policies' AS "via",
    CASE WHEN "principal_type" = 'Service' THEN "source_arn" ELSE "principal" END AS "source",
    "principal",
    "sid",
    NULL AS "event_source_uuid",
    NULL AS "state"
  FROM "policy_statements" AS "policy_statements"
  WHERE
    "effect" = 'Allow'
    AND "covers_invoke_function"
    AND NOT COALESCE("invoked_via_function_url", FALSE)
  UNION ALL
  SELECT
    "account_id",
    "region",
    NULL AS "function_name",
    NULL AS "qualifier",
    'unread' AS "trigger_type",
    "resource",
    NULL AS "source",
    NULL AS "principal",
    NULL AS "sid",
    NULL AS "event_source_uuid",
    "status"
  FROM "scope_resources" AS "scope_resources"
  WHERE
    "resource" IN ('event-sources', 'policies', 'urls', 'invoke-configs')
    AND NOT "status" IN ('complete', 'unavailable')
)
SELECT
  "account_id",
  "region",
  "function_name",
  "qualifier",
  "trigger_type",
  "via",
  "source",
  "principal",
  "sid",
  "event_source_uuid",
  "state"
FROM "calls"
ORDER BY
  "account_id" NULLS LAST,
  "region" NULLS LAST,
  "function_name" NULLS LAST,
  "qualifier" NULLS LAST,
  "via" NULLS LAST,
  "trigger_type" NULLS LAST,
  "source" NULLS LAST,
  "principal" NULLS LAST,
  "sid" NULLS LAST,
  "event_source_uuid" NULLS LAST
