SELECT
  "l"."account_id" AS "account_id",
  "l"."region" AS "region",
  "l"."function_name" AS "function_name",
  "l"."version" AS "version",
  "l"."layer_arn" AS "layer_arn",
  CASE
    WHEN POSITION("l"."layer_arn", ':layer:') > 12
    THEN SUBSTRING("l"."layer_arn", POSITION("l"."layer_arn", ':layer:') - 12, 12)
  END AS "layer_account_id",
  "l"."code_size" AS "code_size",
  CASE WHEN "l"."signing_job_arn" IS NULL THEN FALSE ELSE TRUE END AS "is_signed",
  "f"."runtime" AS "runtime",
  "f"."role" AS "role",
  "f"."last_modified_at" AS "last_modified_at"
FROM "lexport"."layers" AS "l"
LEFT JOIN "lexport"."functions" AS "f"
  ON "f"."account_id" = "l"."account_id"
  AND "f"."region" = "l"."region"
  AND "f"."function_name" = "l"."function_name"
  AND "f"."version" = "l"."version"
WHERE
  POSITION("l"."layer_arn", ':' || "l"."account_id" || ':layer:') = 0
ORDER BY
  "l"."account_id",
  "l"."region",
  "l"."function_name",
  "l"."version",
  "l"."layer_arn"
SETTINGS "join_use_nulls" = 1
