CREATE SCHEMA IF NOT EXISTS "lexport";

CREATE SCHEMA IF NOT EXISTS "lexport_history";

CREATE SCHEMA IF NOT EXISTS "lexport_snapshot";

CREATE EXTERNAL SCHEMA IF NOT EXISTS "lexport_files"
FROM DATA CATALOG DATABASE 'lexport_files_redshift'
IAM_ROLE default
CREATE EXTERNAL DATABASE IF NOT EXISTS;

CREATE EXTERNAL TABLE "lexport_files"."tags" (
  "snapshot_id" VARCHAR(65535),
  "snapshot_at" TIMESTAMP,
  "account_id" VARCHAR(65535),
  "region" VARCHAR(65535),
  "function_name" VARCHAR(65535),
  "key" VARCHAR(65535),
  "value" VARCHAR(65535)
)
PARTITIONED BY ("snapshot_date" DATE)
STORED AS PARQUET
LOCATION 's3://bucket/prefix/tags/';

ALTER TABLE "lexport_files"."tags" ADD IF NOT EXISTS PARTITION (snapshot_date = 'YYYY-MM-DD') LOCATION 's3://bucket/prefix/tags/snapshot_date=YYYY-MM-DD/';

CREATE OR REPLACE VIEW "lexport_history"."tags" AS
SELECT
  "snapshot_id",
  "snapshot_at",
  "account_id",
  "region",
  "function_name",
  "key",
  "value",
  "snapshot_date"
FROM "lexport_files"."tags"
WHERE
  "snapshot_id" IN (
    SELECT
      "snapshot_id"
    FROM "lexport_files"."snapshots"
  )
WITH NO SCHEMA BINDING;

CREATE OR REPLACE VIEW "lexport"."newest_snapshot" AS
SELECT DISTINCT
  "snapshot_id",
  "snapshot_date"
FROM "lexport_history"."scopes"
WHERE
  "snapshot_id" = (
    SELECT
      MAX("snapshot_id")
    FROM "lexport_history"."scopes"
    WHERE
      "status" <> 'retired'
  )
WITH NO SCHEMA BINDING;

CREATE OR REPLACE VIEW "lexport"."latest_scopes" AS
SELECT DISTINCT
  "s"."account_id",
  "s"."region",
  "s"."snapshot_id",
  "s"."snapshot_date"
FROM "lexport_history"."scopes" AS "s"
JOIN (
  SELECT
    "account_id",
    "region",
    MAX("snapshot_id") AS "snapshot_id"
  FROM "lexport_history"."scopes"
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
  "s"."coverage" = 'fleet' AND "s"."status" = 'complete'
WITH NO SCHEMA BINDING;

CREATE OR REPLACE VIEW "lexport_snapshot"."tags" AS
SELECT
  "t"."snapshot_id",
  "t"."snapshot_at",
  "t"."account_id",
  "t"."region",
  "t"."function_name",
  "t"."key",
  "t"."value"
FROM "lexport_history"."tags" AS "t"
JOIN "lexport"."newest_snapshot" AS "n"
  ON "n"."snapshot_date" = "t"."snapshot_date"
  AND "n"."snapshot_id" = "t"."snapshot_id"
WITH NO SCHEMA BINDING;

CREATE OR REPLACE VIEW "lexport"."tags" AS
SELECT
  "t"."snapshot_id",
  "t"."snapshot_at",
  "t"."account_id",
  "t"."region",
  "t"."function_name",
  "t"."key",
  "t"."value"
FROM "lexport_history"."tags" AS "t"
JOIN "lexport"."latest_scopes" AS "l"
  ON "l"."snapshot_date" = "t"."snapshot_date"
  AND "l"."snapshot_id" = "t"."snapshot_id"
  AND "l"."account_id" = "t"."account_id"
  AND "l"."region" = "t"."region"
WITH NO SCHEMA BINDING;

