WITH "used" AS (
  SELECT
    "account_id",
    "region",
    "function_name",
    "version",
    "function_arn",
    "runtime",
    "architecture",
    "runtime_version_config_runtime_version_arn" AS "runtime_version_arn",
    "last_modified_at",
    "fetched_at"
  FROM "lexport"."functions"
  WHERE
    NOT "runtime_version_config_runtime_version_arn" IS NULL
), "counted" AS (
  SELECT
    "region",
    "runtime",
    "architecture",
    "runtime_version_arn",
    COUNT(*) AS "versions",
    COUNT(DISTINCT "account_id" || ':' || "function_name") AS "functions"
  FROM "used"
  GROUP BY
    "region",
    "runtime",
    "architecture",
    "runtime_version_arn"
), "shares" AS (
  SELECT
    "region",
    "runtime",
    "architecture",
    "runtime_version_arn",
    "functions",
    CAST("versions" AS DOUBLE) / NULLIF(SUM("versions") OVER (PARTITION BY "region", "runtime", "architecture"), 0) AS "share"
  FROM "counted"
)
SELECT
  "f"."account_id",
  "f"."region",
  "f"."function_name",
  "f"."version",
  "f"."function_arn",
  "f"."runtime",
  "f"."architecture",
  "f"."runtime_version_arn",
  "r"."runtime_version_arn" AS "usual_runtime_version_arn",
  "r"."share" AS "usual_share",
  "f"."last_modified_at",
  "f"."fetched_at"
FROM "used" AS "f"
JOIN "shares" AS "r"
  ON "r"."region" = "f"."region"
  AND COALESCE("r"."runtime", '') = COALESCE("f"."runtime", '')
  AND COALESCE("r"."architecture", '') = COALESCE("f"."architecture", '')
  AND "r"."share" > 0.5
  AND "r"."functions" >= 3
  AND "r"."runtime_version_arn" <> "f"."runtime_version_arn"
ORDER BY
  "f"."account_id",
  "f"."region",
  "f"."function_name",
  "f"."version"
