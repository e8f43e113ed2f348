CREATE DATABASE IF NOT EXISTS `lexport_tables`;

CREATE DATABASE IF NOT EXISTS `lexport_history`;

CREATE DATABASE IF NOT EXISTS `lexport_snapshot`;

CREATE DATABASE IF NOT EXISTS `lexport`;

CREATE TABLE IF NOT EXISTS `lexport_tables`.`tags` (
  `account_id` STRING COMMENT '12-digit account that owns the row.',
  `region` STRING COMMENT 'AWS Region.',
  `function_name` STRING COMMENT 'Name of the function, never an ARN.',
  `key` STRING COMMENT 'Tag key.',
  `value` STRING COMMENT 'Tag value.'
)
LOCATION 's3://bucket/prefix/lexport_tables/tags/'
TBLPROPERTIES ('table_type' = 'ICEBERG');

CREATE TABLE IF NOT EXISTS `lexport_tables`.`errors` (
  `snapshot_id` STRING COMMENT 'ULID of the snapshot; greater is newer.',
  `snapshot_at` TIMESTAMP COMMENT 'Start of the run, UTC.',
  `account_id` STRING COMMENT '12-digit account that owns the row.',
  `region` STRING COMMENT 'AWS Region.',
  `stage` STRING COMMENT 'Step that met it: discover, fetch, flatten, packages, inspect, changes.',
  `operation` STRING COMMENT 'AWS operation.',
  `function_name` STRING COMMENT 'Function, where it concerns one.',
  `qualifier` STRING COMMENT 'Version or alias, where it concerns one.',
  `error_code` STRING COMMENT 'AWS\'s code, or ours: gone, wrong_type, ...',
  `http_status` INT COMMENT 'HTTP status, where there was an answer.',
  `message` STRING COMMENT 'What came back, secrets removed.',
  `is_gap` BOOLEAN COMMENT 'Whether something is missing from the snapshot.',
  `attempts` INT COMMENT 'Calls made in vain.',
  `occurred_at` TIMESTAMP COMMENT 'When, UTC.'
)
LOCATION 's3://bucket/prefix/lexport_tables/errors/'
TBLPROPERTIES ('table_type' = 'ICEBERG');

CREATE TABLE IF NOT EXISTS `lexport_tables`.`package_files` (
  `snapshot_id` STRING COMMENT 'ULID of the snapshot; greater is newer.',
  `snapshot_at` TIMESTAMP COMMENT 'Start of the run, UTC.',
  `account_id` STRING COMMENT '12-digit account that owns the row.',
  `region` STRING COMMENT 'AWS Region.',
  `sha256_hex` STRING COMMENT 'SHA-256 of the package or layer, hex.',
  `path` STRING COMMENT 'Name of the file in the archive.',
  `size_bytes` BIGINT COMMENT 'Size unpacked, as the archive says.',
  `compressed_bytes` BIGINT COMMENT 'Size in the archive.',
  `crc32` BIGINT COMMENT 'CRC-32 of the file, as the archive says.'
)
LOCATION 's3://bucket/prefix/lexport_tables/package_files/'
TBLPROPERTIES ('table_type' = 'ICEBERG');

CREATE TABLE IF NOT EXISTS `lexport_tables`.`lexport_loads` (
  `load_id` STRING COMMENT 'ULID of the feed.',
  `since` STRING COMMENT 'Commit up to which the warehouse was loaded before; NULL for a first load.',
  `next_since` STRING COMMENT 'Commit up to which it is loaded since; that of the newest row is the cursor.',
  `write_mode` STRING COMMENT '`hard-delete`, `soft-delete` or `scd2`; the same in all rows.',
  `schema_version` STRING COMMENT 'Version of the tables.',
  `lexport_version` STRING COMMENT 'Version of lexport that wrote the feed.',
  `loaded_at` TIMESTAMP COMMENT 'When it was loaded, UTC.',
  `upserts` BIGINT COMMENT 'Rows to upsert.',
  `deletes` BIGINT COMMENT 'Keys of rows to delete.'
)
LOCATION 's3://bucket/prefix/lexport_tables/lexport_loads/'
TBLPROPERTIES ('table_type' = 'ICEBERG');

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

