WITH "readings" AS (
  SELECT
    "account_id",
    "region",
    MAX(
      CASE WHEN "resource" = 'policies' AND "status" <> 'not_requested' THEN 1 ELSE 0 END
    ) AS "asks_policies",
    MAX(
      CASE
        WHEN "resource" = 'policies' AND "status" IN ('complete', 'partial')
        THEN 1
        ELSE 0
      END
    ) AS "reads_policies",
    MAX(
      CASE
        WHEN "resource" = 'alias-policies' AND "status" = 'not_requested'
        THEN 1
        ELSE 0
      END
    ) AS "omits_aliases",
    MAX(
      CASE
        WHEN "resource" = 'version-policies' AND "status" = 'not_requested'
        THEN 1
        ELSE 0
      END
    ) AS "omits_versions",
    MAX(CASE WHEN "resource" = 'urls' AND "status" <> 'not_requested' THEN 1 ELSE 0 END) AS "asks_urls",
    MAX(
      CASE
        WHEN "resource" = 'urls' AND "status" IN ('complete', 'partial', 'unavailable')
        THEN 1
        ELSE 0
      END
    ) AS "reads_urls"
  FROM "lexport"."scope_resources"
  GROUP BY
    "account_id",
    "region"
), "fleet" AS (
  SELECT
    "account_id",
    "region",
    "function_name",
    COUNT(CASE WHEN "version" <> '$LATEST' THEN 1 END) AS "versions"
  FROM "lexport"."functions"
  GROUP BY
    "account_id",
    "region",
    "function_name"
), "policies" AS (
  SELECT DISTINCT
    "account_id",
    "region",
    "function_name",
    "qualifier"
  FROM "lexport"."policy_statements"
), "urls" AS (
  SELECT
    "account_id",
    "region",
    "function_name",
    "qualifier",
    MAX("auth_type") AS "auth_type", /* there is one URL at most; of two, NONE is the greater text */
    MAX("function_url") AS "function_url"
  FROM "lexport"."function_urls"
  GROUP BY
    "account_id",
    "region",
    "function_name",
    "qualifier"
), "unread_policies" AS (
  SELECT DISTINCT
    "e"."account_id",
    "e"."region",
    "e"."function_name",
    COALESCE("e"."qualifier", '$LATEST') AS "qualifier"
  FROM "lexport"."errors" AS "e"
  JOIN "fleet" AS "f"
    ON "f"."account_id" = "e"."account_id"
    AND "f"."region" = "e"."region"
    AND "f"."function_name" = "e"."function_name"
  WHERE
    "e"."operation" = 'GetPolicy'
  UNION
  SELECT
    "a"."account_id",
    "a"."region",
    "a"."function_name",
    "a"."alias" AS "qualifier"
  FROM "lexport"."aliases" AS "a"
  JOIN "readings" AS "r"
    ON "r"."account_id" = "a"."account_id"
    AND "r"."region" = "a"."region"
    AND "r"."omits_aliases" = 1
), "unread_urls" AS (
  SELECT DISTINCT
    "account_id",
    "region",
    "function_name"
  FROM "lexport"."errors"
  WHERE
    "operation" = 'ListFunctionUrlConfigs'
), "targets" AS (
  SELECT
    "account_id",
    "region",
    "function_name",
    '$LATEST' AS "qualifier"
  FROM "fleet"
  UNION
  SELECT
    "account_id",
    "region",
    "function_name",
    "qualifier"
  FROM "policies"
  UNION
  SELECT
    "account_id",
    "region",
    "function_name",
    "qualifier"
  FROM "urls"
  UNION
  SELECT
    "account_id",
    "region",
    "function_name",
    "qualifier"
  FROM "unread_policies"
)
SELECT
  "t"."account_id",
  "t"."region",
  "t"."function_name",
  "t"."qualifier",
  CASE WHEN NOT "p"."qualifier" IS NULL THEN TRUE ELSE FALSE END AS "has_policy",
  CASE
    WHEN NOT "p"."qualifier" IS NULL
    THEN 'read'
    WHEN COALESCE("r"."asks_policies", 0) = 0
    OR (
      "t"."qualifier" <> '$LATEST' AND "r"."omits_aliases" = 1
    )
    THEN 'not_requested'
    WHEN "r"."reads_policies" = 1 AND "e"."qualifier" IS NULL
    THEN 'read'
    ELSE 'unread'
  END AS "policy_status",
  CASE
    WHEN "u"."auth_type" IN ('NONE', 'AWS_IAM')
    THEN 'read'
    WHEN COALESCE("r"."asks_urls", 0) = 0
    THEN 'not_requested'
    WHEN "u"."qualifier" IS NULL AND "r"."reads_urls" = 1 AND "x"."function_name" IS NULL
    THEN 'read'
    ELSE 'unread'
  END AS "url_status",
  "u"."auth_type" AS "url_auth_type",
  "u"."function_url",
  CASE
    WHEN "t"."qualifier" <> '$LATEST'
    THEN 0
    WHEN COALESCE("r"."reads_policies", 0) = 0 OR "r"."omits_versions" = 1
    THEN COALESCE("f"."versions", 0)
    ELSE 0
  END AS "unread_versions"
FROM "targets" AS "t"
LEFT JOIN "readings" AS "r"
  ON "r"."account_id" = "t"."account_id" AND "r"."region" = "t"."region"
LEFT JOIN "fleet" AS "f"
  ON "f"."account_id" = "t"."account_id"
  AND "f"."region" = "t"."region"
  AND "f"."function_name" = "t"."function_name"
LEFT JOIN "policies" AS "p"
  ON "p"."account_id" = "t"."account_id"
  AND "p"."region" = "t"."region"
  AND "p"."function_name" = "t"."function_name"
  AND "p"."qualifier" = "t"."qualifier"
LEFT JOIN "urls" AS "u"
  ON "u"."account_id" = "t"."account_id"
  AND "u"."region" = "t"."region"
  AND "u"."function_name" = "t"."function_name"
  AND "u"."qualifier" = "t"."qualifier"
LEFT JOIN "unread_policies" AS "e"
  ON "e"."account_id" = "t"."account_id"
  AND "e"."region" = "t"."region"
  AND "e"."function_name" = "t"."function_name"
  AND "e"."qualifier" = "t"."qualifier"
LEFT JOIN "unread_urls" AS "x"
  ON "x"."account_id" = "t"."account_id"
  AND "x"."region" = "t"."region"
  AND "x"."function_name" = "t"."function_name"
ORDER BY
  "t"."account_id",
  "t"."region",
  "t"."function_name",
  "t"."qualifier"
