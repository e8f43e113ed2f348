WITH "routed" AS (
  SELECT DISTINCT
    "account_id",
    "region",
    "function_name",
    "version"
  FROM "lexport"."alias_routes"
), "ranked" AS (
  SELECT
    "f"."account_id",
    "f"."region",
    "f"."function_name",
    "f"."version",
    "f"."function_arn",
    "f"."runtime",
    "f"."package_type",
    "f"."last_modified_at",
    "f"."code_sha256",
    "f"."code_size",
    "r"."version" AS "routed_version",
    "s"."aliases",
    ROW_NUMBER() OVER (
      PARTITION BY "f"."account_id", "f"."region", "f"."function_name"
      ORDER BY CASE WHEN "f"."version" = '$LATEST' THEN 0 ELSE 1 END DESC NULLS LAST, LENGTH("f"."version") DESC NULLS LAST, "f"."version" DESC NULLS LAST
    ) - 1 AS "newer_versions"
  FROM "lexport"."functions" AS "f"
  JOIN "lexport"."scopes" AS "s"
    ON "s"."account_id" = "f"."account_id" AND "s"."region" = "f"."region"
  LEFT JOIN "routed" AS "r"
    ON "r"."account_id" = "f"."account_id"
    AND "r"."region" = "f"."region"
    AND "r"."function_name" = "f"."function_name"
    AND "r"."version" = "f"."version"
), "judged" AS (
  SELECT
    "account_id",
    "region",
    "function_name",
    "version",
    "function_arn",
    "runtime",
    "package_type",
    "last_modified_at",
    "newer_versions",
    "code_sha256",
    "code_size",
    CASE
      WHEN "version" <> '$LATEST'
      AND "routed_version" IS NULL
      AND NOT "aliases" IS NULL
      AND "newer_versions" >= 3
      THEN 1
      ELSE 0
    END AS "is_prunable"
  FROM "ranked"
), "counted" AS (
  SELECT
    "account_id",
    "region",
    "function_name",
    "version",
    "function_arn",
    "runtime",
    "package_type",
    "last_modified_at",
    "newer_versions",
    "code_sha256",
    "code_size",
    "is_prunable",
    MIN("is_prunable") OVER (
      PARTITION BY "account_id", "region", COALESCE("code_sha256", "function_name" || ':' || "version")
    ) AS "is_freed",
    ROW_NUMBER() OVER (
      PARTITION BY "account_id", "region", COALESCE("code_sha256", "function_name" || ':' || "version")
      ORDER BY "function_name", LENGTH("version"), "version"
    ) AS "copy"
  FROM "judged"
)
SELECT
  "account_id",
  "region",
  "function_name",
  "version",
  "function_arn",
  "runtime",
  "package_type",
  "last_modified_at",
  "newer_versions",
  "code_sha256",
  "code_size",
  CASE WHEN "is_freed" = 0 THEN TRUE ELSE FALSE END AS "is_code_kept",
  CASE WHEN "is_freed" = 1 AND "copy" = 1 THEN "code_size" ELSE 0 END AS "bytes_freed"
FROM "counted"
WHERE
  "is_prunable" = 1
ORDER BY
  "account_id",
  "region",
  "function_name",
  LENGTH("version"),
  "version"
