WITH `each_function` AS (
  SELECT
    `package_type`,
    `code_sha256`,
    `account_id`,
    `region`,
    `function_name`,
    MAX(`function_arn`) AS `function_arn`,
    COUNT(*) AS `versions`,
    MAX(`code_size`) AS `code_size`,
    MAX(`last_modified_at`) AS `last_modified_at`
  FROM `lexport`.`functions`
  WHERE
    NOT `code_sha256` IS NULL
  GROUP BY
    `package_type`,
    `code_sha256`,
    `account_id`,
    `region`,
    `function_name`
)
SELECT
  `package_type`,
  `code_sha256`,
  COUNT(*) AS `functions`,
  CAST(SUM(`versions`) AS INT64) AS `versions`,
  COUNT(DISTINCT `account_id`) AS `accounts`,
  COUNT(DISTINCT `region`) AS `regions`,
  MAX(`code_size`) AS `code_size`,
  MIN(`function_arn`) AS `example_function_arn`,
  MAX(`last_modified_at`) AS `last_modified_at`
FROM `each_function`
GROUP BY
  `package_type`,
  `code_sha256`
HAVING
  COUNT(*) > 1
ORDER BY
  `functions` DESC,
  `package_type` NULLS LAST,
  `code_sha256` NULLS LAST
