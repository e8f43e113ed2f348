WITH "called" AS (
  SELECT
    "account_id",
    "region",
    "function_name",
    CASE
      WHEN "dimension" = 'executed_version'
      THEN "executed_version"
      ELSE "qualifier"
    END AS "version",
    "day",
    "invocations",
    "errors",
    "duration_ms",
    "duration_max_ms"
  FROM "lexport"."function_usage"
  WHERE
    "dimension" IN ('version', 'executed_version') AND "invocations" > 0
), "known" AS (
  SELECT
    "c"."account_id",
    "c"."region",
    "c"."function_name",
    "c"."version",
    MAX("c"."day") AS "last_used_day",
    SUM("c"."invocations") AS "invocations",
    SUM("c"."errors") AS "errors",
    SUM("c"."duration_ms") AS "duration_ms",
    MAX("c"."duration_max_ms") AS "duration_max_ms"
  FROM "called" AS "c"
  JOIN "lexport"."functions" AS "f"
    ON "f"."account_id" = "c"."account_id"
    AND "f"."region" = "c"."region"
    AND "f"."function_name" = "c"."function_name"
    AND "f"."version" = "c"."version"
  GROUP BY
    "c"."account_id",
    "c"."region",
    "c"."function_name",
    "c"."version"
), "not_of_latest" AS (
  SELECT
    "account_id",
    "region",
    "function_name",
    "invocations",
    "errors",
    "duration_ms"
  FROM "known"
  UNION ALL
  SELECT
    "account_id",
    "region",
    "function_name",
    "invocations",
    "errors",
    "duration_ms"
  FROM "lexport"."unattributed_calls"
), "attributed" AS (
  SELECT
    "account_id",
    "region",
    "function_name",
    SUM("invocations") AS "invocations",
    SUM("errors") AS "errors",
    SUM("duration_ms") AS "duration_ms"
  FROM "not_of_latest"
  GROUP BY
    "account_id",
    "region",
    "function_name"
), "whole" AS (
  SELECT
    "account_id",
    "region",
    "function_name",
    MAX("day") AS "last_used_day",
    SUM("u"."invocations") AS "invocations",
    SUM("errors") AS "errors",
    SUM("duration_ms") AS "duration_ms",
    MAX("duration_max_ms") AS "duration_max_ms"
  FROM "lexport"."function_usage" AS "u"
  WHERE
    "dimension" = 'function' AND "u"."invocations" > 0
  GROUP BY
    "account_id",
    "region",
    "function_name"
), "parts" AS (
  SELECT
    "account_id",
    "region",
    "function_name",
    "version",
    "last_used_day",
    "invocations",
    "errors",
    "duration_ms",
    "duration_max_ms"
  FROM "known"
  UNION ALL
  SELECT
    "w"."account_id",
    "w"."region",
    "w"."function_name",
    '$LATEST' AS "version",
    CASE WHEN "a"."invocations" IS NULL THEN "w"."last_used_day" END AS "last_used_day",
    "w"."invocations" - COALESCE("a"."invocations", 0) AS "invocations",
    CASE
      WHEN "w"."errors" <= COALESCE("a"."errors", 0)
      THEN 0
      ELSE "w"."errors" - COALESCE("a"."errors", 0)
    END AS "errors",
    CASE
      WHEN "w"."duration_ms" <= COALESCE("a"."duration_ms", 0)
      THEN 0
      ELSE "w"."duration_ms" - COALESCE("a"."duration_ms", 0)
    END AS "duration_ms",
    CASE WHEN "a"."invocations" IS NULL THEN "w"."duration_max_ms" END AS "duration_max_ms"
  FROM "whole" AS "w"
  LEFT JOIN "attributed" AS "a"
    ON "a"."account_id" = "w"."account_id"
    AND "a"."region" = "w"."region"
    AND "a"."function_name" = "w"."function_name"
  WHERE
    "w"."invocations" > COALESCE("a"."invocations", 0)
), "summed" AS (
  SELECT
    "account_id",
    "region",
    "function_name",
    "version",
    MAX("last_used_day") AS "last_used_day",
    SUM("invocations") AS "invocations",
    SUM("errors") AS "errors",
    SUM("duration_ms") AS "duration_ms",
    MAX("duration_max_ms") AS "duration_max_ms"
  FROM "parts"
  GROUP BY
    "account_id",
    "region",
    "function_name",
    "version"
)
SELECT
  "s"."account_id",
  "s"."region",
  "s"."function_name",
  "s"."version",
  "s"."last_used_day",
  CAST("s"."invocations" AS BIGINT) AS "invocations",
  CAST("s"."errors" AS BIGINT) AS "errors",
  "s"."duration_ms",
  "s"."duration_max_ms",
  "f"."architecture",
  "f"."memory_size",
  "f"."timeout",
  CAST("s"."duration_ms" * "f"."memory_size" AS DOUBLE PRECISION) / 1024000 AS "gb_seconds"
FROM "summed" AS "s"
JOIN "lexport"."functions" AS "f"
  ON "f"."account_id" = "s"."account_id"
  AND "f"."region" = "s"."region"
  AND "f"."function_name" = "s"."function_name"
  AND "f"."version" = "s"."version"
ORDER BY
  "s"."account_id",
  "s"."region",
  "s"."function_name",
  LENGTH("s"."version"),
  "s"."version"
