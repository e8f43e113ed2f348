SELECT
  "f"."account_id" AS "account_id",
  "f"."region" AS "region",
  "f"."function_name" AS "function_name",
  "f"."version" AS "version",
  "f"."runtime" AS "runtime",
  "f"."package_type" AS "package_type",
  "f"."code_sha256" AS "code_sha256",
  "f"."code_size" AS "size_bytes",
  "p"."status" AS "status",
  "p"."reason" AS "reason",
  "p"."path" AS "path",
  COUNT(*) OVER (
    PARTITION BY COALESCE("f"."code_sha256", "f"."function_arn" || ':' || "f"."version")
  ) AS "sharing_versions"
FROM "lexport"."functions" AS "f"
LEFT JOIN "lexport"."packages" AS "p"
  ON "p"."code_sha256" = "f"."code_sha256"
ORDER BY
  "f"."account_id",
  "f"."region",
  "f"."function_name",
  "f"."version"
SETTINGS "join_use_nulls" = 1
