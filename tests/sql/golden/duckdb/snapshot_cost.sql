SELECT
  "snapshot_id",
  "snapshot_at",
  "account_id",
  "region",
  "coverage",
  "status",
  "functions",
  "versions",
  "get_function_calls",
  "list_calls",
  "throttles",
  "carried_rows",
  CAST("get_function_calls" + "list_calls" AS DOUBLE) / NULLIF("versions", 0) AS "calls_per_version",
  "started_at",
  "ended_at"
FROM "lexport_history"."scopes"
WHERE
  "status" <> 'retired'
ORDER BY
  "snapshot_id" DESC,
  "account_id",
  "region"
