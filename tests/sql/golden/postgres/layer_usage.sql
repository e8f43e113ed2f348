WITH "used" AS (
  SELECT
    "account_id",
    "region",
    "layer_arn",
    COUNT(CASE WHEN "version" = '$LATEST' THEN 1 END) AS "latest_functions",
    COUNT(DISTINCT "function_name") AS "functions",
    COUNT(*) AS "versions",
    MAX("code_size") AS "code_size"
  FROM "lexport"."layers"
  WHERE
    NOT "layer_arn" IS NULL
  GROUP BY
    "account_id",
    "region",
    "layer_arn"
), "named" AS (
  SELECT
    "account_id",
    "region",
    "layer_arn",
    CASE
      WHEN POSITION(':layer:' IN "layer_arn") > 0
      THEN SUBSTRING("layer_arn" FROM POSITION(':layer:' IN "layer_arn") + 7)
    END AS "name_and_number",
    CASE
      WHEN POSITION(':layer:' IN "layer_arn") > 12
      THEN SUBSTRING("layer_arn" FROM POSITION(':layer:' IN "layer_arn") - 12 FOR 12)
    END AS "layer_account_id",
    "latest_functions",
    "functions",
    "versions",
    "code_size"
  FROM "used"
), "numbered" AS (
  SELECT
    "account_id",
    "region",
    "layer_arn",
    CASE
      WHEN POSITION(':' IN "name_and_number") > 1
      THEN SUBSTRING("name_and_number" FROM 1 FOR POSITION(':' IN "name_and_number") - 1)
    END AS "layer_name",
    CASE
      WHEN POSITION(':' IN "name_and_number") > 1
      THEN CAST(SUBSTRING("name_and_number" FROM POSITION(':' IN "name_and_number") + 1) AS BIGINT)
    END AS "layer_version",
    "layer_account_id",
    "latest_functions",
    "functions",
    "versions",
    "code_size"
  FROM "named"
)
SELECT
  "account_id",
  "region",
  "layer_arn",
  "layer_name",
  "layer_version",
  "layer_account_id",
  CASE WHEN "layer_account_id" = "account_id" THEN FALSE ELSE TRUE END AS "is_foreign",
  MAX("layer_version") OVER (PARTITION BY "region", "layer_account_id", "layer_name") AS "newest_version_seen",
  MAX("layer_version") OVER (PARTITION BY "region", "layer_account_id", "layer_name") - "layer_version" AS "versions_behind",
  "latest_functions",
  "functions",
  "versions",
  "code_size"
FROM "numbered"
ORDER BY
  "functions" DESC NULLS LAST,
  "account_id",
  "region",
  "layer_arn"
