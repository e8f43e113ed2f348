WITH "listed" AS (
  SELECT
    "account_id",
    "region",
    COUNT(CASE WHEN "version" = '$LATEST' THEN 1 END) AS "latest_rows",
    COUNT(CASE WHEN "version" <> '$LATEST' THEN 1 END) AS "published_rows"
  FROM "lexport"."functions"
  GROUP BY
    "account_id",
    "region"
), "scope" AS (
  SELECT
    "s"."account_id",
    "s"."region",
    CASE
      WHEN COALESCE("l"."latest_rows", 0) > 0 OR "s"."function_count_reported" = 0
      THEN 1
      ELSE 0
    END AS "knows_functions",
    CASE WHEN NOT "s"."aliases" IS NULL THEN 1 ELSE 0 END AS "knows_aliases",
    CASE WHEN COALESCE("l"."published_rows", 0) > 0 THEN 1 ELSE 0 END AS "knows_versions"
  FROM "lexport"."scopes" AS "s"
  LEFT JOIN "listed" AS "l"
    ON "l"."account_id" = "s"."account_id" AND "l"."region" = "s"."region"
), "function_names" AS (
  SELECT DISTINCT
    "account_id",
    "region",
    "function_name"
  FROM "lexport"."functions"
), "judged" AS (
  SELECT
    "m"."account_id",
    "m"."region",
    "m"."function_name",
    "m"."qualifier",
    "m"."uuid",
    CASE
      WHEN "f"."function_name" IS NULL AND "s"."knows_functions" = 1
      THEN 'function'
      WHEN "f"."function_name" IS NULL
      OR "m"."qualifier" = '$LATEST'
      OR NOT "v"."version" IS NULL
      OR NOT "a"."alias" IS NULL
      THEN NULL
      WHEN SUBSTR("m"."qualifier", 1, 1) BETWEEN '0' AND '9'
      AND LENGTH("m"."qualifier") < 9
      AND "s"."knows_versions" = 1
      THEN 'version'
      WHEN NOT SUBSTR("m"."qualifier", 1, 1) BETWEEN '0' AND '9' AND "s"."knows_aliases" = 1
      THEN 'alias'
    END AS "missing",
    "m"."event_source_type",
    "m"."event_source_arn",
    "m"."state",
    "m"."last_modified_at"
  FROM "lexport"."event_source_mappings" AS "m"
  JOIN "scope" AS "s"
    ON "s"."account_id" = "m"."account_id" AND "s"."region" = "m"."region"
  LEFT JOIN "function_names" AS "f"
    ON "f"."account_id" = "m"."account_id"
    AND "f"."region" = "m"."region"
    AND "f"."function_name" = "m"."function_name"
  LEFT JOIN "lexport"."functions" AS "v"
    ON "v"."account_id" = "m"."account_id"
    AND "v"."region" = "m"."region"
    AND "v"."function_name" = "m"."function_name"
    AND "v"."version" = "m"."qualifier"
  LEFT JOIN "lexport"."aliases" AS "a"
    ON "a"."account_id" = "m"."account_id"
    AND "a"."region" = "m"."region"
    AND "a"."function_name" = "m"."function_name"
    AND "a"."alias" = "m"."qualifier"
  UNION ALL
  SELECT
    "account_id",
    "region",
    NULL AS "function_name",
    NULL AS "qualifier",
    NULL AS "uuid",
    'unread' AS "missing",
    NULL AS "event_source_type",
    NULL AS "event_source_arn",
    "status",
    NULL AS "last_modified_at"
  FROM "lexport"."scope_resources"
  WHERE
    "resource" = 'event-sources' AND NOT "status" IN ('complete', 'unavailable')
)
SELECT
  "account_id",
  "region",
  "function_name",
  "qualifier",
  "uuid",
  "missing",
  "event_source_type",
  "event_source_arn",
  "state",
  "last_modified_at"
FROM "judged"
WHERE
  NOT "missing" IS NULL
ORDER BY
  "account_id",
  "region",
  "missing",
  "function_name",
  "uuid"
