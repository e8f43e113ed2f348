WITH `used` AS (
  SELECT
    `account_id`,
    `region`,
    `function_name`,
    MAX(CASE WHEN `invocations` > 0 THEN `day` END) AS `last_used_day`,
    SUM(`throttles`) AS `throttles`
  FROM `lexport`.`function_usage`
  WHERE
    `dimension` = 'function'
  GROUP BY
    `account_id`,
    `region`,
    `function_name`
), `sizes` AS (
  SELECT
    `account_id`,
    `region`,
    `function_name`,
    SUM(`code_size`) AS `code_size`
  FROM `lexport`.`functions`
  GROUP BY
    `account_id`,
    `region`,
    `function_name`
), `judged` AS (
  SELECT
    `f`.`account_id`,
    `f`.`region`,
    `f`.`function_name`,
    `f`.`function_arn`,
    CASE
      WHEN `r`.`reason` IN ('not_read', 'failed')
      THEN `r`.`reason`
      WHEN NOT `u`.`last_used_day` IS NULL OR `u`.`throttles` > 0
      THEN NULL
      WHEN `f`.`last_modified_at` IS NULL
      OR CAST(`f`.`last_modified_at` AS DATE) >= `w`.`first_day`
      THEN 'changed'
      WHEN CAST(DATE_DIFF(`w`.`last_day`, `w`.`first_day`, DAY) AS INT64) + 1 < 30
      THEN 'short_window'
    END AS `why_unknown`,
    `u`.`last_used_day`,
    `w`.`first_day`,
    `w`.`last_day`,
    `u`.`throttles`,
    `f`.`last_modified_at`,
    `s`.`code_size`
  FROM `lexport`.`functions` AS `f`
  JOIN `sizes` AS `s`
    ON `s`.`account_id` = `f`.`account_id`
    AND `s`.`region` = `f`.`region`
    AND `s`.`function_name` = `f`.`function_name`
  LEFT JOIN `lexport`.`usage_windows` AS `w`
    ON `w`.`account_id` = `f`.`account_id` AND `w`.`region` = `f`.`region`
  LEFT JOIN `lexport`.`usage_unread` AS `r`
    ON `r`.`account_id` = `f`.`account_id`
    AND `r`.`region` = `f`.`region`
    AND `r`.`function_name` = `f`.`function_name`
  LEFT JOIN `used` AS `u`
    ON `u`.`account_id` = `f`.`account_id`
    AND `u`.`region` = `f`.`region`
    AND `u`.`function_name` = `f`.`function_name`
  WHERE
    `f`.`version` = '$LATEST'
    AND (
      `u`.`last_used_day` IS NULL
      OR CAST(DATE_DIFF(`w`.`last_day`, `u`.`last_used_day`, DAY) AS INT64) >= 14
    )
)
SELECT
  `account_id`,
  `region`,
  `function_name`,
  `function_arn`,
  CASE
    WHEN NOT `why_unknown` IS NULL
    THEN 'unknown'
    WHEN NOT `last_used_day` IS NULL
    THEN 'idle'
    WHEN `j`.`throttles` > 0
    THEN 'throttled'
    ELSE 'unused'
  END AS `verdict`,
  `why_unknown`,
  `last_used_day`,
  `first_day` AS `known_since`,
  `last_day` AS `known_until`,
  CAST(COALESCE(`j`.`throttles`, 0) AS INT64) AS `throttles`,
  `last_modified_at`,
  CAST(`code_size` AS INT64) AS `code_size`
FROM `judged` AS `j`
ORDER BY
  `account_id` NULLS LAST,
  `region` NULLS LAST,
  `function_name` NULLS LAST
