WITH "gone" AS (
  SELECT
    "account_id",
    "region",
    SUBSTRING("key", 1, POSITION("key", '/') - 1) AS "function_name",
    "snapshot_id",
    "snapshot_at",
    "previous_snapshot_id",
    COUNT(*) AS "versions"
  FROM "lexport_history"."changes"
  WHERE
    "table_name" = 'functions' AND "kind" = 'removed'
  GROUP BY
    "account_id",
    "region",
    SUBSTRING("key", 1, POSITION("key", '/') - 1),
    "snapshot_id",
    "snapshot_at",
    "previous_snapshot_id"
  HAVING
    COUNT(CASE WHEN SUBSTRING("key", POSITION("key", '/') + 1) = '$LATEST' THEN 1 END) > 0
), "there" AS (
  SELECT DISTINCT
    "account_id",
    "region",
    "function_name"
  FROM "lexport"."functions"
)
SELECT
  "g"."account_id" AS "account_id",
  "g"."region" AS "region",
  "g"."function_name" AS "function_name",
  "g"."versions" AS "versions",
  "p"."snapshot_at" AS "last_seen_at",
  "g"."snapshot_at" AS "missed_at",
  NOT (
    "t"."function_name" IS NULL
  ) AS "is_back",
  "g"."snapshot_id" AS "snapshot_id"
FROM "gone" AS "g"
LEFT JOIN "lexport_history"."scopes" AS "p"
  ON "p"."snapshot_id" = "g"."previous_snapshot_id"
  AND "p"."account_id" = "g"."account_id"
  AND "p"."region" = "g"."region"
LEFT JOIN "there" AS "t"
  ON "t"."account_id" = "g"."account_id"
  AND "t"."region" = "g"."region"
  AND "t"."function_name" = "g"."function_name"
ORDER BY
  "g"."snapshot_id" DESC,
  "g"."account_id",
  "g"."region",
  "g"."function_name"
SETTINGS "join_use_nulls" = 1
