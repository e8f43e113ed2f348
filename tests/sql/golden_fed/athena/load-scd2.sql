-- lexport feed 01KB0000000000000000000009 (scd2), from commit 01KB0000000000000000000001, to commit 01KB0000000000000000000002.
-- 7 rows to upsert, 4 keys to delete. To load it, run the statements one by one in order, and stop at the first error.
-- There is no transaction over several tables: readers can see some tables as they were before and others as they are after. A script that was cut off is run again from its beginning. Never run two at once.
-- It fails, and changes nothing, where the warehouse does not stand where the feed begins.
-- So it does where a table is missing: delete all rows of lexport_tables.lexport_loads, and load a feed
-- without --since, which creates the tables and replaces every row.
-- The files are read from s3://bucket/feeds/1.
-- Athena reads folders: first copy each part there into a folder of its own, as in
--   aws s3 cp s3://bucket/feeds/1/tags.parquet s3://bucket/feeds/1/tags/tags.parquet
-- Athena reads instants in Parquet files to the millisecond.

-- The files of the feed.

DROP TABLE IF EXISTS `lexport_tables`.`feed_tags`;

CREATE EXTERNAL TABLE `lexport_tables`.`feed_tags` (
  `account_id` STRING,
  `region` STRING,
  `function_name` STRING,
  `key` STRING,
  `value` STRING
)
STORED AS PARQUET
LOCATION 's3://bucket/feeds/1/tags/';

DROP TABLE IF EXISTS `lexport_tables`.`feed_subnets`;

CREATE EXTERNAL TABLE `lexport_tables`.`feed_subnets` (
  `account_id` STRING,
  `region` STRING,
  `function_name` STRING,
  `version` STRING,
  `subnet_id` STRING
)
STORED AS PARQUET
LOCATION 's3://bucket/feeds/1/subnets/';

DROP TABLE IF EXISTS `lexport_tables`.`feed_changes`;

CREATE EXTERNAL TABLE `lexport_tables`.`feed_changes` (
  `snapshot_id` STRING,
  `snapshot_at` TIMESTAMP,
  `account_id` STRING,
  `region` STRING,
  `kind` STRING,
  `table_name` STRING,
  `key` STRING,
  `column_name` STRING,
  `old_value` STRING,
  `new_value` STRING,
  `previous_snapshot_id` STRING
)
STORED AS PARQUET
LOCATION 's3://bucket/feeds/1/changes/';

DROP TABLE IF EXISTS `lexport_tables`.`feed_packages`;

CREATE EXTERNAL TABLE `lexport_tables`.`feed_packages` (
  `snapshot_id` STRING,
  `snapshot_at` TIMESTAMP,
  `account_id` STRING,
  `region` STRING,
  `code_sha256` STRING,
  `sha256_hex` STRING,
  `size_bytes` BIGINT,
  `path` STRING,
  `status` STRING,
  `reason` STRING,
  `verified_at` TIMESTAMP,
  `dependencies_status` STRING,
  `secrets_status` STRING,
  `secret_rules_version` INT
)
STORED AS PARQUET
LOCATION 's3://bucket/feeds/1/packages/';

DROP TABLE IF EXISTS `lexport_tables`.`feed_deletes`;

CREATE EXTERNAL TABLE `lexport_tables`.`feed_deletes` (
  `table_name` STRING,
  `account_id` STRING,
  `region` STRING,
  `function_name` STRING,
  `version` STRING,
  `alias` STRING,
  `key` STRING,
  `name` STRING,
  `position` INT,
  `subnet_id` STRING,
  `security_group_id` STRING,
  `capacity_provider_arn` STRING,
  `code_signing_config_arn` STRING,
  `uuid` STRING,
  `qualifier` STRING,
  `statement` INT,
  `operator` STRING,
  `value` STRING,
  `dimension` STRING,
  `executed_version` STRING,
  `day` DATE,
  `snapshot_id` STRING,
  `layer_arn` STRING,
  `code_sha256` STRING,
  `sha256_hex` STRING,
  `deleted_at` TIMESTAMP
)
STORED AS PARQUET
LOCATION 's3://bucket/feeds/1/deletes/';

CREATE OR REPLACE VIEW "lexport_tables"."feed_account_regions" AS
SELECT * FROM (VALUES
  (CAST('2026-11-22 02:00:00.123456' AS TIMESTAMP(6)), '111122223333', 'eu-west-1', FALSE),
  (CAST('2026-11-22 02:00:00.123456' AS TIMESTAMP(6)), '111122223334', 'us-east-1', TRUE)
) AS v ("snapshot_at", "account_id", "region", "replaced");

-- Does the warehouse stand where the feed begins?

SELECT CASE WHEN COALESCE((SELECT MAX("next_since") FROM "lexport_tables"."lexport_loads" WHERE "loaded_at" = (SELECT MAX("loaded_at") FROM "lexport_tables"."lexport_loads")) = '01KB0000000000000000000001', FALSE) THEN TRUE ELSE CAST(FAIL('lexport_loads does not end where this feed begins: 01KB0000000000000000000001') AS BOOLEAN) END;

SELECT CASE WHEN COALESCE((SELECT COUNT(*) FROM "lexport_tables"."lexport_loads" WHERE "write_mode" <> 'scd2') = 0, FALSE) THEN TRUE ELSE CAST(FAIL('another write mode than scd2 is in use') AS BOOLEAN) END;

SELECT CASE WHEN COALESCE((SELECT COUNT(*) FROM "lexport_tables"."lexport_loads" WHERE CAST("schema_version" AS INTEGER) > 2) = 0, FALSE) THEN TRUE ELSE CAST(FAIL('a newer lexport has loaded this warehouse; upgrade') AS BOOLEAN) END;

-- The rows.

MERGE INTO "lexport_tables"."functions" AS t
USING (
  SELECT "account_id", "region", "snapshot_at" FROM "lexport_tables"."feed_account_regions" WHERE "replaced"
) AS s
ON t."account_id" = s."account_id"
  AND t."region" = s."region" AND t."valid_to" IS NULL
WHEN MATCHED THEN UPDATE SET "valid_to" = s."snapshot_at";

MERGE INTO "lexport_tables"."aliases" AS t
USING (
  SELECT "account_id", "region", "snapshot_at" FROM "lexport_tables"."feed_account_regions" WHERE "replaced"
) AS s
ON t."account_id" = s."account_id"
  AND t."region" = s."region" AND t."valid_to" IS NULL
WHEN MATCHED THEN UPDATE SET "valid_to" = s."snapshot_at";

MERGE INTO "lexport_tables"."alias_routes" AS t
USING (
  SELECT "account_id", "region", "snapshot_at" FROM "lexport_tables"."feed_account_regions" WHERE "replaced"
) AS s
ON t."account_id" = s."account_id"
  AND t."region" = s."region" AND t."valid_to" IS NULL
WHEN MATCHED THEN UPDATE SET "valid_to" = s."snapshot_at";

MERGE INTO "lexport_tables"."tags" AS t
USING (
  SELECT "account_id", "region", "snapshot_at" FROM "lexport_tables"."feed_account_regions" WHERE "replaced"
) AS s
ON t."account_id" = s."account_id"
  AND t."region" = s."region" AND t."valid_to" IS NULL
WHEN MATCHED THEN UPDATE SET "valid_to" = s."snapshot_at";

MERGE INTO "lexport_tables"."tags" AS t
USING (
  SELECT "account_id", "region", "function_name", "key", "deleted_at" FROM "lexport_tables"."feed_deletes" WHERE "table_name" = 'tags'
) AS s
ON t."account_id" = s."account_id"
  AND t."region" = s."region"
  AND t."function_name" IS NOT DISTINCT FROM s."function_name"
  AND t."key" IS NOT DISTINCT FROM s."key" AND t."valid_to" IS NULL
WHEN MATCHED THEN UPDATE SET "valid_to" = s."deleted_at";

MERGE INTO "lexport_tables"."tags" AS t
USING (
  SELECT r."account_id", r."region", r."function_name", r."key", r."value", f."snapshot_at" AS "valid_from" FROM "lexport_tables"."feed_tags" AS r JOIN "lexport_tables"."feed_account_regions" AS f ON r."account_id" = f."account_id" AND r."region" = f."region"
) AS s
ON t."account_id" = s."account_id"
  AND t."region" = s."region"
  AND t."function_name" IS NOT DISTINCT FROM s."function_name"
  AND t."key" IS NOT DISTINCT FROM s."key"
  AND t."valid_from" IS NOT DISTINCT FROM s."valid_from"
WHEN MATCHED THEN DELETE;

MERGE INTO "lexport_tables"."tags" AS t
USING (
  SELECT r."account_id", r."region", r."function_name", r."key", r."value", f."snapshot_at" AS "valid_from" FROM "lexport_tables"."feed_tags" AS r JOIN "lexport_tables"."feed_account_regions" AS f ON r."account_id" = f."account_id" AND r."region" = f."region"
) AS s
ON t."account_id" = s."account_id"
  AND t."region" = s."region"
  AND t."function_name" IS NOT DISTINCT FROM s."function_name"
  AND t."key" IS NOT DISTINCT FROM s."key" AND t."valid_to" IS NULL
WHEN MATCHED THEN UPDATE SET "valid_to" = s."valid_from";

INSERT INTO "lexport_tables"."tags" ("account_id", "region", "function_name", "key", "value", "valid_from")
SELECT r."account_id", r."region", r."function_name", r."key", r."value", f."snapshot_at" AS "valid_from" FROM "lexport_tables"."feed_tags" AS r JOIN "lexport_tables"."feed_account_regions" AS f ON r."account_id" = f."account_id" AND r."region" = f."region";

MERGE INTO "lexport_tables"."env_vars" AS t
USING (
  SELECT "account_id", "region", "snapshot_at" FROM "lexport_tables"."feed_account_regions" WHERE "replaced"
) AS s
ON t."account_id" = s."account_id"
  AND t."region" = s."region" AND t."valid_to" IS NULL
WHEN MATCHED THEN UPDATE SET "valid_to" = s."snapshot_at";

MERGE INTO "lexport_tables"."layers" AS t
USING (
  SELECT "account_id", "region", "snapshot_at" FROM "lexport_tables"."feed_account_regions" WHERE "replaced"
) AS s
ON t."account_id" = s."account_id"
  AND t."region" = s."region" AND t."valid_to" IS NULL
WHEN MATCHED THEN UPDATE SET "valid_to" = s."snapshot_at";

MERGE INTO "lexport_tables"."subnets" AS t
USING (
  SELECT "account_id", "region", "snapshot_at" FROM "lexport_tables"."feed_account_regions" WHERE "replaced"
) AS s
ON t."account_id" = s."account_id"
  AND t."region" = s."region" AND t."valid_to" IS NULL
WHEN MATCHED THEN UPDATE SET "valid_to" = s."snapshot_at";

MERGE INTO "lexport_tables"."subnets" AS t
USING (
  SELECT r."account_id", r."region", r."function_name", r."version", r."subnet_id", f."snapshot_at" AS "valid_from" FROM "lexport_tables"."feed_subnets" AS r JOIN "lexport_tables"."feed_account_regions" AS f ON r."account_id" = f."account_id" AND r."region" = f."region"
) AS s
ON t."account_id" = s."account_id"
  AND t."region" = s."region"
  AND t."function_name" IS NOT DISTINCT FROM s."function_name"
  AND t."version" IS NOT DISTINCT FROM s."version"
  AND t."subnet_id" IS NOT DISTINCT FROM s."subnet_id"
  AND t."valid_from" IS NOT DISTINCT FROM s."valid_from"
WHEN MATCHED THEN DELETE;

MERGE INTO "lexport_tables"."subnets" AS t
USING (
  SELECT r."account_id", r."region", r."function_name", r."version", r."subnet_id", f."snapshot_at" AS "valid_from" FROM "lexport_tables"."feed_subnets" AS r JOIN "lexport_tables"."feed_account_regions" AS f ON r."account_id" = f."account_id" AND r."region" = f."region"
) AS s
ON t."account_id" = s."account_id"
  AND t."region" = s."region"
  AND t."function_name" IS NOT DISTINCT FROM s."function_name"
  AND t."version" IS NOT DISTINCT FROM s."version"
  AND t."subnet_id" IS NOT DISTINCT FROM s."subnet_id" AND t."valid_to" IS NULL
WHEN MATCHED THEN UPDATE SET "valid_to" = s."valid_from";

INSERT INTO "lexport_tables"."subnets" ("account_id", "region", "function_name", "version", "subnet_id", "valid_from")
SELECT r."account_id", r."region", r."function_name", r."version", r."subnet_id", f."snapshot_at" AS "valid_from" FROM "lexport_tables"."feed_subnets" AS r JOIN "lexport_tables"."feed_account_regions" AS f ON r."account_id" = f."account_id" AND r."region" = f."region";

MERGE INTO "lexport_tables"."security_groups" AS t
USING (
  SELECT "account_id", "region", "snapshot_at" FROM "lexport_tables"."feed_account_regions" WHERE "replaced"
) AS s
ON t."account_id" = s."account_id"
  AND t."region" = s."region" AND t."valid_to" IS NULL
WHEN MATCHED THEN UPDATE SET "valid_to" = s."snapshot_at";

MERGE INTO "lexport_tables"."file_systems" AS t
USING (
  SELECT "account_id", "region", "snapshot_at" FROM "lexport_tables"."feed_account_regions" WHERE "replaced"
) AS s
ON t."account_id" = s."account_id"
  AND t."region" = s."region" AND t."valid_to" IS NULL
WHEN MATCHED THEN UPDATE SET "valid_to" = s."snapshot_at";

MERGE INTO "lexport_tables"."account_settings" AS t
USING (
  SELECT "account_id", "region", "snapshot_at" FROM "lexport_tables"."feed_account_regions" WHERE "replaced"
) AS s
ON t."account_id" = s."account_id"
  AND t."region" = s."region" AND t."valid_to" IS NULL
WHEN MATCHED THEN UPDATE SET "valid_to" = s."snapshot_at";

MERGE INTO "lexport_tables"."capacity_providers" AS t
USING (
  SELECT "account_id", "region", "snapshot_at" FROM "lexport_tables"."feed_account_regions" WHERE "replaced"
) AS s
ON t."account_id" = s."account_id"
  AND t."region" = s."region" AND t."valid_to" IS NULL
WHEN MATCHED THEN UPDATE SET "valid_to" = s."snapshot_at";

MERGE INTO "lexport_tables"."code_signing_configs" AS t
USING (
  SELECT "account_id", "region", "snapshot_at" FROM "lexport_tables"."feed_account_regions" WHERE "replaced"
) AS s
ON t."account_id" = s."account_id"
  AND t."region" = s."region" AND t."valid_to" IS NULL
WHEN MATCHED THEN UPDATE SET "valid_to" = s."snapshot_at";

MERGE INTO "lexport_tables"."function_code_signing" AS t
USING (
  SELECT "account_id", "region", "snapshot_at" FROM "lexport_tables"."feed_account_regions" WHERE "replaced"
) AS s
ON t."account_id" = s."account_id"
  AND t."region" = s."region" AND t."valid_to" IS NULL
WHEN MATCHED THEN UPDATE SET "valid_to" = s."snapshot_at";

MERGE INTO "lexport_tables"."event_source_mappings" AS t
USING (
  SELECT "account_id", "region", "snapshot_at" FROM "lexport_tables"."feed_account_regions" WHERE "replaced"
) AS s
ON t."account_id" = s."account_id"
  AND t."region" = s."region" AND t."valid_to" IS NULL
WHEN MATCHED THEN UPDATE SET "valid_to" = s."snapshot_at";

MERGE INTO "lexport_tables"."event_invoke_configs" AS t
USING (
  SELECT "account_id", "region", "snapshot_at" FROM "lexport_tables"."feed_account_regions" WHERE "replaced"
) AS s
ON t."account_id" = s."account_id"
  AND t."region" = s."region" AND t."valid_to" IS NULL
WHEN MATCHED THEN UPDATE SET "valid_to" = s."snapshot_at";

MERGE INTO "lexport_tables"."policy_statements" AS t
USING (
  SELECT "account_id", "region", "snapshot_at" FROM "lexport_tables"."feed_account_regions" WHERE "replaced"
) AS s
ON t."account_id" = s."account_id"
  AND t."region" = s."region" AND t."valid_to" IS NULL
WHEN MATCHED THEN UPDATE SET "valid_to" = s."snapshot_at";

MERGE INTO "lexport_tables"."policy_conditions" AS t
USING (
  SELECT "account_id", "region", "snapshot_at" FROM "lexport_tables"."feed_account_regions" WHERE "replaced"
) AS s
ON t."account_id" = s."account_id"
  AND t."region" = s."region" AND t."valid_to" IS NULL
WHEN MATCHED THEN UPDATE SET "valid_to" = s."snapshot_at";

MERGE INTO "lexport_tables"."provisioned_concurrency_configs" AS t
USING (
  SELECT "account_id", "region", "snapshot_at" FROM "lexport_tables"."feed_account_regions" WHERE "replaced"
) AS s
ON t."account_id" = s."account_id"
  AND t."region" = s."region" AND t."valid_to" IS NULL
WHEN MATCHED THEN UPDATE SET "valid_to" = s."snapshot_at";

MERGE INTO "lexport_tables"."recursion_configs" AS t
USING (
  SELECT "account_id", "region", "snapshot_at" FROM "lexport_tables"."feed_account_regions" WHERE "replaced"
) AS s
ON t."account_id" = s."account_id"
  AND t."region" = s."region" AND t."valid_to" IS NULL
WHEN MATCHED THEN UPDATE SET "valid_to" = s."snapshot_at";

MERGE INTO "lexport_tables"."runtime_management_configs" AS t
USING (
  SELECT "account_id", "region", "snapshot_at" FROM "lexport_tables"."feed_account_regions" WHERE "replaced"
) AS s
ON t."account_id" = s."account_id"
  AND t."region" = s."region" AND t."valid_to" IS NULL
WHEN MATCHED THEN UPDATE SET "valid_to" = s."snapshot_at";

MERGE INTO "lexport_tables"."function_urls" AS t
USING (
  SELECT "account_id", "region", "snapshot_at" FROM "lexport_tables"."feed_account_regions" WHERE "replaced"
) AS s
ON t."account_id" = s."account_id"
  AND t."region" = s."region" AND t."valid_to" IS NULL
WHEN MATCHED THEN UPDATE SET "valid_to" = s."snapshot_at";

MERGE INTO "lexport_tables"."function_usage" AS t
USING (
  SELECT "account_id", "region", "snapshot_at" FROM "lexport_tables"."feed_account_regions" WHERE "replaced"
) AS s
ON t."account_id" = s."account_id"
  AND t."region" = s."region" AND t."valid_to" IS NULL
WHEN MATCHED THEN UPDATE SET "valid_to" = s."snapshot_at";

MERGE INTO "lexport_tables"."usage_windows" AS t
USING (
  SELECT "account_id", "region", "snapshot_at" FROM "lexport_tables"."feed_account_regions" WHERE "replaced"
) AS s
ON t."account_id" = s."account_id"
  AND t."region" = s."region" AND t."valid_to" IS NULL
WHEN MATCHED THEN UPDATE SET "valid_to" = s."snapshot_at";

MERGE INTO "lexport_tables"."changes" AS t
USING (
  SELECT "snapshot_id", "snapshot_at", "account_id", "region", "kind", "table_name", "key", "column_name", "old_value", "new_value", "previous_snapshot_id" FROM "lexport_tables"."feed_changes"
) AS s
ON t."snapshot_id" = s."snapshot_id"
  AND t."account_id" IS NOT DISTINCT FROM s."account_id"
  AND t."region" IS NOT DISTINCT FROM s."region"
  AND t."table_name" IS NOT DISTINCT FROM s."table_name"
  AND t."key" IS NOT DISTINCT FROM s."key"
  AND t."kind" IS NOT DISTINCT FROM s."kind"
  AND t."column_name" IS NOT DISTINCT FROM s."column_name"
WHEN MATCHED THEN UPDATE SET "snapshot_at" = s."snapshot_at", "old_value" = s."old_value", "new_value" = s."new_value", "previous_snapshot_id" = s."previous_snapshot_id"
WHEN NOT MATCHED THEN INSERT ("snapshot_id", "snapshot_at", "account_id", "region", "kind", "table_name", "key", "column_name", "old_value", "new_value", "previous_snapshot_id") VALUES (s."snapshot_id", s."snapshot_at", s."account_id", s."region", s."kind", s."table_name", s."key", s."column_name", s."old_value", s."new_value", s."previous_snapshot_id");

MERGE INTO "lexport_tables"."packages" AS t
USING (
  SELECT "code_sha256", "deleted_at" FROM "lexport_tables"."feed_deletes" WHERE "table_name" = 'packages'
) AS s
ON t."code_sha256" IS NOT DISTINCT FROM s."code_sha256"
WHEN MATCHED THEN DELETE;

MERGE INTO "lexport_tables"."packages" AS t
USING (
  SELECT "snapshot_id", "snapshot_at", "account_id", "region", "code_sha256", "sha256_hex", "size_bytes", "path", "status", "reason", "verified_at", "dependencies_status", "secrets_status", "secret_rules_version" FROM "lexport_tables"."feed_packages"
) AS s
ON t."code_sha256" IS NOT DISTINCT FROM s."code_sha256"
WHEN MATCHED THEN UPDATE SET "snapshot_id" = s."snapshot_id", "snapshot_at" = s."snapshot_at", "account_id" = s."account_id", "region" = s."region", "sha256_hex" = s."sha256_hex", "size_bytes" = s."size_bytes", "path" = s."path", "status" = s."status", "reason" = s."reason", "verified_at" = s."verified_at", "dependencies_status" = s."dependencies_status", "secrets_status" = s."secrets_status", "secret_rules_version" = s."secret_rules_version"
WHEN NOT MATCHED THEN INSERT ("snapshot_id", "snapshot_at", "account_id", "region", "code_sha256", "sha256_hex", "size_bytes", "path", "status", "reason", "verified_at", "dependencies_status", "secrets_status", "secret_rules_version") VALUES (s."snapshot_id", s."snapshot_at", s."account_id", s."region", s."code_sha256", s."sha256_hex", s."size_bytes", s."path", s."status", s."reason", s."verified_at", s."dependencies_status", s."secrets_status", s."secret_rules_version");

INSERT INTO "lexport_tables"."lexport_loads" ("load_id", "since", "next_since", "write_mode", "schema_version", "lexport_version", "loaded_at", "upserts", "deletes")
SELECT '01KB0000000000000000000009', '01KB0000000000000000000001', '01KB0000000000000000000002', 'scd2', '2', '0.1.0', GREATEST(CAST(CURRENT_TIMESTAMP AT TIME ZONE 'UTC' AS TIMESTAMP(6)), COALESCE(DATE_ADD('millisecond', 1, (SELECT MAX("loaded_at") FROM "lexport_tables"."lexport_loads")), CAST(CURRENT_TIMESTAMP AT TIME ZONE 'UTC' AS TIMESTAMP(6)))), 7, 4
FROM (SELECT 1 AS one) AS one_row
WHERE (SELECT MAX("next_since") FROM "lexport_tables"."lexport_loads" WHERE "loaded_at" = (SELECT MAX("loaded_at") FROM "lexport_tables"."lexport_loads")) = '01KB0000000000000000000001';

DROP TABLE IF EXISTS `lexport_tables`.`feed_tags`;

DROP TABLE IF EXISTS `lexport_tables`.`feed_subnets`;

DROP TABLE IF EXISTS `lexport_tables`.`feed_changes`;

DROP TABLE IF EXISTS `lexport_tables`.`feed_packages`;

DROP TABLE IF EXISTS `lexport_tables`.`feed_deletes`;

DROP VIEW IF EXISTS "lexport_tables"."feed_account_regions";

