CREATE SCHEMA IF NOT EXISTS `lexport`;

CREATE SCHEMA IF NOT EXISTS `lexport_history`;

CREATE SCHEMA IF NOT EXISTS `lexport_snapshot`;

CREATE SCHEMA IF NOT EXISTS `lexport_files`;

CREATE TABLE IF NOT EXISTS `lexport_files`.`tags` (
  `snapshot_id` STRING COMMENT 'ULID of the snapshot; greater is newer.',
  `snapshot_at` TIMESTAMP COMMENT 'Start of the run, UTC.',
  `account_id` STRING COMMENT '12-digit account that owns the row.',
  `region` STRING COMMENT 'AWS Region.',
  `function_name` STRING COMMENT 'Name of the function, never an ARN.',
  `key` STRING COMMENT 'Tag key.',
  `value` STRING COMMENT 'Tag value.',
  `snapshot_date` DATE
)
USING PARQUET
PARTITIONED BY (`snapshot_date`)
COMMENT 'One row per tag of a function.'
LOCATION 's3://bucket/prefix/tags/';

MSCK REPAIR TABLE `lexport_files`.`tags`;

MSCK REPAIR TABLE `lexport_files`.`package_files`;

CREATE OR REPLACE VIEW `lexport_history`.`tags`
COMMENT 'One row per tag of a function.' AS
SELECT
  `snapshot_id`,
  `snapshot_at`,
  `account_id`,
  `region`,
  `function_name`,
  `key`,
  `value`,
  `snapshot_date`
FROM `lexport_files`.`tags`
WHERE
  `snapshot_id` IN (
    SELECT
      `snapshot_id`
    FROM `lexport_files`.`snapshots`
  );

CREATE OR REPLACE VIEW `lexport_history`.`package_files`
COMMENT 'One row per file in the directory of a stored package; account and region are NULL.' AS
SELECT
  `snapshot_id`,
  `snapshot_at`,
  `account_id`,
  `region`,
  `sha256_hex`,
  `path`,
  `size_bytes`,
  `compressed_bytes`,
  `crc32`,
  `snapshot_date`
FROM `lexport_files`.`package_files`
WHERE
  `snapshot_id` IN (
    SELECT
      `snapshot_id`
    FROM `lexport_files`.`snapshots`
  );

CREATE OR REPLACE VIEW `lexport`.`newest_snapshot`
COMMENT 'What lexport_snapshot shows.' AS
SELECT DISTINCT
  `snapshot_id`,
  `snapshot_date`
FROM `lexport_history`.`scopes`
WHERE
  `snapshot_id` = (
    SELECT
      MAX(`snapshot_id`)
    FROM `lexport_history`.`scopes`
    WHERE
      `status` <> 'retired'
  );

CREATE OR REPLACE VIEW `lexport`.`latest_scopes`
COMMENT 'What lexport shows.' AS
SELECT DISTINCT
  `s`.`account_id`,
  `s`.`region`,
  `s`.`snapshot_id`,
  `s`.`snapshot_date`
FROM `lexport_history`.`scopes` AS `s`
JOIN (
  SELECT
    `account_id`,
    `region`,
    MAX(`snapshot_id`) AS `snapshot_id`
  FROM `lexport_history`.`scopes`
  WHERE
    `coverage` = 'fleet' AND `status` IN ('complete', 'retired')
  GROUP BY
    `account_id`,
    `region`
) AS `n`
  ON `n`.`account_id` = `s`.`account_id`
  AND `n`.`region` = `s`.`region`
  AND `n`.`snapshot_id` = `s`.`snapshot_id`
WHERE
  `s`.`coverage` = 'fleet' AND `s`.`status` = 'complete';

CREATE OR REPLACE VIEW `lexport_snapshot`.`tags`
COMMENT 'One row per tag of a function.' AS
SELECT
  `t`.`snapshot_id`,
  `t`.`snapshot_at`,
  `t`.`account_id`,
  `t`.`region`,
  `t`.`function_name`,
  `t`.`key`,
  `t`.`value`
FROM `lexport_history`.`tags` AS `t`
JOIN `lexport`.`newest_snapshot` AS `n`
  ON `n`.`snapshot_date` = `t`.`snapshot_date`
  AND `n`.`snapshot_id` = `t`.`snapshot_id`;

CREATE OR REPLACE VIEW `lexport_snapshot`.`package_files`
COMMENT 'One row per file in the directory of a stored package; account and region are NULL.' AS
SELECT
  `snapshot_id`,
  `snapshot_at`,
  `account_id`,
  `region`,
  `sha256_hex`,
  `path`,
  `size_bytes`,
  `compressed_bytes`,
  `crc32`
FROM `lexport_history`.`package_files`
WHERE
  `snapshot_id` = (
    SELECT
      MAX(`snapshot_id`)
    FROM `lexport_history`.`package_files`
  );

CREATE OR REPLACE VIEW `lexport`.`tags`
COMMENT 'One row per tag of a function.' AS
SELECT
  `t`.`snapshot_id`,
  `t`.`snapshot_at`,
  `t`.`account_id`,
  `t`.`region`,
  `t`.`function_name`,
  `t`.`key`,
  `t`.`value`
FROM `lexport_history`.`tags` AS `t`
JOIN `lexport`.`latest_scopes` AS `l`
  ON `l`.`snapshot_date` = `t`.`snapshot_date`
  AND `l`.`snapshot_id` = `t`.`snapshot_id`
  AND `l`.`account_id` = `t`.`account_id`
  AND `l`.`region` = `t`.`region`;

CREATE OR REPLACE VIEW `lexport`.`package_files`
COMMENT 'One row per file in the directory of a stored package; account and region are NULL.' AS
SELECT
  `t`.`snapshot_id`,
  `t`.`snapshot_at`,
  `t`.`account_id`,
  `t`.`region`,
  `t`.`sha256_hex`,
  `t`.`path`,
  `t`.`size_bytes`,
  `t`.`compressed_bytes`,
  `t`.`crc32`
FROM `lexport_history`.`package_files` AS `t`
JOIN (
  SELECT
    `sha256_hex`,
    MAX(`snapshot_id`) AS `snapshot_id`
  FROM `lexport_history`.`package_files`
  GROUP BY
    `sha256_hex`
) AS `n`
  ON `n`.`sha256_hex` = `t`.`sha256_hex` AND `n`.`snapshot_id` = `t`.`snapshot_id`
WHERE
  `t`.`sha256_hex` IN (
    SELECT
      `sha256_hex`
    FROM `lexport`.`packages`
  );

