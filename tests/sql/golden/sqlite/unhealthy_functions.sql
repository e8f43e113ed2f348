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
  CAST(CAST((JULIANDAY(DATE("fetched_at")) - JULIANDAY(DATE("last_modified_at"))) AS INTEGER) AS INTEGER) AS "days_since_update",
  "fetched_at",
  "runtime"
FROM "functions" AS "functions"
WHERE
  (
    NOT "state" IS NULL AND NOT "state" IN ('Active', 'ActiveNonInvocable')
  )
  OR (
    NOT "last_update_status" IS NULL AND "last_update_status" <> 'Successful'
  )
ORDER BY
  "account_id" NULLS LAST,
  "region" NULLS LAST,
  "function_name" NULLS LAST,
  "version" NULLS LAST
