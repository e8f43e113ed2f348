WITH "newest" AS (
  SELECT
    "account_id",
    "region",
    "coverage",
    MAX("snapshot_id") AS "snapshot_id"
  FROM "lexport_history"."scopes"
  GROUP BY
    "account_id",
    "region",
    "coverage"
), "problems" AS (
  SELECT
    "snapshot_id",
    "account_id",
    "region",
    "stage",
    "operation",
    "error_code",
    "is_gap",
    COUNT(*) AS "errors",
    MIN("message") AS "example"
  FROM "lexport_history"."errors"
  GROUP BY
    "snapshot_id",
    "account_id",
    "region",
    "stage",
    "operation",
    "error_code",
    "is_gap"
)
SELECT
  "s"."account_id",
  "s"."region",
  "s"."coverage",
  "s"."snapshot_id",
  "s"."snapshot_at",
  "s"."status",
  "s"."functions",
  "s"."function_count_reported",
  "p"."stage",
  "p"."operation",
  "p"."error_code",
  "p"."is_gap",
  COALESCE("p"."errors", 0) AS "errors",
  "p"."example"
FROM "newest" AS "n"
JOIN "lexport_history"."scopes" AS "s"
  ON "s"."snapshot_id" = "n"."snapshot_id"
  AND "s"."account_id" = "n"."account_id"
  AND "s"."region" = "n"."region"
  AND "s"."coverage" = "n"."coverage"
LEFT JOIN "problems" AS "p"
  ON "p"."snapshot_id" = "s"."snapshot_id"
  AND "p"."account_id" = "s"."account_id"
  AND "p"."region" IN ("s"."region", 'aws-global') /* the whole account: its role could not be assumed */
WHERE
  "s"."status" <> 'retired'
  AND (
    "s"."region" <> 'aws-global'
    OR NOT EXISTS(
      SELECT
        1
      FROM "newest" AS "later"
      WHERE
        "later"."account_id" = "s"."account_id"
        AND "later"."snapshot_id" > "s"."snapshot_id"
    )
  )
  AND NOT EXISTS(
    SELECT
      1
    FROM "lexport_history"."scopes" AS "ended"
    WHERE
      "ended"."account_id" = "s"."account_id"
      AND "ended"."region" = "s"."region"
      AND "ended"."status" = 'retired'
      AND "ended"."snapshot_id" > "s"."snapshot_id"
  )
ORDER BY
  "s"."account_id",
  "s"."region",
  "s"."coverage",
  "p"."stage",
  "p"."operation",
  "p"."error_code"
