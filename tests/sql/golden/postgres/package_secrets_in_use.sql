WITH "contents" AS (
  SELECT
    "f"."account_id",
    "f"."region",
    "f"."function_name",
    "f"."version",
    CAST(NULL AS TEXT) AS "layer_arn",
    "f"."code_sha256"
  FROM "lexport"."functions" AS "f"
  UNION ALL
  SELECT
    "l"."account_id",
    "l"."region",
    "l"."function_name",
    "l"."version",
    "l"."layer_arn",
    "v"."code_sha256"
  FROM "lexport"."layers" AS "l"
  JOIN "lexport"."layer_versions" AS "v"
    ON "v"."layer_arn" = "l"."layer_arn"
)
SELECT
  "c"."account_id",
  "c"."region",
  "c"."function_name",
  "c"."version",
  "c"."layer_arn",
  "s"."path",
  "s"."line",
  "s"."rule",
  "s"."sha256_hex"
FROM "contents" AS "c"
JOIN "lexport"."packages" AS "p"
  ON "p"."code_sha256" = "c"."code_sha256"
JOIN "lexport"."package_secrets" AS "s"
  ON "s"."sha256_hex" = "p"."sha256_hex"
  AND "s"."secret_rules_version" = "p"."secret_rules_version"
ORDER BY
  "c"."account_id",
  "c"."region",
  "c"."function_name",
  "c"."version",
  "c"."layer_arn",
  "s"."path",
  "s"."line",
  "s"."rule"
