WITH "routed" AS (
  SELECT
    "account_id",
    "region",
    "function_name",
    "version",
    COUNT(*) AS "aliases"
  FROM "lexport"."alias_routes"
  GROUP BY
    "account_id",
    "region",
    "function_name",
    "version"
), "judged" AS (
  SELECT
    "f"."account_id" AS "account_id",
    "f"."region" AS "region",
    "f"."function_name" AS "function_name",
    "f"."version" AS "version",
    "f"."function_arn" AS "function_arn",
    CASE
      WHEN NOT (
        "r"."reason" IS NULL
      )
      THEN "r"."reason"
      WHEN "f"."last_modified_at" IS NULL
      OR CAST("f"."last_modified_at" AS Nullable(DATE)) >= "w"."first_day"
      THEN 'published'
      WHEN CAST(DATE_DIFF(DAY, "w"."first_day", "w"."last_day") AS Nullable(Int32)) + 1 < 30
      THEN 'short_window'
    END AS "why_unknown",
    "w"."first_day" AS "first_day",
    "w"."last_day" AS "last_day",
    "f"."last_modified_at" AS "last_modified_at",
    "a"."aliases" AS "aliases",
    "p"."bytes_freed" AS "bytes_freed"
  FROM "lexport"."functions" AS "f"
  LEFT JOIN "lexport"."usage_windows" AS "w"
    ON "w"."account_id" = "f"."account_id" AND "w"."region" = "f"."region"
  LEFT JOIN "lexport"."usage_unread" AS "r"
    ON "r"."account_id" = "f"."account_id"
    AND "r"."region" = "f"."region"
    AND "r"."function_name" = "f"."function_name"
  LEFT JOIN "lexport"."version_use" AS "u"
    ON "u"."account_id" = "f"."account_id"
    AND "u"."region" = "f"."region"
    AND "u"."function_name" = "f"."function_name"
    AND "u"."version" = "f"."version"
  LEFT JOIN "routed" AS "a"
    ON "a"."account_id" = "f"."account_id"
    AND "a"."region" = "f"."region"
    AND "a"."function_name" = "f"."function_name"
    AND "a"."version" = "f"."version"
  LEFT JOIN "lexport"."prunable_versions" AS "p"
    ON "p"."account_id" = "f"."account_id"
    AND "p"."region" = "f"."region"
    AND "p"."function_name" = "f"."function_name"
    AND "p"."version" = "f"."version"
  WHERE
    "f"."version" <> '$LATEST' AND "u"."version" IS NULL
)
SELECT
  "account_id",
  "region",
  "function_name",
  "version",
  "function_arn",
  CASE WHEN "why_unknown" IS NULL THEN 'unused' ELSE 'unknown' END AS "verdict",
  "why_unknown",
  "first_day" AS "known_since",
  "last_day" AS "known_until",
  "last_modified_at",
  COALESCE("aliases", 0) AS "aliases",
  CASE
    WHEN "why_unknown" IS NULL AND NOT (
      "j"."bytes_freed" IS NULL
    )
    THEN TRUE
    ELSE FALSE
  END AS "is_prunable",
  CASE WHEN "why_unknown" IS NULL THEN COALESCE("j"."bytes_freed", 0) ELSE 0 END AS "bytes_freed"
FROM "judged" AS "j"
ORDER BY
  "account_id",
  "region",
  "function_name",
  CHAR_LENGTH("version"),
  "version"
SETTINGS "join_use_nulls" = 1
