WITH `counted` AS (
  SELECT
    `account_id`,
    `region`,
    `function_name`,
    `version`,
    MIN(`s`.`subnet_id`) AS `subnet_id`
  FROM `lexport`.`subnets` AS `s`
  GROUP BY
    `account_id`,
    `region`,
    `function_name`,
    `version`
  HAVING
    COUNT(DISTINCT `s`.`subnet_id`) = 1
)
SELECT
  `c`.`account_id`,
  `c`.`region`,
  `c`.`function_name`,
  `c`.`version`,
  `f`.`function_arn`,
  `f`.`vpc_config_vpc_id` AS `vpc_id`,
  `c`.`subnet_id`,
  `f`.`runtime`,
  `f`.`last_modified_at`
FROM `counted` AS `c`
LEFT JOIN `lexport`.`functions` AS `f`
  ON `f`.`account_id` = `c`.`account_id`
  AND `f`.`region` = `c`.`region`
  AND `f`.`function_name` = `c`.`function_name`
  AND `f`.`version` = `c`.`version`
ORDER BY
  `c`.`account_id` NULLS LAST,
  `c`.`region` NULLS LAST,
  `c`.`function_name` NULLS LAST,
  `c`.`version` NULLS LAST
