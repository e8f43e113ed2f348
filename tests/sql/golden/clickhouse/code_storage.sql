WITH "packages_once" AS (
  SELECT
    "account_id",
    "region",
    MAX("code_size") AS "code_size"
  FROM "lexport"."functions"
  GROUP BY
    "account_id",
    "region",
    COALESCE("code_sha256", "function_name" || ':' || "version")
), "distinct_code" AS (
  SELECT
    "account_id",
    "region",
    SUM("code_size") AS "distinct_code_size"
  FROM "packages_once"
  GROUP BY
    "account_id",
    "region"
), "fleet" AS (
  SELECT
    "account_id",
    "region",
    COUNT(DISTINCT "function_name") AS "functions",
    COUNT(*) AS "versions",
    SUM("code_size") AS "code_size"
  FROM "lexport"."functions"
  GROUP BY
    "account_id",
    "region"
), "prunable" AS (
  SELECT
    "account_id",
    "region",
    COUNT(*) AS "prunable_versions",
    SUM("bytes_freed") AS "bytes_freed"
  FROM "lexport"."prunable_versions"
  GROUP BY
    "account_id",
    "region"
)
SELECT
  "s"."account_id" AS "account_id",
  "s"."region" AS "region",
  "a"."code_size_limit" AS "code_size_limit",
  "a"."code_size_used" AS "code_size_used",
  CAST("a"."code_size_used" AS Nullable(Float64)) / nullIf("a"."code_size_limit", 0) AS "share_used",
  "a"."code_size_limit" - "a"."code_size_used" AS "bytes_left",
  COALESCE("f"."functions", 0) AS "functions",
  COALESCE("f"."versions", 0) AS "versions",
  COALESCE(CAST("f"."code_size" AS Nullable(Int64)), 0) AS "code_size",
  COALESCE(CAST("d"."distinct_code_size" AS Nullable(Int64)), 0) AS "distinct_code_size",
  CASE
    WHEN NOT (
      "s"."aliases" IS NULL
    )
    THEN COALESCE("p"."prunable_versions", 0)
  END AS "prunable_versions",
  CASE
    WHEN NOT (
      "s"."aliases" IS NULL
    )
    THEN COALESCE(CAST("p"."bytes_freed" AS Nullable(Int64)), 0)
  END AS "bytes_freed"
FROM "lexport"."scopes" AS "s"
LEFT JOIN "lexport"."account_settings" AS "a"
  ON "a"."account_id" = "s"."account_id" AND "a"."region" = "s"."region"
LEFT JOIN "fleet" AS "f"
  ON "f"."account_id" = "s"."account_id" AND "f"."region" = "s"."region"
LEFT JOIN "distinct_code" AS "d"
  ON "d"."account_id" = "s"."account_id" AND "d"."region" = "s"."region"
LEFT JOIN "prunable" AS "p"
  ON "p"."account_id" = "s"."account_id" AND "p"."region" = "s"."region"
ORDER BY
  "share_used" DESC,
  "s"."account_id",
  "s"."region"
SETTINGS "join_use_nulls" = 1
