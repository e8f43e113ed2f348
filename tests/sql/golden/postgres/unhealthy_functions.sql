SELECT
  "account_id",
  "region",
  "function_name",
  "version",
  "function_arn",
  "state",
  "state_reason_code",
  "state_reason",
  "last_update_status",
  "last_update_status_reason_code",
  "last_update_status_reason",
  "last_modified_at",
  CAST(CAST("fetched_at" AT TIME ZONE 'UTC' AS DATE) - CAST("last_modified_at" AT TIME ZONE 'UTC' AS DATE) AS INT) AS "days_since_update",
  "fetched_at",
  "runtime"
FROM "lexport"."functions"
WHERE
  (
    NOT "state" IS NULL AND NOT "state" IN ('Active', 'ActiveNonInvocable')
  )
  OR (
    NOT "last_update_status" IS NULL AND "last_update_status" <> 'Successful'
  )
ORDER BY
  "account_id",
  "region",
  "function_name",
  "version"
