CREATE SCHEMA IF NOT EXISTS "lexport";

CREATE SCHEMA IF NOT EXISTS "lexport_history";

CREATE SCHEMA IF NOT EXISTS "lexport_snapshot";

CREATE SCHEMA IF NOT EXISTS "lexport_files";

CREATE OR REPLACE VIEW "lexport_files"."tags" AS
SELECT
  CAST(NULL AS VARCHAR) AS "snapshot_id",
  CAST(NULL AS TIMESTAMPTZ) AS "snapshot_at",
  CAST(NULL AS VARCHAR) AS "account_id",
  CAST(NULL AS VARCHAR) AS "region",
  CAST(NULL AS VARCHAR) AS "function_name",
  CAST(NULL AS VARCHAR) AS "key",
  CAST(NULL AS VARCHAR) AS "value",
  CAST(NULL AS DATE) AS "snapshot_date"
WHERE FALSE
UNION ALL BY NAME
SELECT * FROM read_parquet(
  's3://bucket/prefix/tags/snapshot_date=????-??-??/??????????????????????????-????.parquet',
  hive_partitioning = TRUE, hive_types = {snapshot_date: DATE}, union_by_name = TRUE
);

COMMENT ON VIEW "lexport_files"."tags" IS 'One row per tag of a function.';

COMMENT ON COLUMN "lexport_files"."tags"."snapshot_id" IS 'ULID of the snapshot; greater is newer.';

COMMENT ON COLUMN "lexport_files"."tags"."snapshot_at" IS 'Start of the run, UTC.';

COMMENT ON COLUMN "lexport_files"."tags"."account_id" IS '12-digit account that owns the row.';

COMMENT ON COLUMN "lexport_files"."tags"."region" IS 'AWS Region.';

COMMENT ON COLUMN "lexport_files"."tags"."function_name" IS 'Name of the function, never an ARN.';

COMMENT ON COLUMN "lexport_files"."tags"."key" IS 'Tag key.';

COMMENT ON COLUMN "lexport_files"."tags"."value" IS 'Tag value.';

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

