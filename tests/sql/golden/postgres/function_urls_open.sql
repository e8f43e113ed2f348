SELECT
  "u"."account_id",
  "u"."region",
  "u"."function_name",
  "u"."qualifier",
  "u"."function_url",
  "e"."verdict",
  "u"."invoke_mode",
  CASE
    WHEN "u"."cors_allow_origins" IS NULL OR "u"."cors_allow_origins" = '[]'
    THEN FALSE
    ELSE TRUE
  END AS "has_cors",
  CASE WHEN "u"."cors_allow_origins" LIKE '%"*"%' THEN TRUE ELSE FALSE END AS "is_any_origin",
  "u"."cors_allow_credentials",
  "u"."cors_allow_origins",
  "u"."cors_allow_methods",
  "u"."cors_allow_headers",
  "u"."cors_expose_headers",
  "u"."cors_max_age",
  "u"."creation_time_at",
  "u"."last_modified_time_at"
FROM "lexport"."function_urls" AS "u"
JOIN "lexport"."function_exposure" AS "e"
  ON "e"."account_id" = "u"."account_id"
  AND "e"."region" = "u"."region"
  AND "e"."function_name" = "u"."function_name"
  AND "e"."qualifier" = "u"."qualifier"
WHERE
  "u"."auth_type" = 'NONE'
ORDER BY
  "e"."rank",
  "u"."account_id",
  "u"."region",
  "u"."function_name",
  "u"."qualifier"
