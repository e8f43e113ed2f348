WITH "contents" AS (
  SELECT
    "f"."account_id" AS "account_id",
    "f"."region" AS "region",
    "f"."function_name" AS "function_name",
    "f"."version" AS "version",
    CAST(NULL AS Nullable(String)) AS "layer_arn",
    "p"."sha256_hex" AS "sha256_hex"
  FROM "lexport"."functions" AS "f"
  JOIN "lexport"."packages" AS "p"
    ON "p"."code_sha256" = "f"."code_sha256"
  UNION ALL
  SELECT
    "l"."account_id" AS "account_id",
    "l"."region" AS "region",
    "l"."function_name" AS "function_name",
    "l"."version" AS "version",
    "l"."layer_arn" AS "layer_arn",
    "p"."sha256_hex" AS "sha256_hex"
  FROM "lexport"."layers" AS "l"
  JOIN "lexport"."layer_versions" AS "v"
    ON "v"."layer_arn" = "l"."layer_arn"
  JOIN "lexport"."packages" AS "p"
    ON "p"."code_sha256" = "v"."code_sha256"
)
SELECT
  "c"."account_id" AS "account_id",
  "c"."region" AS "region",
  "c"."function_name" AS "function_name",
  "c"."version" AS "version",
  "c"."layer_arn" AS "layer_arn",
  "d"."ecosystem" AS "ecosystem",
  "d"."name" AS "dependency",
  "d"."version" AS "dependency_version",
  "d"."sha256_hex" AS "sha256_hex",
  "d"."path" AS "path"
FROM "contents" AS "c"
JOIN "lexport"."package_dependencies" AS "d"
  ON "d"."sha256_hex" = "c"."sha256_hex"
ORDER BY
  "c"."account_id",
  "c"."region",
  "c"."function_name",
  "c"."version",
  "c"."layer_arn",
  "d"."ecosystem",
  "d"."name",
  "d"."version",
  "d"."path"
