WITH `packages_once` AS (
  SELECT
    `account_id`,
    `region`,
    `function_name`,
    MAX(`function_arn`) AS `function_arn`,
    COUNT(*) AS `versions`,
    SUM(`f`.`code_size`) AS `code_size`,
    MAX(`f`.`code_size`) AS `distinct_code_size`,
    MAX(`last_modified_at`) AS `last_modified_at`
  FROM `lexport`.`functions` AS `f`
  GROUP BY
    `account_id`,
    `region`,
    `function_name`,
    COALESCE(`code_sha256`, `version`)
), `each_function` AS (
  SELECT
    `account_id`,
    `region`,
    `function_name`,
    MAX(`function_arn`) AS `function_arn`,
    CAST(SUM(`versions`) AS INT64) AS `versions`,
    CAST(SUM(`code_size`) AS INT64) AS `code_size`,
    CAST(SUM(`distinct_code_size`) AS INT64) AS `distinct_code_size`,
    MAX(`last_modified_at`) AS `last_modified_at`
  FROM `packages_once`
  GROUP BY
    `account_id`,
    `region`,
    `function_name`
), `prunable` AS (
  SELECT
    `account_id`,
    `region`,
    `function_name`,
    COUNT(*) AS `prunable_versions`,
    SUM(`bytes_freed`) AS `bytes_freed`
  FROM `lexport`.`prunable_versions`
  GROUP BY
    `account_id`,
    `region`,
    `function_name`
)
SELECT
  `f`.`account_id`,
  `f`.`region`,
  `f`.`function_name`,
  `f`.`function_arn`,
  `f`.`versions`,
  `f`.`code_size`,
  `f`.`distinct_code_size`,
  CASE WHEN NOT `s`.`aliases` IS NULL THEN COALESCE(`p`.`prunable_versions`, 0) END AS `prunable_versions`,
  CASE
    WHEN NOT `s`.`aliases` IS NULL
    THEN COALESCE(CAST(`p`.`bytes_freed` AS INT64), 0)
  END AS `bytes_freed`,
  `f`.`last_modified_at`
FROM `each_function` AS `f`
JOIN `lexport`.`scopes` AS `s`
  ON `s`.`account_id` = `f`.`account_id` AND `s`.`region` = `f`.`region`
LEFT JOIN `prunable` AS `p`
  ON `p`.`account_id` = `f`.`account_id`
  AND `p`.`region` = `f`.`region`
  AND `p`.`function_name` = `f`.`function_name`
ORDER BY
  `f`.`distinct_code_size` DESC,
  `f`.`account_id` NULLS LAST,
  `f`.`region` NULLS LAST,
  `f`.`function_name` NULLS LAST
