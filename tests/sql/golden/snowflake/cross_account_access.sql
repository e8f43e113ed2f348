WITH "NAMED" AS (
  SELECT DISTINCT
    "ACCOUNT_ID",
    "REGION",
    "FUNCTION_NAME",
    "QUALIFIER",
    "STATEMENT",
    CASE
      WHEN "KEY" IN ('aws:sourceaccount', 'aws:sourceowner', 'aws:principalaccount')
      THEN "VALUE"
      WHEN "KEY" IN ('aws:sourcearn', 'aws:principalarn')
      THEN NULLIF(SPLIT_PART("VALUE", ':', 5), '')
    END AS "OTHER_ACCOUNT_ID",
    CASE
      WHEN "KEY" IN (
        'aws:principalorgid',
        'aws:principalorgpaths',
        'aws:sourceorgid',
        'aws:sourceorgpaths'
      )
      THEN NULLIF(SPLIT_PART("VALUE", '/', 1), '')
    END AS "ORGANIZATION_ID"
  FROM "LEXPORT"."POLICY_CONDITIONS"
  WHERE
    "IS_LIMITING"
), "ACCOUNTS" AS (
  SELECT DISTINCT
    "ACCOUNT_ID"
  FROM "LEXPORT"."SCOPES"
), "GRANTS" AS (
  SELECT
    "G"."ACCOUNT_ID",
    "G"."REGION",
    "G"."FUNCTION_NAME",
    "G"."QUALIFIER",
    "G"."STATEMENT",
    "G"."SID",
    "G"."VERDICT",
    COALESCE("G"."PRINCIPAL_ACCOUNT_ID", "N"."OTHER_ACCOUNT_ID") AS "OTHER_ACCOUNT_ID",
    "N"."ORGANIZATION_ID",
    "G"."PRINCIPAL_TYPE",
    "G"."PRINCIPAL",
    "G"."ACTION",
    "G"."ACTION_CLASS",
    "G"."CONDITION_JSON",
    ROW_NUMBER() OVER (
      PARTITION BY "G"."ACCOUNT_ID", "G"."REGION", "G"."FUNCTION_NAME", "G"."QUALIFIER", "G"."STATEMENT", "G"."PRINCIPAL_TYPE", "G"."PRINCIPAL", "G"."ACTION", "N"."OTHER_ACCOUNT_ID", "N"."ORGANIZATION_ID"
      ORDER BY "G"."CLASS_RANK", "G"."POSITION", "G"."ACCESS"
    ) AS "PLACE"
  FROM "LEXPORT"."POLICY_GRANTS" AS "G"
  LEFT JOIN "NAMED" AS "N"
    ON "N"."ACCOUNT_ID" = "G"."ACCOUNT_ID"
    AND "N"."REGION" = "G"."REGION"
    AND "N"."FUNCTION_NAME" = "G"."FUNCTION_NAME"
    AND "N"."QUALIFIER" = "G"."QUALIFIER"
    AND "N"."STATEMENT" = "G"."STATEMENT"
    AND (
      (
        "G"."VERDICT" IN ('foreign_service_source', 'foreign_service_source?', 'limited', 'limited?')
        AND "N"."OTHER_ACCOUNT_ID" <> "G"."ACCOUNT_ID"
      )
      OR (
        "G"."VERDICT" IN ('organization', 'organization?')
        AND NOT "N"."ORGANIZATION_ID" IS NULL
      )
    )
  WHERE
    "G"."VERDICT" IN ('cross_account', 'cross_account?')
    OR (
      "G"."VERDICT" IN (
        'foreign_service_source',
        'foreign_service_source?',
        'limited',
        'limited?',
        'organization',
        'organization?'
      )
      AND NOT "N"."STATEMENT" IS NULL
    )
)
SELECT
  "G"."ACCOUNT_ID",
  "G"."REGION",
  "G"."FUNCTION_NAME",
  "G"."QUALIFIER",
  "G"."STATEMENT",
  "G"."SID",
  "G"."VERDICT",
  "G"."OTHER_ACCOUNT_ID",
  "G"."ORGANIZATION_ID",
  CASE
    WHEN "G"."OTHER_ACCOUNT_ID" IS NULL
    THEN NULL
    WHEN "A"."ACCOUNT_ID" IS NULL
    THEN FALSE
    ELSE TRUE
  END AS "IS_IN_DATASET",
  "G"."PRINCIPAL_TYPE",
  "G"."PRINCIPAL",
  "G"."ACTION",
  "G"."ACTION_CLASS",
  "G"."CONDITION_JSON"
FROM "GRANTS" AS "G"
LEFT JOIN "ACCOUNTS" AS "A"
  ON "A"."ACCOUNT_ID" = "G"."OTHER_ACCOUNT_ID"
WHERE
  "G"."PLACE" = 1
ORDER BY
  "G"."ACCOUNT_ID",
  "G"."REGION",
  "G"."FUNCTION_NAME",
  "G"."QUALIFIER",
  "G"."STATEMENT",
  "G"."PRINCIPAL",
  "G"."ACTION",
  "G"."OTHER_ACCOUNT_ID",
  "G"."ORGANIZATION_ID"
