-- lexport feed 01KB0000000000000000000009 (soft-delete), from commit 01KB0000000000000000000001, to commit 01KB0000000000000000000002.
-- 7 rows to upsert, 4 keys to delete. To load it, cd into its folder and run: psql --no-psqlrc -f load.sql POSTGRESQL_URL.
-- One transaction: readers see the tables as they were before, or all as they are after.
-- It fails, and changes nothing, where the warehouse does not stand where the feed begins.
-- So it does where a table is missing: delete all rows of lexport_tables.lexport_loads, and load a feed
-- without --since, which creates the tables and replaces every row.

\set ON_ERROR_STOP on
\encoding UTF8

SET client_min_messages = 'warning';

BEGIN ISOLATION LEVEL READ COMMITTED;

SELECT PG_ADVISORY_XACT_LOCK(30510865441583732);

-- The files of the feed.

CREATE TEMPORARY TABLE "feed_tags" (
  "account_id" TEXT COLLATE "C",
  "region" TEXT COLLATE "C",
  "function_name" TEXT COLLATE "C",
  "key" TEXT COLLATE "C",
  "value" TEXT COLLATE "C"
) ON COMMIT DROP;

\copy "feed_tags" ("account_id", "region", "function_name", "key", "value") FROM 'tags.csv' WITH (FORMAT csv, HEADER true, ENCODING 'UTF8')

ANALYZE "feed_tags";

CREATE TEMPORARY TABLE "feed_subnets" (
  "account_id" TEXT COLLATE "C",
  "region" TEXT COLLATE "C",
  "function_name" TEXT COLLATE "C",
  "version" TEXT COLLATE "C",
  "subnet_id" TEXT COLLATE "C"
) ON COMMIT DROP;

\copy "feed_subnets" ("account_id", "region", "function_name", "version", "subnet_id") FROM 'subnets.csv' WITH (FORMAT csv, HEADER true, ENCODING 'UTF8')

ANALYZE "feed_subnets";

CREATE TEMPORARY TABLE "feed_changes" (
  "snapshot_id" TEXT COLLATE "C",
  "snapshot_at" TIMESTAMPTZ,
  "account_id" TEXT COLLATE "C",
  "region" TEXT COLLATE "C",
  "kind" TEXT COLLATE "C",
  "table_name" TEXT COLLATE "C",
  "key" TEXT COLLATE "C",
  "column_name" TEXT COLLATE "C",
  "old_value" TEXT COLLATE "C",
  "new_value" TEXT COLLATE "C",
  "previous_snapshot_id" TEXT COLLATE "C"
) ON COMMIT DROP;

\copy "feed_changes" ("snapshot_id", "snapshot_at", "account_id", "region", "kind", "table_name", "key", "column_name", "old_value", "new_value", "previous_snapshot_id") FROM 'changes.csv' WITH (FORMAT csv, HEADER true, ENCODING 'UTF8')

ANALYZE "feed_changes";

CREATE TEMPORARY TABLE "feed_packages" (
  "snapshot_id" TEXT COLLATE "C",
  "snapshot_at" TIMESTAMPTZ,
  "account_id" TEXT COLLATE "C",
  "region" TEXT COLLATE "C",
  "code_sha256" TEXT COLLATE "C",
  "sha256_hex" TEXT COLLATE "C",
  "size_bytes" BIGINT,
  "path" TEXT COLLATE "C",
  "status" TEXT COLLATE "C",
  "reason" TEXT COLLATE "C",
  "verified_at" TIMESTAMPTZ,
  "dependencies_status" TEXT COLLATE "C",
  "secrets_status" TEXT COLLATE "C",
  "secret_rules_version" INTEGER
) ON COMMIT DROP;

\copy "feed_packages" ("snapshot_id", "snapshot_at", "account_id", "region", "code_sha256", "sha256_hex", "size_bytes", "path", "status", "reason", "verified_at", "dependencies_status", "secrets_status", "secret_rules_version") FROM 'packages.csv' WITH (FORMAT csv, HEADER true, ENCODING 'UTF8')

ANALYZE "feed_packages";

CREATE TEMPORARY TABLE "feed_deletes" (
  "table_name" TEXT COLLATE "C",
  "account_id" TEXT COLLATE "C",
  "region" TEXT COLLATE "C",
  "function_name" TEXT COLLATE "C",
  "version" TEXT COLLATE "C",
  "alias" TEXT COLLATE "C",
  "key" TEXT COLLATE "C",
  "name" TEXT COLLATE "C",
  "position" INTEGER,
  "subnet_id" TEXT COLLATE "C",
  "security_group_id" TEXT COLLATE "C",
  "capacity_provider_arn" TEXT COLLATE "C",
  "code_signing_config_arn" TEXT COLLATE "C",
  "uuid" TEXT COLLATE "C",
  "qualifier" TEXT COLLATE "C",
  "statement" INTEGER,
  "operator" TEXT COLLATE "C",
  "value" TEXT COLLATE "C",
  "dimension" TEXT COLLATE "C",
  "executed_version" TEXT COLLATE "C",
  "day" DATE,
  "snapshot_id" TEXT COLLATE "C",
  "layer_arn" TEXT COLLATE "C",
  "code_sha256" TEXT COLLATE "C",
  "sha256_hex" TEXT COLLATE "C",
  "deleted_at" TIMESTAMPTZ
) ON COMMIT DROP;

\copy "feed_deletes" ("table_name", "account_id", "region", "function_name", "version", "alias", "key", "name", "position", "subnet_id", "security_group_id", "capacity_provider_arn", "code_signing_config_arn", "uuid", "qualifier", "statement", "operator", "value", "dimension", "executed_version", "day", "snapshot_id", "layer_arn", "code_sha256", "sha256_hex", "deleted_at") FROM 'deletes.csv' WITH (FORMAT csv, HEADER true, ENCODING 'UTF8')

ANALYZE "feed_deletes";

CREATE TEMPORARY TABLE "feed_account_regions" (
  "snapshot_at" TIMESTAMPTZ,
  "account_id" TEXT COLLATE "C",
  "region" TEXT COLLATE "C",
  "replaced" BOOLEAN
) ON COMMIT DROP;

INSERT INTO "feed_account_regions" ("snapshot_at", "account_id", "region", "replaced") VALUES
  (CAST('2026-11-22 02:00:00.123456+00:00' AS TIMESTAMPTZ), '111122223333', 'eu-west-1', FALSE),
  (CAST('2026-11-22 02:00:00.123456+00:00' AS TIMESTAMPTZ), '111122223334', 'us-east-1', TRUE);

-- Does the warehouse stand where the feed begins?

DO $lexport$ BEGIN IF NOT COALESCE((SELECT MAX("next_since") FROM "lexport_tables"."lexport_loads" WHERE "loaded_at" = (SELECT MAX("loaded_at") FROM "lexport_tables"."lexport_loads")) = '01KB0000000000000000000001', FALSE) THEN RAISE EXCEPTION USING MESSAGE = 'lexport_loads does not end where this feed begins: 01KB0000000000000000000001'; END IF; END $lexport$;

DO $lexport$ BEGIN IF NOT COALESCE((SELECT COUNT(*) FROM "lexport_tables"."lexport_loads" WHERE "write_mode" <> 'soft-delete') = 0, FALSE) THEN RAISE EXCEPTION USING MESSAGE = 'another write mode than soft-delete is in use'; END IF; END $lexport$;

DO $lexport$ BEGIN IF NOT COALESCE((SELECT COUNT(*) FROM "lexport_tables"."lexport_loads" WHERE CAST("schema_version" AS INTEGER) > 2) = 0, FALSE) THEN RAISE EXCEPTION USING MESSAGE = 'a newer lexport has loaded this warehouse; upgrade'; END IF; END $lexport$;

-- The rows.

UPDATE "lexport_tables"."functions"
SET "deleted_at" = s."snapshot_at"
FROM (
  SELECT "account_id", "region", "snapshot_at" FROM "feed_account_regions" WHERE "replaced"
) AS s
WHERE "functions"."account_id" = s."account_id"
  AND "functions"."region" = s."region" AND "functions"."deleted_at" IS NULL;

UPDATE "lexport_tables"."aliases"
SET "deleted_at" = s."snapshot_at"
FROM (
  SELECT "account_id", "region", "snapshot_at" FROM "feed_account_regions" WHERE "replaced"
) AS s
WHERE "aliases"."account_id" = s."account_id"
  AND "aliases"."region" = s."region" AND "aliases"."deleted_at" IS NULL;

UPDATE "lexport_tables"."alias_routes"
SET "deleted_at" = s."snapshot_at"
FROM (
  SELECT "account_id", "region", "snapshot_at" FROM "feed_account_regions" WHERE "replaced"
) AS s
WHERE "alias_routes"."account_id" = s."account_id"
  AND "alias_routes"."region" = s."region" AND "alias_routes"."deleted_at" IS NULL;

UPDATE "lexport_tables"."tags"
SET "deleted_at" = s."snapshot_at"
FROM (
  SELECT "account_id", "region", "snapshot_at" FROM "feed_account_regions" WHERE "replaced"
) AS s
WHERE "tags"."account_id" = s."account_id"
  AND "tags"."region" = s."region" AND "tags"."deleted_at" IS NULL;

UPDATE "lexport_tables"."tags"
SET "deleted_at" = s."deleted_at"
FROM (
  SELECT "account_id", "region", "function_name", "key", "deleted_at" FROM "feed_deletes" WHERE "table_name" = 'tags'
) AS s
WHERE hash_record_extended(ROW("tags"."account_id", "tags"."region", "tags"."function_name", "tags"."key"), 0) = hash_record_extended(ROW(s."account_id", s."region", s."function_name", s."key"), 0)
  AND "tags"."account_id" = s."account_id"
  AND "tags"."region" = s."region"
  AND "tags"."function_name" IS NOT DISTINCT FROM s."function_name"
  AND "tags"."key" IS NOT DISTINCT FROM s."key" AND "tags"."deleted_at" IS NULL;

DELETE FROM "lexport_tables"."tags"
USING (
  SELECT "account_id", "region", "function_name", "key", "value" FROM "feed_tags"
) AS s
WHERE hash_record_extended(ROW("tags"."account_id", "tags"."region", "tags"."function_name", "tags"."key"), 0) = hash_record_extended(ROW(s."account_id", s."region", s."function_name", s."key"), 0)
  AND "tags"."account_id" = s."account_id"
  AND "tags"."region" = s."region"
  AND "tags"."function_name" IS NOT DISTINCT FROM s."function_name"
  AND "tags"."key" IS NOT DISTINCT FROM s."key";

INSERT INTO "lexport_tables"."tags" ("account_id", "region", "function_name", "key", "value")
SELECT "account_id", "region", "function_name", "key", "value" FROM "feed_tags";

UPDATE "lexport_tables"."env_vars"
SET "deleted_at" = s."snapshot_at"
FROM (
  SELECT "account_id", "region", "snapshot_at" FROM "feed_account_regions" WHERE "replaced"
) AS s
WHERE "env_vars"."account_id" = s."account_id"
  AND "env_vars"."region" = s."region" AND "env_vars"."deleted_at" IS NULL;

UPDATE "lexport_tables"."layers"
SET "deleted_at" = s."snapshot_at"
FROM (
  SELECT "account_id", "region", "snapshot_at" FROM "feed_account_regions" WHERE "replaced"
) AS s
WHERE "layers"."account_id" = s."account_id"
  AND "layers"."region" = s."region" AND "layers"."deleted_at" IS NULL;

UPDATE "lexport_tables"."subnets"
SET "deleted_at" = s."snapshot_at"
FROM (
  SELECT "account_id", "region", "snapshot_at" FROM "feed_account_regions" WHERE "replaced"
) AS s
WHERE "subnets"."account_id" = s."account_id"
  AND "subnets"."region" = s."region" AND "subnets"."deleted_at" IS NULL;

DELETE FROM "lexport_tables"."subnets"
USING (
  SELECT "account_id", "region", "function_name", "version", "subnet_id" FROM "feed_subnets"
) AS s
WHERE hash_record_extended(ROW("subnets"."account_id", "subnets"."region", "subnets"."function_name", "subnets"."version", "subnets"."subnet_id"), 0) = hash_record_extended(ROW(s."account_id", s."region", s."function_name", s."version", s."subnet_id"), 0)
  AND "subnets"."account_id" = s."account_id"
  AND "subnets"."region" = s."region"
  AND "subnets"."function_name" IS NOT DISTINCT FROM s."function_name"
  AND "subnets"."version" IS NOT DISTINCT FROM s."version"
  AND "subnets"."subnet_id" IS NOT DISTINCT FROM s."subnet_id";

INSERT INTO "lexport_tables"."subnets" ("account_id", "region", "function_name", "version", "subnet_id")
SELECT "account_id", "region", "function_name", "version", "subnet_id" FROM "feed_subnets";

UPDATE "lexport_tables"."security_groups"
SET "deleted_at" = s."snapshot_at"
FROM (
  SELECT "account_id", "region", "snapshot_at" FROM "feed_account_regions" WHERE "replaced"
) AS s
WHERE "security_groups"."account_id" = s."account_id"
  AND "security_groups"."region" = s."region" AND "security_groups"."deleted_at" IS NULL;

UPDATE "lexport_tables"."file_systems"
SET "deleted_at" = s."snapshot_at"
FROM (
  SELECT "account_id", "region", "snapshot_at" FROM "feed_account_regions" WHERE "replaced"
) AS s
WHERE "file_systems"."account_id" = s."account_id"
  AND "file_systems"."region" = s."region" AND "file_systems"."deleted_at" IS NULL;

UPDATE "lexport_tables"."account_settings"
SET "deleted_at" = s."snapshot_at"
FROM (
  SELECT "account_id", "region", "snapshot_at" FROM "feed_account_regions" WHERE "replaced"
) AS s
WHERE "account_settings"."account_id" = s."account_id"
  AND "account_settings"."region" = s."region" AND "account_settings"."deleted_at" IS NULL;

UPDATE "lexport_tables"."capacity_providers"
SET "deleted_at" = s."snapshot_at"
FROM (
  SELECT "account_id", "region", "snapshot_at" FROM "feed_account_regions" WHERE "replaced"
) AS s
WHERE "capacity_providers"."account_id" = s."account_id"
  AND "capacity_providers"."region" = s."region" AND "capacity_providers"."deleted_at" IS NULL;

UPDATE "lexport_tables"."code_signing_configs"
SET "deleted_at" = s."snapshot_at"
FROM (
  SELECT "account_id", "region", "snapshot_at" FROM "feed_account_regions" WHERE "replaced"
) AS s
WHERE "code_signing_configs"."account_id" = s."account_id"
  AND "code_signing_configs"."region" = s."region" AND "code_signing_configs"."deleted_at" IS NULL;

UPDATE "lexport_tables"."function_code_signing"
SET "deleted_at" = s."snapshot_at"
FROM (
  SELECT "account_id", "region", "snapshot_at" FROM "feed_account_regions" WHERE "replaced"
) AS s
WHERE "function_code_signing"."account_id" = s."account_id"
  AND "function_code_signing"."region" = s."region" AND "function_code_signing"."deleted_at" IS NULL;

UPDATE "lexport_tables"."event_source_mappings"
SET "deleted_at" = s."snapshot_at"
FROM (
  SELECT "account_id", "region", "snapshot_at" FROM "feed_account_regions" WHERE "replaced"
) AS s
WHERE "event_source_mappings"."account_id" = s."account_id"
  AND "event_source_mappings"."region" = s."region" AND "event_source_mappings"."deleted_at" IS NULL;

UPDATE "lexport_tables"."event_invoke_configs"
SET "deleted_at" = s."snapshot_at"
FROM (
  SELECT "account_id", "region", "snapshot_at" FROM "feed_account_regions" WHERE "replaced"
) AS s
WHERE "event_invoke_configs"."account_id" = s."account_id"
  AND "event_invoke_configs"."region" = s."region" AND "event_invoke_configs"."deleted_at" IS NULL;

UPDATE "lexport_tables"."policy_statements"
SET "deleted_at" = s."snapshot_at"
FROM (
  SELECT "account_id", "region", "snapshot_at" FROM "feed_account_regions" WHERE "replaced"
) AS s
WHERE "policy_statements"."account_id" = s."account_id"
  AND "policy_statements"."region" = s."region" AND "policy_statements"."deleted_at" IS NULL;

UPDATE "lexport_tables"."policy_conditions"
SET "deleted_at" = s."snapshot_at"
FROM (
  SELECT "account_id", "region", "snapshot_at" FROM "feed_account_regions" WHERE "replaced"
) AS s
WHERE "policy_conditions"."account_id" = s."account_id"
  AND "policy_conditions"."region" = s."region" AND "policy_conditions"."deleted_at" IS NULL;

UPDATE "lexport_tables"."provisioned_concurrency_configs"
SET "deleted_at" = s."snapshot_at"
FROM (
  SELECT "account_id", "region", "snapshot_at" FROM "feed_account_regions" WHERE "replaced"
) AS s
WHERE "provisioned_concurrency_configs"."account_id" = s."account_id"
  AND "provisioned_concurrency_configs"."region" = s."region" AND "provisioned_concurrency_configs"."deleted_at" IS NULL;

UPDATE "lexport_tables"."recursion_configs"
SET "deleted_at" = s."snapshot_at"
FROM (
  SELECT "account_id", "region", "snapshot_at" FROM "feed_account_regions" WHERE "replaced"
) AS s
WHERE "recursion_configs"."account_id" = s."account_id"
  AND "recursion_configs"."region" = s."region" AND "recursion_configs"."deleted_at" IS NULL;

UPDATE "lexport_tables"."runtime_management_configs"
SET "deleted_at" = s."snapshot_at"
FROM (
  SELECT "account_id", "region", "snapshot_at" FROM "feed_account_regions" WHERE "replaced"
) AS s
WHERE "runtime_management_configs"."account_id" = s."account_id"
  AND "runtime_management_configs"."region" = s."region" AND "runtime_management_configs"."deleted_at" IS NULL;

UPDATE "lexport_tables"."function_urls"
SET "deleted_at" = s."snapshot_at"
FROM (
  SELECT "account_id", "region", "snapshot_at" FROM "feed_account_regions" WHERE "replaced"
) AS s
WHERE "function_urls"."account_id" = s."account_id"
  AND "function_urls"."region" = s."region" AND "function_urls"."deleted_at" IS NULL;

UPDATE "lexport_tables"."function_usage"
SET "deleted_at" = s."snapshot_at"
FROM (
  SELECT "account_id", "region", "snapshot_at" FROM "feed_account_regions" WHERE "replaced"
) AS s
WHERE "function_usage"."account_id" = s."account_id"
  AND "function_usage"."region" = s."region" AND "function_usage"."deleted_at" IS NULL;

UPDATE "lexport_tables"."usage_windows"
SET "deleted_at" = s."snapshot_at"
FROM (
  SELECT "account_id", "region", "snapshot_at" FROM "feed_account_regions" WHERE "replaced"
) AS s
WHERE "usage_windows"."account_id" = s."account_id"
  AND "usage_windows"."region" = s."region" AND "usage_windows"."deleted_at" IS NULL;

DELETE FROM "lexport_tables"."changes"
USING (
  SELECT "snapshot_id", "snapshot_at", "account_id", "region", "kind", "table_name", "key", "column_name", "old_value", "new_value", "previous_snapshot_id" FROM "feed_changes"
) AS s
WHERE hash_record_extended(ROW("changes"."snapshot_id", "changes"."account_id", "changes"."region", "changes"."table_name", "changes"."key", "changes"."kind", "changes"."column_name"), 0) = hash_record_extended(ROW(s."snapshot_id", s."account_id", s."region", s."table_name", s."key", s."kind", s."column_name"), 0)
  AND "changes"."snapshot_id" = s."snapshot_id"
  AND "changes"."account_id" IS NOT DISTINCT FROM s."account_id"
  AND "changes"."region" IS NOT DISTINCT FROM s."region"
  AND "changes"."table_name" IS NOT DISTINCT FROM s."table_name"
  AND "changes"."key" IS NOT DISTINCT FROM s."key"
  AND "changes"."kind" IS NOT DISTINCT FROM s."kind"
  AND "changes"."column_name" IS NOT DISTINCT FROM s."column_name";

INSERT INTO "lexport_tables"."changes" ("snapshot_id", "snapshot_at", "account_id", "region", "kind", "table_name", "key", "column_name", "old_value", "new_value", "previous_snapshot_id")
SELECT "snapshot_id", "snapshot_at", "account_id", "region", "kind", "table_name", "key", "column_name", "old_value", "new_value", "previous_snapshot_id" FROM "feed_changes";

UPDATE "lexport_tables"."packages"
SET "deleted_at" = s."deleted_at"
FROM (
  SELECT "code_sha256", "deleted_at" FROM "feed_deletes" WHERE "table_name" = 'packages'
) AS s
WHERE hash_record_extended(ROW("packages"."code_sha256"), 0) = hash_record_extended(ROW(s."code_sha256"), 0)
  AND "packages"."code_sha256" IS NOT DISTINCT FROM s."code_sha256" AND "packages"."deleted_at" IS NULL;

DELETE FROM "lexport_tables"."packages"
USING (
  SELECT "snapshot_id", "snapshot_at", "account_id", "region", "code_sha256", "sha256_hex", "size_bytes", "path", "status", "reason", "verified_at", "dependencies_status", "secrets_status", "secret_rules_version" FROM "feed_packages"
) AS s
WHERE hash_record_extended(ROW("packages"."code_sha256"), 0) = hash_record_extended(ROW(s."code_sha256"), 0)
  AND "packages"."code_sha256" IS NOT DISTINCT FROM s."code_sha256";

INSERT INTO "lexport_tables"."packages" ("snapshot_id", "snapshot_at", "account_id", "region", "code_sha256", "sha256_hex", "size_bytes", "path", "status", "reason", "verified_at", "dependencies_status", "secrets_status", "secret_rules_version")
SELECT "snapshot_id", "snapshot_at", "account_id", "region", "code_sha256", "sha256_hex", "size_bytes", "path", "status", "reason", "verified_at", "dependencies_status", "secrets_status", "secret_rules_version" FROM "feed_packages";

INSERT INTO "lexport_tables"."lexport_loads" ("load_id", "since", "next_since", "write_mode", "schema_version", "lexport_version", "loaded_at", "upserts", "deletes")
SELECT '01KB0000000000000000000009', '01KB0000000000000000000001', '01KB0000000000000000000002', 'soft-delete', '2', '0.1.0', GREATEST(CLOCK_TIMESTAMP(), COALESCE((SELECT MAX("loaded_at") FROM "lexport_tables"."lexport_loads") + INTERVAL '1 MICROSECOND', CLOCK_TIMESTAMP())), 7, 4
FROM (SELECT 1 AS one) AS one_row
WHERE (SELECT MAX("next_since") FROM "lexport_tables"."lexport_loads" WHERE "loaded_at" = (SELECT MAX("loaded_at") FROM "lexport_tables"."lexport_loads")) = '01KB0000000000000000000001';

COMMIT;

