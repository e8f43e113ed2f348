SELECT
  "l"."account_id",
  "l"."region",
  "l"."function_name",
  "l"."version",
  "l"."layer_arn",
  CASE
    WHEN STRPOS("l"."layer_arn", ':layer:') > 12
    THEN SUBSTRING("l"."layer_arn", STRPOS("l"."layer_arn", ':layer:') - 12, 12)
  END AS "layer_account_id",
  "l"."code_size",
  CASE WHEN "l"."signing_job_arn" IS NULL THEN FALSE ELSE TRUE END AS "is_signed",
  "f"."runtime",
  "f"."role",
  "f"."last_modified_at"
FROM "lexport"."layers" AS "l"
LEFT JOIN "lexport"."functions" AS "f"
  ON "f"."account_id" = "l"."account_id"
  AND "f"."region" = "l"."region"
  AND "f"."function_name" = "l"."function_name"
  AND "f"."version" = "l"."version"
WHERE
  STRPOS("l"."layer_arn", ':' || "l"."account_id" || ':layer:') = 0
ORDER BY
  "l"."account_id",
  "l"."region",
  "l"."function_name",
  "l"."version",
  "l"."layer_arn"
