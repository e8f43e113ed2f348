SELECT
  "e"."account_id" AS "account_id",
  "e"."region" AS "region",
  "e"."function_name" AS "function_name",
  "e"."qualifier" AS "qualifier",
  "e"."verdict" AS "verdict",
  "e"."action_class" AS "action_class",
  "e"."sid" AS "sid",
  "e"."statement" AS "statement",
  "e"."action" AS "action",
  "e"."condition_json" AS "condition_json",
  "e"."url_auth_type" AS "url_auth_type",
  "e"."function_url" AS "function_url",
  "f"."function_arn" || CASE WHEN "e"."qualifier" = '$LATEST' THEN '' ELSE ':' || "e"."qualifier" END AS "function_arn",
  "f"."runtime" AS "runtime",
  "f"."role" AS "role",
  "f"."last_modified_at" AS "last_modified_at"
FROM "lexport"."function_exposure" AS "e"
LEFT JOIN "lexport"."functions" AS "f"
  ON "f"."account_id" = "e"."account_id"
  AND "f"."region" = "e"."region"
  AND "f"."function_name" = "e"."function_name"
  AND "f"."version" = '$LATEST'
WHERE
  "e"."rank" <= 4
ORDER BY
  "e"."rank",
  "e"."is_certain" DESC,
  "e"."account_id",
  "e"."region",
  "e"."function_name",
  "e"."qualifier"
SETTINGS "join_use_nulls" = 1
