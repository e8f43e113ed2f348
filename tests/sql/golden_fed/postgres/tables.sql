CREATE SCHEMA IF NOT EXISTS "lexport_tables";

CREATE SCHEMA IF NOT EXISTS "lexport_history";

CREATE SCHEMA IF NOT EXISTS "lexport_snapshot";

CREATE SCHEMA IF NOT EXISTS "lexport";

CREATE TABLE IF NOT EXISTS "lexport_tables"."tags" (
  "account_id" TEXT COLLATE "C" NOT NULL,
  "region" TEXT COLLATE "C" NOT NULL,
  "function_name" TEXT COLLATE "C",
  "key" TEXT COLLATE "C",
  "value" TEXT COLLATE "C"
);

COMMENT ON TABLE "lexport_tables"."tags" IS 'One row per tag of a function. Key: account_id, region, function_name, key; NULL is a value.';

COMMENT ON COLUMN "lexport_tables"."tags"."account_id" IS '12-digit account that owns the row.';

COMMENT ON COLUMN "lexport_tables"."tags"."region" IS 'AWS Region.';

COMMENT ON COLUMN "lexport_tables"."tags"."function_name" IS 'Name of the function, never an ARN.';

COMMENT ON COLUMN "lexport_tables"."tags"."key" IS 'Tag key.';

COMMENT ON COLUMN "lexport_tables"."tags"."value" IS 'Tag value.';

CREATE INDEX IF NOT EXISTS "tags_by_key" ON "lexport_tables"."tags" (hash_record_extended(ROW("account_id", "region", "function_name", "key"), 0));

COMMENT ON COLUMN "lexport_tables"."function_usage"."errors" IS 'Calls that failed.';

CREATE TABLE IF NOT EXISTS "lexport_tables"."errors" (
  "snapshot_id" TEXT COLLATE "C" NOT NULL,
  "snapshot_at" TIMESTAMPTZ,
  "account_id" TEXT COLLATE "C",
  "region" TEXT COLLATE "C",
  "stage" TEXT COLLATE "C",
  "operation" TEXT COLLATE "C",
  "function_name" TEXT COLLATE "C",
  "qualifier" TEXT COLLATE "C",
  "error_code" TEXT COLLATE "C",
  "http_status" INTEGER,
  "message" TEXT COLLATE "C",
  "is_gap" BOOLEAN,
  "attempts" INTEGER,
  "occurred_at" TIMESTAMPTZ
);

COMMENT ON TABLE "lexport_tables"."errors" IS 'One row per thing that could not be read as it should; `is_gap` says whether something is missing. Key: snapshot_id, account_id, region, function_name, qualifier, stage, error_code, message, occurred_at; NULL is a value.';

COMMENT ON COLUMN "lexport_tables"."errors"."snapshot_id" IS 'ULID of the snapshot; greater is newer.';

COMMENT ON COLUMN "lexport_tables"."errors"."snapshot_at" IS 'Start of the run, UTC.';

COMMENT ON COLUMN "lexport_tables"."errors"."account_id" IS '12-digit account that owns the row.';

COMMENT ON COLUMN "lexport_tables"."errors"."region" IS 'AWS Region.';

COMMENT ON COLUMN "lexport_tables"."errors"."stage" IS 'Step that met it: discover, fetch, flatten, packages, inspect, changes.';

COMMENT ON COLUMN "lexport_tables"."errors"."operation" IS 'AWS operation.';

COMMENT ON COLUMN "lexport_tables"."errors"."function_name" IS 'Function, where it concerns one.';

COMMENT ON COLUMN "lexport_tables"."errors"."qualifier" IS 'Version or alias, where it concerns one.';

COMMENT ON COLUMN "lexport_tables"."errors"."error_code" IS 'AWS''s code, or ours: gone, wrong_type, ...';

COMMENT ON COLUMN "lexport_tables"."errors"."http_status" IS 'HTTP status, where there was an answer.';

COMMENT ON COLUMN "lexport_tables"."errors"."message" IS 'What came back, secrets removed.';

COMMENT ON COLUMN "lexport_tables"."errors"."is_gap" IS 'Whether something is missing from the snapshot.';

COMMENT ON COLUMN "lexport_tables"."errors"."attempts" IS 'Calls made in vain.';

COMMENT ON COLUMN "lexport_tables"."errors"."occurred_at" IS 'When, UTC.';

CREATE INDEX IF NOT EXISTS "errors_by_key" ON "lexport_tables"."errors" (hash_record_extended(ROW("snapshot_id", "account_id", "region", "function_name", "qualifier", "stage", "error_code", "message", "occurred_at"), 0));

CREATE TABLE IF NOT EXISTS "lexport_tables"."package_files" (
  "snapshot_id" TEXT COLLATE "C" NOT NULL,
  "snapshot_at" TIMESTAMPTZ,
  "account_id" TEXT COLLATE "C",
  "region" TEXT COLLATE "C",
  "sha256_hex" TEXT COLLATE "C",
  "path" TEXT COLLATE "C",
  "size_bytes" BIGINT,
  "compressed_bytes" BIGINT,
  "crc32" BIGINT
);

COMMENT ON TABLE "lexport_tables"."package_files" IS 'One row per file in the directory of a stored package; account and region are NULL. Key: sha256_hex, path; NULL is a value.';

COMMENT ON COLUMN "lexport_tables"."package_files"."snapshot_id" IS 'ULID of the snapshot; greater is newer.';

COMMENT ON COLUMN "lexport_tables"."package_files"."snapshot_at" IS 'Start of the run, UTC.';

COMMENT ON COLUMN "lexport_tables"."package_files"."account_id" IS '12-digit account that owns the row.';

COMMENT ON COLUMN "lexport_tables"."package_files"."region" IS 'AWS Region.';

COMMENT ON COLUMN "lexport_tables"."package_files"."sha256_hex" IS 'SHA-256 of the package or layer, hex.';

COMMENT ON COLUMN "lexport_tables"."package_files"."path" IS 'Name of the file in the archive.';

COMMENT ON COLUMN "lexport_tables"."package_files"."size_bytes" IS 'Size unpacked, as the archive says.';

COMMENT ON COLUMN "lexport_tables"."package_files"."compressed_bytes" IS 'Size in the archive.';

COMMENT ON COLUMN "lexport_tables"."package_files"."crc32" IS 'CRC-32 of the file, as the archive says.';

CREATE INDEX IF NOT EXISTS "package_files_by_key" ON "lexport_tables"."package_files" (hash_record_extended(ROW("sha256_hex", "path"), 0));

CREATE TABLE IF NOT EXISTS "lexport_tables"."lexport_loads" (
  "load_id" TEXT COLLATE "C" NOT NULL,
  "since" TEXT COLLATE "C",
  "next_since" TEXT COLLATE "C" NOT NULL,
  "write_mode" TEXT COLLATE "C",
  "schema_version" TEXT COLLATE "C",
  "lexport_version" TEXT COLLATE "C",
  "loaded_at" TIMESTAMPTZ NOT NULL,
  "upserts" BIGINT,
  "deletes" BIGINT
);

COMMENT ON TABLE "lexport_tables"."lexport_loads" IS 'One row per feed that was loaded. Key: load_id; NULL is a value.';

COMMENT ON COLUMN "lexport_tables"."lexport_loads"."load_id" IS 'ULID of the feed.';

COMMENT ON COLUMN "lexport_tables"."lexport_loads"."since" IS 'Commit up to which the warehouse was loaded before; NULL for a first load.';

COMMENT ON COLUMN "lexport_tables"."lexport_loads"."next_since" IS 'Commit up to which it is loaded since; that of the newest row is the cursor.';

COMMENT ON COLUMN "lexport_tables"."lexport_loads"."write_mode" IS '`hard-delete`, `soft-delete` or `scd2`; the same in all rows.';

COMMENT ON COLUMN "lexport_tables"."lexport_loads"."schema_version" IS 'Version of the tables.';

COMMENT ON COLUMN "lexport_tables"."lexport_loads"."lexport_version" IS 'Version of lexport that wrote the feed.';

COMMENT ON COLUMN "lexport_tables"."lexport_loads"."loaded_at" IS 'When it was loaded, UTC.';

COMMENT ON COLUMN "lexport_tables"."lexport_loads"."upserts" IS 'Rows to upsert.';

COMMENT ON COLUMN "lexport_tables"."lexport_loads"."deletes" IS 'Keys of rows to delete.';

CREATE INDEX IF NOT EXISTS "lexport_loads_by_key" ON "lexport_tables"."lexport_loads" (hash_record_extended(ROW("load_id"), 0));

CREATE OR REPLACE VIEW "lexport_history"."errors" AS
SELECT
  "snapshot_id",
  "snapshot_at",
  "account_id",
  "region",
  "stage",
  "operation",
  "function_name",
  "qualifier",
  "error_code",
  "http_status",
  "message",
  "is_gap",
  "attempts",
  "occurred_at"
FROM "lexport_tables"."errors";

CREATE OR REPLACE VIEW "lexport"."newest_snapshot" AS
SELECT DISTINCT
  "snapshot_id",
  "snapshot_at"
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
  "s"."snapshot_at"
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

CREATE OR REPLACE VIEW "lexport_snapshot"."errors" AS
SELECT
  "t"."snapshot_id",
  "t"."snapshot_at",
  "t"."account_id",
  "t"."region",
  "t"."stage",
  "t"."operation",
  "t"."function_name",
  "t"."qualifier",
  "t"."error_code",
  "t"."http_status",
  "t"."message",
  "t"."is_gap",
  "t"."attempts",
  "t"."occurred_at"
FROM "lexport_history"."errors" AS "t"
JOIN "lexport"."newest_snapshot" AS "n"
  ON "n"."snapshot_id" = "t"."snapshot_id";

CREATE OR REPLACE VIEW "lexport"."tags" AS
SELECT
  "l"."snapshot_id",
  "l"."snapshot_at",
  "t"."account_id",
  "t"."region",
  "t"."function_name",
  "t"."key",
  "t"."value"
FROM "lexport_tables"."tags" AS "t"
JOIN "lexport"."latest_scopes" AS "l"
  ON "l"."account_id" = "t"."account_id" AND "l"."region" = "t"."region";

CREATE OR REPLACE VIEW "lexport"."errors" AS
SELECT
  "t"."snapshot_id",
  "t"."snapshot_at",
  "t"."account_id",
  "t"."region",
  "t"."stage",
  "t"."operation",
  "t"."function_name",
  "t"."qualifier",
  "t"."error_code",
  "t"."http_status",
  "t"."message",
  "t"."is_gap",
  "t"."attempts",
  "t"."occurred_at"
FROM "lexport_history"."errors" AS "t"
JOIN "lexport"."latest_scopes" AS "l"
  ON "l"."snapshot_id" = "t"."snapshot_id"
  AND "l"."account_id" = "t"."account_id"
  AND "l"."region" = "t"."region";

CREATE OR REPLACE VIEW "lexport"."package_files" AS
SELECT
  "t"."snapshot_id",
  "t"."snapshot_at",
  "t"."account_id",
  "t"."region",
  "t"."sha256_hex",
  "t"."path",
  "t"."size_bytes",
  "t"."compressed_bytes",
  "t"."crc32"
FROM "lexport_tables"."package_files" AS "t"
WHERE
  "t"."sha256_hex" IN (
    SELECT
      "sha256_hex"
    FROM "lexport"."packages"
  );

