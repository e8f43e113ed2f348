SELECT
  "f"."account_id" AS "account_id",
  "f"."region" AS "region",
  "f"."function_name" AS "function_name",
  "f"."version" AS "version",
  "f"."runtime" AS "runtime",
  "f"."package_type" AS "package_type",
  "f"."last_modified_at" AS "last_modified_at",
  "f"."code_size" AS "code_size",
  "r"."alias" AS "alias",
  "r"."weight" AS "weight"
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
SETTINGS "join_use_nulls" = 1
