SELECT
  `a`.`account_id`,
  `a`.`region`,
  `a`.`function_name`,
  `a`.`alias`,
  `a`.`function_version`,
  `r`.`version`,
  `r`.`weight`,
  CAST(DATE_DIFF(
    CAST(`a`.`snapshot_at` AS DATE),
    CAST(CASE
      WHEN `o`.`last_modified_at` > `p`.`last_modified_at`
      THEN `o`.`last_modified_at`
      ELSE `p`.`last_modified_at`
    END AS DATE),
    DAY
  ) AS INT64) AS `days_since_publish`,
  `p`.`function_arn`
FROM `lexport`.`aliases` AS `a`
JOIN `lexport`.`alias_routes` AS `r`
  ON `r`.`account_id` = `a`.`account_id`
  AND `r`.`region` = `a`.`region`
  AND `r`.`function_name` = `a`.`function_name`
  AND `r`.`alias` = `a`.`alias`
  AND `r`.`version` <> `a`.`function_version`
LEFT JOIN `lexport`.`functions` AS `p`
  ON `p`.`account_id` = `a`.`account_id`
  AND `p`.`region` = `a`.`region`
  AND `p`.`function_name` = `a`.`function_name`
  AND `p`.`version` = `a`.`function_version`
LEFT JOIN `lexport`.`functions` AS `o`
  ON `o`.`account_id` = `a`.`account_id`
  AND `o`.`region` = `a`.`region`
  AND `o`.`function_name` = `a`.`function_name`
  AND `o`.`version` = `r`.`version`
ORDER BY
  `a`.`account_id` NULLS LAST,
  `a`.`region` NULLS LAST,
  `a`.`function_name` NULLS LAST,
  `a`.`alias` NULLS LAST,
  `r`.`version` NULLS LAST
