WITH "called" AS (
  SELECT
    "account_id",
    "region",
    "function_name",
    "qualifier",
    SUM(CASE WHEN "dimension" = 'alias' THEN "invocations" ELSE 0 - "invocations" END) AS "invocations",
    SUM(CASE WHEN "dimension" = 'alias' THEN "errors" ELSE 0 - "errors" END) AS "errors",
    SUM(CASE WHEN "dimension" = 'alias' THEN "duration_ms" ELSE 0 - "duration_ms" END) AS "duration_ms"
  FROM "lexport"."function_usage"
  WHERE
    "dimension" IN ('alias', 'executed_version')
  GROUP BY
    "account_id",
    "region",
    "function_name",
    "qualifier"
)
SELECT
  "account_id",
  "region",
  "function_name",
  "qualifier" AS "alias",
  CAST("c"."invocations" AS BIGINT) AS "invocations",
  CAST(CASE WHEN "errors" > 0 THEN "errors" ELSE 0 END AS BIGINT) AS "errors",
  CASE WHEN "duration_ms" > 0 THEN "duration_ms" ELSE 0 END AS "duration_ms"
FROM "called" AS "c"
WHERE
  "c"."invocations" > 0
ORDER BY
  "account_id",
  "region",
  "function_name",
  "alias"
