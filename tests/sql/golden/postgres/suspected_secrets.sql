SELECT
  "e"."account_id",
  "e"."region",
  "e"."function_name",
  "e"."version",
  "e"."name",
  "e"."secret_rule",
  "e"."value_length",
  "e"."value_hmac",
  "e"."hash_key_id",
  "f"."function_arn",
  "f"."runtime",
  "f"."role",
  NULLIF("f"."kms_key_arn", '') AS "kms_key_arn",
  "f"."last_modified_at"
FROM "lexport"."env_vars" AS "e"
LEFT JOIN "lexport"."functions" AS "f"
  ON "f"."account_id" = "e"."account_id"
  AND "f"."region" = "e"."region"
  AND "f"."function_name" = "e"."function_name"
  AND "f"."version" = "e"."version"
WHERE
  NOT "e"."secret_rule" IS NULL
ORDER BY
  "e"."account_id",
  "e"."region",
  "e"."function_name",
  "e"."version",
  "e"."name"
