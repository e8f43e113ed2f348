WITH `traffic` AS (
  SELECT
    `account_id`,
    `region`,
    `function_name`,
    `version`,
    COUNT(*) AS `aliases`
  FROM `lexport`.`alias_routes`
  WHERE
    `weight` > 0
  GROUP BY
    `account_id`,
    `region`,
    `function_name`,
    `version`
)
SELECT
  `f`.`account_id`,
  `f`.`region`,
  `f`.`function_name`,
  `f`.`version`,
  `f`.`function_arn`,
  `f`.`runtime`,
  CASE
    WHEN `l`.`block_update_date` <= CAST(`f`.`snapshot_at` AS DATE)
    THEN 'update_blocked'
    WHEN `l`.`block_create_date` <= CAST(`f`.`snapshot_at` AS DATE)
    THEN 'create_blocked'
    WHEN `l`.`deprecation_date` <= CAST(`f`.`snapshot_at` AS DATE)
    THEN 'deprecated'
    ELSE 'soon'
  END AS `status`,
  CAST(DATEDIFF(DAY, CAST(`f`.`snapshot_at` AS DATE), `l`.`deprecation_date`) AS INT) AS `days_left`,
  `l`.`deprecation_date`,
  `l`.`block_create_date`,
  `l`.`block_update_date`,
  `l`.`successor`,
  CASE WHEN NOT `s`.`aliases` IS NULL THEN COALESCE(`t`.`aliases`, 0) END AS `aliases`,
  `f`.`last_modified_at`,
  `f`.`role`
FROM `lexport`.`functions` AS `f`
JOIN `lexport`.`lambda_runtimes` AS `l`
  ON `l`.`runtime` = `f`.`runtime`
LEFT JOIN `lexport`.`scopes` AS `s`
  ON `s`.`account_id` = `f`.`account_id` AND `s`.`region` = `f`.`region`
LEFT JOIN `traffic` AS `t`
  ON `t`.`account_id` = `f`.`account_id`
  AND `t`.`region` = `f`.`region`
  AND `t`.`function_name` = `f`.`function_name`
  AND `t`.`version` = `f`.`version`
WHERE
  `f`.`runtime_config_runtime_arn` IS NULL
  AND CAST(DATEDIFF(DAY, CAST(`f`.`snapshot_at` AS DATE), `l`.`deprecation_date`) AS INT) <= 180
ORDER BY
  `days_left` NULLS LAST,
  `f`.`account_id` NULLS LAST,
  `f`.`region` NULLS LAST,
  `f`.`function_name` NULLS LAST,
  `f`.`version` NULLS LAST
