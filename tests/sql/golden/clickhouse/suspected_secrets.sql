SELECT
  "e"."account_id" AS "account_id",
  "e"."region" AS "region",
  "e"."function_name" AS "function_name",
  "e"."version" AS "version",
  "e"."name" AS "name",
  "e"."secret_rule" AS "secret_rule",
  "e"."value_length" AS "value_length",
  "e"."value_hmac" AS "value_hmac",
  "e"."hash_key_id" AS "hash_key_id",
  "f"."function_arn" AS "function_arn",
  "f"."runtime" AS "runtime",
  "f"."role" AS "role",
  nullIf("f"."kms_key_arn", '') AS "kms_key_arn",
  "f"."last_modified_at" AS "last_modified_at"
FROM "lexport"."env_vars" AS "e"
LEFT JOIN "lexport"."functions" AS "f"
  ON "f"."account_id" = "e"."account_id"
  AND "f"."region" = "e"."region"
  AND "f"."function_name" = "e"."function_name"
  AND "f"."version" = "e"."version"
WHERE
  NOT (
    "e"."secret_rule" IS NULL
  )
ORDER BY
  "e"."account_id",
  "e"."region",
  "e"."function_name",
  "e"."version",
  "e"."name"
SETTINGS "join_use_nulls" = 1
