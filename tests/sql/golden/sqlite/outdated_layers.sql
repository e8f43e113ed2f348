SELECT
  "l"."account_id",
  "l"."region",
  "l"."function_name",
  "l"."version",
  "l"."layer_arn",
  "u"."layer_name",
  "u"."layer_version",
  "u"."newest_version_seen",
  "u"."versions_behind",
  "f"."runtime",
  "f"."last_modified_at"
FROM "layers" AS "l"
JOIN "layer_usage" AS "u"
  ON "u"."account_id" = "l"."account_id"
  AND "u"."region" = "l"."region"
  AND "u"."layer_arn" = "l"."layer_arn"
LEFT JOIN "functions" AS "f"
  ON "f"."account_id" = "l"."account_id"
  AND "f"."region" = "l"."region"
  AND "f"."function_name" = "l"."function_name"
  AND "f"."version" = "l"."version"
WHERE
  "u"."versions_behind" > 0
ORDER BY
  "l"."account_id" NULLS LAST,
  "l"."region" NULLS LAST,
  "l"."function_name" NULLS LAST,
  "l"."version" NULLS LAST,
  "l"."layer_arn" NULLS LAST
