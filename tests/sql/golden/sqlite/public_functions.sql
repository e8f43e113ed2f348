SELECT
  "e"."account_id",
  "e"."region",
  "e"."function_name",
  "e"."qualifier",
  "e"."verdict",
  "e"."action_class",
  "e"."sid",
  "e"."statement",
  "e"."action",
  "e"."condition_json",
  "e"."url_auth_type",
  "e"."function_url",
  "f"."function_arn" || CASE WHEN "e"."qualifier" = '$LATEST' THEN '' ELSE ':' || "e"."qualifier" END AS "function_arn",
  "f"."runtime",
  "f"."role",
  "f"."last_modified_at"
FROM "function_exposure" AS "e"
LEFT JOIN "functions" AS "f"
  ON "f"."account_id" = "e"."account_id"
  AND "f"."region" = "e"."region"
  AND "f"."function_name" = "e"."function_name"
  AND "f"."version" = '$LATEST'
WHERE
  "e"."rank" <= 4
ORDER BY
  "e"."rank" NULLS LAST,
  "e"."is_certain" DESC,
  "e"."account_id" NULLS LAST,
  "e"."region" NULLS LAST,
  "e"."function_name" NULLS LAST,
  "e"."qualifier" NULLS LAST
