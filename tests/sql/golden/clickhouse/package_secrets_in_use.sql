WITH "contents" AS (
  SELECT
    "f"."account_id" AS "account_id",
    "f"."region" AS "region",
    "f"."function_name" AS "function_name",
    "f"."version" AS "version",
    CAST(NULL AS Nullable(String)) AS "layer_arn",
    "f"."code_sha256" AS "code_sha256"
  FROM "lexport"."functions" AS "f"
  UNION ALL
  SELECT
    "l"."account_id" AS "account_id",
    "l"."region" AS "region",
    "l"."function_name" AS "function_name",
    "l"."version" AS "version",
    "l"."layer_arn" AS "layer_arn",
    "v"."code_sha256" AS "code_sha256"
  FROM "lexport"."layers" AS "l"
  JOIN "lexport"."layer_versions" AS "v"
    ON "v"."layer_arn" = "l"."layer_arn"
)
SELECT
  "c"."account_id" AS "account_id",
  "c"."region" AS "region",
  "c"."function_name" AS "function_name",
  "c"."version" AS "version",
  "c"."layer_arn" AS "layer_arn",
  "s"."path" AS "path",
  "s"."line" AS "line",
  "s"."rule" AS "rule",
  "s"."sha256_hex" AS "sha256_hex"
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
