-- lexport feed 01KB0000000000000000000009 (soft-delete), from commit 01KB0000000000000000000001, to commit 01KB0000000000000000000002.
-- 7 rows to upsert, 4 keys to delete. To load it, run it in psql with -v ON_ERROR_STOP=1; the cluster's default IAM role has to read the files.
-- One transaction: readers see the tables as they were before, or all as they are after.
-- It fails, and changes nothing, where the warehouse does not stand where the feed begins.
-- So it does where a table is missing: delete all rows of lexport_tables.lexport_loads, and load a feed
-- without --since, which creates the tables and replaces every row.
-- The files are read from s3://bucket/feeds/1.

BEGIN;

-- The files of the feed.

CREATE TEMPORARY TABLE "feed_tags" (
  "account_id" VARCHAR(65535),
  "region" VARCHAR(65535),
  "function_name" VARCHAR(65535),
  "key" VARCHAR(65535),
  "value" VARCHAR(65535)
);

COPY "feed_tags" FROM 's3://bucket/feeds/1/tags.parquet' IAM_ROLE default FORMAT AS PARQUET;

CREATE TEMPORARY TABLE "feed_subnets" (
  "account_id" VARCHAR(65535),
  "region" VARCHAR(65535),
  "function_name" VARCHAR(65535),
  "version" VARCHAR(65535),
  "subnet_id" VARCHAR(65535)
);

COPY "feed_subnets" FROM 's3://bucket/feeds/1/subnets.parquet' IAM_ROLE default FORMAT AS PARQUET;

CREATE TEMPORARY TABLE "feed_changes" (
  "snapshot_id" VARCHAR(65535),
  "snapshot_at" TIMESTAMP,
  "account_id" VARCHAR(65535),
  "region" VARCHAR(65535),
  "kind" VARCHAR(65535),
  "table_name" VARCHAR(65535),
  "key" VARCHAR(65535),
  "column_name" VARCHAR(65535),
  "old_value" VARCHAR(65535),
  "new_value" VARCHAR(65535),
  "previous_snapshot_id" VARCHAR(65535)
);

COPY "feed_changes" FROM 's3://bucket/feeds/1/changes.parquet' IAM_ROLE default FORMAT AS PARQUET;

CREATE TEMPORARY TABLE "feed_packages" (
  "snapshot_id" VARCHAR(65535),
  "snapshot_at" TIMESTAMP,
  "account_id" VARCHAR(65535),
  "region" VARCHAR(65535),
  "code_sha256" VARCHAR(65535),
  "sha256_hex" VARCHAR(65535),
  "size_bytes" BIGINT,
  "path" VARCHAR(65535),
  "status" VARCHAR(65535),
  "reason" VARCHAR(65535),
  "verified_at" TIMESTAMP,
  "dependencies_status" VARCHAR(65535),
  "secrets_status" VARCHAR(65535),
  "secret_rules_version" INTEGER
);

COPY "feed_packages" FROM 's3://bucket/feeds/1/packages.parquet' IAM_ROLE default FORMAT AS PARQUET;

CREATE TEMPORARY TABLE "feed_deletes" (
  "table_name" VARCHAR(65535),
  "account_id" VARCHAR(65535),
  "region" VARCHAR(65535),
  "function_name" VARCHAR(65535),
  "version" VARCHAR(65535),
  "alias" VARCHAR(65535),
  "key" VARCHAR(65535),
  "name" VARCHAR(65535),
  "position" INTEGER,
  "subnet_id" VARCHAR(65535),
  "security_group_id" VARCHAR(65535),
  "capacity_provider_arn" VARCHAR(65535),
  "code_signing_config_arn" VARCHAR(65535),
  "uuid" VARCHAR(65535),
  "qualifier" VARCHAR(65535),
  "statement" INTEGER,
  "operator" VARCHAR(65535),
  "value" VARCHAR(65535),
  "dimension" VARCHAR(65535),
  "executed_version" VARCHAR(65535),
  "day" DATE,
  "snapshot_id" VARCHAR(65535),
  "layer_arn" VARCHAR(65535),
  "code_sha256" VARCHAR(65535),
  "sha256_hex" VARCHAR(65535),
  "deleted_at" TIMESTAMP
);

COPY "feed_deletes" FROM 's3://bucket/feeds/1/deletes.parquet' IAM_ROLE default FORMAT AS PARQUET;

CREATE TEMPORARY TABLE "feed_account_regions" (
  "snapshot_at" TIMESTAMP,
  "account_id" VARCHAR(65535),
  "region" VARCHAR(65535),
  "replaced" BOOLEAN
);

INSERT INTO "feed_account_regions" ("snapshot_at", "account_id", "region", "replaced") VALUES
  (CAST('2026-11-22 02:00:00.123456' AS TIMESTAMP), '111122223333', 'eu-west-1', FALSE),
  (CAST('2026-11-22 02:00:00.123456' AS TIMESTAMP), '111122223334', 'us-east-1', TRUE);

-- Does the warehouse stand where the feed begins?

SELECT 1 / CASE WHEN (SELECT MAX("next_since") FROM "lexport_tables"."lexport_loads" WHERE "loaded_at" = (SELECT MAX("loaded_at") FROM "lexport_tables"."lexport_loads")) = '01KB0000000000000000000001' THEN 1 ELSE 0 END AS "lexport_loads does not end where this feed begins: 01KB0000000000000000000001";

SELECT 1 / CASE WHEN (SELECT COUNT(*) FROM "lexport_tables"."lexport_loads" WHERE "write_mode" <> 'soft-delete') = 0 THEN 1 ELSE 0 END AS "another write mode than soft-delete is in use";

SELECT 1 / CASE WHEN (SELECT COUNT(*) FROM "lexport_tables"."lexport_loads" WHERE CAST("schema_version" AS INTEGER) > 2) = 0 THEN 1 ELSE 0 END AS "a newer lexport has loaded this warehouse; upgrade";

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
WHERE "tags"."account_id" = s."account_id"
  AND "tags"."region" = s."region"
  AND ("tags"."function_name" = s."function_name" OR ("tags"."function_name" IS NULL AND s."function_name" IS NULL))
  AND ("tags"."key" = s."key" OR ("tags"."key" IS NULL AND s."key" IS NULL)) AND "tags"."deleted_at" IS NULL;

DELETE FROM "lexport_tables"."tags"
USING (
  SELECT "account_id", "region", "function_name", "key", "value" FROM "feed_tags"
) AS s
WHERE "tags"."account_id" = s."account_id"
  AND "tags"."region" = s."region"
  AND ("tags"."function_name" = s."function_name" OR ("tags"."function_name" IS NULL AND s."function_name" IS NULL))
  AND ("tags"."key" = s."key" OR ("tags"."key" IS NULL AND s."key" IS NULL));

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
WHERE "subnets"."account_id" = s."account_id"
  AND "subnets"."region" = s."region"
  AND ("subnets"."function_name" = s."function_name" OR ("subnets"."function_name" IS NULL AND s."function_name" IS NULL))
  AND ("subnets"."version" = s."version" OR ("subnets"."version" IS NULL AND s."version" IS NULL))
  AND ("subnets"."subnet_id" = s."subnet_id" OR ("subnets"."subnet_id" IS NULL AND s."subnet_id" IS NULL));

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
WHERE "changes"."snapshot_id" = s."snapshot_id"
  AND ("changes"."account_id" = s."account_id" OR ("changes"."account_id" IS NULL AND s."account_id" IS NULL))
  AND ("changes"."region" = s."region" OR ("changes"."region" IS NULL AND s."region" IS NULL))
  AND ("changes"."table_name" = s."table_name" OR ("changes"."table_name" IS NULL AND s."table_name" IS NULL))
  AND ("changes"."key" = s."key" OR ("changes"."key" IS NULL AND s."key" IS NULL))
  AND ("changes"."kind" = s."kind" OR ("changes"."kind" IS NULL AND s."kind" IS NULL))
  AND ("changes"."column_name" = s."column_name" OR ("changes"."column_name" IS NULL AND s."column_name" IS NULL));

INSERT INTO "lexport_tables"."changes" ("snapshot_id", "snapshot_at", "account_id", "region", "kind", "table_name", "key", "column_name", "old_value", "new_value", "previous_snapshot_id")
SELECT "snapshot_id", "snapshot_at", "account_id", "region", "kind", "table_name", "key", "column_name", "old_value", "new_value", "previous_snapshot_id" FROM "feed_changes";

UPDATE "lexport_tables"."packages"
SET "deleted_at" = s."deleted_at"
FROM (
  SELECT "code_sha256", "deleted_at" FROM "feed_deletes" WHERE "table_name" = 'packages'
) AS s
WHERE ("packages"."code_sha256" = s."code_sha256" OR ("packages"."code_sha256" IS NULL AND s."code_sha256" IS NULL)) AND "packages"."deleted_at" IS NULL;

DELETE FROM "lexport_tables"."packages"
USING (
  SELECT "snapshot_id", "snapshot_at", "account_id", "region", "code_sha256", "sha256_hex", "size_bytes", "path", "status", "reason", "verified_at", "dependencies_status", "secrets_status", "secret_rules_version" FROM "feed_packages"
) AS s
WHERE ("packages"."code_sha256" = s."code_sha256" OR ("packages"."code_sha256" IS NULL AND s."code_sha256" IS NULL));

INSERT INTO "lexport_tables"."packages" ("snapshot_id", "snapshot_at", "account_id", "region", "code_sha256", "sha256_hex", "size_bytes", "path", "status", "reason", "verified_at", "dependencies_status", "secrets_status", "secret_rules_version")
SELECT "snapshot_id", "snapshot_at", "account_id", "region", "code_sha256", "sha256_hex", "size_bytes", "path", "status", "reason", "verified_at", "dependencies_status", "secrets_status", "secret_rules_version" FROM "feed_packages";

INSERT INTO "lexport_tables"."lexport_loads" ("load_id", "since", "next_since", "write_mode", "schema_version", "lexport_version", "loaded_at", "upserts", "deletes")
SELECT '01KB0000000000000000000009', '01KB0000000000000000000001', '01KB0000000000000000000002', 'soft-delete', '2', '0.1.0', GREATEST(SYSDATE, COALESCE(DATEADD(MICROSECOND, 1, (SELECT MAX("loaded_at") FROM "lexport_tables"."lexport_loads")), SYSDATE)), 7, 4
FROM (SELECT 1 AS one) AS one_row
WHERE (SELECT MAX("next_since") FROM "lexport_tables"."lexport_loads" WHERE "loaded_at" = (SELECT MAX("loaded_at") FROM "lexport_tables"."lexport_loads")) = '01KB0000000000000000000001';

COMMIT;

