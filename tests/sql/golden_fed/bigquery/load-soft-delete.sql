-- lexport feed 01KB0000000000000000000009 (soft-delete), from commit 01KB0000000000000000000001, to commit 01KB0000000000000000000002.
-- 7 rows to upsert, 4 keys to delete. To load it, run it as one script: bq query --use_legacy_sql=false < load.sql.
-- One transaction: readers see the tables as they were before, or all as they are after.
-- It fails, and changes nothing, where the warehouse does not stand where the feed begins.
-- So it does where a table is missing: delete all rows of lexport_tables.lexport_loads, and load a feed
-- without --since, which creates the tables and replaces every row.
-- The files are read from s3://bucket/feeds/1.

-- The files of the feed.

LOAD DATA OVERWRITE `lexport_tables`.`feed_tags` (
  `account_id` STRING,
  `region` STRING,
  `function_name` STRING,
  `key` STRING,
  `value` STRING
)
FROM FILES (format = 'PARQUET', uris = ['s3://bucket/feeds/1/tags.parquet']);

LOAD DATA OVERWRITE `lexport_tables`.`feed_subnets` (
  `account_id` STRING,
  `region` STRING,
  `function_name` STRING,
  `version` STRING,
  `subnet_id` STRING
)
FROM FILES (format = 'PARQUET', uris = ['s3://bucket/feeds/1/subnets.parquet']);

LOAD DATA OVERWRITE `lexport_tables`.`feed_changes` (
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
FROM FILES (format = 'PARQUET', uris = ['s3://bucket/feeds/1/changes.parquet']);

LOAD DATA OVERWRITE `lexport_tables`.`feed_packages` (
  `snapshot_id` STRING,
  `snapshot_at` TIMESTAMP,
  `account_id` STRING,
  `region` STRING,
  `code_sha256` STRING,
  `sha256_hex` STRING,
  `size_bytes` INT64,
  `path` STRING,
  `status` STRING,
  `reason` STRING,
  `verified_at` TIMESTAMP,
  `dependencies_status` STRING,
  `secrets_status` STRING,
  `secret_rules_version` INT64
)
FROM FILES (format = 'PARQUET', uris = ['s3://bucket/feeds/1/packages.parquet']);

LOAD DATA OVERWRITE `lexport_tables`.`feed_deletes` (
  `table_name` STRING,
  `account_id` STRING,
  `region` STRING,
  `function_name` STRING,
  `version` STRING,
  `alias` STRING,
  `key` STRING,
  `name` STRING,
  `position` INT64,
  `subnet_id` STRING,
  `security_group_id` STRING,
  `capacity_provider_arn` STRING,
  `code_signing_config_arn` STRING,
  `uuid` STRING,
  `qualifier` STRING,
  `statement` INT64,
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
FROM FILES (format = 'PARQUET', uris = ['s3://bucket/feeds/1/deletes.parquet']);

CREATE OR REPLACE TABLE `lexport_tables`.`feed_account_regions` (
  `snapshot_at` TIMESTAMP,
  `account_id` STRING,
  `region` STRING,
  `replaced` BOOL
);

INSERT INTO `lexport_tables`.`feed_account_regions` (`snapshot_at`, `account_id`, `region`, `replaced`) VALUES
  (CAST('2026-11-22 02:00:00.123456+00:00' AS TIMESTAMP), '111122223333', 'eu-west-1', FALSE),
  (CAST('2026-11-22 02:00:00.123456+00:00' AS TIMESTAMP), '111122223334', 'us-east-1', TRUE);

BEGIN TRANSACTION;

UPDATE `lexport_tables`.`lexport_loads` SET `since` = `since` WHERE TRUE;

-- Does the warehouse stand where the feed begins?

SELECT IF(COALESCE((SELECT MAX(`next_since`) FROM `lexport_tables`.`lexport_loads` WHERE `loaded_at` = (SELECT MAX(`loaded_at`) FROM `lexport_tables`.`lexport_loads`)) = '01KB0000000000000000000001', FALSE), TRUE, ERROR('lexport_loads does not end where this feed begins: 01KB0000000000000000000001'));

SELECT IF(COALESCE((SELECT COUNT(*) FROM `lexport_tables`.`lexport_loads` WHERE `write_mode` <> 'soft-delete') = 0, FALSE), TRUE, ERROR('another write mode than soft-delete is in use'));

SELECT IF(COALESCE((SELECT COUNT(*) FROM `lexport_tables`.`lexport_loads` WHERE CAST(`schema_version` AS INT64) > 2) = 0, FALSE), TRUE, ERROR('a newer lexport has loaded this warehouse; upgrade'));

-- The rows.

MERGE INTO `lexport_tables`.`functions` AS t
USING (
  SELECT `account_id`, `region`, `snapshot_at` FROM `lexport_tables`.`feed_account_regions` WHERE `replaced`
) AS s
ON t.`account_id` = s.`account_id`
  AND t.`region` = s.`region` AND t.`deleted_at` IS NULL
WHEN MATCHED THEN UPDATE SET `deleted_at` = s.`snapshot_at`;

MERGE INTO `lexport_tables`.`aliases` AS t
USING (
  SELECT `account_id`, `region`, `snapshot_at` FROM `lexport_tables`.`feed_account_regions` WHERE `replaced`
) AS s
ON t.`account_id` = s.`account_id`
  AND t.`region` = s.`region` AND t.`deleted_at` IS NULL
WHEN MATCHED THEN UPDATE SET `deleted_at` = s.`snapshot_at`;

MERGE INTO `lexport_tables`.`alias_routes` AS t
USING (
  SELECT `account_id`, `region`, `snapshot_at` FROM `lexport_tables`.`feed_account_regions` WHERE `replaced`
) AS s
ON t.`account_id` = s.`account_id`
  AND t.`region` = s.`region` AND t.`deleted_at` IS NULL
WHEN MATCHED THEN UPDATE SET `deleted_at` = s.`snapshot_at`;

MERGE INTO `lexport_tables`.`tags` AS t
USING (
  SELECT `account_id`, `region`, `snapshot_at` FROM `lexport_tables`.`feed_account_regions` WHERE `replaced`
) AS s
ON t.`account_id` = s.`account_id`
  AND t.`region` = s.`region` AND t.`deleted_at` IS NULL
WHEN MATCHED THEN UPDATE SET `deleted_at` = s.`snapshot_at`;

MERGE INTO `lexport_tables`.`tags` AS t
USING (
  SELECT `account_id`, `region`, `function_name`, `key`, `deleted_at` FROM `lexport_tables`.`feed_deletes` WHERE `table_name` = 'tags'
) AS s
ON t.`account_id` = s.`account_id`
  AND t.`region` = s.`region`
  AND (t.`function_name` = s.`function_name` OR (t.`function_name` IS NULL AND s.`function_name` IS NULL))
  AND (t.`key` = s.`key` OR (t.`key` IS NULL AND s.`key` IS NULL)) AND t.`deleted_at` IS NULL
WHEN MATCHED THEN UPDATE SET `deleted_at` = s.`deleted_at`;

MERGE INTO `lexport_tables`.`tags` AS t
USING (
  SELECT `account_id`, `region`, `function_name`, `key`, `value` FROM `lexport_tables`.`feed_tags`
) AS s
ON t.`account_id` = s.`account_id`
  AND t.`region` = s.`region`
  AND (t.`function_name` = s.`function_name` OR (t.`function_name` IS NULL AND s.`function_name` IS NULL))
  AND (t.`key` = s.`key` OR (t.`key` IS NULL AND s.`key` IS NULL))
WHEN MATCHED THEN UPDATE SET `value` = s.`value`, `deleted_at` = NULL
WHEN NOT MATCHED THEN INSERT (`account_id`, `region`, `function_name`, `key`, `value`) VALUES (s.`account_id`, s.`region`, s.`function_name`, s.`key`, s.`value`);

MERGE INTO `lexport_tables`.`env_vars` AS t
USING (
  SELECT `account_id`, `region`, `snapshot_at` FROM `lexport_tables`.`feed_account_regions` WHERE `replaced`
) AS s
ON t.`account_id` = s.`account_id`
  AND t.`region` = s.`region` AND t.`deleted_at` IS NULL
WHEN MATCHED THEN UPDATE SET `deleted_at` = s.`snapshot_at`;

MERGE INTO `lexport_tables`.`layers` AS t
USING (
  SELECT `account_id`, `region`, `snapshot_at` FROM `lexport_tables`.`feed_account_regions` WHERE `replaced`
) AS s
ON t.`account_id` = s.`account_id`
  AND t.`region` = s.`region` AND t.`deleted_at` IS NULL
WHEN MATCHED THEN UPDATE SET `deleted_at` = s.`snapshot_at`;

MERGE INTO `lexport_tables`.`subnets` AS t
USING (
  SELECT `account_id`, `region`, `snapshot_at` FROM `lexport_tables`.`feed_account_regions` WHERE `replaced`
) AS s
ON t.`account_id` = s.`account_id`
  AND t.`region` = s.`region` AND t.`deleted_at` IS NULL
WHEN MATCHED THEN UPDATE SET `deleted_at` = s.`snapshot_at`;

MERGE INTO `lexport_tables`.`subnets` AS t
USING (
  SELECT `account_id`, `region`, `function_name`, `version`, `subnet_id` FROM `lexport_tables`.`feed_subnets`
) AS s
ON t.`account_id` = s.`account_id`
  AND t.`region` = s.`region`
  AND (t.`function_name` = s.`function_name` OR (t.`function_name` IS NULL AND s.`function_name` IS NULL))
  AND (t.`version` = s.`version` OR (t.`version` IS NULL AND s.`version` IS NULL))
  AND (t.`subnet_id` = s.`subnet_id` OR (t.`subnet_id` IS NULL AND s.`subnet_id` IS NULL))
WHEN MATCHED THEN UPDATE SET `deleted_at` = NULL
WHEN NOT MATCHED THEN INSERT (`account_id`, `region`, `function_name`, `version`, `subnet_id`) VALUES (s.`account_id`, s.`region`, s.`function_name`, s.`version`, s.`subnet_id`);

MERGE INTO `lexport_tables`.`security_groups` AS t
USING (
  SELECT `account_id`, `region`, `snapshot_at` FROM `lexport_tables`.`feed_account_regions` WHERE `replaced`
) AS s
ON t.`account_id` = s.`account_id`
  AND t.`region` = s.`region` AND t.`deleted_at` IS NULL
WHEN MATCHED THEN UPDATE SET `deleted_at` = s.`snapshot_at`;

MERGE INTO `lexport_tables`.`file_systems` AS t
USING (
  SELECT `account_id`, `region`, `snapshot_at` FROM `lexport_tables`.`feed_account_regions` WHERE `replaced`
) AS s
ON t.`account_id` = s.`account_id`
  AND t.`region` = s.`region` AND t.`deleted_at` IS NULL
WHEN MATCHED THEN UPDATE SET `deleted_at` = s.`snapshot_at`;

MERGE INTO `lexport_tables`.`account_settings` AS t
USING (
  SELECT `account_id`, `region`, `snapshot_at` FROM `lexport_tables`.`feed_account_regions` WHERE `replaced`
) AS s
ON t.`account_id` = s.`account_id`
  AND t.`region` = s.`region` AND t.`deleted_at` IS NULL
WHEN MATCHED THEN UPDATE SET `deleted_at` = s.`snapshot_at`;

MERGE INTO `lexport_tables`.`capacity_providers` AS t
USING (
  SELECT `account_id`, `region`, `snapshot_at` FROM `lexport_tables`.`feed_account_regions` WHERE `replaced`
) AS s
ON t.`account_id` = s.`account_id`
  AND t.`region` = s.`region` AND t.`deleted_at` IS NULL
WHEN MATCHED THEN UPDATE SET `deleted_at` = s.`snapshot_at`;

MERGE INTO `lexport_tables`.`code_signing_configs` AS t
USING (
  SELECT `account_id`, `region`, `snapshot_at` FROM `lexport_tables`.`feed_account_regions` WHERE `replaced`
) AS s
ON t.`account_id` = s.`account_id`
  AND t.`region` = s.`region` AND t.`deleted_at` IS NULL
WHEN MATCHED THEN UPDATE SET `deleted_at` = s.`snapshot_at`;

MERGE INTO `lexport_tables`.`function_code_signing` AS t
USING (
  SELECT `account_id`, `region`, `snapshot_at` FROM `lexport_tables`.`feed_account_regions` WHERE `replaced`
) AS s
ON t.`account_id` = s.`account_id`
  AND t.`region` = s.`region` AND t.`deleted_at` IS NULL
WHEN MATCHED THEN UPDATE SET `deleted_at` = s.`snapshot_at`;

MERGE INTO `lexport_tables`.`event_source_mappings` AS t
USING (
  SELECT `account_id`, `region`, `snapshot_at` FROM `lexport_tables`.`feed_account_regions` WHERE `replaced`
) AS s
ON t.`account_id` = s.`account_id`
  AND t.`region` = s.`region` AND t.`deleted_at` IS NULL
WHEN MATCHED THEN UPDATE SET `deleted_at` = s.`snapshot_at`;

MERGE INTO `lexport_tables`.`event_invoke_configs` AS t
USING (
  SELECT `account_id`, `region`, `snapshot_at` FROM `lexport_tables`.`feed_account_regions` WHERE `replaced`
) AS s
ON t.`account_id` = s.`account_id`
  AND t.`region` = s.`region` AND t.`deleted_at` IS NULL
WHEN MATCHED THEN UPDATE SET `deleted_at` = s.`snapshot_at`;

MERGE INTO `lexport_tables`.`policy_statements` AS t
USING (
  SELECT `account_id`, `region`, `snapshot_at` FROM `lexport_tables`.`feed_account_regions` WHERE `replaced`
) AS s
ON t.`account_id` = s.`account_id`
  AND t.`region` = s.`region` AND t.`deleted_at` IS NULL
WHEN MATCHED THEN UPDATE SET `deleted_at` = s.`snapshot_at`;

MERGE INTO `lexport_tables`.`policy_conditions` AS t
USING (
  SELECT `account_id`, `region`, `snapshot_at` FROM `lexport_tables`.`feed_account_regions` WHERE `replaced`
) AS s
ON t.`account_id` = s.`account_id`
  AND t.`region` = s.`region` AND t.`deleted_at` IS NULL
WHEN MATCHED THEN UPDATE SET `deleted_at` = s.`snapshot_at`;

MERGE INTO `lexport_tables`.`provisioned_concurrency_configs` AS t
USING (
  SELECT `account_id`, `region`, `snapshot_at` FROM `lexport_tables`.`feed_account_regions` WHERE `replaced`
) AS s
ON t.`account_id` = s.`account_id`
  AND t.`region` = s.`region` AND t.`deleted_at` IS NULL
WHEN MATCHED THEN UPDATE SET `deleted_at` = s.`snapshot_at`;

MERGE INTO `lexport_tables`.`recursion_configs` AS t
USING (
  SELECT `account_id`, `region`, `snapshot_at` FROM `lexport_tables`.`feed_account_regions` WHERE `replaced`
) AS s
ON t.`account_id` = s.`account_id`
  AND t.`region` = s.`region` AND t.`deleted_at` IS NULL
WHEN MATCHED THEN UPDATE SET `deleted_at` = s.`snapshot_at`;

MERGE INTO `lexport_tables`.`runtime_management_configs` AS t
USING (
  SELECT `account_id`, `region`, `snapshot_at` FROM `lexport_tables`.`feed_account_regions` WHERE `replaced`
) AS s
ON t.`account_id` = s.`account_id`
  AND t.`region` = s.`region` AND t.`deleted_at` IS NULL
WHEN MATCHED THEN UPDATE SET `deleted_at` = s.`snapshot_at`;

MERGE INTO `lexport_tables`.`function_urls` AS t
USING (
  SELECT `account_id`, `region`, `snapshot_at` FROM `lexport_tables`.`feed_account_regions` WHERE `replaced`
) AS s
ON t.`account_id` = s.`account_id`
  AND t.`region` = s.`region` AND t.`deleted_at` IS NULL
WHEN MATCHED THEN UPDATE SET `deleted_at` = s.`snapshot_at`;

MERGE INTO `lexport_tables`.`function_usage` AS t
USING (
  SELECT `account_id`, `region`, `snapshot_at` FROM `lexport_tables`.`feed_account_regions` WHERE `replaced`
) AS s
ON t.`account_id` = s.`account_id`
  AND t.`region` = s.`region` AND t.`deleted_at` IS NULL
WHEN MATCHED THEN UPDATE SET `deleted_at` = s.`snapshot_at`;

MERGE INTO `lexport_tables`.`usage_windows` AS t
USING (
  SELECT `account_id`, `region`, `snapshot_at` FROM `lexport_tables`.`feed_account_regions` WHERE `replaced`
) AS s
ON t.`account_id` = s.`account_id`
  AND t.`region` = s.`region` AND t.`deleted_at` IS NULL
WHEN MATCHED THEN UPDATE SET `deleted_at` = s.`snapshot_at`;

MERGE INTO `lexport_tables`.`changes` AS t
USING (
  SELECT `snapshot_id`, `snapshot_at`, `account_id`, `region`, `kind`, `table_name`, `key`, `column_name`, `old_value`, `new_value`, `previous_snapshot_id` FROM `lexport_tables`.`feed_changes`
) AS s
ON t.`snapshot_id` = s.`snapshot_id`
  AND (t.`account_id` = s.`account_id` OR (t.`account_id` IS NULL AND s.`account_id` IS NULL))
  AND (t.`region` = s.`region` OR (t.`region` IS NULL AND s.`region` IS NULL))
  AND (t.`table_name` = s.`table_name` OR (t.`table_name` IS NULL AND s.`table_name` IS NULL))
  AND (t.`key` = s.`key` OR (t.`key` IS NULL AND s.`key` IS NULL))
  AND (t.`kind` = s.`kind` OR (t.`kind` IS NULL AND s.`kind` IS NULL))
  AND (t.`column_name` = s.`column_name` OR (t.`column_name` IS NULL AND s.`column_name` IS NULL))
WHEN MATCHED THEN UPDATE SET `snapshot_at` = s.`snapshot_at`, `old_value` = s.`old_value`, `new_value` = s.`new_value`, `previous_snapshot_id` = s.`previous_snapshot_id`
WHEN NOT MATCHED THEN INSERT (`snapshot_id`, `snapshot_at`, `account_id`, `region`, `kind`, `table_name`, `key`, `column_name`, `old_value`, `new_value`, `previous_snapshot_id`) VALUES (s.`snapshot_id`, s.`snapshot_at`, s.`account_id`, s.`region`, s.`kind`, s.`table_name`, s.`key`, s.`column_name`, s.`old_value`, s.`new_value`, s.`previous_snapshot_id`);

MERGE INTO `lexport_tables`.`packages` AS t
USING (
  SELECT `code_sha256`, `deleted_at` FROM `lexport_tables`.`feed_deletes` WHERE `table_name` = 'packages'
) AS s
ON (t.`code_sha256` = s.`code_sha256` OR (t.`code_sha256` IS NULL AND s.`code_sha256` IS NULL)) AND t.`deleted_at` IS NULL
WHEN MATCHED THEN UPDATE SET `deleted_at` = s.`deleted_at`;

MERGE INTO `lexport_tables`.`packages` AS t
USING (
  SELECT `snapshot_id`, `snapshot_at`, `account_id`, `region`, `code_sha256`, `sha256_hex`, `size_bytes`, `path`, `status`, `reason`, `verified_at`, `dependencies_status`, `secrets_status`, `secret_rules_version` FROM `lexport_tables`.`feed_packages`
) AS s
ON (t.`code_sha256` = s.`code_sha256` OR (t.`code_sha256` IS NULL AND s.`code_sha256` IS NULL))
WHEN MATCHED THEN UPDATE SET `snapshot_id` = s.`snapshot_id`, `snapshot_at` = s.`snapshot_at`, `account_id` = s.`account_id`, `region` = s.`region`, `sha256_hex` = s.`sha256_hex`, `size_bytes` = s.`size_bytes`, `path` = s.`path`, `status` = s.`status`, `reason` = s.`reason`, `verified_at` = s.`verified_at`, `dependencies_status` = s.`dependencies_status`, `secrets_status` = s.`secrets_status`, `secret_rules_version` = s.`secret_rules_version`, `deleted_at` = NULL
WHEN NOT MATCHED THEN INSERT (`snapshot_id`, `snapshot_at`, `account_id`, `region`, `code_sha256`, `sha256_hex`, `size_bytes`, `path`, `status`, `reason`, `verified_at`, `dependencies_status`, `secrets_status`, `secret_rules_version`) VALUES (s.`snapshot_id`, s.`snapshot_at`, s.`account_id`, s.`region`, s.`code_sha256`, s.`sha256_hex`, s.`size_bytes`, s.`path`, s.`status`, s.`reason`, s.`verified_at`, s.`dependencies_status`, s.`secrets_status`, s.`secret_rules_version`);

INSERT INTO `lexport_tables`.`lexport_loads` (`load_id`, `since`, `next_since`, `write_mode`, `schema_version`, `lexport_version`, `loaded_at`, `upserts`, `deletes`)
SELECT '01KB0000000000000000000009', '01KB0000000000000000000001', '01KB0000000000000000000002', 'soft-delete', '2', '0.1.0', GREATEST(CURRENT_TIMESTAMP, COALESCE(TIMESTAMP_ADD((SELECT MAX(`loaded_at`) FROM `lexport_tables`.`lexport_loads`), INTERVAL 1 MICROSECOND), CURRENT_TIMESTAMP)), 7, 4
FROM (SELECT 1 AS one) AS one_row
WHERE (SELECT MAX(`next_since`) FROM `lexport_tables`.`lexport_loads` WHERE `loaded_at` = (SELECT MAX(`loaded_at`) FROM `lexport_tables`.`lexport_loads`)) = '01KB0000000000000000000001';

COMMIT TRANSACTION;

DROP TABLE IF EXISTS `lexport_tables`.`feed_tags`;

DROP TABLE IF EXISTS `lexport_tables`.`feed_subnets`;

DROP TABLE IF EXISTS `lexport_tables`.`feed_changes`;

DROP TABLE IF EXISTS `lexport_tables`.`feed_packages`;

DROP TABLE IF EXISTS `lexport_tables`.`feed_deletes`;

DROP TABLE IF EXISTS `lexport_tables`.`feed_account_regions`;

