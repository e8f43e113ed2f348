WITH "destinations" AS (
  SELECT
    "account_id",
    "region",
    "function_name",
    "version" AS "qualifier",
    'dead_letter' AS "kind",
    "dead_letter_config_target_arn" AS "destination",
    CAST(NULL AS VARCHAR(MAX)) AS "event_source_arn",
    CAST(NULL AS VARCHAR(MAX)) AS "event_source_uuid"
  FROM "lexport"."functions"
  UNION ALL
  SELECT
    "account_id",
    "region",
    "function_name",
    "qualifier",
    'async_failure' AS "kind",
    "on_failure_destination",
    NULL AS "event_source_arn",
    NULL AS "event_source_uuid"
  FROM "lexport"."event_invoke_configs"
  UNION ALL
  SELECT
    "account_id",
    "region",
    "function_name",
    "qualifier",
    'async_success' AS "kind",
    "on_success_destination",
    NULL AS "event_source_arn",
    NULL AS "event_source_uuid"
  FROM "lexport"."event_invoke_configs"
  UNION ALL
  SELECT
    "account_id",
    "region",
    "function_name",
    "qualifier",
    'batch_failure' AS "kind",
    "on_failure_destination",
    "event_source_arn",
    "uuid"
  FROM "lexport"."event_source_mappings"
  UNION ALL
  SELECT
    "account_id",
    "region",
    "function_name",
    "qualifier",
    'batch_success' AS "kind",
    "on_success_destination",
    "event_source_arn",
    "uuid"
  FROM "lexport"."event_source_mappings"
), "shown" AS (
  SELECT
    "account_id",
    "region",
    "function_name",
    "qualifier",
    "kind",
    CASE
      WHEN "destination" LIKE 'arn:%:lambda:%'
      THEN 'function'
      WHEN "destination" LIKE 'arn:%:sqs:%'
      THEN 'queue'
      WHEN "destination" LIKE 'arn:%:sns:%'
      THEN 'topic'
      WHEN "destination" LIKE 'arn:%:events:%'
      THEN 'event_bus'
      WHEN "destination" LIKE 'arn:%:s3:%'
      THEN 'bucket'
      ELSE 'other'
    END AS "destination_type", /* the function first: only its ARN has a qualifier at the end, which may be any word */
    "destination",
    "event_source_arn",
    "event_source_uuid",
    CAST(NULL AS VARCHAR(MAX)) AS "unread_resource",
    CAST(NULL AS VARCHAR(MAX)) AS "unread_status"
  FROM "destinations"
  WHERE
    "destination" <> ''
  UNION ALL
  SELECT
    "account_id",
    "region",
    NULL AS "function_name",
    NULL AS "qualifier",
    'unread' AS "kind",
    NULL AS "destination_type",
    NULL AS "destination",
    NULL AS "event_source_arn",
    NULL AS "event_source_uuid",
    "resource",
    "status"
  FROM "lexport"."scope_resources"
  WHERE
    "resource" IN ('event-sources', 'invoke-configs')
    AND NOT "status" IN ('complete', 'unavailable')
)
SELECT
  "account_id",
  "region",
  "function_name",
  "qualifier",
  "kind",
  "destination_type",
  "destination",
  "event_source_arn",
  "event_source_uuid",
  "unread_resource",
  "unread_status"
FROM "shown"
ORDER BY
  "account_id",
  "region",
  "function_name",
  "qualifier",
  "kind",
  "destination",
  "event_source_uuid",
  "unread_resource"
