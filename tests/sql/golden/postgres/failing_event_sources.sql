WITH "judged" AS (
  SELECT
    "account_id",
    "region",
    "function_name",
    "qualifier",
    "uuid",
    "event_source_type",
    "event_source_arn",
    CASE
      WHEN "state" IN ('Disabled', 'Disabling')
      THEN 'disabled'
      WHEN "last_processing_result" LIKE 'PROBLEM%'
      THEN 'failing'
      WHEN NOT "filter_criteria_error_code" IS NULL
      THEN 'filters'
    END AS "problem",
    "state",
    "state_transition_reason",
    "last_processing_result",
    "filter_criteria_error_message",
    "last_modified_at"
  FROM "lexport"."event_source_mappings"
  UNION ALL
  SELECT
    "account_id",
    "region",
    NULL AS "function_name",
    NULL AS "qualifier",
    NULL AS "uuid",
    NULL AS "event_source_type",
    NULL AS "event_source_arn",
    'unread' AS "problem",
    "status",
    NULL AS "state_transition_reason",
    NULL AS "last_processing_result",
    NULL AS "filter_criteria_error_message",
    NULL AS "last_modified_at"
  FROM "lexport"."scope_resources"
  WHERE
    "resource" = 'event-sources' AND NOT "status" IN ('complete', 'unavailable')
)
SELECT
  "account_id",
  "region",
  "function_name",
  "qualifier",
  "uuid",
  "event_source_type",
  "event_source_arn",
  "problem",
  "state",
  "state_transition_reason",
  "last_processing_result",
  "filter_criteria_error_message",
  "last_modified_at"
FROM "judged"
WHERE
  NOT "problem" IS NULL
ORDER BY
  "account_id",
  "region",
  "problem",
  "function_name",
  "uuid"
