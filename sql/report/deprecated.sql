-- title: Versions to move first
-- about: Function versions with a runtime that is deprecated or will be in at most 180 days; versions that aliases send traffic to come first.
-- empty: No function version uses a runtime that is deprecated or will be in 180 days.
SELECT
  account_id,
  region,
  function_name,
  version,
  runtime,
  deprecation_date,
  aliases AS aliases_to_it,
  successor
FROM deprecated_runtimes
ORDER BY aliases_to_it DESC NULLS LAST, days_left, account_id, region, function_name, version
