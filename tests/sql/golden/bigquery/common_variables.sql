SELECT
  `name`,
  COUNT(DISTINCT `account_id` || ':' || `region` || ':' || `function_name`) AS `functions`,
  COUNT(*) AS `versions`,
  COUNT(DISTINCT `hash_key_id` || ':' || `value_hmac`) AS `distinct_values`,
  MAX(`value_length`) AS `longest_value`
FROM `lexport`.`env_vars`
GROUP BY
  `name`
ORDER BY
  `functions` DESC,
  `name` NULLS LAST
