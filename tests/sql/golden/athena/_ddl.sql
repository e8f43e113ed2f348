CREATE DATABASE IF NOT EXISTS `lexport`;

CREATE DATABASE IF NOT EXISTS `lexport_history`;

CREATE DATABASE IF NOT EXISTS `lexport_snapshot`;

CREATE DATABASE IF NOT EXISTS `lexport_files`;

CREATE EXTERNAL TABLE IF NOT EXISTS `lexport_files`.`tags` (
  `snapshot_id` STRING COMMENT 'ULID of the snapshot; greater is newer.',
  `snapshot_at` TIMESTAMP COMMENT 'Start of the run, UTC.',
  `account_id` STRING COMMENT '12-digit account that owns the row.',
  `region` STRING COMMENT 'AWS Region.',
  `function_name` STRING COMMENT 'Name of the function, never an ARN.',
  `key` STRING COMMENT 'Tag key.',
  `value` STRING COMMENT 'Tag value.'
)
COMMENT 'One row per tag of a function.'
PARTITIONED BY (`snapshot_date` DATE)
STORED AS PARQUET
LOCATION 's3://bucket/prefix/tags/'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.snapshot_date.type' = 'date',
  'projection.snapshot_date.format' = 'yyyy-MM-dd',
  'projection.snapshot_date.range' = '2026-01-01,NOW+1DAY',
  'storage.location.template' = 's3://bucket/prefix/tags/snapshot_date=${snapshot_date}/'
);

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
  );

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
  );

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
  "s"."coverage" = 'fleet' AND "s"."status" = 'complete';

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
  AND "n"."snapshot_id" = "t"."snapshot_id";

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
  AND "l"."region" = "t"."region";

