CREATE DATABASE IF NOT EXISTS "lexport";

CREATE DATABASE IF NOT EXISTS "lexport_history";

CREATE DATABASE IF NOT EXISTS "lexport_snapshot";

CREATE DATABASE IF NOT EXISTS "lexport_files";

CREATE OR REPLACE TABLE "lexport_files"."tags" (
  "snapshot_id" Nullable(String) COMMENT 'ULID of the snapshot; greater is newer.',
  "snapshot_at" Nullable(DateTime64(6, 'UTC')) COMMENT 'Start of the run, UTC.',
  "account_id" Nullable(String) COMMENT '12-digit account that owns the row.',
  "region" Nullable(String) COMMENT 'AWS Region.',
  "function_name" Nullable(String) COMMENT 'Name of the function, never an ARN.',
  "key" Nullable(String) COMMENT 'Tag key.',
  "value" Nullable(String) COMMENT 'Tag value.',
  "snapshot_date" Date
)
ENGINE = S3('s3://bucket/prefix/tags/snapshot_date=????-??-??/??????????????????????????-????.parquet', 'Parquet')
COMMENT 'One row per tag of a function.';

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
COMMENT 'One row per tag of a function.';

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
COMMENT 'What lexport_snapshot shows.';

CREATE OR REPLACE VIEW "lexport"."latest_scopes" AS
SELECT DISTINCT
  "s"."account_id" AS "account_id",
  "s"."region" AS "region",
  "s"."snapshot_id" AS "snapshot_id",
  "s"."snapshot_date" AS "snapshot_date"
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
COMMENT 'What lexport shows.';

CREATE OR REPLACE VIEW "lexport_snapshot"."tags" AS
SELECT
  "t"."snapshot_id" AS "snapshot_id",
  "t"."snapshot_at" AS "snapshot_at",
  "t"."account_id" AS "account_id",
  "t"."region" AS "region",
  "t"."function_name" AS "function_name",
  "t"."key" AS "key",
  "t"."value" AS "value"
FROM "lexport_history"."tags" AS "t"
JOIN "lexport"."newest_snapshot" AS "n"
  ON "n"."snapshot_date" = "t"."snapshot_date"
  AND "n"."snapshot_id" = "t"."snapshot_id"
COMMENT 'One row per tag of a function.';

CREATE OR REPLACE VIEW "lexport"."tags" AS
SELECT
  "t"."snapshot_id" AS "snapshot_id",
  "t"."snapshot_at" AS "snapshot_at",
  "t"."account_id" AS "account_id",
  "t"."region" AS "region",
  "t"."function_name" AS "function_name",
  "t"."key" AS "key",
  "t"."value" AS "value"
FROM "lexport_history"."tags" AS "t"
JOIN "lexport"."latest_scopes" AS "l"
  ON "l"."snapshot_date" = "t"."snapshot_date"
  AND "l"."snapshot_id" = "t"."snapshot_id"
  AND "l"."account_id" = "t"."account_id"
  AND "l"."region" = "t"."region"
COMMENT 'One row per tag of a function.';

