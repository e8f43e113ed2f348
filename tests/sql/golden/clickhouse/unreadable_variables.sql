SELECT
  "account_id",
  "region",
  "function_name",
  "version",
  "function_arn",
  nullIf("kms_key_arn", '') AS "kms_key_arn",
  "environment_error_code",
  "environment_error_message",
  "role",
  "last_modified_at"
FROM "lexport"."functions"
WHERE
  NOT (
    "environment_error_code" IS NULL
  )
  OR NOT (
    "environment_error_message" IS NULL
  )
ORDER BY
  "account_id",
  "region",
  "function_name",
  "version"
