WITH "named" AS (
  SELECT DISTINCT
    "account_id",
    "region",
    "function_name",
    "qualifier",
    "statement",
    CASE
      WHEN "key" IN ('aws:sourceaccount', 'aws:sourceowner', 'aws:principalaccount')
      THEN "value"
      WHEN "key" IN ('aws:sourcearn', 'aws:principalarn')
      THEN NULLIF(SPLIT_PART("value", ':', 5), '')
    END AS "other_account_id",
    CASE
      WHEN "key" IN (
        'aws:principalorgid',
        'aws:principalorgpaths',
        'aws:sourceorgid',
        'aws:sourceorgpaths'
      )
      THEN NULLIF(SPLIT_PART("value", '/', 1), '')
    END AS "organization_id"
  FROM "lexport"."policy_conditions"
  WHERE
    "is_limiting"
), "accounts" AS (
  SELECT DISTINCT
    "account_id"
  FROM "lexport"."scopes"
), "grants" AS (
  SELECT
    "g"."account_id",
    "g"."region",
    "g"."function_name",
    "g"."qualifier",
    "g"."statement",
    "g"."sid",
    "g"."verdict",
    COALESCE("g"."principal_account_id", "n"."other_account_id") AS "other_account_id",
    "n"."organization_id",
    "g"."principal_type",
    "g"."principal",
    "g"."action",
    "g"."action_class",
    "g"."condition_json",
    ROW_NUMBER() OVER (
      PARTITION BY "g"."account_id", "g"."region", "g"."function_name", "g"."qualifier", "g"."statement", "g"."principal_type", "g"."principal", "g"."action", "n"."other_account_id", "n"."organization_id"
      ORDER BY "g"."class_rank", "g"."position", "g"."access"
    ) AS "place"
  FROM "lexport"."policy_grants" AS "g"
  LEFT JOIN "named" AS "n"
    ON "n"."account_id" = "g"."account_id"
    AND "n"."region" = "g"."region"
    AND "n"."function_name" = "g"."function_name"
    AND "n"."qualifier" = "g"."qualifier"
    AND "n"."statement" = "g"."statement"
    AND (
      (
        "g"."verdict" IN ('foreign_service_source', 'foreign_service_source?', 'limited', 'limited?')
        AND "n"."other_account_id" <> "g"."account_id"
      )
      OR (
        "g"."verdict" IN ('organization', 'organization?')
        AND NOT "n"."organization_id" IS NULL
      )
    )
  WHERE
    "g"."verdict" IN ('cross_account', 'cross_account?')
    OR (
      "g"."verdict" IN (
        'foreign_service_source',
        'foreign_service_source?',
        'limited',
        'limited?',
        'organization',
        'organization?'
      )
      AND NOT "n"."statement" IS NULL
    )
)
SELECT
  "g"."account_id",
  "g"."region",
  "g"."function_name",
  "g"."qualifier",
  "g"."statement",
  "g"."sid",
  "g"."verdict",
  "g"."other_account_id",
  "g"."organization_id",
  CASE
    WHEN "g"."other_account_id" IS NULL
    THEN NULL
    WHEN "a"."account_id" IS NULL
    THEN FALSE
    ELSE TRUE
  END AS "is_in_dataset",
  "g"."principal_type",
  "g"."principal",
  "g"."action",
  "g"."action_class",
  "g"."condition_json"
FROM "grants" AS "g"
LEFT JOIN "accounts" AS "a"
  ON "a"."account_id" = "g"."other_account_id"
WHERE
  "g"."place" = 1
ORDER BY
  "g"."account_id",
  "g"."region",
  "g"."function_name",
  "g"."qualifier",
  "g"."statement",
  "g"."principal",
  "g"."action",
  "g"."other_account_id",
  "g"."organization_id"
