WITH "contents" AS (
  SELECT
    "f"."account_id",
    "f"."region",
    "f"."function_name",
    "f"."version",
    CAST(NULL AS TEXT) AS "layer_arn",
    "p"."sha256_hex"
  FROM "functions" AS "f"
  JOIN "packages" AS "p"
    ON "p"."code_sha256" = "f"."code_sha256"
  UNION ALL
  SELECT
    "l"."account_id",
    "l"."region",
    "l"."function_name",
    "l"."version",
    "l"."layer_arn",
    "p"."sha256_hex"
  FROM "layers" AS "l"
  JOIN "layer_versions" AS "v"
    ON "v"."layer_arn" = "l"."layer_arn"
  JOIN "packages" AS "p"
    ON "p"."code_sha256" = "v"."code_sha256"
)
SELECT
  "c"."account_id",
  "c"."region",
  "c"."function_name",
  "c"."version",
  "c"."layer_arn",
  "d"."ecosystem",
  "d"."name" AS "dependency",
  "d"."version" AS "dependency_version",
  "d"."sha256_hex",
  "d"."path"
FROM "contents" AS "c"
JOIN "package_dependencies" AS "d"
  ON "d"."sha256_hex" = "c"."sha256_hex"
ORDER BY
  "c"."account_id" NULLS LAST,
  "c"."region" NULLS LAST,
  "c"."function_name" NULLS LAST,
  "c"."version" NULLS LAST,
  "c"."layer_arn" NULLS LAST,
  "d"."ecosystem" NULLS LAST,
  "d"."name" NULLS LAST,
  "d"."version" NULLS LAST,
  "d"."path" NULLS LAST
