WITH "used" AS (
  SELECT
    "account_id",
    "region",
    "package_type",
    "runtime",
    CASE WHEN "runtime_config_runtime_arn" IS NULL THEN 0 ELSE 1 END AS "is_customer_managed",
    CAST(MAX("snapshot_at") AS DATE) AS "day",
    COUNT(CASE WHEN "version" = '$LATEST' THEN 1 END) AS "latest_functions",
    COUNT(DISTINCT "function_name") AS "functions",
    COUNT(*) AS "versions"
  FROM "lexport"."functions"
  GROUP BY
    "account_id",
    "region",
    "package_type",
    "runtime",
    CASE WHEN "runtime_config_runtime_arn" IS NULL THEN 0 ELSE 1 END
)
SELECT
  "u"."account_id",
  "u"."region",
  "u"."package_type",
  "u"."runtime",
  CASE
    WHEN "u"."package_type" = 'Image'
    THEN 'image'
    WHEN "u"."is_customer_managed" = 1
    THEN 'customer_managed'
    WHEN "l"."runtime" IS NULL
    THEN 'unknown'
    WHEN "l"."block_update_date" <= "u"."day"
    THEN 'update_blocked'
    WHEN "l"."block_create_date" <= "u"."day"
    THEN 'create_blocked'
    WHEN "l"."deprecation_date" <= "u"."day"
    THEN 'deprecated'
    WHEN CAST(DATEDIFF(DAY, "u"."day", "l"."deprecation_date") AS INTEGER) <= 180
    THEN 'soon'
    WHEN "l"."deprecation_date" IS NULL
    THEN 'not_scheduled'
    ELSE 'supported'
  END AS "status",
  "l"."deprecation_date",
  "l"."block_create_date",
  "l"."block_update_date",
  CAST(DATEDIFF(DAY, "u"."day", "l"."deprecation_date") AS INTEGER) AS "days_left",
  "l"."successor",
  "u"."latest_functions",
  "u"."functions",
  "u"."versions"
FROM "used" AS "u"
LEFT JOIN "lexport"."lambda_runtimes" AS "l"
  ON "l"."runtime" = "u"."runtime" AND "u"."is_customer_managed" = 0
ORDER BY
  "l"."deprecation_date",
  "u"."account_id",
  "u"."region",
  "u"."package_type",
  "u"."runtime",
  "u"."is_customer_managed"
