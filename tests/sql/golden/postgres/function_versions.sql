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
FROM "lexport"."functions" AS "f"
LEFT JOIN "lexport"."alias_routes" AS "r"
  ON "r"."account_id" = "f"."account_id"
  AND "r"."region" = "f"."region"
  AND "r"."function_name" = "f"."function_name"
  AND "r"."version" = "f"."version"
ORDER BY
  "f"."account_id",
  "f"."region",
  "f"."function_name",
  "f"."version",
  "r"."alias"
