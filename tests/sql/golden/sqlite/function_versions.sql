SELECT
  "f"."account_id",
  "f"."region",
  "f"."function_name",
  "f"."version",
  "f"."runtime",
  "f"."package_type",
  "f"."last_modified_at",
  "f"."code_size",
  "r"."alias",
  "r"."weight"
FROM "functions" AS "f"
LEFT JOIN "alias_routes" AS "r"
  ON "r"."account_id" = "f"."account_id"
  AND "r"."region" = "f"."region"
  AND "r"."function_name" = "f"."function_name"
  AND "r"."version" = "f"."version"
ORDER BY
  "f"."account_id" NULLS LAST,
  "f"."region" NULLS LAST,
  "f"."function_name" NULLS LAST,
  "f"."version" NULLS LAST,
  "r"."alias" NULLS LAST
