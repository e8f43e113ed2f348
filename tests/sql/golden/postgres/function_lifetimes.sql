WITH "whole" AS (
  SELECT
    "account_id",
    "region",
    "snapshot_id",
    "snapshot_at"
  FROM "lexport_history"."scopes"
  WHERE
    "coverage" = 'fleet' AND "status" = 'complete'
), "spans" AS (
  SELECT
    "account_id",
    "region",
    MIN("snapshot_id") AS "first_id",
    MAX("snapshot_id") AS "last_id"
  FROM "whole"
  GROUP BY
    "account_id",
    "region"
), "events" AS (
  SELECT
    "account_id",
    "region",
    SUBSTRING("key" FROM 1 FOR POSITION('/' IN "key") - 1) AS "function_name",
    SUBSTRING("key" FROM POSITION('/' IN "key") + 1) AS "version",
    MIN(CASE WHEN "kind" = 'added' THEN "snapshot_id" END) AS "added_id",
    MIN(CASE WHEN "kind" = 'removed' THEN "snapshot_id" END) AS "removed_id",
    MAX(CASE WHEN "kind" = 'added' THEN "snapshot_id" ELSE "previous_snapshot_id" END) AS "seen_id"
  FROM "lexport_history"."changes"
  WHERE
    "table_name" = 'functions' AND "kind" IN ('added', 'removed')
  GROUP BY
    "account_id",
    "region",
    SUBSTRING("key" FROM 1 FOR POSITION('/' IN "key") - 1),
    SUBSTRING("key" FROM POSITION('/' IN "key") + 1)
), "each_version" AS (
  SELECT
    COALESCE("f"."account_id", "e"."account_id") AS "account_id",
    COALESCE("f"."region", "e"."region") AS "region",
    COALESCE("f"."function_name", "e"."function_name") AS "function_name",
    CASE WHEN "f"."version" IS NULL THEN 0 ELSE 1 END AS "is_there",
    CASE
      WHEN "e"."added_id" < "e"."removed_id" OR "e"."removed_id" IS NULL
      THEN "e"."added_id"
    END AS "added_id", /* otherwise it existed before */
    "e"."seen_id"
  FROM "lexport"."functions" AS "f"
  FULL OUTER JOIN "events" AS "e"
    ON "e"."account_id" = "f"."account_id"
    AND "e"."region" = "f"."region"
    AND "e"."function_name" = "f"."function_name"
    AND "e"."version" = "f"."version"
), "each_function" AS (
  SELECT
    "v"."account_id",
    "v"."region",
    "v"."function_name",
    SUM("v"."is_there") AS "versions",
    MIN(COALESCE("v"."added_id", "s"."first_id")) AS "first_snapshot_id",
    MAX(CASE WHEN "v"."is_there" = 1 THEN "s"."last_id" ELSE "v"."seen_id" END) AS "last_snapshot_id",
    MIN("s"."first_id") AS "first_id"
  FROM "each_version" AS "v"
  JOIN "spans" AS "s"
    ON "s"."account_id" = "v"."account_id" AND "s"."region" = "v"."region"
  GROUP BY
    "v"."account_id",
    "v"."region",
    "v"."function_name"
)
SELECT
  "f"."account_id",
  "f"."region",
  "f"."function_name",
  "f"."versions",
  "b"."snapshot_at" AS "first_seen_at",
  "f"."first_snapshot_id" = "f"."first_id" AS "is_older",
  "e"."snapshot_at" AS "last_seen_at",
  "f"."versions" = 0 AS "is_deleted",
  "f"."first_snapshot_id",
  "f"."last_snapshot_id"
FROM "each_function" AS "f"
LEFT JOIN "whole" AS "b"
  ON "b"."account_id" = "f"."account_id"
  AND "b"."region" = "f"."region"
  AND "b"."snapshot_id" = "f"."first_snapshot_id"
LEFT JOIN "whole" AS "e"
  ON "e"."account_id" = "f"."account_id"
  AND "e"."region" = "f"."region"
  AND "e"."snapshot_id" = "f"."last_snapshot_id"
ORDER BY
  "f"."account_id",
  "f"."region",
  "f"."function_name"
