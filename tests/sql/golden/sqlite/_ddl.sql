DROP VIEW IF EXISTS "history_tags";

DROP VIEW IF EXISTS "history_package_files";

DROP VIEW IF EXISTS "newest_snapshot";

CREATE VIEW "newest_snapshot" AS
SELECT DISTINCT
  "snapshot_id",
  "snapshot_date"
FROM "history_scopes" AS "scopes"
WHERE
  "snapshot_id" = (
    SELECT
      MAX("snapshot_id")
    FROM "history_scopes" AS "scopes"
    WHERE
      "status" <> 'retired'
  );

DROP VIEW IF EXISTS "latest_scopes";

CREATE VIEW "latest_scopes" AS
SELECT DISTINCT
  "s"."account_id",
  "s"."region",
  "s"."snapshot_id",
  "s"."snapshot_date"
FROM "history_scopes" AS "s"
JOIN (
  SELECT
    "account_id",
    "region",
    MAX("snapshot_id") AS "snapshot_id"
  FROM "history_scopes" AS "scopes"
  WHERE
    "coverage" = 'fleet' AND "status" IN ('complete', 'retired')
  GROUP BY
    "account_id",
    "region"
) AS "n"
  ON "n"."account_id" = "s"."account_id"
  AND "n"."region" = "s"."region"
  AND "n"."snapshot_id" = "s"."snapshot_id"
WHERE
  "s"."coverage" = 'fleet' AND "s"."status" = 'complete';

DROP VIEW IF EXISTS "snapshot_tags";

DROP VIEW IF EXISTS "snapshot_package_files";

DROP VIEW IF EXISTS "tags";

DROP VIEW IF EXISTS "package_files";

