WITH `each_function` AS (
  SELECT
    `hash_key_id`,
    `value_hmac`,
    `account_id`,
    `region`,
    `function_name`,
    `name`,
    MAX(`secret_rule`) AS `secret_rule`,
    MAX(`value_length`) AS `value_length`,
    COUNT(*) AS `versions`
  FROM `lexport`.`env_vars`
  WHERE
    `value_length` >= 8 AND NOT `value_hmac` IS NULL
  GROUP BY
    `hash_key_id`,
    `value_hmac`,
    `account_id`,
    `region`,
    `function_name`,
    `name`
)
SELECT
  `hash_key_id`,
  `value_hmac`,
  MIN(`name`) AS `name`,
  COUNT(DISTINCT `name`) AS `names`,
  MAX(`secret_rule`) AS `secret_rule`,
  MAX(`value_length`) AS `value_length`,
  COUNT(DISTINCT `account_id` || ':' || `region` || ':' || `function_name`) AS `functions`,
  CAST(SUM(`versions`) AS BIGINT) AS `versions`,
  COUNT(DISTINCT `account_id`) AS `accounts`,
  COUNT(DISTINCT `region`) AS `regions`
FROM `each_function`
GROUP BY
  `hash_key_id`,
  `value_hmac`
HAVING
  COUNT(DISTINCT `account_id` || ':' || `region` || ':' || `function_name`) > 1
ORDER BY
  `functions` DESC,
  `hash_key_id` NULLS LAST,
  `value_hmac` NULLS LAST
