WITH "shared" AS (
  SELECT
    "package_type",
    "code_sha256"
  FROM "lexport"."functions"
  WHERE
    NOT "code_sha256" IS NULL
  GROUP BY
    "package_type",
    "code_sha256"
  HAVING
    MIN("function_name") <> MAX("function_name")
    OR MIN("account_id") <> MAX("account_id")
    OR MIN("region") <> MAX("region")
)
SELECT
  "f"."package_type",
  "f"."code_sha256",
  COUNT(DISTINCT "f"."account_id" || ':' || "f"."region" || ':' || "f"."function_name") AS "functions",
  COUNT(*) AS "versions",
  COUNT(DISTINCT "f"."account_id") AS "accounts",
  COUNT(DISTINCT "f"."region") AS "regions",
  MAX("f"."code_size") AS "code_size",
  MIN("f"."function_arn") AS "example_function_arn",
  MAX("f"."last_modified_at") AS "last_modified_at"
FROM "lexport"."functions" AS "f"
JOIN "shared" AS "s"
  ON "s"."package_type" = "f"."package_type" AND "s"."code_sha256" = "f"."code_sha256"
GROUP BY
  "f"."package_type",
  "f"."code_sha256"
ORDER BY
  "functions" DESC NULLS LAST,
  "f"."package_type",
  "f"."code_sha256"
