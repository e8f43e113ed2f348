WITH `summed` AS (
  SELECT
    `account_id`,
    `region`,
    `function_name`,
    `qualifier`,
    `dimension`,
    `executed_version`,
    SUM(`invocations`) AS `invocations`,
    SUM(`errors`) AS `errors`,
    SUM(`throttles`) AS `throttles`,
    MIN(`day`) AS `first_day`,
    MAX(`day`) AS `last_day`
  FROM `lexport`.`function_usage`
  GROUP BY
    `account_id`,
    `region`,
    `function_name`,
    `qualifier`,
    `dimension`,
    `executed_version`
)
SELECT
  `account_id`,
  `region`,
  `function_name`,
  `qualifier`,
  `dimension`,
  `executed_version`,
  CAST(COALESCE(`invocations`, 0) AS INT64) AS `invocations`,
  CAST(`errors` AS INT64) AS `errors`,
  CAST(`errors` AS FLOAT64) / NULLIF(`invocations`, 0) AS `error_rate`,
  CAST(`throttles` AS INT64) AS `throttles`,
  CAST(`throttles` AS FLOAT64) / NULLIF(COALESCE(`invocations`, 0) + `throttles`, 0) AS `throttle_rate`,
  `first_day`,
  `last_day`
FROM `summed`
ORDER BY
  `errors` DESC,
  `account_id` NULLS LAST,
  `region` NULLS LAST,
  `function_name` NULLS LAST,
  `qualifier` NULLS LAST,
  `dimension` NULLS LAST,
  `executed_version` NULLS LAST
