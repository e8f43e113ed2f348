WITH "routed" AS (
  SELECT DISTINCT
    "account_id",
    "region",
    "function_name",
    "version"
  FROM "lexport"."alias_routes"
), "called" AS (
  SELECT DISTINCT
    "account_id",
    "region",
    "function_name",
    CASE
      WHEN "dimension" = 'executed_version'
      THEN "executed_version"
      ELSE "qualifier"
    END AS "version"
  FROM "lexport"."function_usage"
  WHERE
    "dimension" IN ('version', 'executed_version') AND "invocations" > 0
), "unattributed" AS (
  SELECT DISTINCT
    "account_id",
    "region",
    "function_name"
  FROM "lexport"."unattributed_calls"
), "ranked" AS (
  SELECT
    "f"."account_id" AS "account_id",
    "f"."region" AS "region",
    "f"."function_name" AS "function_name",
    "f"."version" AS "version",
    "f"."function_arn" AS "function_arn",
    "f"."runtime" AS "runtime",
    "f"."package_type" AS "package_type",
    "f"."last_modified_at" AS "last_modified_at",
    "f"."code_sha256" AS "code_sha256",
    "f"."code_size" AS "code_size",
    COALESCE("r"."version", "c"."version", "u"."function_name") AS "needed_for",
    CASE
      WHEN NOT (
        "s"."aliases" IS NULL
      ) AND "p"."resource" IS NULL
      THEN 1
      ELSE 0
    END AS "is_routing_known",
    ROW_NUMBER() OVER (
      PARTITION BY "f"."account_id", "f"."region", "f"."function_name"
      ORDER BY CASE WHEN "f"."version" = '$LATEST' THEN 0 ELSE 1 END DESC, CHAR_LENGTH("f"."version") DESC, "f"."version" DESC
    ) - 1 AS "newer_versions"
  FROM "lexport"."functions" AS "f"
  JOIN "lexport"."scopes" AS "s"
    ON "s"."account_id" = "f"."account_id" AND "s"."region" = "f"."region"
  LEFT JOIN "lexport"."scope_resources" AS "p"
    ON "p"."account_id" = "f"."account_id"
    AND "p"."region" = "f"."region"
    AND "p"."resource" = 'aliases'
    AND "p"."status" <> 'complete'
  LEFT JOIN "routed" AS "r"
    ON "r"."account_id" = "f"."account_id"
    AND "r"."region" = "f"."region"
    AND "r"."function_name" = "f"."function_name"
    AND "r"."version" = "f"."version"
  LEFT JOIN "called" AS "c"
    ON "c"."account_id" = "f"."account_id"
    AND "c"."region" = "f"."region"
    AND "c"."function_name" = "f"."function_name"
    AND "c"."version" = "f"."version"
  LEFT JOIN "unattributed" AS "u"
    ON "u"."account_id" = "f"."account_id"
    AND "u"."region" = "f"."region"
    AND "u"."function_name" = "f"."function_name"
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
      AND "needed_for" IS NULL
      AND "is_routing_known" = 1
      AND "newer_versions" >= 3
      THEN 1
      ELSE 0
    END AS "is_prunable"
  FROM "ranked"
), "kept_code" AS (
  SELECT DISTINCT
    "account_id",
    "region",
    "code_sha256"
  FROM "judged"
  WHERE
    "is_prunable" = 0 AND NOT (
      "code_sha256" IS NULL
    )
), "counted" AS (
  SELECT
    "j"."account_id" AS "account_id",
    "j"."region" AS "region",
    "j"."function_name" AS "function_name",
    "j"."version" AS "version",
    "j"."function_arn" AS "function_arn",
    "j"."runtime" AS "runtime",
    "j"."package_type" AS "package_type",
    "j"."last_modified_at" AS "last_modified_at",
    "j"."newer_versions" AS "newer_versions",
    "j"."code_sha256" AS "code_sha256",
    "j"."code_size" AS "code_size",
    "k"."code_sha256" AS "kept_sha256",
    ROW_NUMBER() OVER (
      PARTITION BY "j"."account_id", "j"."region", COALESCE("j"."code_sha256", "j"."function_name" || ':' || "j"."version")
      ORDER BY "j"."function_name", CHAR_LENGTH("j"."version"), "j"."version"
    ) AS "copy"
  FROM "judged" AS "j"
  LEFT JOIN "kept_code" AS "k"
    ON "k"."account_id" = "j"."account_id"
    AND "k"."region" = "j"."region"
    AND "k"."code_sha256" = "j"."code_sha256"
  WHERE
    "j"."is_prunable" = 1
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
  CASE WHEN NOT (
    "kept_sha256" IS NULL
  ) THEN TRUE ELSE FALSE END AS "is_code_kept",
  CASE WHEN "kept_sha256" IS NULL AND "copy" = 1 THEN "code_size" ELSE 0 END AS "bytes_freed"
FROM "counted"
ORDER BY
  "account_id",
  "region",
  "function_name",
  CHAR_LENGTH("version"),
  "version"
SETTINGS "join_use_nulls" = 1
